"""Rows for the owner: pages in both directions, as anybody, and changes with their undo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon.client.admin import AdminClient, AdminError
from pylon.testing import running
from pylon.testing.harness import Running
from pylon.testing.inprocess import URL

APP = """
from pylon import App, Entity, Ref, actor, field, index

app = App("tasks")


@app.entity(read="isOwner() || data.isOpen", insert="isOwner()", update="isOwner()")
class Task(Entity):
    title: str = field(min_length=1, max_length=40)
    rank: int | None = None
    isOpen: bool = False
    ownerId: Ref["User"] = field(default=actor)
    code: str = field(default="hush-canary", private=True)
    wage: int = field(default=7, read="hasRole('boss')")
    origin: str = field(default="ours", immutable=True)
    by_rank = index("rank")


@app.entity(read="true")
class Remark(Entity):
    taskId: Ref[Task] = field(on_delete="cascade")
    seenId: Ref[Task] | None = field(default=None, on_delete="set_null")
    text: str


@app.entity(read="true")
class Lock(Entity):
    taskId: Ref[Task] = field(on_delete="restrict")
"""


class World:
    """A runtime, its owner, and ada with a few tasks."""

    def __init__(self, harness: Running, admin: AdminClient, ada: str) -> None:
        self.harness = harness
        self.admin = admin
        self.ada = ada

    async def insert(self, entity: str, row_id: str, **values: Any) -> dict[str, Any]:
        """Insert as the owner."""
        return await self.admin.post(f"admin/data/{entity}", {"id": row_id, "values": values})

    async def ids(self, **asked: Any) -> tuple[list[str], dict[str, Any]]:
        """Return the ids of a page of tasks, and the page."""
        found = await self.admin.get("admin/data/Task", **asked)
        return [one["id"] for one in found["rows"]], found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Serve the app with ten tasks: t0 to t9; odd ones are open, and t3, t6, t9 have no rank."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as harness:
        admin = AdminClient(URL, token=harness.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=harness.network.connector("owner"))
        ada = await harness.user("ada@example.com")
        assert ada.user_id is not None
        made = World(harness, admin, ada.user_id)
        for n in range(10):
            await made.insert(
                "Task", f"t{n}", title=f"task {n}", isOpen=bool(n % 2), ownerId=ada.user_id,
                rank=None if n and n % 3 == 0 else n // 2,
            )  # fmt: skip
        yield made
        await admin.close()


async def test_pages_lead_both_ways_whatever_the_order(world: World) -> None:
    """Forwards, backwards, from the end and from a row on: the same rows in the same order."""
    for order in (None, "rank", "-rank", "isOpen,-rank", "-title"):
        asked = {} if order is None else {"order": order}
        whole, found = await world.ids(**asked, limit=100)
        assert sorted(whole) == [f"t{n}" for n in range(10)]
        assert found["more"] is False
        there: list[str] = []
        page: dict[str, Any] = {"keys": [[0, None]], "more": True}
        while page["more"]:
            ids, page = await world.ids(**asked, limit=3, after=page["keys"][-1][1])
            there += ids
        assert there == whole, order
        ids, page = await world.ids(**asked, limit=3, end=1)
        back = ids
        while page["more"]:
            at = await world.ids(**asked, limit=len(ids), at=page["keys"][0][1])
            assert at[0] == ids, order
            ids, page = await world.ids(**asked, limit=3, before=page["keys"][0][1])
            back = ids + back
        assert back == whole, order
    with pytest.raises(AdminError, match="same filter and order"):
        await world.ids(order="rank", after=found["keys"][-1][1])
    with pytest.raises(AdminError, match="one key"):
        await world.ids(after="x", before="y")


async def test_entities_are_described_and_counted(world: World) -> None:
    """Fields with what a form needs, rows, and bytes where they are asked for."""
    found = (await world.admin.get("admin/data", sizes=1))["entities"]
    task = next(one for one in found if one["name"] == "Task")
    fields = {one["name"]: one for one in task["fields"]}
    assert (task["rows"], task["bytes"] >= 4096) == (10, True)
    assert fields["code"]["private"] is True
    assert fields["wage"]["guarded"] is True
    assert fields["title"]["required"] is True
    assert fields["ownerId"]["ref"] == "User"
    assert "bytes" not in (await world.admin.get("admin/data"))["entities"][0]
    assert await world.admin.get("admin/data/Task", count=1, filter="isOpen") == {"count": 5}


async def test_a_filter_is_of_the_policy_language_and_its_mistakes_are_told(world: World) -> None:
    """Expressions select; what is wrong comes with a caret and the nearest name."""
    ids, _ = await world.ids(filter="isOpen && rank >= 2", order="title")
    assert ids == ["t5", "t7"]
    ids, _ = await world.ids(filter="startsWith(title, 'task 1')")
    assert ids == ["t1"]
    with pytest.raises(AdminError, match="has no field titel") as raised:
        await world.ids(filter="titel == 'x'")
    assert "title" in str(raised.value.hint)


async def test_the_owner_sees_private_fields_and_a_user_what_his_policies_say(
    world: World,
) -> None:
    """As a user: his rows, no private field, no field that he may not read; counts likewise."""
    await world.harness.user("bob@example.com")
    await world.harness.user("eve@example.com", roles=["boss"])
    ids, found = await world.ids()
    assert len(ids) == 10
    assert found["rows"][0]["code"] == "hush-canary"
    for who, names in (("bob@example.com", False), ("eve@example.com", True)):
        ids, found = await world.ids(**{"as": who})
        assert ids == ["t1", "t3", "t5", "t7", "t9"]
        assert all("code" not in one and ("wage" in one) is names for one in found["rows"])
        count = await world.admin.get("admin/data/Task", count=1, **{"as": who})
        assert count == {"count": 5}
    bob = {"as": "bob@example.com"}
    assert "code" not in (await world.admin.get("admin/data/Task/t1", **bob))["row"]
    with pytest.raises(AdminError) as raised:
        await world.admin.get("admin/data/Task/t2", **bob)
    assert raised.value.code == "NOT_FOUND"
    for field in ("wage", "code"):
        with pytest.raises(AdminError, match="has no field"):
            await world.ids(filter=f"{field} == 'x'", **bob)
    with pytest.raises(AdminError, match="no account nobody"):
        await world.ids(**{"as": "nobody@example.com"})
    assert (await world.ids(**{"as": "anonymous"}))[0] == ids


async def test_long_values_are_cut_in_a_list_and_whole_alone(world: World) -> None:
    """A page of rows stays small; the row itself has all of it, and who refers to it."""
    text = "x" * 2_000
    await world.insert("Remark", "r1", taskId="t1", text=text)
    (shown,) = (await world.admin.get("admin/data/Remark"))["rows"]
    assert shown["text"] == f"{'x' * 240}…"
    assert (await world.admin.get("admin/data/Remark/r1"))["row"]["text"] == text
    referrers = (await world.admin.get("admin/data/Task/t1"))["referrers"]
    counts = {(one["entity"], one["field"]): (one["count"], one["on_delete"]) for one in referrers}
    assert counts == {
        ("Remark", "taskId"): (1, "cascade"), ("Remark", "seenId"): (0, "set_null"),
        ("Lock", "taskId"): (0, "restrict"),
    }  # fmt: skip


async def test_changes_are_in_the_log_with_their_cause_and_are_refused_by_field(
    world: World,
) -> None:
    """Insert, update and delete by the system, `studio`; private fields too; mistakes by field."""
    made = await world.insert("Task", "new", title="new", ownerId=world.ada, code="1234")
    changed = await world.admin.post(
        "admin/data/Task/new/update",
        {"values": {"title": "newer"}, "if_seq": made["row"]["_seq"]},
    )
    entry = await world.admin.get(f"admin/log/{changed['seq']}")
    assert (entry["cause"], entry["user"], entry["after"]["code"]) == ("studio", None, "1234")
    with pytest.raises(AdminError) as raised:
        await world.insert("Task", "bad", title="", rank="much", ownerId="nobody-here")
    problems = {one["field"] for one in raised.value.details["problems"]}
    assert problems == {"title", "rank"}
    with pytest.raises(AdminError, match="set on insert only"):
        await world.admin.post("admin/data/Task/new/update", {"values": {"origin": "theirs"}})
    with pytest.raises(AdminError) as raised:
        await world.admin.post(
            "admin/data/Task/new/update",
            {"values": {"title": "late"}, "if_seq": made["row"]["_seq"]},
        )
    assert raised.value.code == "CONFLICT"
    await world.admin.post("admin/data/Task/new/delete", {})
    with pytest.raises(AdminError, match="no Task new"):
        await world.admin.get("admin/data/Task/new")
    for path, body in ((f"User/{world.ada}/delete", {}), ("User", {"values": {}})):
        with pytest.raises(AdminError, match="face of an account"):
            await world.admin.post(f"admin/data/{path}", body)


async def test_undo_takes_a_change_back_by_a_new_one(world: World) -> None:
    """Update, insert, and a delete with all that went with it; undo of an undo is one more."""
    before = (await world.admin.get("admin/data/Task/t1"))["row"]
    changed = await world.admin.post("admin/data/Task/t1/update", {"values": {"title": "other"}})
    undone = await world.admin.post("admin/data-undo", {"seq": changed["seq"]})
    after = (await world.admin.get("admin/data/Task/t1"))["row"]
    assert {**after, "_seq": 0} == {**before, "_seq": 0}
    assert after["_seq"] == undone["seq"] > changed["seq"]
    assert (await world.admin.get(f"admin/log/{undone['seq']}"))["cause"] == "studio"
    await world.admin.post("admin/data-undo", {"seq": undone["seq"]})
    assert (await world.admin.get("admin/data/Task/t1"))["row"]["title"] == "other"

    await world.insert("Remark", "r1", taskId="t1", text="goes")
    await world.insert("Remark", "r2", taskId="t2", seenId="t1", text="stays")
    await world.insert("Remark", "r3", taskId="t1", seenId="t1", text="both")
    gone = await world.admin.post("admin/data/Task/t1/delete", {})
    left = (await world.admin.get("admin/data/Remark"))["rows"]
    assert [(one["id"], one["seenId"]) for one in left] == [("r2", None)]
    undone = await world.admin.post("admin/data-undo", {"seq": gone["seq"]})
    left = (await world.admin.get("admin/data/Remark"))["rows"]
    assert [(one["id"], one["taskId"], one["seenId"]) for one in left] == [
        ("r1", "t1", None), ("r2", "t2", "t1"), ("r3", "t1", "t1"),
    ]  # fmt: skip
    assert (await world.admin.get("admin/data/Task/t1"))["row"]["code"] == "hush-canary"

    made = await world.insert("Task", "new", title="new", ownerId=world.ada)
    await world.admin.post("admin/data-undo", {"seq": made["seq"]})
    assert "new" not in (await world.ids())[0]


async def test_undo_is_refused_where_something_came_after_and_says_what(world: World) -> None:
    """A row changed since, one that is referred to by now, one of somebody else: nothing moves."""
    first = await world.admin.post("admin/data/Task/t1/update", {"values": {"title": "a"}})
    second = await world.admin.post("admin/data/Task/t1/update", {"values": {"title": "b"}})
    made = await world.insert("Task", "new", title="new", ownerId=world.ada)
    await world.insert("Remark", "r1", taskId="new", text="depends")
    lock = await world.insert("Lock", "l1", taskId="t5")
    ada = await world.harness.user("ada@example.com")
    await ada.update("Task", "t2", title="hers")
    await world.harness.settled()
    hers = (await world.admin.get("admin/data/Task/t2"))["row"]["_seq"]
    head = world.harness.runtime.services.database.head
    for seq, why in (
        (first["seq"], f"Task t1 has changed since then: change {second['seq']}"),
        (made["seq"], "1 Remark refers to Task new by taskId by now"),
        (hers, "was not made here"), (10**9, "has no change"),
    ):  # fmt: skip
        with pytest.raises(AdminError, match=why):
            await world.admin.post("admin/data-undo", {"seq": seq})
    assert world.harness.runtime.services.database.head == head
    with pytest.raises(AdminError, match="Lock still refers to it"):
        await world.admin.post("admin/data/Task/t5/delete", {})
    await world.admin.post("admin/data-undo", {"seq": lock["seq"]})
    await world.admin.post("admin/data/Task/t5/delete", {})
    gone = await world.insert("Task", "gone", title="x", ownerId=world.ada)
    await world.admin.post("admin/data/Task/gone/delete", {})
    with pytest.raises(AdminError, match="was deleted since then"):
        await world.admin.post("admin/data-undo", {"seq": gone["seq"]})


async def test_nobody_else_reaches_it(world: World) -> None:
    """Without the owner's token there is nothing to read, and no write."""
    other = AdminClient(URL, token="wrong")
    other._session = aiohttp.ClientSession(connector=world.harness.network.connector("other"))
    for path in ("admin/data", "admin/data/Task", "admin/data/Task/t1"):
        with pytest.raises(AdminError, match="token"):
            await other.get(path)
    for path in ("admin/data/Task", "admin/data/Task/t1/update", "admin/data-undo"):
        with pytest.raises(AdminError, match="token"):
            await other.post(path, {})
    await other.close()
