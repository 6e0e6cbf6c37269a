"""Every screen in every theme, cell by cell: what is written can be read, and the cursor seen.

The palette's own colours are held by `tests/unit/tui/test_themes.py`; here it is what is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.widgets import OptionList

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.dialogs import Details, Menu, Prompt, Question
from pylon.tui.helping import help_text
from pylon.tui.registry import SCREENS
from pylon.tui.saying import say
from pylon.tui.screens.help import HelpScreen
from pylon.tui.themes import ANSI, OFFERED
from pylon.tui.widgets.line_list import LineList
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.screens.fakes import change, changes, status
from tests.screens.test_dashboard import opened, until
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


def _faint(app: Dashboard, theme: str, places: Sequence[Region] = ()) -> Iterator[str]:
    """Yield texts that do not stand out from what lies under them; of all, or of some places."""
    least = 7.0 if "high-contrast" in theme else 4.5
    lines = app.screen._compositor.render_strips()
    for place in places or (app.screen.region,):
        for piece in (one for y in place.line_range for one in lines[y].crop(place.x, place.right)):
            if any(one.isalnum() for one in piece.text):
                assert piece.style is not None
                if piece.style.dim and not places:
                    yield f"{piece.text.strip()!r} is dim: of ours nothing steps back so"
                found = _contrast(piece, theme)
                if found < least:
                    yield f"{piece.text.strip()!r}: {found:.1f} ({piece.style})"


def _unreadable(app: Dashboard, theme: str) -> Iterator[str]:
    """Yield what a person has trouble to read, or to find."""
    yield from _faint(app, theme)
    lines = app.screen._compositor.render_strips()
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
    if (colour and colour.number, ground and ground.number) in ((0, 7), (0, 15), (15, 0), (15, 4)):
        return 21.0  # black and white are that everywhere, and blue is dark
    is_on_colour = ground is not None and not ground.is_default
    return 1.0 if is_on_colour else 21.0


async def test_every_theme_can_be_read_in_what_opens_above_a_screen() -> None:
    """Boxes, menus, lines to type in, the palette, and notices."""
    wrong: list[str] = []
    async with opened(_SIZE) as (app, admin, pilot):
        admin.say(status(head=9), changes(*(change(n) for n in range(1, 10))))
        await until(app, lambda text: "9/9" in text)
        for theme in OFFERED:
            app.theme = theme
            boxes = (
                Question("Surely?"), Menu("A menu", [("a", "one"), ("b", "another")]),
                Details("a text", "to read"), Prompt("A line", "a value"),
                HelpScreen(help_text("log", {})),
            )  # fmt: skip
            for box in boxes:
                app.push_screen(box)
                say(app, "a notice", seconds=60)
                say(app, "it failed", seconds=60, is_bad=True)
                await until(app, lambda text: "it failed" in text)
                await pilot.pause()
                name = type(box).__name__
                places = [one.region for one in app.screen.query(".box, Toast")]
                assert len(places) == 3
                wrong += [f"{theme}, {name}: {one}" for one in _faint(app, theme, places)]
                app.clear_notifications()
                app.pop_screen()
            await pilot.press("colon")
            await until(app, lambda text: "Jobs" in text)
            await pilot.pause()
            places = [one.region for one in app.screen.query(OptionList) if one.region.height]
            assert places
            wrong += [f"{theme}, palette: {one}" for one in _faint(app, theme, places)]
            app.pop_screen()
    assert not wrong, "\n".join(wrong)
