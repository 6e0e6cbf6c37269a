"""Which number names a change that is to be undone: any of its transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon.client.admin import AdminClient, AdminError
from pylon.errors import FunctionTimeout, PylonError, Unavailable
from pylon.server.functions import undoing
from pylon.testing import running
from pylon.testing.inprocess import URL

APP = """
from pylon import App, Entity, Ref, field, index

app = App("rooms")


@app.entity(read="exists Member(roomId == data.id, userId == auth.userId)")
class Room(Entity):
    name: str


@app.entity(read="auth.userId == data.userId")
class Member(Entity):
    roomId: Ref[Room] = field(on_delete="cascade")
    userId: Ref["User"]
    by_both = index("roomId", "userId")
"""


class World:
    """A runtime whose policies look at members, its owner, and ada."""

    def __init__(self, admin: AdminClient, ada: str) -> None:
        self.admin = admin
        self.ada = ada

    async def join(self, member: str) -> dict[str, Any]:
        """Make ada a member of the room, as the owner."""
        values = {"roomId": "r1", "userId": self.ada}
        return await self.admin.post("admin/data/Member", {"id": member, "values": values})

    async def undo(self, seq: int, **more: Any) -> dict[str, Any]:
        """Take a change back."""
        return await self.admin.post("admin/data-undo", {"seq": seq, **more})

    async def ids(self, entity: str) -> list[str]:
        """Return the ids of all rows."""
        return [one["id"] for one in (await self.admin.get(f"admin/data/{entity}"))["rows"]]

    async def together(self, seq: int) -> list[tuple[int, str]]:
        """Return (number, kind) of all that a change's transaction wrote."""
        changes = (await self.admin.get("admin/log", after=0, limit=100))["changes"]
        tx = next(one["tx"] for one in changes if one["seq"] == seq)
        return [(one["seq"], one["kind"]) for one in changes if one["tx"] == tx]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Serve the app with one room."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as harness:
        admin = AdminClient(URL, token=harness.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=harness.network.connector("owner"))
        ada = await harness.user("ada@example.com")
        assert ada.user_id is not None
        await admin.post("admin/data/Room", {"id": "r1", "values": {"name": "one"}})
        yield World(admin, ada.user_id)
        await admin.close()


async def test_the_number_that_is_told_is_the_change_and_not_what_it_moves(world: World) -> None:
    """Behind the change stands whose view it moves; undo takes the number that was given."""
    made = await world.join("m1")
    kinds = await world.together(made["seq"])
    assert [kind for _, kind in kinds] == ["insert", "slice"], "the premise of the test"
    assert made["seq"] == kinds[0][0] == made["row"]["_seq"]
    undone = await world.undo(made["seq"])
    assert await world.ids("Member") == []
    await world.undo(undone["seq"])  # an undo is told in the same way
    assert await world.ids("Member") == ["m1"]
    # So are those of many rows, and their undo.
    gone = await world.admin.post("admin/data-bulk/Member", {"ids": ["m1"], "delete": True})
    back = await world.undo(gone["seq"])
    for one, kind in ((gone, "delete"), (back, "insert")):
        kinds = await world.together(one["seq"])
        assert kinds == [(one["seq"], kind), (one["seq"] + 1, "slice")]
    gone = await world.admin.post("admin/data/Room/r1/delete", {})
    kinds = await world.together(gone["seq"])
    assert (gone["seq"], "delete") in kinds
    await world.undo(gone["seq"])
    assert (await world.ids("Room"), await world.ids("Member")) == (["r1"], ["m1"])


async def test_any_number_of_a_transaction_names_it(world: World) -> None:
    """Those of the change and those of what it moves: the same look, and the same undo."""
    made = await world.join("m1")
    kinds = await world.together(made["seq"])
    looks = [await world.undo(seq, look=True) for seq, _ in kinds]
    assert all(one == looks[0] for one in looks), looks
    assert (looks[0]["parts"], looks[0]["changes"]) == ([made["seq"]], 1)
    await world.undo(kinds[-1][0])
    assert await world.ids("Member") == []
    await world.join("m2")
    gone = await world.admin.post("admin/data/Room/r1/delete", {})
    kinds = await world.together(gone["seq"])
    assert len(kinds) > 2, kinds
    looks = [await world.undo(seq, look=True) for seq, _ in kinds]
    assert all(one == looks[0] for one in looks), looks


@pytest.mark.parametrize("error", [FunctionTimeout("too long"), Unavailable("it stops")])
async def test_a_write_that_landed_is_no_failure_where_its_number_can_not_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch, error: PylonError
) -> None:
    """Who was told of an error would write it again: the number of its transaction is told."""

    def cut_off(*_: object) -> int:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(undoing, "read_change", cut_off)
        made = await world.join("m1")
    assert (await world.together(made["seq"]))[-1] == (made["seq"], "slice")
    await world.undo(made["seq"])
    assert await world.ids("Member") == []


async def test_a_number_that_names_no_change_is_told_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was none yet, or the log begins behind it."""
    head = (await world.join("m1"))["seq"] + 1
    for seq in (99_999, head + 1):
        for more in ({"look": True}, {}):
            with pytest.raises(AdminError, match=f"no change {seq}: its last one is {head}$"):
                await world.undo(seq, **more)
    with pytest.raises(AdminError, match=r"no change 0$"):
        await world.undo(0)
    monkeypatch.setattr(undoing, "read_one", lambda *_: None)
    monkeypatch.setattr(undoing, "read_floor", lambda _: 2)
    with pytest.raises(AdminError, match=r"no change 2 any more: it begins behind 2$"):
        await world.undo(2, look=True)
