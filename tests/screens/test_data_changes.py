"""The Data screen: forms, deletes, undo, looking as somebody, and what production asks first."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from textual.events import Key

from pylon.client.admin import AdminClient, AdminError
from pylon.clock import SystemClock
from pylon.testing import running
from pylon.testing.grid import grid, shown
from pylon.testing.inprocess import URL
from pylon.tui.dashboard import Dashboard
from pylon.tui.screens.row_form import NOT_GIVEN, text_of, value_of
from tests.integration.test_admin_data import APP
from tests.screens.data_fakes import FakeTable, data_field, task, whole
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import SIZES, open_tasks
from tests.screens.test_users_screen import _seen

PATH = "admin/data/Task"
CONFLICT = {"code": "CONFLICT", "hint": "the log (2) says by whom"}


@pytest.mark.parametrize("size", SIZES)
async def test_a_row_is_edited_in_a_form_and_mistakes_stand_at_their_fields(
    size: tuple[int, int],
) -> None:
    """Only what was changed is sent, with the row's number; the runtime's mistakes by field."""
    async with opened(size) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        problems = [{"field": "title", "message": "title is too long"}]
        admin.answers[f"{PATH}/t0000000/update"] = AdminError(
            "title is too long",
            answer={"code": "INVALID_ARGUMENT", "details": {"problems": problems}},
        )
        await pilot.press("e")
        text = await _seen(
            app, "Task t0000000", "title (str, required)", "rank (int", "ctrl+s save"
        )
        assert all(len(line) <= size[0] for line in grid(app)), text
        await pilot.press("end", "!", "tab", "end", "x", "ctrl+s")
        await _seen(app, "✗ rank must be a whole number")
        assert f"{PATH}/t0000000/update" not in [path for path, _ in admin.asked]
        await pilot.press("backspace", "ctrl+s")
        await _seen(app, "✗ title is too long")
        made = {"seq": 7, "row": task(0, title="task 0!", _seq=7)}
        admin.answers[f"{PATH}/t0000000/update"] = made
        await pilot.press("ctrl+s")
        await _seen(app, "✓ update Task t0000000", "change 7 · u undoes it")
        sent = [body for path, body in admin.asked if path == f"{PATH}/t0000000/update"][-1]
        assert sent == {"values": {"title": "task 0!"}, "if_seq": 1}
        await pilot.press("e")
        await _seen(app, "ctrl+s save")
        await pilot.press("z", "escape")
        await _seen(app, "Leave without saving")
        await pilot.press("y")
        await until(app, lambda text: "ctrl+s" not in text)


async def test_rows_are_made_duplicated_deleted_and_undone() -> None:
    """a and A fill a form, D names the row and what goes with it, u takes the last one back."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        admin.answers[f"{PATH}/t0000000"] = whole(
            task(0), ("Remark", "taskId", 2, "cascade"), ("Lock", "taskId", 1, "restrict")
        )
        await pilot.press("u")
        await _seen(app, "nothing was changed here")
        table = admin.answers[PATH]
        admin.answers[PATH] = lambda given: (
            {"seq": 8, "row": task(9)} if "values" in given else table(given)
        )
        await pilot.press("a", *"new", "ctrl+s")
        await _seen(app, "✓ insert Task t0000009")
        assert (
            admin.asked[-1][1] == {"values": {"title": "new", "note": None, "ownerId": ""}}
            or [body for path, body in admin.asked if path == PATH and "values" in body][-1][
                "values"
            ]["title"]
            == "new"
        )
        await pilot.press("A")
        await _seen(app, "new Task like t0000000")
        await pilot.press("ctrl+s")
        await until(app, lambda text: "like" not in text)
        (_, copied) = [body for path, body in admin.asked if path == PATH and "values" in body]
        assert copied["values"]["title"] == "task 0"
        assert "id" not in copied["values"]
        admin.answers[f"{PATH}/t0000000/delete"] = {"seq": 9, "row": None}
        await pilot.press("D")
        await _seen(app, "Delete Task t0000000?", "2 Remark that refer to it by taskId are deleted",
                    "1 Lock refer to it by taskId: that will be refused")  # fmt: skip
        await pilot.press("n")
        assert f"{PATH}/t0000000/delete" not in [path for path, _ in admin.asked]
        await pilot.press("D")
        await _seen(app, "Delete Task t0000000?")
        await pilot.press("y")
        await _seen(app, "✓ delete Task t0000000")
        undo: dict[str, Any] = {}

        def undoing(given: dict[str, Any]) -> dict[str, Any]:
            """Nothing depends on it; what it leads to is said by the test."""
            if given.get("look"):
                return {"parts": [given["seq"]], "changes": 1, "depends": [], "more": 0}
            if "error" in undo:
                raise undo["error"]
            return undo

        admin.answers["admin/data-undo"] = undoing
        undo["error"] = AdminError("Task t0000000 is there again", answer=CONFLICT)
        await pilot.press("u")
        await _seen(app, "✗ undo change 9: failed", "is there again", "says by whom")
        changes = [{"kind": "insert", "entity": "Task", "id": "t0000000"}]
        del undo["error"]
        undo.update(seq=10, changes=changes, left=[])
        await pilot.press("u")
        await _seen(app, "✓ undo change 9", "insert Task t0000000", "change 10")
        await pilot.press("u")
        await _seen(app, "✓ undo change 8")


@pytest.mark.parametrize("size", SIZES)
async def test_production_is_red_and_read_only_until_it_is_unlocked(size: tuple[int, int]) -> None:
    """No key writes before W and a yes; W again takes it back."""
    async with opened(size) as (app, admin, pilot):
        await open_tasks(app, admin, pilot, environment="production")
        await _seen(app, "READ-ONLY (W) · Task", "PROD")
        for key in ("a", "A", "e", "D", "u"):
            app.clear_notifications()
            await pilot.press(key)
            await _seen(app, "PRODUCTION is read-only here")
        await pilot.press("W")
        await _seen(app, "This is PRODUCTION.", "Allow changes to ")
        await pilot.press("n", "e")
        await _seen(app, "READ-ONLY (W)")
        await pilot.press("W", "y")
        await until(app, lambda text: "READ-ONLY" not in text)
        await pilot.press("e")
        await _seen(app, "PRODUCTION · Task t0000000")
        await pilot.press("escape")
        await until(app, lambda text: "ctrl+s" not in text)
        await pilot.press("W")
        await _seen(app, "READ-ONLY (W)")
        assert not [path for path, _ in admin.asked if path.endswith(("update", "delete"))]


@pytest.mark.parametrize("size", SIZES)
async def test_one_looks_as_a_user_and_changes_nothing_then(size: tuple[int, int]) -> None:
    """v asks the rows as him; what he does not get is said; edits wait until one is back."""
    async with opened(size) as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        hers = FakeTable([{"id": "t0000001", "title": "hers", "rank": 1, "done": True, "_seq": 2}])
        admin.answers[PATH] = lambda given: (hers if given.get("as") else table)(given)
        await pilot.press("v", *"ada@example.com", "enter")
        await _seen(app, "as ada@example.com · Task", "hers", "1/1", "▒ not told")
        assert hers.asked[0]["as"] == "ada@example.com"
        await pilot.press("e")
        await _seen(app, "you look as ada@example.com")
        await pilot.press("v", *["backspace"] * 20, "enter")
        await _seen(app, "1/3", "t0000002")
        assert "as ada" not in grid(app)[2]


def test_lines_of_a_form_mean_what_they_say() -> None:
    """Every kind there and back; empty is null, the default, or a mistake."""
    note = data_field("note", nullable=True)
    rank = data_field("rank", "int", default="literal")
    for field, value in (
        (data_field("a"), "x "), (data_field("b", "bool"), True), (rank, -3),
        (data_field("c", "json"), {"a": [1, None]}), (data_field("d", "bigint"), "12345678901"),
        (data_field("e", "float"), 0.5), (note, ""), (note, None), (note, "null"),
    ):  # fmt: skip
        assert value_of(field, text_of(field, value), is_new=False) == value
    assert value_of(rank, "", is_new=True) is NOT_GIVEN
    assert value_of(data_field("a", required=True), "", is_new=True) == ""
    with pytest.raises(ValueError, match="must not be empty"):
        value_of(rank, "", is_new=False)
    with pytest.raises(ValueError, match="true or false"):
        value_of(data_field("b", "bool"), "yes", is_new=False)


async def test_what_was_typed_before_the_save_is_saved() -> None:
    """Typed at the end of the text, all at once and saved at once: nothing of it is lost."""
    async with opened(SIZES[0]) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        made = {"seq": 7, "row": task(0, title="task 0!?!", _seq=7)}
        admin.answers[f"{PATH}/t0000000/update"] = made
        await pilot.press("e")
        await _seen(app, "ctrl+s save")
        for key in (*"!?!", "ctrl+s"):
            app.post_message(Key(key, key if len(key) == 1 else None))
        await until(app, lambda text: "ctrl+s save" not in text)
        sent = [body for path, body in admin.asked if path == f"{PATH}/t0000000/update"]
        assert [one["values"] for one in sent] == [{"title": "task 0!?!"}]


async def test_a_real_runtime_is_read_changed_and_undone(tmp_path: Path) -> None:
    """Open, edit, see it in the log with its cause, undo; look as somebody who sees less."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as rt:
        admin = AdminClient(URL, token=rt.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=rt.network.connector("owner"))
        ada = await rt.user("ada@example.com")
        values: dict[str, Any] = {"title": "first", "ownerId": ada.user_id}
        await admin.post("admin/data/Task", {"id": "t1", "values": values})
        app = Dashboard(SystemClock(), admin)
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await until(app, lambda text: "tasks" in text)
            await pilot.press("3")
            await _seen(app, "Task", "1")
            await pilot.press("enter")
            await _seen(app, "first", "1/1")
            await pilot.press("e")
            await _seen(app, "title (str, required)")
            await pilot.press("end", *" and more", "ctrl+s")
            await _seen(app, "✓ update Task t1", "first and more")
            (row,) = (await admin.get("admin/data/Task"))["rows"]
            entry = await admin.get(f"admin/log/{row['_seq']}")
            assert (row["title"], entry["cause"]) == ("first and more", "studio")
            await pilot.press("u")
            await _seen(app, "✓ undo change")
            (row,) = (await admin.get("admin/data/Task"))["rows"]
            assert row["title"] == "first"
            await pilot.press("Z")
            await _seen(app, "✓ redo: undo change", "u undoes it", "first and more")
            await pilot.press("Z")
            await _seen(app, "nothing was undone here since the last change")
            await pilot.press("u")
            await _seen(app, "✓ undo change", "Z has it again")
            await pilot.press("e")
            await _seen(app, "title (str, required)")
            await pilot.press("end", *"!", "ctrl+s")
            await _seen(app, "✓ update Task t1", "first!")
            await pilot.press("Z")
            await _seen(app, "nothing was undone here since the last change")
            await pilot.press("u")
            await _seen(app, "✓ undo change", "Z has it again")
            (row,) = (await admin.get("admin/data/Task"))["rows"]
            assert row["title"] == "first"
            assert [one.line for one in app.command_log.done][-1].startswith("pylon rows undo ")
            await pilot.press("v", *"anonymous", "enter")
            await _seen(app, "as anonymous · Task", "No row is found.")
            assert "first" not in shown(app)
        await admin.close()


async def test_a_change_is_undone_once_however_often_the_key_is_pressed() -> None:
    """Two looks may be answered before the first undo is."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        admin.answers[PATH + "/t0000000/update"] = {"seq": 8, "row": task(0, title="x", _seq=8)}
        await pilot.press("e")
        await _seen(app, "ctrl+s save")
        await pilot.press("x", "ctrl+s")
        await _seen(app, "✓ update Task t0000000")

        def undoing(given: dict[str, Any]) -> dict[str, Any]:
            if given.get("look"):
                return {"parts": [given["seq"]], "changes": 1, "depends": [], "more": 0}
            changes = [{"kind": "update", "entity": "Task", "id": "t0000000"}]
            return {"seq": 9, "left": [], "changes": changes}

        admin.answers["admin/data-undo"] = undoing
        await pilot.press("u", "u", "u")
        await _seen(app, "✓ undo change 8")
        await pilot.press("u")
        await _seen(app, "nothing was changed here")
        done = [body for path, body in admin.asked if path == "admin/data-undo"]
        assert len([one for one in done if not one.get("look")]) == 1


async def _edited(app: Dashboard, admin: Any, pilot: Any, *seqs: int) -> None:
    """Edit the first row so often, each as a change of that number."""
    for seq in seqs:
        made = {"seq": seq, "row": task(0, title="x", _seq=seq)}
        admin.answers[PATH + "/t0000000/update"] = made
        await pilot.press("e")
        await _seen(app, "ctrl+s save")
        await pilot.press("x", "ctrl+s")
        await _seen(app, f"change {seq} · u undoes it")


async def test_an_undo_that_fails_bars_no_change_before_it() -> None:
    """What the log has no more is let go; what is refused twice is asked about."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await _edited(app, admin, pilot, 5, 6, 7)
        refusals = {
            6: AdminError("another Task has the same title", answer={"code": "CONFLICT"}),
            7: AdminError("not now", answer={"code": "RATE_LIMITED"}),
        }

        def undoing(given: dict[str, Any]) -> dict[str, Any]:
            seq = given["seq"]
            if given.get("look"):
                if seq == 7 and 7 not in refusals:
                    raise AdminError("the log has no change 7", answer={"code": "NOT_FOUND"})
                return {"parts": [seq], "changes": 1, "depends": [], "more": 0}
            if seq in refusals:
                raise refusals[seq]
            changes = [{"kind": "update", "entity": "Task", "id": "t0000000"}]
            return {"seq": 9, "left": [], "changes": changes}

        admin.answers["admin/data-undo"] = undoing
        await pilot.press("u")
        await _seen(app, "✗ undo change 7: failed", "not now")
        del refusals[7]
        await pilot.press("u")
        await _seen(app, "the log has no change 7", "u goes on with change 6")
        await pilot.press("u")
        await _seen(app, "✗ undo change 6: failed", "another Task has the same title")
        await pilot.press("u")
        await _seen(app, "Undo change 6: refused again", "go on with the change before it")
        await pilot.press("down", "enter")
        await pilot.press("u")
        await _seen(app, "✓ undo change 5")
        await pilot.press("u")
        await _seen(app, "nothing was changed here")


async def test_the_beginning_of_an_address_is_enough_where_it_is_one_accounts() -> None:
    """alice finds alice@example.com; of several it is said which; w begins with that user."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        known = ["Alice@example.com", "bob@example.com", "bobby@example.com", "malice@example.com"]
        admin.answers["admin/users"] = lambda given: {
            "users": [
                {"id": f"u{n}", "email": one} for n, one in enumerate(known)
                if given.get("search", "") in one.lower()
            ]
        }  # fmt: skip
        await pilot.press("v", *"bob", "enter")
        await _seen(app, "bob may be bob@example.com, bobby@example.com: say which")
        assert app.state.data.viewer == ""
        await pilot.press("v", *"alice", "enter")
        await until(app, lambda _: app.state.data.viewer == "Alice@example.com")
        await _seen(app, "t0000000")
        await pilot.press("w")
        await _seen(app, "As whom", "Alice@example.com")
        await pilot.press("enter")
        await _seen(app, "Why may Alice@example.com")


async def test_a_page_full_of_words_within_addresses_does_not_hide_whom_one_begins() -> None:
    """Of 200 that have the word somewhere one begins so; the others who do are asked for."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        within = [f"a{n:03}.bob@example.com" for n in range(199)]
        begun = [f"bob{n}@example.com" for n in range(300)]

        def users(given: dict[str, Any]) -> dict[str, Any]:
            whole = given["search"] == "email:bob"
            known = begun if whole else [*within, *begun]
            most = given["limit"]
            return {"users": [{"id": f"u-{one}", "email": one} for one in known[:most]]}

        admin.answers["admin/users"] = users
        await pilot.press("v", *"bob", "enter")
        await _seen(
            app,
            "bob may be bob0@example.com, bob1@example.com, bob2@example.com, bob3@example.com"
            " and more: say which",
        )
        assert app.state.data.viewer == ""


async def test_a_new_row_is_made_once_however_often_the_key_is_pressed() -> None:
    """The second press while it is written says so; after a refusal the key saves again."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        table, go = admin.answers[PATH], asyncio.Event()
        post = admin.post

        async def slow(path: str, body: dict[str, Any]) -> dict[str, Any]:
            found = await post(path, body)
            await go.wait()
            return found

        admin.answers[PATH] = lambda given: (
            {"seq": 8, "row": task(9)} if "values" in given else table(given)
        )
        admin.post = slow  # type: ignore[method-assign]
        await pilot.press("a", *"new", "ctrl+s", "ctrl+s", "ctrl+s")
        await _seen(app, "it is being saved")
        go.set()
        await _seen(app, "✓ insert Task t0000009")
        assert admin.posted == [PATH]
        admin.answers[PATH] = lambda given: _refuse() if "values" in given else table(given)
        await pilot.press("a", *"bad", "ctrl+s")
        await _seen(app, "✗ no")
        await pilot.press("ctrl+s")
        await until(app, lambda _: admin.posted == [PATH] * 3)


def _refuse() -> dict[str, Any]:
    raise AdminError("no", answer={"code": "INVALID_ARGUMENT"})
