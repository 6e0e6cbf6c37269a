"""The dashboard of a runtime that is not the one it was built with: it stays, says so, recovers.

A real one over a proxy that distorts the answers of a real runtime, by seed: every screen, every
key of its own, and what enter opens. `PYLON_TEST_SCALE` is how many seeds.
"""

from __future__ import annotations

import asyncio
import os
import random
import traceback
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from textual.pilot import Pilot
from textual.worker import WorkerFailed

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.grid import shown
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.entry import Entry
from pylon.tui.registry import SCREENS
from pylon.version import __version__
from tests.distorted import DistortedRuntime
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.screens.fakes import ScriptedAdmin, status
from tests.screens.pressing import Ledger, owners
from tests.screens.test_dashboard import until

SCALE: Final = int(os.environ.get("PYLON_TEST_SCALE", "1"))
FIRST: Final = int(os.environ.get("PYLON_TEST_SEED", "1"))
SEEDS: Final = range(FIRST, FIRST + SCALE)
pytestmark = pytest.mark.timeout(300 * SCALE)

#: How long a screen has for what it asks, and a key for what it opens.
_ASKED_SECONDS: Final = 0.2
_OPENED_SECONDS: Final = 0.05
#: What an answer without end may cost, decoded parts of it and all.
_MEMORY_MAX: Final = 400 * 2**20
#: Keys of all screens that look at the row under the cursor; how many are pressed of a screen.
_OF_ALL: Final = ("y", "w", "down", "o", "n")
_KEYS: Final = 2
_KEYS_ABOVE: Final = 1
#: Of a screen above, these are pressed where it has them.
_ABOVE: Final = ("enter", "y", "w", "m", "L", "d", "right", "tab")
#: What a person reads of an answer that is none of ours.
_SAID: Final = ("another version", "not understood", "no Pylon runtime", "does not answer")


async def test_it_stays_says_what_is_wrong_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """However answers are distorted, on every screen; and all is there when they are honest."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BROWSER", "/nonexistent/browser")
    monkeypatch.setenv("PAGER", "'")
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.chdir(tmp_path)
    registry.remember_project(tmp_path / "idle", 1)
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    try:
        await served.start()
        sockets = await fill_museum(served, PLAIN)
        token = next((tmp_path / "state").glob("run/*/token")).read_text().strip()
        for seed in SEEDS:
            await _go_through(served.url, token, seed)
        for socket in sockets:
            await socket.close()
    finally:
        await served.close()


async def test_our_own_runtime_is_understood_or_it_is_a_fault() -> None:
    """Of this version and on this machine: what reading its answer raises ends the dashboard."""
    app, admin = _scripted(jobs=7)
    admin.say({**status(), "pylon": __version__})
    with pytest.raises(WorkerFailed) as failed:
        await _run_to_its_end(app)
    assert isinstance(failed.value.error, TypeError)


async def test_a_runtime_of_another_version_is_named_in_the_note_and_in_the_log() -> None:
    """Also on this machine: both versions are named, the place too; the next answer is shown."""
    app, admin = _scripted(jobs=7)
    async with app.run_test(size=(160, 30)):
        admin.say({**status(), "pylon": "0.0.9"})
        await until(app, lambda text: "dev" in text)
        app.action_pane("jobs")
        await until(
            app,
            lambda text: f"a runtime of another version (0.0.9, and this is {__version__})" in text,
        )
        assert any("reading.py" in text for level, text, _ in app.state.lines if level == "error")
        admin.answers["admin/jobs"] = {"jobs": [], "next": None}
        await until(app, lambda text: "another version" not in text)


async def _run_to_its_end(app: Dashboard) -> None:
    async with app.run_test(size=(100, 30)):
        app.action_pane("jobs")
        while app._exception is None:
            await asyncio.sleep(0.02)


def _scripted(**answers: Any) -> tuple[Dashboard, ScriptedAdmin]:
    admin = ScriptedAdmin()
    admin.answers = {f"admin/{name}": {name: one, "next": None} for name, one in answers.items()}
    return Dashboard(SystemClock(), admin), admin


async def _go_through(url: str, token: str, seed: int) -> None:
    elsewhere = await DistortedRuntime(url, seed).start()
    admin = AdminClient(elsewhere.url, token=token)
    app = _Staying(SystemClock(), admin, is_afar=True)
    app.url = elsewhere.url
    memory = psutil.Process().memory_info().rss
    try:
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            walk = Walk(app, pilot, seed)
            for screen in SCREENS:
                await walk.through(screen)
            assert psutil.Process().memory_info().rss - memory < _MEMORY_MAX, f"seed {seed}"
            assert walk.has_said, f"seed {seed}: it said nothing of it"
            elsewhere.is_honest = True
            for screen in SCREENS:
                await walk.recover(screen)
    finally:
        await admin.close()
        await elsewhere.close()


class _Staying(Dashboard):
    """A dashboard that no key ends; its notices go by as they do for a person."""

    def exit(self, *args: object, **kwargs: object) -> None:
        """Be there as before."""
        self.leaving.is_under_way = False


class Walk:
    """A way through the screens of one dashboard."""

    def __init__(self, app: Dashboard, pilot: Pilot[int], seed: int) -> None:
        self._app = app
        self._pilot = pilot
        self._seed = seed
        self._by = random.Random(seed)
        self.has_said = False

    async def through(self, screen: Entry) -> None:
        """Go to a screen, open its first row, and press some of its keys; others by other seeds."""
        own = [*owners(type(self._app.panes[screen.name])), *_OF_ALL]
        for key in ("enter", *self._by.sample(own, min(_KEYS, len(own)))):
            await self._begin(screen)
            await self._press(screen, key)
            if len(self._app.screen_stack) > 1:
                for above in self._by.sample(_ABOVE, _KEYS_ABOVE):
                    await self._press(screen, above)

    async def _begin(self, screen: Entry) -> None:
        if self._app.pane.id != screen.name or len(self._app.screen_stack) > 1:
            self._app.action_pane(screen.name)
            await asyncio.sleep(_ASKED_SECONDS)

    async def _press(self, screen: Entry, key: str) -> None:
        place = f"seed {self._seed}, {screen.name}, {key}"
        try:
            await self._pilot.press(key)
            await asyncio.sleep(_OPENED_SECONDS)
        except Exception as error:
            raise AssertionError(f"{place}: {error!r}") from error
        fault = self._app._exception
        if fault is not None:
            lines = traceback.format_exception(getattr(fault, "error", fault))
            raise AssertionError(f"{place} ended the dashboard:\n{''.join(lines)}")
        said = [*(one.message for one in self._app._notifications), shown(self._app)]
        self.has_said |= any(words in text for text in said for words in _SAID)

    async def recover(self, screen: Entry) -> None:
        """See what is there on a screen, as if nothing had been."""
        app = self._app
        if app._is_paused:
            app.action_pause()
        app.state.data.as_of = None
        app.action_pane(screen.name)
        app.clear_notifications()
        await app.action_back()
        if screen.name == "data":
            while app.state.data.place is not None:
                app.panes["data"].action_return()  # type: ignore[attr-defined]
        wanted = SHOWN[screen.name].replace("running", "idle")
        if screen.name == "health":  # figures stand in the order in which they came first
            wanted = "loop     lag"
        if screen.name == "runtime":  # among hundreds of lines, of what was not understood, too
            for wanted in ("noted", "another version"):
                assert any(wanted in text for _, text, _ in app.state.lines), wanted
            return
        try:
            await until(app, lambda text: wanted in text)
        except AssertionError as error:
            raise AssertionError(f"seed {self._seed}, {screen.name}: {error}") from error
