"""The slider over the log: what is typed to jump, where it is the number of no change."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from pylon.client.admin import AdminError
from tests.screens.test_dashboard import opened, until
from tests.screens.test_past_screens import _open_log, _point


def _no_time(given: dict[str, Any]) -> dict[str, Any]:
    if "time" in given:
        raise AdminError("time: no such time")
    return _point(given)


@pytest.mark.parametrize("typed", ["²", "9" * 5_000])
async def test_what_is_no_number_of_a_change_is_asked_for_as_a_time(typed: str) -> None:
    """Digits of other scripts, and more of them than a number has, end nothing."""
    async with opened((100, 30)) as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        admin.answers["admin/at"] = _no_time
        await pilot.press("t")
        await until(app, lambda text: "Time travel" in text and "as of change" in text)
        await pilot.press("t")
        await until(app, lambda text: "Go to" in text)
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await until(app, lambda text: "no such time" in text)
