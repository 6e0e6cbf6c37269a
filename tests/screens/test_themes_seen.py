"""Every screen in every theme, cell by cell: what is written can be read, and the cursor seen.

The palette's own colours are held by `tests/unit/tui/test_themes.py`; here it is what is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.registry import SCREENS
from pylon.tui.themes import ANSI, OFFERED
from pylon.tui.widgets.line_list import LineList
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.screens.test_dashboard import until
from tests.unit.tui.test_themes import contrast

pytestmark = pytest.mark.timeout(600)
_SIZE: Final = (80, 24)


async def test_every_theme_can_be_read_on_every_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4.5 to 1 at least, 7 to 1 in high contrast; the cursor is told from other rows."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    registry.remember_project(tmp_path / "idle", SystemClock().now_ms())
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    admin = AdminClient.local(served.project)
    wrong: list[str] = []
    try:
        await served.start()
        sockets = await fill_museum(served, PLAIN)
        readers = [asyncio.create_task(_drain(one)) for one in sockets]
        app = Dashboard(SystemClock(), admin)
        app.url = served.url
        async with app.run_test(size=_SIZE) as pilot:
            await until(app, lambda text: "● museum" in text and "proven" in text)
            for screen in SCREENS:
                app.action_pane(screen.name)
                wanted = SHOWN[screen.name].replace("running", "idle")
                await until(app, lambda text, words=wanted: words in text)  # type: ignore[misc]
                for theme in OFFERED:
                    app.theme = theme
                    await pilot.pause()
                    app.draw()
                    await pilot.pause()
                    wrong += [f"{theme}, {screen.name}: {one}" for one in _unreadable(app, theme)]
        for one in readers:
            one.cancel()
        for socket in sockets:
            await socket.close()
    finally:
        await admin.close()
        await served.close()
    assert not wrong, "\n".join(wrong)


async def _drain(socket: object) -> None:
    async for _ in socket:  # type: ignore[attr-defined]
        pass


def _unreadable(app: Dashboard, theme: str) -> Iterator[str]:
    """Yield what a person has trouble to read."""
    least = 7.0 if "high-contrast" in theme else 4.5
    lines = app.screen._compositor.render_strips()
    for line in lines:
        for piece in line:
            if any(one.isalnum() for one in piece.text):
                found = _contrast(piece, theme)
                if found < least:
                    yield f"{piece.text.strip()!r}: {found:.1f} ({piece.style})"
    pane = app.pane.list
    if isinstance(pane, LineList) and len(pane.rows) > 1 and pane.current is not None:
        y = pane.region.y + pane._head_lines + pane.cursor - int(pane.scroll_offset.y)
        looks = [_ground(one.style) for one in lines[y] if one.text.strip()]
        other = y + 1 if pane.cursor == 0 else y - 1
        others = [_ground(one.style) for one in lines[other] if one.text.strip()]
        if set(looks) & set(others):
            yield f"the cursor is not told: {looks} {others}"


def _ground(style: Style | None) -> tuple[str, bool, bool]:
    assert style is not None
    return str(style.bgcolor), bool(style.reverse), bool(style.underline)


def _contrast(piece: Segment, theme: str) -> float:
    style = piece.style
    assert style is not None, piece.text
    if theme in ANSI:
        return _of_a_terminal(style)
    assert style.color is not None
    assert style.bgcolor is not None
    return contrast(Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor))


def _of_a_terminal(style: Style) -> float:
    """Return 21 for what every palette of a terminal makes readable, 1 for what some do not.

    Its foregrounds can be read on its background, in either order; red on blue can't everywhere.
    """
    colour, ground = style.color, style.bgcolor
    kinds = [one.type if one else ColorType.DEFAULT for one in (colour, ground)]
    if ColorType.TRUECOLOR in kinds:
        return 1.0
    is_on_colour = ground is not None and not ground.is_default
    return 1.0 if style.dim or is_on_colour else 21.0
