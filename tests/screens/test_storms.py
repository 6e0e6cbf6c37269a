"""Under every screen: the terminal changes its size at a great rate, and the runtime is killed.

One dashboard over one project, and a real runtime that is killed and started anew for each screen:
forked from a warm process, a start costs a third of a second.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from rich.cells import cell_len
from textual.events import Resize
from textual.geometry import Size
from textual.pilot import Pilot

from pylon.client.admin import AdminClient
from pylon.testing.grid import grid
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.registry import SCREENS
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.screens.fakes import PutForward
from tests.screens.test_dashboard import until

pytestmark = pytest.mark.timeout(600)

_SIZE: Final = (100, 30)
_ODD: Final = ((1, 1), (20, 5), (500, 200), (3, 60), (300, 1), (80, 24))
_STORM: Final = 5


async def test_every_screen_stands_storms_of_sizes_and_deaths_of_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right picture after each; gone is said, keys answer, news come by themselves."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    admin = AdminClient.local(served.project)
    chance = random.Random(4)
    try:
        await served.start()
        for one in await fill_museum(served, PLAIN):
            await one.close()
        await _until_kept(served)
        clock = PutForward()
        app = Dashboard(clock, admin)
        app.url = served.url
        async with app.run_test(size=_SIZE, notifications=True) as pilot:
            await until(app, lambda text: "● museum" in text)
            for screen in SCREENS:
                app.action_pane(screen.name)
                await until(app, lambda text, name=screen.name: _has(text, name))  # type: ignore[misc]
                await _storm(app, pilot, chance, screen.name)
                await _death(served, app, clock, pilot, screen.name)
    finally:
        await admin.close()
        await served.close()


async def _until_kept(served: WarmProject) -> None:
    """Wait until the clients that were here outlive a kill: they are written now and then."""
    with closing(sqlite3.connect(served.project / ".pylon" / "app.db")) as database:
        while database.execute("SELECT count(*) FROM _pylon_clients").fetchone() == (0,):
            await asyncio.sleep(0.05)


def _has(text: str, name: str) -> bool:
    # The list of projects has those that somebody opened, and nobody did.
    # Mails are those since the start, and there was one before each screen.
    words = "No mail was sent since the start" if name == "mail" else SHOWN[name]
    return name == "projects" or words in text


async def _storm(app: Dashboard, pilot: Pilot[int], chance: random.Random, name: str) -> None:
    """Change the size again and again, faster than anything is drawn; then back."""
    odd = [*_ODD, *((chance.randint(1, 300), chance.randint(1, 80)) for _ in range(_STORM))]
    chance.shuffle(odd)
    driver = app._driver
    assert driver is not None
    for at, (width, height) in enumerate(odd):
        if at % 4:
            driver._size = (width, height)  # as `resize_terminal`, which waits
            app.post_message(Resize(Size(width, height), Size(width, height)))
        else:
            await pilot.resize_terminal(width, height)
    await pilot.resize_terminal(*_SIZE)
    await until(app, lambda text: _is_right(grid(app)) and _has(text, name))


def _is_right(lines: list[str]) -> bool:
    """Tell whether a picture is as large as it has to be, and whole."""
    is_large = len(lines) == _SIZE[1] and {cell_len(line) for line in lines} == {_SIZE[0]}
    return is_large and "museum" in lines[0] and " Quit" in lines[-1]


async def _death(
    served: WarmProject, app: Dashboard, clock: PutForward, pilot: Pilot[int], name: str
) -> None:
    """Kill the runtime under a screen, and start it anew."""
    await served.stop(signal.SIGKILL)
    await until(app, lambda _: app.state.ended_at is not None)
    clock.ahead += 1.1  # a second is waited for one that only begins anew
    await until(app, lambda text: "gone" in text)
    await pilot.press("question_mark")
    await until(app, lambda text: "/ search" in text)
    await pilot.press("escape")
    await until(app, lambda text: "/ search" not in text)
    await pilot.press("down", "up", "p", "p")
    await served.start()
    caller = await served.login("ada@example.com")
    assert (await caller.call("note", text="news")).status == 200
    head = int((await app._admin.get("admin/status"))["head"])
    await until(app, lambda text: f"head {head}" in text and "gone" not in text)
    await until(app, lambda text: _has(text, name))
