"""`P` on the Log: a marked range made once more, on a branch that is there or is made for it."""

from __future__ import annotations

import pytest

from pylon.client.admin import AdminError
from tests.screens.test_dashboard import opened
from tests.screens.test_past_screens import _open_log
from tests.screens.test_users_screen import _seen


async def test_a_marked_range_is_replayed_into_a_branch() -> None:
    """Into one that is not in use; what it refuses is said."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        admin.answers["admin/branches"] = {
            "current": "main", "branches": [{"name": "main"}, {"name": "lab"}],
        }  # fmt: skip
        done = {"into": "lab", "from": 40, "to": 41, "transactions": 1, "changes": 2}
        admin.answers["admin/log-replay"] = {**done, "refused": None}
        await pilot.press("up", "space", "up", "space", "P")
        await _seen(app, "Replay changes 40 to 41 into", "lab")
        await pilot.press("enter")
        await _seen(app, "2 changes in 1 transaction on lab")
        assert ("admin/log-replay", {"from": 40, "to": 41, "into": "lab"}) in admin.asked
        assert [one.line for one in app.command_log.done] == ["pylon log replay 40 41 --into lab"]
        admin.answers["admin/log-replay"] = {
            **done,
            "refused": {"seq": 41, "error": {"message": "this id is taken"}},
        }
        await pilot.press("space", "P")
        await _seen(app, "Replay changes 40 to 40 into", "lab")
        await pilot.press("enter")
        await _seen(app, "change 41 was refused: this id is taken")


async def test_a_branch_to_replay_into_is_made_where_there_is_none() -> None:
    """Its name is asked for; the copy is waited for, and what is refused there is explained."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        alone = {"current": "main", "branches": [{"name": "main"}], "making": None, "failure": None}
        admin.answers["admin/branches"] = lambda given: (
            {"making": {"name": given["name"]}} if "name" in given else alone
        )
        done = {"into": "lab", "from": 40, "to": 41, "transactions": 1, "changes": 2}
        admin.answers["admin/log-replay"] = {**done, "refused": None}
        admin.answers["admin/log-range"] = {}
        await pilot.press("up", "space", "up", "space", "P")
        await _seen(app, "Into a new branch, a copy of main", "enter: try")
        await pilot.press("escape")
        assert not [path for path, _ in admin.asked if path == "admin/log-replay"]
        await pilot.press("P")
        await _seen(app, "Into a new branch")
        await pilot.press(*"lab", "enter")
        await _seen(app, "✓ replay 40 to 41", "2 changes in 1 transaction on lab")
        assert ("admin/branches", {"name": "lab"}) in admin.asked
        assert ("admin/log-replay", {"from": 40, "to": 41, "into": "lab"}) in admin.asked
        lines = [one.line for one in app.command_log.done]
        assert lines == ["pylon branch create lab", "pylon log replay 40 41 --into lab"]


@pytest.mark.parametrize(
    ("changes", "drop", "said"),
    [
        (0, {}, "try was removed again"),
        (0, AdminError("try is in use"), "try is left: try is in use"),
        (1, {}, "try is a copy of now"),
    ],
)
async def test_a_branch_that_was_made_for_a_refused_replay_goes_again(
    changes: int, drop: object, said: str
) -> None:
    """Only where nothing went into it; a range that can't be had makes none at all."""
    async with opened() as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        alone = {"current": "main", "branches": [{"name": "main"}], "making": None, "failure": None}
        admin.answers["admin/branches"] = lambda given: (
            {"making": {"name": given["name"]}} if "name" in given else alone
        )
        admin.answers["admin/log-replay"] = {
            "into": "try", "from": 40, "to": 41, "transactions": changes, "changes": changes,
            "refused": {"seq": 40, "error": {"message": "this id is taken"}},
        }  # fmt: skip
        admin.answers |= {"admin/branches/try/drop": drop, "admin/log-range": {}}
        await pilot.press("space", "P")
        await _seen(app, "Into a new branch")
        await pilot.press("enter")
        await _seen(app, "change 40 was refused: this id is taken", said)
        drops = [given for path, given in admin.asked if path == "admin/branches/try/drop"]
        assert drops == ([{"confirm": "try"}] if changes == 0 else [])
        made = [one.line for one in app.command_log.done]
        admin.answers["admin/log-range"] = AdminError("change 40 is not retained")
        admin.asked.clear()
        await pilot.press("P")
        await _seen(app, "Into a new branch")
        await pilot.press("enter")
        await _seen(app, "change 40 is not retained")
        assert ("admin/branches", {"name": "try"}) not in admin.asked
        assert [one.line for one in app.command_log.done] == made
