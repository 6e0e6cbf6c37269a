"""The Settings screen: what it shows in two sizes, its mistakes, and what its keys do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.client.admin import AdminError
from pylon.server.settings_shown import settings_shown
from pylon.testing.grid import grid
from tests.screens.fakes import status
from tests.screens.test_dashboard import opened, until

SIZES = [(80, 24), (200, 50)]


def _answer(folder: Path, toml: str, *, is_running: bool = True) -> dict[str, Any]:
    (folder / "pylon.toml").write_text(toml)
    return {**settings_shown(folder, {}, is_dev=True), "is_running": is_running}


@pytest.mark.parametrize("size", SIZES)
async def test_settings_are_shown_with_what_named_them(
    size: tuple[int, int], tmp_path: Path
) -> None:
    """Value, origin, what waits by a sign and in words; enter says all about one."""
    async with opened(size) as (app, admin, pilot):
        found = _answer(tmp_path, "[server]\nhost = '127.0.0.2'\n")
        found["settings"][1] |= {"waits": True, "next": 5001}
        admin.answers["admin/settings"] = found
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        app.action_pane("settings")
        text = await until(app, lambda text: "server.host" in text)
        for word in ('"127.0.0.2"', "pylon.toml:2", "≠", "1 wait for a restart", "1 of "):
            assert word in text, word
        assert ("Address to listen on." in text) is (size[0] >= 200)
        assert all(len(line) <= size[0] for line in grid(app))
        await pilot.press("j", "enter")
        text = await until(app, lambda text: "the next start takes 5001" in text)
        assert "a new start of `pylon dev`" in text


async def test_mistakes_stand_above_with_their_places(tmp_path: Path) -> None:
    """As editors read them; and e says where the file lies that it can't open here."""
    async with opened((100, 30)) as (app, admin, pilot):
        app.command_log.project = tmp_path
        admin.answers["admin/settings"] = _answer(tmp_path, "[server]\nprot = 1\nport = 9\n")
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        app.action_pane("settings")
        await until(app, lambda text: "pylon.toml:2:1: error: there is no setting" in text)
        await pilot.press("j", "e")
        await until(app, lambda text: "no editor can be opened here" in text)


async def test_of_a_runtime_that_does_not_answer_the_files_are_read(tmp_path: Path) -> None:
    """A mistake in pylon.toml keeps it from starting: then the screen is needed most."""
    async with opened((100, 30)) as (app, admin, _):
        app.closed_settings = lambda: _answer(tmp_path, "[server]\nprot = 1\n", is_running=False)
        admin.answers["admin/settings"] = AdminError("nobody answers")
        app.action_pane("settings")
        text = await until(app, lambda text: "there is no setting server.prot" in text)
        assert "it does not run" in text


async def test_settings_elsewhere_are_edited_there() -> None:
    """A dashboard that is attached over the network has no file to open."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.answers["admin/settings"] = {"settings": [], "mistakes": [], "is_running": True}
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        app.action_pane("settings")
        await until(app, lambda text: "0 of 0" in text)
        await pilot.press("e")
        await until(app, lambda text: "runtime's machine" in text)
