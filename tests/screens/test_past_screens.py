"""The past on the screens: a slider, rows as of then, differences, the row lens, a kept test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pylon.client import bulk
from pylon.client.admin import AdminError
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from tests.screens.data_fakes import FakeTable, answers, task
from tests.screens.fakes import AT, ScriptedAdmin, change, changes, client, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]
CHAIN = [
    {"kind": "job", "name": "polish", "id": "j1", "at": AT, "state": "completed", "user": None,
     "user_id": None, "gone": False},
    {"kind": "function", "name": "rename", "id": None, "at": None, "state": None, "user": None,
     "user_id": None, "gone": False},
    {"kind": "request", "name": "ws", "id": None, "at": None, "state": None, "user": None,
     "user_id": None, "gone": False},
]  # fmt: skip


def _point(given: dict[str, Any]) -> dict[str, Any]:
    """Answer where a change is in a log of 10 to 100, three changes a transaction."""
    seq = given.get("seq")
    if given.get("time"):
        if not given["time"].startswith("2026"):
            raise AdminError("time: must be a time", answer={"code": "INVALID_ARGUMENT"})
        seq = 50
    seq = 100 if seq is None else seq
    if seq < 10:
        raise AdminError("the log has changes 11 to 100", answer={"code": "NOT_RETAINED"})
    return {
        "seq": seq, "at": AT, "rewritten": None, "previous": max(10, seq - 3),
        "following": min(100, seq + 3) if seq < 100 else None,
        "retained": {"floor": 10, "head": 100, "oldest_at": AT},
        "change": change(seq, entity="Task", row_id="t0000000", effect=f"what {seq} did"),
    }  # fmt: skip


def _diff(given: dict[str, Any]) -> dict[str, Any]:
    """Answer what differs: as many tasks as changes lie between."""
    count = given["to"] - given["from"]
    if given.get("entity"):
        rows = [
            {"id": f"t{n:07}", "what": "updated", "fields": ["title"], "changes": 2,
             "first_seq": n, "last_seq": n + 1,
             "before": {"title": f"old {n}"}, "after": {"title": f"new {n}"}}
            for n in range(count)
        ]  # fmt: skip
        return {**given, "rows": rows, "next": None}
    one = {
        "entity": "Task", "inserted": 0, "updated": count, "deleted": 0, "same": 1,
        "changes": count, "known": True,
    }  # fmt: skip
    return {**given, "entities": [one] if count else []}


def _record(seq: int, **more: Any) -> dict[str, Any]:
    return {
        **change(seq, entity="Task", row_id="t0000000", kind="update"), "chain": CHAIN,
        "fields": ["title"], "erased": False, "before": {"title": f"v{seq - 1}"},
        "after": {"title": f"v{seq}"}, **more,
    }  # fmt: skip


def _history(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "entity": "Task", "id": "t0000000", "changes": list(found), "more": False,
        "dropped_at": None, "retained": {"floor": 0, "head": 100, "oldest_at": AT},
        "blame": {"title": found[0] if found else None, "rank": None}, **more,
    }  # fmt: skip


def _lens(given: dict[str, Any]) -> dict[str, Any]:
    row = task(0)
    user = None
    if given.get("as"):
        mine = {name: value for name, value in row.items() if name != "secret"}
        user = {"user": given["as"], "row": mine, "hidden": ["secret"]}
    held = None
    if given.get("client"):
        held = {
            "client_id": given["client"], "cursor": "e:7", "seq": 7, "state": "offline",
            "pending": 2, "held": "row",
            "row": {"id": row["id"], "title": "an older title", "_seq": 9},
            "hidden": [], "unseen": [12],
        }  # fmt: skip
    return {"entity": "Task", "id": row["id"], "head": 100, "server": row, "user": user,
            "client": held}  # fmt: skip


async def _open_log(app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int]) -> FakeTable:
    """Open a log of a few changes of tasks, with all that can be asked about them."""
    table = FakeTable([task(n) for n in range(3)])
    admin.answers |= answers(table)
    admin.answers |= {
        "admin/at": _point, "admin/diff": _diff, "admin/lens/Task/t0000000": _lens,
        "admin/history/Task/t0000000": _history(_record(12), _record(8)),
    }  # fmt: skip
    admin.say(status(head=100), changes(*[
        change(seq, entity="Task", row_id="t0000000", effect=f"e{seq}") for seq in (40, 41, 100)
    ]))  # fmt: skip
    await _seen(app, "e40", "e100", "3/3")
    return table


async def test_rows_of_the_past_are_exported_as_they_were(tmp_path: Path) -> None:
    """By the same question as they are shown by; the command says the change."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        await pilot.press("t")
        await _seen(app, "as of change 100")
        await pilot.press("t", *"50", "enter")
        await _seen(app, "as of change 50,", "Task")
        await pilot.press("enter")
        await _seen(app, "AS OF seq 50", "t0000000", "1/3")
        question = app.state.data.question()
        assert question["as_of"] == 50
        path = bulk.export_path("Task", question, "csv")
        admin.answers[path] = {"data": b"id,title\r\nt1,then\r\n"}
        target = tmp_path / "then.csv"
        await pilot.press("x")
        await _seen(app, "Export Task as shown")
        await pilot.press("ctrl+u", *str(target), "enter")
        await _seen(app, "✓ export then.csv", "1 row")
        assert "then" in target.read_text()
        (done,) = app.command_log.done
        assert done.line.startswith(f"pylon rows export Task {target} ")
        assert done.line.endswith(" --at=50")


async def test_the_sign_of_the_past_is_a_letter_where_charts_are() -> None:
    """Whoever has charts drawn in letters gets no other sign either."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        app.charts = "ascii"
        await pilot.press("t")
        await _seen(app, "as of change 100")
        await pilot.press("left")
        assert "◀" not in await _seen(app, "< AS OF seq 97")


@pytest.mark.parametrize("size", SIZES)
async def test_the_slider_moves_and_data_shows_rows_as_of_there(size: tuple[int, int]) -> None:
    """Left, pages, ends, a number, a time; loud on every screen; nothing is written; esc is now."""
    async with opened(size) as (app, admin, pilot):
        table = await _open_log(app, admin, pilot)
        await pilot.press("t")
        await _seen(app, "as of change 100", "what 100 did", "[===")
        assert "AS OF" not in shown(app), "the newest change is now"
        await pilot.press("left")
        await _seen(app, "◀ AS OF seq 97", "as of change 97", "~ UPDATED")
        await pilot.press("pageup")
        await _seen(app, "as of change 93")
        await pilot.press("home")
        await _seen(app, "as of change 10", "Task")
        await pilot.press("left")
        await pilot.press("t", *"3", "enter")
        await _seen(app, "the log has changes 11 to 100")
        await pilot.press("t", *"2026-11-24T12:00:00Z", "enter")
        await _seen(app, "as of change 50,", "what 50 did")
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        await pilot.press("enter")  # the entity under the cursor
        await _seen(app, "AS OF seq 50", "t0000000", "1/3")
        assert table.asked[-1]["as_of"] == 50
        await pilot.press("e")
        await _seen(app, "you look at the past, as of 50")
        await pilot.press("2")
        await _seen(app, "e100", "AS OF seq 50")
        await pilot.press("3")
        await _seen(app, "t0000000", "1/3")
        await pilot.press("escape")
        await until(app, lambda text: "AS OF" not in text and "1/3" in text)
        await until(app, lambda _: table.asked[-1]["as_of"] is None)


async def test_esc_on_the_slider_returns_to_now() -> None:
    """However one got there."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        await pilot.press("up", "t")
        await _seen(app, "AS OF seq 41")
        await pilot.press("escape")
        await until(app, lambda text: "e100" in text and "AS OF" not in text)


async def test_marks_and_what_differs_between_them() -> None:
    """space marks two; d counts by entity, lists rows, and shows one."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        await pilot.press("up", "space", "up", "space")
        await until(app, lambda text: text.count("*") >= 2)
        await pilot.press("d")
        await _seen(app, "changes 40 to 41", "Task", "= SAME")
        asked = [given for path, given in admin.asked if path == "admin/diff"]
        assert asked[-1]["from"] == 39
        await pilot.press("enter")
        await _seen(app, "Task: 2 rows", "~ updated", '"old 0" → "new 0"')
        await pilot.press("enter")
        await _seen(app, '- title "old 0"', '+ title "new 0"')
        await pilot.press("escape", "L")
        await _seen(app, "Row lens", "FIELD")
        await pilot.press("escape", "escape", "escape")
        await _seen(app, "e100")


@pytest.mark.parametrize("size", SIZES)
async def test_the_lens_puts_a_row_side_by_side(size: tuple[int, int]) -> None:
    """Server, user and client; what differs has a sign; blame and causes; all of it fits."""
    async with opened(size) as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        admin.say({"type": "clients", "clients": [client("phone", state="offline")]})
        await pilot.press("L")
        await _seen(app, "Task t0000000", "SERVER", '"task 0"', "12", "hush-canary")
        await pilot.press("v", *"ada@example.com", "enter")
        await _seen(app, "ADA@EXAM", "(not given)", "≠")
        await pilot.press("c")
        await _seen(app, "As this client holds it", "phone@example.com")
        await pilot.press("enter")
        await _seen(app, "CLIENT", "older t", "it holds version 9 of this")
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        await pilot.press("b")
        text = await _seen(app, "SET BY", "12 ada@example.com")
        assert "ADA@EXAM" not in text
        assert "≠" not in text
        await pilot.press("tab", "enter")
        await _seen(
            app, "came of job polish (j1) ← function rename ← request by ws", '"v11" → "v12"'
        )
        await pilot.press("escape", "escape")
        await _seen(app, "e100")


async def test_a_row_is_restored_after_a_question_and_u_undoes_it() -> None:
    """To the change under the cursor of its history; never without being asked."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        restore = "admin/data/Task/t0000000/restore"
        admin.answers[restore] = {"seq": 101, "row": task(0, title="v8")}
        await pilot.press("3")
        await _seen(app, "ENTITY", "Task")
        await pilot.press("enter")
        await _seen(app, "t0000000", "1/3")
        await pilot.press("L")
        await _seen(app, "Row lens", "SERVER", "12")
        await pilot.press("r")
        await _seen(app, "choose a change of its history first")
        await pilot.press("down", "r")
        await _seen(app, "Restore Task t0000000 to what it was after change 8?")
        await pilot.press("n")
        assert all(path != restore for path, _ in admin.asked)
        await pilot.press("r")
        await _seen(app, "after change 8?")
        await pilot.press("y")
        await _seen(app, "change 101")
        assert (restore, {"to": 8, "if_seq": 1}) in admin.asked
        await pilot.press("escape")
        await _seen(app, "1/3")


async def test_in_production_nothing_is_restored_until_it_is_unlocked() -> None:
    """The lens looks; the hand is locked."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        admin.say(status(head=100, environment="production"))
        await _seen(app, "PROD")
        await pilot.press("L")
        await _seen(app, "Row lens", "SERVER", "12")
        await pilot.press("tab", "r")
        await _seen(app, "PRODUCTION is read-only here")


async def test_a_marked_range_is_saved_as_a_test(tmp_path: Path) -> None:
    """In the file that was named, which must not be there; the range is what was marked."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        admin.say(status(head=100, project=str(tmp_path)))
        admin.answers["admin/log-range"] = lambda given: {
            **given, "before": [{"entity": "Task", "id": "t1", "values": {"title": "a"}}],
            "after": [{"entity": "Task", "id": "t1", "values": None}],
            "changes": [{"seq": 40, "tx": 40, "at": AT, "entity": "Task", "id": "t1",
                         "kind": "delete", "user": NASTY, "cause": "http:gone", "values": None}],
        }  # fmt: skip
        await until(app, lambda _: app.state.status.get("project") == str(tmp_path))
        await pilot.press("up", "space", "up", "space", "S")
        await _seen(app, "Save changes 40 to 41 as a test in")
        await pilot.press("enter")
        await _seen(app, "1 change with 1 row")
        file = tmp_path / "tests" / "test_changes_40_to_41.py"
        compile(file.read_text(), str(file), "exec")
        assert "('delete', 'Task', 't1', None)" in file.read_text()
        (done,) = app.command_log.done
        assert done.line == f"pylon log save 40 41 --as-pytest {file}"


async def test_hostile_values_do_not_steer_the_terminal() -> None:
    """Ids, names and values are text, on every screen of the past."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        bad = _record(12, user=NASTY, before={"title": NASTY}, after={"title": NASTY + "!"})
        admin.answers["admin/history/Task/t0000000"] = _history(bad, retained={
            "floor": 3, "head": 100, "oldest_at": AT})  # fmt: skip
        admin.answers["admin/lens/Task/t0000000"] = lambda given: {
            **_lens(given),
            "server": task(0, title=NASTY),
        }
        await pilot.press("L")
        text = await _seen(app, "Row lens", "SERVER", "the log reaches back to change 4")
        assert "\x1b" not in text
        await pilot.press("tab", "enter")
        text = await _seen(app, "came of")
        assert "\x1b" not in text
