"""Many rows changed at once by the owner: looked at first, done whole, taken back as a group."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from pylon.client.admin import AdminError
from pylon.client.bulk import export_path
from pylon.identity import SYSTEM
from pylon.server.functions import owner_export
from pylon.server.functions.owner_reads import Asked, OwnerReads
from pylon.tui.data_many import _export_options
from tests.integration import test_admin_data as data

world = data.world
World = data.World
GROUP = "0192-group-of-a-test"


async def bulk(world: World, **body: Any) -> dict[str, Any]:
    """Ask for a change of many tasks."""
    return await world.admin.post("admin/data-bulk/Task", body)


async def ranks(world: World) -> dict[str, Any]:
    """Return the rank of every task."""
    rows = (await world.admin.get("admin/data/Task", limit=1000))["rows"]
    return {one["id"]: one["rank"] for one in rows}


async def log_since(world: World, head: int) -> list[dict[str, Any]]:
    """Return what the log has beyond a number."""
    found = await world.admin.get("admin/log", after=head, limit=1000)
    changes: list[dict[str, Any]] = found["changes"]
    return changes


async def test_a_look_says_what_a_change_would_do_and_does_nothing(world: World) -> None:
    """Rows, values now by their number, what is gone, and who refers to what is deleted."""
    head = world.harness.runtime.services.database.head
    ids = ["t0", "t1", "t2", "t5", "gone"]
    found = await bulk(world, ids=ids, values={"isOpen": True, "rank": 7}, look=True)
    assert (found["rows"], found["missing"], found["missing_ids"]) == (4, 1, ["gone"])
    by_name = {one["name"]: one for one in found["fields"]}
    assert by_name["isOpen"]["changes"] == 2
    assert sorted(by_name["isOpen"]["from"]) == [["false", 2], ["true", 2]]
    assert by_name["rank"]["to"] == 7
    await world.insert("Remark", "r1", taskId="t1", text="x")
    await world.insert("Remark", "r2", taskId="t2", text="x")
    found = await bulk(world, ids=ids, delete=True, look=True)
    told = {(one["entity"], one["field"]): one["count"] for one in found["referrers"]}
    assert told == {("Remark", "taskId"): 2, ("Remark", "seenId"): 0, ("Lock", "taskId"): 0}
    assert len(await log_since(world, head)) == 2


async def test_many_rows_change_in_one_transaction_and_are_undone_as_one(world: World) -> None:
    """One group in the log with the cause studio; undo takes all of it back, and that too."""
    before, head = await ranks(world), world.harness.runtime.services.database.head
    made = await bulk(world, ids=["t1", "t2", "t3", "t1"], values={"rank": 40}, group=GROUP)
    changes = await log_since(world, head)
    assert [one["row_id"] for one in changes] == ["t1", "t2", "t3"]
    assert {(one["cause"], one["tx"]) for one in changes} == {("studio", changes[0]["tx"])}
    assert (made["seq"], made["rows"]) == (changes[-1]["seq"], 3)
    again = await bulk(world, ids=["t1", "t2", "t3"], values={"rank": 40}, group=GROUP)
    assert again == made  # an answer that was lost is asked for again
    undone = await world.admin.post("admin/data-undo", {"seq": made["seq"]})
    assert await ranks(world) == before
    assert len(undone["changes"]) == 3
    await world.admin.post("admin/data-undo", {"seq": undone["seq"]})
    assert (await ranks(world))["t2"] == 40


async def test_one_row_that_fails_stops_all_of_it_and_is_named(world: World) -> None:
    """A row that is gone, a value that does not fit, rows that others hold."""
    before, head = await ranks(world), world.harness.runtime.services.database.head
    await world.insert("Lock", "l1", taskId="t2")
    for body, row, code in (
        ({"ids": ["t1", "gone", "t2"], "values": {"rank": 1}}, "gone", "NOT_FOUND"),
        ({"ids": ["t1"], "values": {"rank": "many"}}, "t1", "INVALID_ARGUMENT"),
        ({"ids": ["t1", "t2"], "delete": True}, "t2", "CONFLICT"),
    ):
        with pytest.raises(AdminError) as raised:
            await bulk(world, **body)
        (told,) = raised.value.details["rows"]
        assert (raised.value.code, told["id"], told["code"]) == (code, row, code)
    assert await ranks(world) == before
    assert len(await log_since(world, head)) == 1
    for body, why in (
        ({"ids": []}, "ids is a list"), ({"ids": ["t1"]}, "either"),
        ({"ids": [1]}, "ids is a list"),
        ({"ids": ["t1"], "values": {}}, "object of fields"),
        ({"ids": ["t1"], "values": {"rank": 1}, "delete": True}, "either"),
        ({"ids": ["t1"], "values": {"rnak": 1}}, "no field rnak"),
        ({"ids": [str(n) for n in range(1001)], "delete": True}, "at most 1000"),
        ({"ids": ["t1"], "delete": True, "group": "a b"}, "a group is"),
        ({"ids": ["t1"], "delete": True, "group": GROUP, "part": -1}, "a part is"),
    ):  # fmt: skip
        with pytest.raises(AdminError, match=why):
            await bulk(world, **body)
    with pytest.raises(AdminError, match="face of an account"):
        await world.admin.post("admin/data-bulk/User", {"ids": [world.ada], "delete": True})


async def test_a_group_in_parts_is_found_from_any_of_its_changes(world: World) -> None:
    """A look names all parts, the newest first, also where others wrote between them."""
    first = await bulk(world, ids=["t1", "t2"], values={"rank": 50}, group=GROUP, part=0)
    await world.insert("Lock", "l1", taskId="t9")
    second = await bulk(world, ids=["t3"], values={"rank": 50}, group=GROUP, part=1)
    other = await bulk(world, ids=["t4"], values={"rank": 50}, group=GROUP + "2")
    for seq in (first["seq"], first["seq"] - 1, second["seq"]):
        look = await world.admin.post("admin/data-undo", {"seq": seq, "look": True})
        assert look == {"parts": [second["seq"], first["seq"]], "changes": 3, "depends": [],
                        "more": 0}  # fmt: skip
    look = await world.admin.post("admin/data-undo", {"seq": other["seq"], "look": True})
    assert look["parts"] == [other["seq"]]
    with pytest.raises(AdminError, match="no change"):
        await world.admin.post("admin/data-undo", {"seq": 10**9, "look": True})


async def test_what_depends_on_a_change_is_told_and_can_be_left_or_written_over(
    world: World,
) -> None:
    """The same field changed since, a row gone, rows that refer: told with who did it."""
    made = await bulk(world, ids=["t1", "t2", "t4", "t5"], values={"rank": 60})
    before = {"t1": 0, "t2": 1, "t4": 2, "t5": 2}
    ada = await world.harness.user("ada@example.com")
    await ada.update("Task", "t1", rank=61)
    await world.harness.settled()
    await world.admin.post("admin/data/Task/t2/update", {"values": {"title": "beside it"}})
    await world.admin.post("admin/data/Task/t5/delete", {})
    with pytest.raises(AdminError) as raised:
        await world.admin.post("admin/data-undo", {"seq": made["seq"]})
    assert raised.value.code == "CONFLICT"
    told = {one["id"]: one for one in raised.value.details["depends"]}
    assert {row: (one["why"], one["fields"]) for row, one in told.items()} == {
        "t1": ("changed", ["rank"]), "t5": ("deleted", []),
    }  # fmt: skip
    assert [(one["user"], one["kind"]) for one in told["t1"]["by"]] == [
        ("ada@example.com", "update")
    ]
    undone = await world.admin.post("admin/data-undo", {"seq": made["seq"], "anyway": "skip"})
    assert sorted(one["id"] for one in undone["changes"]) == ["t2", "t4"]
    assert sorted(one["id"] for one in undone["left"]) == ["t1", "t5"]
    now = await ranks(world)
    assert (now["t1"], now["t2"], now["t4"]) == (61, before["t2"], before["t4"])
    await world.admin.post("admin/data-undo", {"seq": undone["seq"]})
    undone = await world.admin.post("admin/data-undo", {"seq": made["seq"], "anyway": "force"})
    now = await ranks(world)
    assert (now["t1"], now["t2"], now["t4"]) == (before["t1"], before["t2"], before["t4"])
    row = (await world.admin.get("admin/data/Task/t2"))["row"]
    assert row["title"] == "beside it"  # what came since beside it stays


async def test_rows_that_refer_to_one_that_would_go_are_told(world: World) -> None:
    """Forced, they go as their references say; where those forbid it, nothing does."""
    made = await world.insert("Task", "new", title="new", ownerId=world.ada)
    await world.insert("Remark", "r1", taskId="new", text="depends")
    with pytest.raises(AdminError, match="1 Remark refers to Task new") as raised:
        await world.admin.post("admin/data-undo", {"seq": made["seq"]})
    (told,) = raised.value.details["depends"]
    assert told["referrers"] == [{"entity": "Remark", "field": "taskId", "count": 1}]
    lock = await world.insert("Lock", "l1", taskId="new")
    with pytest.raises(AdminError, match="still refers to it"):
        await world.admin.post("admin/data-undo", {"seq": made["seq"], "anyway": "force"})
    await world.admin.post("admin/data-undo", {"seq": lock["seq"]})
    await world.admin.post("admin/data-undo", {"seq": made["seq"], "anyway": "force"})
    assert "new" not in await ranks(world)
    assert (await world.admin.get("admin/data/Remark"))["rows"] == []
    look = await world.admin.post("admin/data-undo", {"seq": made["seq"], "anyway": "skip"})
    assert (look["seq"], look["changes"]) == (None, [])


async def test_a_row_that_came_later_does_not_go_with_those_that_came_together(
    world: World,
) -> None:
    """What one transaction brought goes with it; a remark that somebody made since is told."""
    await world.insert("Remark", "r1", taskId="t1", text="old")
    gone = await world.admin.post("admin/data/Task/t1/delete", {})
    back = await world.admin.post("admin/data-undo", {"seq": gone["seq"]})
    assert {one["id"] for one in back["changes"]} == {"t1", "r1"}
    await world.insert("Remark", "r2", taskId="t1", text="new")
    with pytest.raises(AdminError) as refused:
        await world.admin.post("admin/data-undo", {"seq": back["seq"]})
    (depends,) = refused.value.details["depends"]
    assert depends["words"] == "1 Remark refers to Task t1 by taskId by now"
    await world.admin.post("admin/data/Remark/r2/delete", {})
    again = await world.admin.post("admin/data-undo", {"seq": back["seq"]})
    assert {one["id"] for one in again["changes"]} == {"t1", "r1"}


async def test_changes_of_one_row_are_undone_one_after_the_other(world: World) -> None:
    """What an undo brought back is what the change before it had left."""
    first = await world.admin.post("admin/data/Task/t1/update", {"values": {"title": "a"}})
    second = await world.admin.post("admin/data/Task/t1/update", {"values": {"title": "b"}})
    for seq in (second["seq"], first["seq"]):
        await world.admin.post("admin/data-undo", {"seq": seq})
    assert (await world.admin.get("admin/data/Task/t1"))["row"]["title"] == "task 1"
    with pytest.raises(AdminError, match="anyway is"):
        await world.admin.post("admin/data-undo", {"seq": 1, "anyway": "yes"})


async def exported(world: World, **asked: Any) -> str:
    """Return the text of an export of tasks."""
    target = io.BytesIO()
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    await world.admin.download(f"admin/data-export/Task?{query}", target)
    return target.getvalue().decode()


async def test_an_export_has_what_is_shown_and_no_more(world: World) -> None:
    """The filter, the order, the columns, and as whom one looks; CSV and JSON lines."""
    text = await exported(world, format="csv", filter="rank >= 2", order="-rank,title",
                          fields="title,rank")  # fmt: skip
    assert text.splitlines() == ["id,title,rank", "t8,task 8,4", "t7,task 7,3", "t4,task 4,2",
                                 "t5,task 5,2"]  # fmt: skip
    rows = [json.loads(one) for one in (await exported(world)).splitlines()]
    assert [one["id"] for one in rows] == [f"t{n}" for n in range(10)]
    assert json.loads(await exported(world, format="json")) == rows
    assert json.loads(await exported(world, format="json", filter="rank > 99")) == []
    assert set(rows[0]) == {"_entity", "id", "title", "rank", "isOpen", "ownerId", "code", "wage",
                            "origin"}  # fmt: skip
    before = (await world.admin.get("admin/at"))["seq"]
    await world.admin.post("admin/data/Task/t8/update", {"values": {"rank": 99, "isOpen": False}})
    await world.admin.post("admin/data/Task/t7/delete", {})
    past: dict[str, Any] = {"as_of": before}
    then = await exported(world, **past, format="csv", filter="rank >= 2", order="-rank,title",
                          fields="title,rank")  # fmt: skip
    assert then == text, "as it was, in its order"
    await world.harness.user("bob@example.com")
    rows = [json.loads(one) for one in (await exported(world)).splitlines()]
    assert "t7" not in [one["id"] for one in rows]
    text = await exported(world, **past, **{"as": "bob@example.com"})
    rows = [json.loads(one) for one in text.splitlines()]
    assert [one["id"] for one in rows] == ["t1", "t3", "t5", "t7", "t9"]
    assert "hush-canary" not in str(rows)
    assert "wage" not in rows[0]
    text = await exported(world, **{"as": "anonymous"}, format="csv", fields="code,wage,title")
    assert text.splitlines()[:2] == ["id,wage,title", "t1,,task 1"]
    for asked, why in (
        ({"format": "xml"}, "csv, json or jsonl"), ({"fields": "titel"}, "no field titel"),
        ({"filter": "titel == 1"}, "no field titel"), ({"order": "titel"}, "titel"),
        ({"as": "nobody@example.com"}, "no account"), ({"limit": "1"}, "no parameter"),
    ):  # fmt: skip
        with pytest.raises(AdminError, match=why):
            await exported(world, **asked)
    assert world.harness.runtime.services.database.readers._own == 0


async def test_an_export_of_no_column_is_not_one_of_every_column(world: World) -> None:
    """Where all columns are hidden, or all fields are private, the ids are what is shown."""
    question = {"filter": "rank >= 4", "order": "", "as": "", "fields": "", "as_of": None}
    target = io.BytesIO()
    await world.admin.download(export_path("Task", question, "csv"), target)
    assert target.getvalue() == b"id\nt8\n"
    assert "--fields=" in _export_options(question)
    assert not any("fields" in one for one in _export_options({**question, "fields": None}))


async def test_an_export_is_of_one_moment_however_many_rows_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written while it runs is not in it; it is fetched bit by bit."""
    monkeypatch.setattr(owner_export, "_ROWS_AT_ONCE", 3)
    services = world.harness.runtime.services
    reads = OwnerReads(services.database, services.definitions, services.clock)
    entity = services.definitions.current.schema.entities["Task"]
    parts = owner_export.export_text(
        reads, SYSTEM, Asked(), owner_export.Format.of(entity, "csv", ["title"])
    )
    text = await anext(parts) + await anext(parts)
    assert len(text.splitlines()) == 4
    await world.admin.post("admin/data/Task/t9/update", {"values": {"title": "later"}})
    await world.insert("Task", "u0", title="later", ownerId=world.ada)
    text += "".join([one async for one in parts])
    assert "later" not in text
    assert len(text.splitlines()) == 11
    form = owner_export.Format.of(entity, "json", ["title"])
    parts = owner_export.export_text(reads, SYSTEM, Asked(), form)
    pieces = [one async for one in parts]
    assert len(pieces) > 4, "not all at once"
    assert len(json.loads("".join(pieces))) == 11
    assert services.database.readers._own == 0
