"""The keys that all screens have, each pressed on every screen over a real runtime.

None is dead anywhere: it leads where it leads everywhere, or says why it does nothing here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.grid import shown
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.entry import Entry
from pylon.tui.keys import BINDINGS
from pylon.tui.registry import SCREENS
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.screens.pressing import Comes, Expected, Fingers, Ledger, StayingDashboard, owners
from tests.screens.test_dashboard import until

pytestmark = pytest.mark.timeout(1200)

#: By id of the binding, in the order in which they are pressed.
_EVERYWHERE: Final[dict[str, Expected]] = {
    "filter": Comes.ANOTHER, "back": Comes.ANOTHER, "zoom": Comes.ANOTHER,
    "unzoom": Comes.ANOTHER, "turn": Comes.ANOTHER, "copy": Comes.ANOTHER, "pause": "PAUSED",
    "palette": "Search for commands", "help": "/ search · esc", "jump": "a letter goes there",
    "why": Comes.ANOTHER, "open": "no browser here", "restart": "elsewhere", "warp": "Clock: ",
    "unlock": "this is development", "migrate": "no migration waits", "interrupt": "Quit?",
    "reload": "reloaded", "quit": "have left", "quit-now": "have left", "problem": Comes.ELSEWHERE,
    "problem-back": Comes.ELSEWHERE, "palette-whole": "Search for commands",
}  # fmt: skip
#: Where a screen says it otherwise.
_ELSEWHERE: Final[dict[tuple[str, str], Expected]] = {
    ("projects", "open"): "nothing answers there",
    ("runtime", "reload"): Comes.ANOTHER,  # it has lines of the same words
}  # fmt: skip
#: What is seen of a screen when one has come to it.
_SHOWN: Final = {**SHOWN, "runtime": "app.reloaded"}  # by then it was: its first lines have gone up
_GOING: Final = {one.pane_id: one for one in SCREENS if one.key}


def test_each_key_that_all_screens_have_is_pressed() -> None:
    """What is added to them has an entry here, or goes to a screen."""
    assert {str(one.id) for one in BINDINGS} == set(_EVERYWHERE) | set(_GOING)


async def test_no_key_that_all_screens_have_is_dead_on_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """Each on each of them, but for those that a screen has a meaning of its own for."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BROWSER", "/nonexistent/browser")
    monkeypatch.chdir(tmp_path)
    registry.remember_project(tmp_path / "idle", 1)
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    admin = AdminClient.local(served.project)
    try:
        await served.start()
        sockets = await fill_museum(served, PLAIN)
        app = StayingDashboard(SystemClock(), admin)
        app.url = served.url
        app.animation_level = "none"

        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until(app, lambda text: "● museum" in text)
            fingers = Fingers(app, pilot, ledger)
            for screen in SCREENS:
                await _press_shared(app, fingers, screen)
            await _go_everywhere(app, fingers)
        for socket in sockets:
            await socket.close()
    finally:
        await admin.close()
        await served.close()
    assert not fingers.faults, "\n\n".join(fingers.faults)


async def _press_shared(app: Dashboard, fingers: Fingers, screen: Entry) -> None:
    own = owners(type(app.panes[screen.name]))
    by_id = {str(one.id): one for one in BINDINGS}
    is_there = False
    for name, usual in _EVERYWHERE.items():
        for key in by_id[name].key.split(","):
            if key in own:
                continue  # its meaning there is held to in test_every_key
            if not is_there:
                await _arrive(app, fingers, screen)
            wanted = _ELSEWHERE.get((screen.name, name), usual)
            fault = await fingers.press_one(("Dashboard", name, key), wanted, None)
            if fault:
                fingers.faults.append(f"{screen.name}: {fault}")
            while len(app.screen_stack) > 1:
                await app.screen.dismiss(None)
            if app._is_paused:
                app.action_pause()
            is_there = not fault and app.pane.id == screen.name


async def _arrive(app: Dashboard, fingers: Fingers, screen: Entry) -> None:
    """Go to a screen, and wait until it shows what it is of."""
    app.action_pane(screen.name)
    await app.action_back()
    if screen.name == "runtime" and app.pane.list is not None:
        app.pane.list.action_bottom()  # a key for problems leads away from its end
    await until(app, lambda text: _SHOWN[screen.name].replace("running", "idle") in text)


async def _go_everywhere(app: Dashboard, fingers: Fingers) -> None:
    """Press the key of each screen once, and one on each screen."""
    keyed = [one for one in SCREENS if one.key]
    for at, one in enumerate(SCREENS):
        app.action_pane(one.name)
        others = [other for other in keyed if other is not one]
        await _go(fingers, others[at % len(others)])
    for one in keyed:
        await _go(fingers, one)


async def _go(fingers: Fingers, screen: Entry) -> None:
    """Press the key of a screen, and be there."""
    app, row = fingers.app, ("Dashboard", screen.pane_id, screen.key)
    here = app.pane.id
    fingers.ledger.rows.discard(row)
    await fingers.press(screen.key)
    if not await fingers.until(
        lambda: row in fingers.ledger.rows and f"  {screen.title}  " in shown(app).split("\n")[0]
    ):
        fingers.faults.append(f"{here}: {screen.key} leads not to {screen.title}\n{shown(app)}")
