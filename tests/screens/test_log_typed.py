"""The log: what is typed to jump, and where to save, as people type it."""

from __future__ import annotations

from pathlib import Path
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


async def test_a_test_is_saved_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is a home, and no folder of that name; the command names the whole path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with opened((100, 30)) as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        admin.answers["admin/log-range"] = lambda given: {
            **given, "before": [], "after": [], "changes": [],
        }  # fmt: skip
        await pilot.press("space", "S")
        await until(app, lambda text: "as a test in" in text)
        app.screen.query_one(Input).value = "~/kept/test_it.py"
        await pilot.press("enter")
        await until(app, lambda text: "0 changes with 0 rows" in text)
        (done,) = app.command_log.done
        assert done.line.endswith(f"--as-pytest {tmp_path}/kept/test_it.py")
    assert (tmp_path / "kept" / "test_it.py").is_file()
