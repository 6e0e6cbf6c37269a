"""The Data screen with many rows: marks, one form for all, undo with what depends on it, export."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon.client.admin import AdminClient, AdminError
from pylon.clock import SystemClock
from pylon.testing import running
from pylon.testing.grid import grid, shown
from pylon.testing.inprocess import URL
from pylon.tui.dashboard import Dashboard
from pylon.tui.data_state import DataState
from pylon.tui.screens.row_form import NOT_GIVEN, value_of
from tests.integration.test_admin_data import APP
from tests.screens.data_fakes import data_field
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import SIZES, open_tasks
from tests.screens.test_users_screen import _seen

BULK = "admin/data-bulk/Task"
LOOK = {
    "rows": 3, "missing": 0, "missing_ids": [], "referrers": [],
    "fields": [{"name": "rank", "to": 5, "changes": 2, "from": [["1", 2], ["5", 1]], "others": 0}],
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
async def test_rows_are_marked_one_by_one_and_in_ranges(size: tuple[int, int]) -> None:
    """space and shift mark and go on, V marks what the cursor passes, C clears; a dot says so."""
    async with opened(size) as (app, admin, pilot):
        await open_tasks(app, admin, pilot, 90)
        await pilot.press("space", "space")
        await _seen(app, "2 marked", "●t0000000", "●t0000001", "3/90")
        await pilot.press("up", "space")
        await _seen(app, "1 marked", "●t0000000")
        await pilot.press("V", "pagedown")
        height = app.pane.list.size.height - 2  # type: ignore[union-attr]
        await _seen(app, f"{height + 2} marked (V ends it)")
        await pilot.press("V", "g", "G")
        await _seen(app, "90/90", f"{height + 2} marked ·")
        await pilot.press("C")
        text = await until(app, lambda text: "marked" not in text)
        assert "●t00" not in text
        await pilot.press("shift+up")
        await _seen(app, "2 marked", "89/90")
        await pilot.press("s")  # another order of the same rows
        await _seen(app, "2 marked", "by id")
        assert all(len(line) <= size[0] for line in grid(app))


async def test_a_range_to_an_end_of_the_table_has_all_that_it_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also the rows between that were never in sight; what is typed behind it waits for them."""
    async with opened((100, 30)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot, 3_000)
        await pilot.press("down", "V", "G", "V", "down")
        await _seen(app, "2,999 marked ·", "3,000/3,000")
        assert next(iter(app.state.data.marked)) == "t0000001"
        await pilot.press("C", "V", "g", "V")
        await _seen(app, "3,000 marked ·", "1/3,000")
        await pilot.press("C", "G", "g")
        await until(app, lambda text: "marked" not in text)
        may, get = asyncio.Event(), admin.get

        async def late(path: str, **params: Any) -> dict[str, Any]:
            if params.get("limit") == 1_000:
                await may.wait()
            return await get(path, **params)

        monkeypatch.setattr(admin, "get", late)
        await pilot.press("V", "G", "V", "up")
        await until(app, lambda text: "◔ reading the rows in between … (esc: no)" in text)
        may.set()
        await _seen(app, "3,000 marked ·", "2,999/3,000")


async def test_marked_rows_get_what_one_form_says_after_a_look() -> None:
    """Empty lines change nothing; a look comes first; one group, and u takes it back."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        admin.answers[BULK] = lambda given: LOOK if given.get("look") else {"seq": 9, "rows": 3}
        await pilot.press("V", "down", "down", "V")
        await _seen(app, "3 marked", "e edits them all")
        await pilot.press("e")
        await _seen(app, "3 Task: what they all get", "rank (int, empty: as it is)")
        await pilot.press("tab", "5", "ctrl+s")
        await _seen(app, "Change 3 Task?", "rank = 5: 2 rows change", "now 2 × 1, 1 × 5",
                    "in one transaction, all or none")  # fmt: skip
        assert [body for path, body in admin.asked if path == BULK and not body.get("look")] == []
        await pilot.press("y")
        await _seen(app, "✓ update 3 Task", "change 9 · u undoes it")
        (sent,) = [body for path, body in admin.asked if path == BULK and not body.get("look")]
        assert (sent["ids"], sent["values"]) == (["t0000000", "t0000001", "t0000002"], {"rank": 5})
        await until(app, lambda text: "marked" not in text)
        by = {"seq": 12, "at": "2026-11-29T10:00:00.000Z", "kind": "update", "user": "bob",
              "cause": "http"}  # fmt: skip
        depends = [{"words": "Task t0000001 has changed since then (rank)", "by": [by]}]
        admin.answers["admin/data-undo"] = lambda given: (
            {"parts": [9], "changes": 3, "depends": depends, "more": 0}
            if given.get("look")
            else {"seq": 13, "changes": [{"kind": "update", "entity": "Task", "id": "t0000000"}],
                  "left": depends}
        )  # fmt: skip
        await pilot.press("u")
        await _seen(app, "something depends on them", "has changed since then (rank)",
                    "update by bob (http)", "undo the rest; leave the 1")  # fmt: skip
        await pilot.press("escape", "u")
        await _seen(app, "leave everything as it is")
        await pilot.press("down", "enter")
        await _seen(app, "✓ undo change 9", "1 were left as they are", "change 13")
        undone = [body for path, body in admin.asked if path == "admin/data-undo"][-1]
        assert (undone["seq"], undone["anyway"]) == (9, "skip")
        await pilot.press("u")
        await _seen(app, "nothing was changed here")


async def test_a_refusal_is_told_row_by_row_and_what_was_not_done_stays_marked() -> None:
    """Deleting asks with what goes; the row that is why is named."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        referrer = {"entity": "Remark", "field": "taskId", "on_delete": "cascade", "count": 4,
                    "more": False}  # fmt: skip
        details = {"rows": [{"id": "t0000001", "code": "CONFLICT", "message": "Lock refers"}]}
        refusal = AdminError("Lock refers", answer={"code": "CONFLICT", "details": details})

        def bulk(given: dict[str, Any]) -> dict[str, Any]:
            if not given.get("look"):
                raise refusal
            return {**LOOK, "fields": [], "referrers": [referrer]}

        admin.answers[BULK] = bulk
        await pilot.press("space", "space", "D")
        await _seen(app, "Delete 2 Task?", "4 Remark that refer to them by taskId are deleted")
        await pilot.press("y")
        await _seen(app, "delete 2 Task: failed", "0 of 2 rows are done", "t0000001 Lock refers")
        await pilot.press("escape")
        await _seen(app, "2 marked")


def test_lines_of_a_form_for_many_rows_mean_what_they_say() -> None:
    """Empty leaves a row as it is, `null` is null where that can be, `""` an empty text."""
    note, rank = data_field("note", nullable=True), data_field("rank", "int")
    for field, text, value in (
        (note, "", NOT_GIVEN), (note, "null", None), (note, '""', ""), (note, "x", "x"),
        (rank, " ", NOT_GIVEN), (rank, "3", 3), (data_field("t"), "null", "null"),
    ):  # fmt: skip
        assert value_of(field, text, is_new=False, of_many=True) == value


@pytest.mark.parametrize("size", SIZES)
async def test_sql_is_asked_shown_stopped_and_refused(size: tuple[int, int]) -> None:
    """Rows, plan and time; a mistake in words; esc stops what runs; up brings a line back."""
    async with opened(size) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        found = {"columns": ["id", "n"], "rows": [["a\x1b[31m", 1], [None, 22]], "more": True,
                 "cut": 0, "ms": 1.5, "plan": [[0, "SCAN Task"], [1, "SEARCH x"]]}  # fmt: skip
        admin.answers["admin/sql"] = found
        await pilot.press("Q")
        await _seen(app, "SQL: one SELECT")
        await pilot.press(*"SELECT 1", "enter")
        text = await _seen(app, "2 rows and more · 1.5 ms", "SCAN Task", "null", "22")
        assert "\x1b" not in text
        assert all(len(line) <= size[0] for line in grid(app))
        admin.answers["admin/sql"] = AdminError("the table x is closed here", answer={"hint": "no"})
        await pilot.press("up", "x", "enter")
        await _seen(app, "✗ the table x is closed here")
        assert admin.asked[-1][1]["sql"] == "SELECT 1x"

        async def endless(path: str, body: dict[str, Any]) -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

        admin.post = endless  # type: ignore[method-assign]
        await pilot.press("enter")
        await _seen(app, "asking")
        await pilot.press("escape")
        await _seen(app, "stopped")
        await pilot.press("escape")
        await _seen(app, "t0000000", "1/3")


async def test_a_real_runtime_changes_many_rows_undoes_and_exports_them(tmp_path: Path) -> None:
    """Marked rows of a runtime: one transaction, its undo beside what came since, a file, SQL."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as rt:
        admin = AdminClient(URL, token=rt.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=rt.network.connector("owner"))
        ada = await rt.user("ada@example.com")
        for n in range(4):
            values: dict[str, Any] = {"title": f"task {n}", "ownerId": ada.user_id, "rank": n}
            await admin.post("admin/data/Task", {"id": f"t{n}", "values": values})
        app = Dashboard(SystemClock(), admin)
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await until(app, lambda text: "tasks" in text)
            await pilot.press("3")
            await _seen(app, "Task", "4")
            await pilot.press("enter")
            await _seen(app, "task 0", "1/4")
            await pilot.press("space", "space", "space", "e")
            await _seen(app, "3 Task: what they all get")
            await pilot.press("tab", *"70", "ctrl+s")
            await _seen(app, "rank = 70: 3 rows change")
            await pilot.press("y")
            await _seen(app, "✓ update 3 Task", "70")
            await admin.post("admin/data/Task/t1/update", {"values": {"rank": 71}})
            await _seen(app, "71")
            await pilot.press("u")
            await _seen(app, "Task t1 has changed since then", "undo the rest")
            await pilot.press("down", "enter")
            await _seen(app, "✓ undo change", "1 were left as they are")
            rows = (await admin.get("admin/data/Task"))["rows"]
            assert [one["rank"] for one in rows] == [0, 71, 2, 3]
            target = tmp_path / "out.csv"
            await pilot.press("slash", *"rank > 1", "enter")
            await _seen(app, "1/3")
            await pilot.press("x")
            await _seen(app, "Export Task as shown")
            await pilot.press("ctrl+u", *str(target), "enter")
            await _seen(app, "✓ export out.csv", "3 rows")
            with target.open(newline="") as stream:
                table = list(csv.reader(stream))
            assert [one[0] for one in table] == ["id", "t1", "t2", "t3"]
            assert "code" not in table[0]  # no column that is not shown
            array = target.with_suffix(".json")
            await pilot.press("x")
            await _seen(app, "Export Task as shown", ".csv, .json or .jsonl")
            await pilot.press("ctrl+u", *str(array), "enter")
            await _seen(app, "✓ export out.json", "3 rows")
            assert [one["id"] for one in json.loads(array.read_text())] == ["t1", "t2", "t3"]
            await pilot.press("Q")
            await _seen(app, "SQL: one SELECT")
            await pilot.press(*"SELECT sum(rank) FROM Task", "enter")
            await _seen(app, "1 row ·", "76", "SCAN Task")
            await pilot.press("escape")
            assert "SQL: one" not in shown(app)
            lines = [one.line for one in app.command_log.done]
            assert (
                lines[0] == """pylon rows edit Task/t0 Task/t1 Task/t2 --set '{"rank":70}' --yes"""
            )
            assert lines[1].startswith("pylon rows undo ")
            assert lines[1].endswith(" --anyway skip")
            assert lines[2].startswith(f"pylon rows export Task {target} '--where=rank > 1'")
        await admin.close()


async def test_rows_that_are_marked_while_others_are_deleted_stay_marked() -> None:
    """What is done is marked no more: rows marked since, here or of another entity, are not it."""
    state = DataState()
    state.enter("Task")
    state.rows = [{"id": f"t{n}"} for n in range(4)]
    state.mark([0, 1, 2])
    state.unmark("Task", ["t0", "t1"])
    assert list(state.marked) == ["t2"]
    state.enter("Owner")
    state.rows = [{"id": "t0"}, {"id": "u1"}]
    state.mark([0, 1])
    state.unmark("Task", ["t0"])
    assert list(state.marked) == ["t0", "u1"]


async def test_sql_says_that_it_reads_otherwise_than_the_rows_behind_it() -> None:
    """Rows are those that somebody may read, of another time; a statement reads past both."""
    async with opened((100, 30)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        app.state.data.viewer, app.state.data.as_of = "ada@example.com", 7
        await pilot.press("Q")
        await _seen(app, "SQL as the owner, not as ada@example.com of now: one SELECT")
