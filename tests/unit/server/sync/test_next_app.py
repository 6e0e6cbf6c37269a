"""What the next version of an app would do to those who are connected."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pylon.app.definition import AppDefinition
from pylon.app.loader import load_app
from pylon.server.sync import next_app
from pylon.server.sync.next_app import clients_under
from pylon.server.sync.subscription import FunctionSubscription
from tests.unit.server.sync.hubs import APP, hubs_at, user


def _by_text(place: int) -> dict[str, Any]:
    return {"id": f"t{place}", "entity": "Note", "where": {"text": "a"}, "limit": 5}


def _without_text(tmp_path: Path, more: str = "") -> AppDefinition:
    folder = tmp_path / "next"
    folder.mkdir()
    gone = APP.replace('    text: Text = ""\n    scar', "    scar")
    (folder / "app.py").write_text(gone + more)
    return load_app(folder, generation=2)


async def test_equal_subscriptions_are_counted_together(tmp_path: Path) -> None:
    """By client, not by subscription; who follows nothing of it goes on."""
    async with hubs_at(tmp_path) as hubs:
        ann = await hubs.live(user("ann"), _by_text(1), _by_text(2))
        bob = await hubs.live(user("bob"), _by_text(1))
        await hubs.live(user("eve"), {"id": "s", "entity": "Message"})
        ann.connection.client_id, bob.connection.client_id = "a", "b"
        following = _without_text(tmp_path)
        found = await clients_under(hubs.hub.connections(), following, rewritten=None)
        assert (found["connected"], found["resync"], found["kinds"]) == (3, 2, 1)
        assert found["further"] == 0
        (one,) = found["subscriptions"]
        assert (one["fate"], one["clients"], one["subscriptions"]) == ("refused", 2, 3)
        assert (one["why"], one["limit"]) == ("Note has no field text", 5)

        everybody = await clients_under(
            hubs.hub.connections(), following, rewritten="rename Note.rank"
        )
        assert everybody["resync"] == 3
        assert [(one["entity"], one["fate"], one["why"]) for one in everybody["subscriptions"]] == [
            ("Note", "refused", "Note has no field text"),
            ("Message", "starts over", "rename Note.rank"),
        ]


async def test_kinds_above_the_bound_are_counted_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept goes on being counted; what starts over takes no room of what is refused."""
    monkeypatch.setattr(next_app, "_KINDS_MAX", 1)
    async with hubs_at(tmp_path) as hubs:
        other = {"id": "o", "entity": "Note", "where": {"text": "b"}}
        for name in ("ann", "bob"):
            peer = await hubs.live(
                user(name), {"id": "s", "entity": "Message"}, {"id": "m", "entity": "Member"},
                _by_text(1), other, _by_text(2),
            )  # fmt: skip
            peer.connection.client_id = name
        found = await clients_under(
            hubs.hub.connections(), _without_text(tmp_path), rewritten="rename Note.rank"
        )
        assert (found["kinds"], found["further"], found["resync"]) == (2, 4, 2)
        assert [(one["fate"], one["clients"], one["subscriptions"])
                for one in found["subscriptions"]] == [
            ("refused", 2, 4), ("starts over", 2, 2),
        ]  # fmt: skip


LISTED = """
@app.query(allow="true")
def listed(ctx, names: list[str]) -> int:
    return 0
"""


@pytest.mark.parametrize(("count", "size"), [(600, 1), (12, 60_000)])
async def test_who_follows_many_functions_leaves_the_loop_to_others(
    tmp_path: Path, count: int, size: int
) -> None:
    """Many, or few with large arguments."""
    async with hubs_at(tmp_path) as hubs:
        peers = [await hubs.live(user(f"u{at}")) for at in range(6)]
        args = {"names": ["x" * size]}
        for peer in peers:
            peer.connection.subscriber.functions.update(
                (f"f{at}", FunctionSubscription(f"f{at}", "listed", args, 0, size))
                for at in range(count // len(peers))
            )
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.ensure_future(others())
        connections = hubs.hub.connections()
        found = await clients_under(connections, _without_text(tmp_path, LISTED), rewritten=None)
        beside.cancel()
        assert found["kinds"] == 0
        assert turns >= 3
