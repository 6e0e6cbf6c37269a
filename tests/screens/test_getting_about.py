"""Zoom, jump mode, ctrl+c, themes: what is the same on every screen."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot

from pylon import paths
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from pylon.tui.keymap import own_bindings, places
from pylon.tui.screens.above import Above
from pylon.tui.themes import OFFERED
from tests.screens.fakes import ScriptedAdmin, job, jobs, queue, queues, status
from tests.screens.test_dashboard import opened, until

SIZES = [(80, 24), (200, 50)]


async def _jobs(app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], **changed: str) -> None:
    admin.answers["admin/jobs"] = jobs(job(1), job(2))
    admin.say(status(head=7, **changed), queues(queue("default"), queue("mail")))
    await until(app, lambda text: "head 7" in text)
    await pilot.press("6")
    await until(app, lambda text: text.count("1/2") == 2)


@pytest.mark.parametrize("size", SIZES)
async def test_plus_gives_a_list_the_room_of_all_and_esc_takes_it_back(
    size: tuple[int, int],
) -> None:
    """The line that says how old things are stays; `_` restores as well."""
    async with opened(size) as (app, admin, pilot):
        await _jobs(app, admin, pilot)
        before = app.pane.list.size.height if app.pane.list else 0
        for back in ("escape", "underscore"):
            await pilot.press("plus")
            await until(app, lambda text: "done/s" not in text and text.count("1/2") == 1)
            assert app.pane.list is not None
            assert app.pane.list.size.height == size[1] - 4
            await pilot.press(back)
            await until(app, lambda text: "done/s" in text and text.count("1/2") == 2)
            assert app.pane.list.size.height == before
        await pilot.press("tab", "plus")
        await until(app, lambda text: "QUEUE" in text and "WHAT" not in text)
        assert len(grid(app)) == size[1]
        await pilot.press("escape")
        await until(app, lambda text: "QUEUE" in text and "WHAT" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_a_letter_of_jump_mode_goes_where_it_stands(size: tuple[int, int]) -> None:
    """Parts of the screen have letters, and the screens of the strip; esc goes nowhere."""
    async with opened(size) as (app, admin, pilot):
        await _jobs(app, admin, pilot)
        await pilot.press("ctrl+o")
        text = await until(app, lambda text: "a letter goes there" in text)
        lines = text.split("\n")
        assert lines[3].startswith("[a]")  # the queues
        assert lines[1].startswith("[d]")  # the first screen of the strip
        await pilot.press("escape")
        await until(app, lambda text: "a letter goes there" not in text)
        await pilot.press("ctrl+o")
        await until(app, lambda text: "a letter goes there" in text)
        await pilot.press("a")
        await until(app, lambda text: "a letter goes there" not in text)
        assert app.focused is not None
        assert app.focused.id == "queues"
        await pilot.press("ctrl+o")
        await until(app, lambda text: "a letter goes there" in text)
        await pilot.press("f")
        await until(app, lambda text: "Log" in text.split("\n")[0])


async def test_brackets_go_over_to_the_other_list() -> None:
    """As tab does."""
    async with opened() as (app, admin, pilot):
        await _jobs(app, admin, pilot)
        await pilot.press("right_square_bracket")
        assert app.focused is not None
        assert app.focused.id == "queues"


async def test_ctrl_c_copies_what_is_typed_and_selected_else_asks() -> None:
    """It never ends the session without a word."""
    async with opened() as (app, admin, pilot):
        await _jobs(app, admin, pilot)
        await pilot.press("slash", *"ship", "shift+home", "ctrl+c")
        await until(app, lambda text: "copied" in text)
        assert app.clipboard == "ship"
        await pilot.press("escape", "ctrl+c")
        await until(app, lambda text: "Quit?" in text)
        await pilot.press("n")
        await until(app, lambda text: "Quit?" not in text)
        assert app.is_running
        await pilot.press("ctrl+c")
        await until(app, lambda text: "Quit?" in text)
        await pilot.press("y")
    assert app.return_value == 0


@pytest.mark.parametrize("theme", OFFERED)
async def test_every_theme_draws_the_same_words(theme: str) -> None:
    """And is kept for the next time."""
    paths.preferences_file().write_text("{}")
    async with opened() as (app, admin, pilot):
        await _jobs(app, admin, pilot)
        app.theme = theme
        await until(app, lambda text: "✓ completed" in text and "done/s" in text)
        await until(app, lambda _: theme in paths.preferences_file().read_text())
    async with opened() as (app, _, _):
        await until(app, lambda _: app.theme == theme)


@pytest.mark.parametrize("place", places(), ids=lambda one: one.__name__)
def test_a_footer_has_at_most_seven_keys(place: type) -> None:
    """More is no hint but a puzzle; the help has them all."""
    kept = own_bindings(place)
    if issubclass(place, Above) and place is not Above:
        kept += own_bindings(Above)
    assert len({one.id for one in kept if one.show}) <= 7


def test_over_ssh_less_is_drawn_and_nothing_moves() -> None:
    """Unless somebody has asked for other figures."""
    code = (
        "import pylon.cli.dashboard as one\n"
        "try: one.demand_terminal()\n"
        "except Exception: pass\n"
        "from textual import constants\n"
        "print(constants.MAX_FPS, constants.TEXTUAL_ANIMATIONS)\n"
    )
    for more, said in (({}, "15 none"), ({"TEXTUAL_FPS": "30"}, "30 none")):
        environment = {**os.environ, "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22", **more}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == said


async def test_nothing_is_by_colour_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the words and signs are the same, production and the cursor included."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as (app, admin, pilot):
        await _jobs(app, admin, pilot, environment="production")
        text = shown(app)
        assert " PROD " in text
        assert "✓ completed" in text


async def test_a_look_that_cannot_be_kept_is_said_and_taken_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk, or a home that is read only, ends nothing: it holds until one leaves."""

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    async with opened() as (app, admin, _):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        monkeypatch.setattr(paths, "write_private", full)
        app.theme = "pylon-light"
        await until(app, lambda text: "theme can't be kept" in text and "No space left" in text)
        app.clear_notifications()
        app.action_charts("ascii")
        await until(app, lambda text: "charts can't be kept" in text)
        assert (app.theme, app.charts) == ("pylon-light", "ascii")
