"""Another branch, or a backup put in place: numbers of changes mean others from then on."""

from __future__ import annotations

from typing import Any

from tests.screens.fakes import change, changes, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import open_tasks
from tests.screens.test_past_screens import _open_log
from tests.screens.test_users_screen import _seen

PATH = "admin/data/Task"


async def test_what_was_made_on_one_branch_is_not_undone_on_another() -> None:
    """The change of that number there is somebody else's, or another one of one's own."""
    async with opened((100, 40)) as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        row = {**table.rows[0], "_seq": 7}
        admin.answers[f"{PATH}/t0000000/update"] = {"seq": 7, "row": row}
        admin.answers["admin/data-undo"] = {
            "parts": [7], "changes": 1, "depends": [], "more": 0, "seq": 8, "left": [],
        }  # fmt: skip
        await pilot.press("e", "end", "!", "ctrl+s")
        await _seen(app, "✓ update Task t0000000", "u undoes it")
        admin.say(status(epoch="another", branch="try"))
        await _seen(app, "⎇ try")
        app.clear_notifications()
        await pilot.press("u")
        await _seen(app, "nothing was changed here that could be undone")
        assert "admin/data-undo" not in admin.posted


async def test_a_restart_keeps_what_can_be_undone() -> None:
    """The lineage is the same: so is what the numbers mean."""
    async with opened((100, 40)) as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        row = {**table.rows[0], "_seq": 7}
        admin.answers[f"{PATH}/t0000000/update"] = {"seq": 7, "row": row}
        asked: list[Any] = []

        def undo(given: dict[str, Any]) -> dict[str, Any]:
            asked.append(given)
            return {"parts": [7], "changes": [] if "part" in given else 1, "depends": [],
                    "more": 0, "seq": 8, "left": []}  # fmt: skip

        admin.answers["admin/data-undo"] = undo
        await pilot.press("e", "end", "!", "ctrl+s")
        await _seen(app, "u undoes it")
        admin.say(status(pid=78, uptime_s=0.1))
        await until(app, lambda _: app.state.status["pid"] == 78)
        app.clear_notifications()
        await pilot.press("u")
        await _seen(app, "✓ undo change 7")
        assert asked[0] == {"seq": 7, "look": True}


async def test_marks_and_the_past_end_with_the_lineage() -> None:
    """Rows that are marked to be deleted, changes to be replayed, and a change one looks as of."""
    async with opened((100, 40)) as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        await pilot.press("up", "space")
        await _seen(app, "*")
        await pilot.press("3")
        await _seen(app, "ENTITY", "Task")
        await pilot.press("enter")
        await _seen(app, "t0000000", "1/3")
        await pilot.press("space", "space")
        await _seen(app, "2 marked")
        app.past.stand(40)
        await _seen(app, "AS OF seq 40")
        admin.say(status(epoch="another", head=100), changes(change(100)))
        await until(app, lambda text: "AS OF" not in text and "marked" not in text)
        assert app.state.data.marked == {}
        await pilot.press("2")
        app.clear_notifications()
        await until(app, lambda text: "row-100" in text)
        app.pane.list.show([])  # type: ignore[union-attr]
        await pilot.press("S")
        await _seen(app, "space marks the first and the last change of a range")
