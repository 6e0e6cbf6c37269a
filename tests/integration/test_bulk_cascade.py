"""Many rows deleted at once, some of which go with others: what is gone already is no failure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pylon.client.admin import AdminClient, AdminError
from pylon.identity import Identity, IdentityKind
from pylon.protocol.messages import Operation
from pylon.testing import running
from pylon.testing.harness import Running
from pylon.testing.inprocess import URL

APP = """
from __future__ import annotations
from pylon import App, Entity, Ref, field

app = App("tree")


@app.entity(read="true", delete="true")
class Node(Entity):
    aboveId: Ref[Node] | None = field(default=None, on_delete="cascade")
"""
GROUP = "0192-group-of-a-tree"


@asynccontextmanager
async def tree(tmp_path: Path) -> AsyncIterator[tuple[Running, AdminClient]]:
    """Run an app with n0 above n1 above n2, and n3 beside them."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as rt:
        for place, above in enumerate((None, "n0", "n1", None)):
            await rt.system_insert("Node", id=f"n{place}", aboveId=above)
        admin = AdminClient(URL, token=rt.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=rt.network.connector("owner"))
        try:
            yield rt, admin
        finally:
            await admin.close()


async def _left(admin: AdminClient) -> list[str]:
    return [one["id"] for one in (await admin.get("admin/data/Node"))["rows"]]


async def test_rows_that_went_with_another_are_no_failure(tmp_path: Path) -> None:
    """In whichever order they are named; each goes once, and undo brings all of them back."""
    async with tree(tmp_path) as (_, admin):
        for ids in (["n0", "n1", "n2", "n3"], ["n2", "n0", "n3", "n1"]):
            made = await admin.post("admin/data-bulk/Node", {"ids": ids, "delete": True})
            assert made["rows"] == 4
            assert await _left(admin) == []
            await admin.post("admin/data-undo", {"seq": made["seq"]})
            assert await _left(admin) == ["n0", "n1", "n2", "n3"]


async def test_so_are_those_of_a_later_part_of_the_group(tmp_path: Path) -> None:
    """Also where nothing is left of the part; sent again, it answers the same."""
    async with tree(tmp_path) as (_, admin):
        for part, ids in enumerate((["n0"], ["n1", "n3"], ["n2"])):
            body = {"ids": ids, "delete": True, "group": GROUP, "part": part}
            made = await admin.post("admin/data-bulk/Node", body)
            assert made["rows"] == len(ids)
            assert (made["seq"] is None) is (part == 2)
            assert await admin.post("admin/data-bulk/Node", body) == made
        assert await _left(admin) == []


async def test_what_somebody_else_deleted_still_stops_it(tmp_path: Path) -> None:
    """All or nothing: the owner saw it there; and a caller learns of no row by such a batch."""
    async with tree(tmp_path) as (rt, admin):
        await admin.post("admin/data/Node/n3/delete", {})
        for body in ({}, {"group": GROUP, "part": 1}):
            with pytest.raises(AdminError) as refused:
                await admin.post(
                    "admin/data-bulk/Node", {"ids": ["n2", "n3"], "delete": True, **body}
                )
            assert refused.value.code == "NOT_FOUND"
        assert await _left(admin) == ["n0", "n1", "n2"]
        ada = await rt.user("ada@example.com")
        who = Identity(kind=IdentityKind.USER, user_id=ada.user_id)
        batch = [
            Operation(
                op_id=f"op-of-ada-{one}", fn="pylon.delete", args={"entity": "Node", "id": one}
            )
            for one in ("n1", "n2")
        ]
        executor = rt.runtime.services.executor
        outcomes = await executor.push(who, batch, atomic=True, cause="ws")
        assert [(one.error or {})["code"] for one in outcomes] == ["ABORTED", "NOT_FOUND"]
