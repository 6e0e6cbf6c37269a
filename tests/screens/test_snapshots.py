"""Every screen of the registry in two sizes, held against a grid of text that was looked at.

`make snapshots` (PYLON_SNAPSHOTS=renew) writes the grids anew. What is another one each time is
masked so that it leaves the columns where they are: times, ids, ports, ages, figures of a machine.
"""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path
from typing import Final

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.grid import grid
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.entry import Entry
from pylon.tui.header import HeaderLine
from pylon.tui.registry import SCREENS
from pylon.tui.strip import ScreenStrip
from pylon.tui.widgets.line_list import LineList
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.screens.masks import masked
from tests.screens.test_dashboard import until

pytestmark = pytest.mark.timeout(600)

SIZES: Final = ((80, 24), (200, 50))
_KEPT: Final = Path(__file__).parent / "snapshots"
_IS_RENEWED: Final = os.environ.get("PYLON_SNAPSHOTS") == "renew"
_SECONDS: Final = 20.0
_PAUSE: Final = 0.1
#: Pictures in a row that are alike, until one counts as settled when it is renewed.
_ALIKE: Final = 12
_DAY_MS: Final = 86_400_000
_FILTERS: Final = {"runtime": "tea"}


async def test_each_screen_is_as_it_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of each, in both sizes; nothing of the chrome and no heading is cut."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    registry.remember_project(tmp_path / "idle", SystemClock().now_ms() - 3 * _DAY_MS)
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    admin = AdminClient.local(served.project)
    wrong: list[str] = []
    try:
        await served.start()
        sockets = await fill_museum(served, PLAIN)
        readers = [asyncio.create_task(_drain(one)) for one in sockets]
        app = Dashboard(SystemClock(), admin)
        app.url = served.url
        async with app.run_test(size=SIZES[0], notifications=True) as pilot:
            await until(app, lambda text: "● museum" in text and "proven" in text)
            for size in SIZES:
                await pilot.resize_terminal(*size)
                for screen in SCREENS:
                    wrong += await _look(app, pilot, screen, size)
        for one in readers:
            one.cancel()
        for socket in sockets:
            await socket.close()
    finally:
        await admin.close()
        await served.close()
    assert not wrong, "\n\n".join(wrong)


def test_each_grid_is_of_a_screen() -> None:
    """A screen that is gone leaves none behind."""
    wanted = {_file(screen, size).name for screen in SCREENS for size in SIZES}
    assert {one.name for one in _KEPT.iterdir()} == wanted


async def _drain(socket: object) -> None:
    async for _ in socket:  # type: ignore[attr-defined]
        pass


def _file(screen: Entry, size: tuple[int, int]) -> Path:
    return _KEPT / f"{screen.name}-{size[0]}x{size[1]}.txt"


async def _look(
    app: Dashboard, pilot: Pilot[int], screen: Entry, size: tuple[int, int]
) -> list[str]:
    """Hold a screen against its grid, or write that anew; returns what is to be said."""
    app.panes[screen.name].filter("")  # that of the other size would stand below the list
    app.action_pane(screen.name)
    app.clear_notifications()
    app.pane.filter(_FILTERS.get(screen.name, ""))
    await until(app, lambda text: SHOWN[screen.name].replace("running", "idle") in text)
    await pilot.pause()
    file = _file(screen, size)
    kept = file.read_text() if file.exists() else ""
    lines, text = await _settled(app, screen, kept)
    if _IS_RENEWED:
        _KEPT.mkdir(exist_ok=True)
        file.write_text(text)
    elif text != kept:
        differs = difflib.unified_diff(
            kept.splitlines(), text.splitlines(), file.name, "now", lineterm="", n=0
        )
        return ["\n".join(differs)]
    return _cuts(app, screen, lines, size)


async def _settled(app: Dashboard, screen: Entry, kept: str) -> tuple[list[str], str]:
    """Return a screen (as it is, masked) once it is as it was kept, or does not change any more."""
    before, alike = "", 0
    for _ in range(int(_SECONDS / _PAUSE)):
        lines = grid(app)
        text = masked(screen, lines)
        alike = alike + 1 if text == before else 0
        before = text
        is_calm = alike >= _ALIKE and "STALE" not in text
        if is_calm if _IS_RENEWED else text == kept:
            break
        await asyncio.sleep(_PAUSE)
    return lines, text


def _cuts(app: Dashboard, screen: Entry, lines: list[str], size: tuple[int, int]) -> list[str]:
    """Return what is cut of the chrome or of the headings."""
    wrong = []
    if len(lines) != size[1] or any(cell_len(line) != size[0] for line in lines):
        wrong.append("it does not fit")
    if "…" in app.query_one(HeaderLine).render_line(0).text:
        wrong.append("the first line is cut")
    chrome = [app.query_one(ScreenStrip).region.y, len(lines) - 1]
    wrong += [f"cut: {lines[y]}" for y in chrome if "…" in lines[y]]
    if not lines[-1].rstrip().endswith("Quit"):
        wrong.append(f"the footer is cut: {lines[-1]}")
    for one in app.pane.query(LineList):
        if one.region.height and one._head is not None:
            width = one.size.width
            heads = "".join(text for text, _ in one._head(width)).split()
            seen = lines[one.region.y][one.region.x : one.region.right].split()
            wrong += [f"the heading {head} is cut" for head in heads if head not in seen]
    return [f"{screen.name} at {size[0]}x{size[1]}: {one}" for one in wrong]
