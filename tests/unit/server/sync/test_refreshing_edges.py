"""The edges of refreshes: the largest one, two at once, and what came and went in one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon import limits
from pylon.errors import ResyncRequired
from pylon.server.storage.transaction import Transaction
from tests.unit.server.sync.hubs import Hubs, hubs_at
from tests.unit.server.sync.test_refreshing import (
    ANN,
    APP,
    BOB,
    MESSAGES,
    _changes,
    _heard,
    _pull,
    _rooms,
)


@pytest.fixture
async def hubs(tmp_path: Path) -> AsyncIterator[Hubs]:
    async with hubs_at(tmp_path, APP) as made:
        await made.work(_rooms(made))
        yield made


@pytest.mark.parametrize(("most", "starts_over"), [(2, True), (3, False), (4, False)])
async def test_the_largest_refresh_is_sent_and_one_more_row_is_not(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch, most: int, starts_over: bool
) -> None:
    """Three rows come into view: at the bound and below it as a refresh, above it anew."""
    monkeypatch.setattr(limits, "REFRESH_ROWS_MAX", most)
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 2)
    before = hubs.database.head
    bob = await hubs.live(BOB, MESSAGES)
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    await hubs.settle(bob)
    assert bool(bob.of("resync")) is starts_over
    assert bob.ids == {"r1m0", "r1m1", "r1m2"}
    if most < 4:  # a pull brings the room as well
        with pytest.raises(ResyncRequired):
            _pull(hubs, BOB, before)
    else:
        pages = [one for one in _changes(_pull(hubs, BOB, before)) if one["kind"] == "refresh"]
        assert [len(one["rows"]) for one in pages if one["entity"] == "Message"] == [2, 1]


async def test_two_rooms_at_once_are_both_followed(hubs: Hubs) -> None:
    """Joined and left in one transaction, or moved by one update: what is held is what is shown."""
    before = hubs.database.head
    ann, bob = await hubs.live(ANN, MESSAGES), await hubs.live(BOB, MESSAGES)

    def work(tx: Transaction) -> None:
        hubs.put_in(tx, "Member", "bob1", room="r1", userId="bob")
        hubs.put_in(tx, "Member", "bob2", room="r2", userId="bob")
        hubs.put_in(tx, "Member", "ann1", room="r2", userId="ann")

    await hubs.work(work)
    await hubs.settle(ann, bob)
    assert bob.ids == {f"r{room}m{n}" for room in (1, 2) for n in range(3)}
    assert ann.ids == {"r2m0", "r2m1", "r2m2"}
    kept = [one["where"] for one in _changes(_pull(hubs, ANN, before)) if one["kind"] == "refresh"]
    assert {"room": "r1"} in kept
    assert {"room": "r2"} in kept


async def test_a_row_that_came_and_went_in_one_transaction_shows_nothing(hubs: Hubs) -> None:
    """A member and a message of one moment: nobody keeps, or is told, anything of them."""
    bob = await hubs.live(BOB, MESSAGES)
    before = hubs.database.head

    def work(tx: Transaction) -> None:
        hubs.put_in(tx, "Member", "bob1", room="r1", userId="bob")
        hubs.put_in(tx, "Message", "brief", room="r1", text="secret of a moment")
        schema = hubs.definitions.current.schema
        for name, row_id in (("Message", "brief"), ("Member", "bob1")):
            entity = schema.entities[name]
            tx.delete(entity, tx.get(entity, row_id))

    await hubs.work(work)
    await hubs.settle(bob)
    assert bob.ids == set()
    assert "secret" not in _heard(bob)
    assert "secret" not in str(_changes(_pull(hubs, BOB, before)))
