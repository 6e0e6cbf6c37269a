"""Reading for one connection: what was read before it had to start over is not sent after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon import limits
from pylon.server.storage.readers import READERS
from tests.unit.server.sync.hubs import Hubs, half_hydrated, hubs_at, user

NOTES = {"id": "s", "entity": "Note"}
ANN = user("ann")


@pytest.fixture
async def hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hubs]:
    """A hub whose pages have two rows, and four secret rows of Ann's."""
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 2)
    async with hubs_at(tmp_path) as made:
        for name in "abcd":
            await made.put("Note", name, owner="ann", secret=True)
        yield made


async def test_a_page_of_before_is_not_sent_after_starting_over(hubs: Hubs) -> None:
    """A page asked for before a resync is thrown away: its place is of before."""
    peer = await half_hydrated(hubs, ANN, NOTES)
    peer.clear()
    hubs.hub.resync(peer.connection, "gap")
    hubs.open_gate()
    await hubs.settle(peer)
    assert peer.frames[0]["type"] == "resync"
    paged = [row["id"] for page in peer.of("snapshot") for row in page["rows"]]
    assert paged == ["a", "b", "c", "d"]


@pytest.mark.parametrize("what", ["page", "window"])
async def test_what_was_read_for_who_he_was_is_not_sent_to_who_he_is(hubs: Hubs, what: str) -> None:
    """A page or window that is being read as the caller changes goes nowhere."""
    window = {"id": "w", "entity": "Note", "order": ["rank"], "limit": 2}
    if what == "page":
        peer = await half_hydrated(hubs, ANN, NOTES, window)
    else:
        hubs.shut_gate()
        peer = hubs.connect(ANN, NOTES, window)
        await hubs.until(lambda: hubs.reads == 1)
    peer.clear()
    hubs.sessions.now["ann"] = user("bob")
    hubs.sessions.end(None, "ann", "identity_changed")
    hubs.open_gate()
    await hubs.settle(peer)
    frames = peer.frames
    assert frames[0]["type"] == "resync"
    assert [one["rows"] for one in frames if one["type"] in ("snapshot", "window")] == [[], []]
    assert peer.ids == set()


async def test_pages_are_read_in_turn_and_changes_find_a_reader(hubs: Hubs) -> None:
    """However many hydrate at once, one page is read at a time, and who lacks changes goes on."""
    cursor = str(hubs.database.cursor(0))
    hubs.shut_gate()
    hydrating = [hubs.connect(ANN, NOTES) for _ in range(8)]
    await hubs.until(lambda: hubs.reads == READERS - 1)
    behind = hubs.connect(ANN, {**NOTES, "have": True}, cursor=cursor)
    await hubs.until(lambda: hubs.reads == READERS)
    hubs.open_gate()
    await hubs.settle(*hydrating, behind)
    assert behind.ids == set("abcd")
    assert all(peer.ids == set("abcd") for peer in hydrating)
