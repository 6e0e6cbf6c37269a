"""Every window, list and line above and in the screens with every key that it has, pressed.

A key without an entry fails, and one that the class it is of does not get. The keys of the
screens themselves, and those that all of them have, are pressed in files of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.warm import WarmProject
from pylon.tui.panes import Pane
from pylon.tui.registry import SCREENS
from tests.museum import PLAIN, fill_museum, make_museum
from tests.screens.pressing import (
    PLACES,
    Fingers,
    Ledger,
    StayingDashboard,
    StayingLauncher,
    owners,
)
from tests.screens.test_dashboard import until
from tests.screens.window_table import BELOW, SHELF, WINDOWS

pytestmark = pytest.mark.timeout(1200)

#: A terminal of 80 columns, and so low that there is something to scroll everywhere.
_SIZE: Final = (80, 20)


async def test_no_key_of_any_window_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """Each of them does what the table says, and the class that owns it does it."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BROWSER", "/nonexistent/browser")
    monkeypatch.setenv("PAGER", "'")  # no command, so that the pager says so and opens nothing
    monkeypatch.chdir(tmp_path)
    museum = make_museum(tmp_path / "museum", PLAIN)
    (museum / "mail" / "code.txt").write_text("Subject: hello\n\n" + "a line\n\n" * 20)
    served = WarmProject(museum, tmp_path / "state")
    admin = AdminClient.local(served.project)
    try:
        await served.start()
        sockets = await fill_museum(served, PLAIN)
        app = StayingDashboard(SystemClock(), admin)
        app.url = served.url
        app.animation_level = "none"

        async def begin() -> None:
            if app.size != _SIZE:
                await pilot.resize_terminal(*_SIZE)
            if app._is_paused:
                app.action_pause()
            app.state.data.as_of = None
            app.action_pane("log")
            await app.action_back()

        async with app.run_test(size=_SIZE, notifications=True) as pilot:
            await until(app, lambda text: "● museum" in text)
            fingers = Fingers(app, pilot, ledger, begin, [PLACES[one] for one in WINDOWS], BELOW)
            for name, window in WINDOWS.items():
                await fingers.press_all(name, window)
        for socket in sockets:
            await socket.close()
    finally:
        await admin.close()
        await served.close()
    assert not fingers.faults, "\n\n".join(fingers.faults)
    assert fingers.pressed >= _keys_of(WINDOWS)


async def test_no_key_of_the_launcher_is_dead(tmp_path: Path, ledger: Ledger) -> None:
    """Each of them, and of the list of projects in it."""
    registry.remember_project(tmp_path / "gone", 1)
    app = StayingLauncher(SystemClock())

    async def begin() -> None:
        await until(app, lambda text: "missing" in text)

    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        fingers = Fingers(app, pilot, ledger, begin, [PLACES[one] for one in SHELF])
        for name, window in SHELF.items():
            await fingers.press_all(name, window)
    assert not fingers.faults, "\n\n".join(fingers.faults)
    assert fingers.pressed >= _keys_of(["Launcher", "Shelf"])


def test_nothing_has_keys_that_nobody_presses() -> None:
    """Every class with keys is in a table: here, or it is one of the screens."""
    panes = {
        name
        for name, one in PLACES.items()
        if issubclass(one, Pane) and getattr(sys.modules[one.__module__], "SCREEN", None) in SCREENS
    }
    made_of = {"Above", "Scrolling"}  # their keys are shared out among the windows made of them
    assert set(PLACES) == {*WINDOWS, *SHELF, *panes, *made_of, "Dashboard"}


def _keys_of(names: Iterable[str]) -> set[tuple[str, str, str]]:
    """Return (class that owns it, id, key) of every key of these classes."""
    return {
        (owner.__name__, str(binding.id), key)
        for name in names
        for key, (owner, binding) in owners(PLACES[name]).items()
    }
