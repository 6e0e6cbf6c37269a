"""The past for the owner: rows as of a change, what differs, a row's history, and back to it."""

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
from pylon import App, Entity, Ref, actor, field

app = App("tasks")


@app.entity(read="isOwner() || data.isOpen", insert="isOwner()", update="isOwner()")
class Task(Entity):
    title: str = field(min_length=1, max_length=400)
    rank: int | None = None
    isOpen: bool = False
    ownerId: Ref["User"] = field(default=actor)
    code: str = field(default="hush", private=True)
    wage: int = field(default=7, read="hasRole('boss')")


@app.entity(read="exists Task(id == data.taskId, isOpen == true)")
class Remark(Entity):
    taskId: Ref[Task] = field(on_delete="cascade")
    text: str


@app.mutation
def rename(ctx, taskId: str, title: str):
    ctx.db.update("Task", taskId, title=title)
    ctx.jobs.enqueue(polish, taskId=taskId)


@app.job
def polish(ctx, taskId: str):
    with ctx.as_system():
        ctx.db.update("Task", taskId, rank=99)
"""


class World:
    """A runtime and its owner."""

    def __init__(self, harness: Running, admin: AdminClient) -> None:
        self.harness = harness
        self.admin = admin

    @property
    def head(self) -> int:
        """Return the newest change."""
        return self.harness.runtime.services.database.head

    async def insert(self, entity: str, row_id: str, **values: Any) -> int:
        """Insert as the owner; returns the change."""
        body = {"id": row_id, "values": values}
        return int((await self.admin.post(f"admin/data/{entity}", body))["seq"])

    async def update(self, entity: str, row_id: str, **values: Any) -> int:
        """Update as the owner; returns the change."""
        path = f"admin/data/{entity}/{row_id}/update"
        return int((await self.admin.post(path, {"values": values}))["seq"])

    async def delete(self, entity: str, row_id: str) -> int:
        """Delete as the owner; returns the change."""
        return int((await self.admin.post(f"admin/data/{entity}/{row_id}/delete", {}))["seq"])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Serve the app."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as harness:
        admin = AdminClient(URL, token=harness.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=harness.network.connector("owner"))
        try:
            yield World(harness, admin)
        finally:
            await admin.close()


async def test_pages_counts_and_rows_as_of_a_change(world: World) -> None:
    """Filters, orders, pages and viewers see the past as if it were now."""
    ada = await world.harness.user("ada@example.com")
    for n in range(6):
        await world.insert("Task", f"t{n}", title=f"task {n}", rank=n, ownerId=ada.user_id)
    then = world.head
    await world.update("Task", "t0", title="changed", rank=50, isOpen=True)
    await world.delete("Task", "t1")
    await world.insert("Task", "t9", title="new", ownerId=ada.user_id)
    admin = world.admin

    past = await admin.get("admin/data/Task", as_of=then)
    assert [one["id"] for one in past["rows"]] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert past["rows"][0]["title"] == "task 0"
    assert past["rows"][0]["code"] == "hush"
    assert (await admin.get("admin/data/Task", as_of=then, count=1))["count"] == 6
    filtered = await admin.get("admin/data/Task", as_of=then, filter="rank < 2", order="-rank")
    assert [one["id"] for one in filtered["rows"]] == ["t1", "t0"]
    first = await admin.get("admin/data/Task", as_of=then, limit=2)
    key = first["keys"][-1][1]
    second = await admin.get("admin/data/Task", as_of=then, limit=2, after=key)
    assert [one["id"] for one in second["rows"]] == ["t2", "t3"]
    row = (await admin.get("admin/data/Task/t1", as_of=then))["row"]
    assert row["title"] == "task 1"
    with pytest.raises(AdminError, match="no Task t9 as of change"):
        await admin.get("admin/data/Task/t9", as_of=then)
    # The same reader sees now again.
    now = await admin.get("admin/data/Task")
    assert [one["id"] for one in now["rows"]] == ["t0", "t2", "t3", "t4", "t5", "t9"]


async def test_a_viewer_sees_of_the_past_what_policies_of_now_say(world: World) -> None:
    """Also where a policy looks at another entity: that one is as it was, too."""
    ada = await world.harness.user("ada@example.com")
    bob = await world.harness.user("bob@example.com")
    await world.insert("Task", "t0", title="mine", isOpen=True, ownerId=ada.user_id)
    await world.insert("Remark", "r0", taskId="t0", text="hi")
    then = world.head
    await world.update("Task", "t0", isOpen=False)
    path = "admin/data/Remark"
    assert (await world.admin.get(path, **{"as": bob.email}))["rows"] == []
    seen = (await world.admin.get(path, **{"as": bob.email, "as_of": then}))["rows"]
    assert [one["id"] for one in seen] == ["r0"]
    task = (await world.admin.get("admin/data/Task/t0", **{"as": bob.email, "as_of": then}))["row"]
    assert task["title"] == "mine"
    assert "code" not in task
    assert "wage" not in task


async def test_points_below_and_beyond_the_log_are_refused(world: World) -> None:
    """What is retained is said."""
    ada = await world.harness.user("ada@example.com")
    for n in range(5):
        await world.insert("Task", f"t{n}", title=f"task {n}", ownerId=ada.user_id)
    head = world.head
    await world.harness.advance(60)
    with pytest.raises(AdminError) as beyond:
        await world.admin.get("admin/data/Task", as_of=head + 1)
    assert beyond.value.code == "INVALID_ARGUMENT"
    await world.admin.post("admin/log-trim", {"keep_changes": 2, "keep_days": 0})
    point = await world.admin.get("admin/at")
    assert point["retained"]["floor"] == head - 2
    rows = (await world.admin.get("admin/data/Task", as_of=head - 2))["rows"]
    assert [one["id"] for one in rows] == ["t0", "t1", "t2"]
    for path, asked in (
        ("admin/data/Task", {"as_of": head - 3}), ("admin/at", {"seq": head - 3}),
        ("admin/diff", {"from": head - 3}), ("admin/log-range", {"from": 1, "to": head}),
    ):  # fmt: skip
        with pytest.raises(AdminError, match=f"has changes {head - 1} to {head}") as below:
            await world.admin.get(path, **asked)
        assert below.value.code == "NOT_RETAINED"
    history = await world.admin.get("admin/history/Task/t0")
    assert history["changes"] == []
    assert history["blame"]["title"] is None


async def test_a_point_by_its_time_and_its_neighbours(world: World) -> None:
    """Left and right go by transactions."""
    ada = await world.harness.user("ada@example.com")
    await world.insert("Task", "t0", title="a", ownerId=ada.user_id)
    first = world.head
    await world.insert("Remark", "r0", taskId="t0", text="hi")
    await world.harness.advance(60)
    middle = world.head
    await world.delete("Task", "t0")  # and its remark: one transaction of two changes
    found = await world.admin.get("admin/at", seq=middle)
    assert (found["previous"], found["following"]) == (first, middle + 2)
    assert found["change"]["entity"] == "Remark"
    by_time = await world.admin.get("admin/at", time=found["at"])
    assert by_time["seq"] == middle
    end = await world.admin.get("admin/at")
    assert (end["seq"], end["following"], end["previous"]) == (world.head, None, middle)


async def test_history_says_who_gave_each_field_its_value_and_what_that_came_of(
    world: World,
) -> None:
    """From the job's change back over the function to the request."""
    ada = await world.harness.user("ada@example.com")
    task = await ada.insert("Task", title="draft")
    await ada.call("rename", taskId=task.id, title="final")
    await world.harness.settled()
    found = await world.admin.get(f"admin/history/Task/{task.id}")
    kinds = [(one["kind"], one["fields"]) for one in found["changes"]]
    assert kinds[0] == ("update", ["rank"])
    assert kinds[1] == ("update", ["title"])
    assert kinds[2][0] == "insert"
    blame = found["blame"]
    assert blame["title"]["user"] == "ada@example.com"
    assert [one["kind"] for one in blame["title"]["chain"]] == ["function", "request"]
    chain = blame["rank"]["chain"]
    assert [(one["kind"], one["name"]) for one in chain] == [
        ("job", "polish"), ("function", "rename"), ("request", "ws"),
    ]  # fmt: skip
    assert chain[0]["state"] == "completed"
    assert blame["isOpen"]["kind"] == "insert"
    one = await world.admin.get(f"admin/history/Task/{task.id}", limit=1)
    assert one["more"]
    older = await world.admin.get(f"admin/history/Task/{task.id}", before=one["changes"][0]["seq"])
    assert [each["seq"] for each in older["changes"]] == [
        each["seq"] for each in found["changes"][1:]
    ]


async def test_a_difference_by_entity_and_by_row(world: World) -> None:
    """What came and went, or changed back, differs in nothing."""
    ada = await world.harness.user("ada@example.com")
    for n in range(4):
        await world.insert("Task", f"t{n}", title=f"task {n}", ownerId=ada.user_id)
    start = world.head
    await world.update("Task", "t0", title="x")
    await world.update("Task", "t0", title="task 0")
    await world.update("Task", "t1", title="y", rank=3)
    await world.delete("Task", "t2")
    await world.insert("Task", "t8", title="new", ownerId=ada.user_id)
    await world.insert("Task", "t9", title="brief", ownerId=ada.user_id)
    await world.delete("Task", "t9")
    found = await world.admin.get("admin/diff", **{"from": start})
    (task,) = found["entities"]
    assert (task["inserted"], task["updated"], task["deleted"], task["same"]) == (1, 1, 1, 2)
    page = await world.admin.get("admin/diff", **{"from": start, "entity": "Task", "limit": 2})
    assert [(one["id"], one["what"]) for one in page["rows"]] == [
        ("t1", "updated"), ("t2", "deleted"),
    ]  # fmt: skip
    assert page["rows"][0]["fields"] == ["title", "rank"]
    rest = await world.admin.get(
        "admin/diff", **{"from": start, "entity": "Task", "after": page["next"]}
    )
    assert [one["id"] for one in rest["rows"]] == ["t8"]
    assert rest["next"] is None


async def test_a_row_goes_back_to_a_version_and_that_is_undone(world: World) -> None:
    """An ordinary change of the owner's, in each direction."""
    ada = await world.harness.user("ada@example.com")
    born = await world.insert("Task", "t0", title="one", rank=1, ownerId=ada.user_id)
    await world.update("Task", "t0", title="two", rank=2)
    path = "admin/data/Task/t0/restore"
    back = await world.admin.post(path, {"to": born})
    assert back["row"]["title"] == "one"
    record = await world.admin.get(f"admin/log/{back['seq']}")
    assert record["cause"] == "studio"
    await world.admin.post("admin/data-undo", {"seq": back["seq"]})
    row = (await world.admin.get("admin/data/Task/t0"))["row"]
    assert (row["title"], row["rank"]) == ("two", 2)
    with pytest.raises(AdminError, match="is as it was"):
        await world.admin.post(path, {"to": row["_seq"]})
    with pytest.raises(AdminError, match="has changed meanwhile"):
        await world.admin.post(path, {"to": born, "if_seq": born})
    await world.delete("Task", "t0")
    again = await world.admin.post(path, {"to": row["_seq"]})
    assert again["row"]["title"] == "two"
    gone = await world.admin.post(path, {"to": born - 1})
    assert gone["row"] is None
    with pytest.raises(AdminError, match="there was no Task"):
        await world.admin.post(path, {"to": born - 1})


async def test_a_row_that_others_refer_to_does_not_go_by_going_back(world: World) -> None:
    """What came later would go with it."""
    ada = await world.harness.user("ada@example.com")
    born = await world.insert("Task", "t0", title="one", ownerId=ada.user_id)
    await world.insert("Remark", "r0", taskId="t0", text="hi")
    with pytest.raises(AdminError, match="1 Remark refers to"):
        await world.admin.post("admin/data/Task/t0/restore", {"to": born - 1})


async def test_a_range_has_whole_transactions_and_the_rows_that_they_need(world: World) -> None:
    """The changes, from where they start to where they end."""
    ada = await world.harness.user("ada@example.com")
    await world.insert("Task", "t0", title="one", ownerId=ada.user_id)
    await world.insert("Task", "other", title="no part of it", ownerId=ada.user_id)
    first = await world.insert("Remark", "r0", taskId="t0", text="hi")
    last = await world.delete("Task", "t0")
    found = await world.admin.get("admin/log-range", **{"from": first, "to": last - 1})
    assert (found["from"], found["to"]) == (first, last)
    assert [(one["kind"], one["id"]) for one in found["changes"]] == [
        ("insert", "r0"), ("delete", "r0"), ("delete", "t0"),
    ]  # fmt: skip
    assert [one["id"] for one in found["before"]] == [ada.user_id, "t0"]
    assert [(one["id"], one["values"]) for one in found["after"]] == [("r0", None), ("t0", None)]
