"""I99 for real: a dashboard in a pseudo-terminal over a runtime whose every text is hostile.

What is looked at are the bytes that go to the terminal: nothing but what the drawing library
writes by itself steers, on every screen and in what opens above it, and no planted text is obeyed.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from pylon.testing.warm import WarmProject
from pylon.tui.entry import Entry
from pylon.tui.registry import SCREENS
from tests.museum import HOSTILE, SHOWN, fill_museum, make_museum
from tests.recorded import Recorded, foreign

# Keys follow each other as a person types them: what they open has to be there meanwhile.
pytestmark = [pytest.mark.timeout(300), pytest.mark.pair]

ESC: Final = "\x1b"
#: The name of the project's folder too.
_FOLDER: Final = "m \x1b]0;PWNED\x07[red]x[/] \u202e"
#: What is typed on each screen: whatever opens there, and goes again.
TOUR: Final[dict[str, tuple[str, ...]]] = {
    "projects": ("i", ESC, "F", ESC),
    "log": ("g", "\r", ESC, "L", ESC, "v", "d", ESC, "t", ESC, "w", ESC, "/PWNED", "\r",
            ESC, "y", ESC),
    "data": ("\r", "i", ESC, "e", ESC, "a", ESC, "j", "e", ESC, "c", ESC, "r", ESC, "L", ESC,
             "D", ESC, "y", ESC, "w", ESC, "Q", "select title from Thing\r", ESC, ESC, "v", ESC,
             "/title == ", ESC),
    "clients": ("\r", "w", ESC, "y", ESC, ESC, "j", "\r", "N", ESC, ESC),
    "functions": ("/bad", "\r", "\r", ESC, ESC, "G", "\r", "t", "\x1b[15~", ESC, ESC, "\t", "\r",
                  ESC, "y", ESC),
    "jobs": ("\t", "\r", ESC, "j", "j", "\r", "G", "c", ESC, ESC, "s", ESC, "y", ESC),
    "workflows": ("\t", "\r", "v", ESC, "j", "\r", "s", "paid\r", ESC, ESC, ESC, "y", ESC),
    "policies": ("\r", ESC, "w", ESC, "y", ESC),
    "users": ("\r", "X", ESC, "y", ESC, ESC, "j", "\r", ESC, "i", ESC, "y", ESC),
    "mail": ("\r", ESC, "j", "\r", ESC, "v", "\r", "d", ESC, ESC, "y", ESC),
    "files": ("\r", ESC, "j", "\r", ESC, "d", ESC, "V", "y", ESC),
    "backups": ("\r", ESC, "D", ESC, "y", ESC),
    "health": ("d", ESC, "l", ESC, "y", ESC),
    "doctor": ("\r", ESC, "y", ESC),
    "schema": ("\r", ESC, "y", ESC),
    "branches": ("\r", ESC, "d", ESC, "y", ESC),
    "settings": ("\r", ESC, "y", ESC),
    "runtime": ("\r", ESC, "g", "\r", ESC, "y", ESC),
    "commands": ("\r", ESC, "y", ESC),
}  # fmt: skip
#: What is typed into a line that a key opens, with what is seen once it is open: without that line
#: it would be keys of whatever screen is there.
LINES: Final = {"paid\r": "Signal order ", "select title from Thing\r": "SQL: one SELECT"}
#: Where none of the words has to be.
_WITHOUT: Final = {"backups", "health", "doctor", "schema", "branches", "settings", "commands"}


async def test_no_screen_lets_a_text_steer_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every screen and what opens there: whole, with marks for what would steer."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / _FOLDER, HOSTILE), tmp_path / "state")
    try:
        await served.start()
        sockets = await fill_museum(served, HOSTILE)
        await asyncio.to_thread(_walk, served.project)
        for one in sockets:
            await one.close()
    finally:
        await served.close()


def _walk(project: Path) -> None:
    terminal = Recorded(str(project), columns=100, lines=30)
    terminal.until(lambda text: "● museum" in text)
    for screen in SCREENS:
        begin = len(terminal.raw)
        go(terminal, screen)
        terminal.until(lambda text, name=screen.name: SHOWN[name] in text)  # type: ignore[misc]
        for keys in TOUR[screen.name]:
            if keys in LINES:
                terminal.until(lambda text, line=LINES[keys]: line in text)  # type: ignore[misc]
            terminal.type(keys)
            terminal.until(_is_whole, seconds=20)
        # A key that leads elsewhere would have the rest of them typed there, for nothing.
        if screen.name != "health":  # `d` is the doctor
            terminal.until(lambda text, at=screen: _is_on(text, at))  # type: ignore[misc]
        drawn = bytes(terminal.raw[begin:])
        assert foreign(drawn) == [], screen.name
        # A sequence of its own kind, such as one that goes to a place, is none of its own either.
        assert not re.search(rb"\x1b\[1;1H\s*PWNED", drawn), screen.name
        assert screen.name in _WITHOUT or b"PWNED" in drawn, screen.name
    terminal.type(ESC)
    terminal.press("q")
    assert terminal.ends() == 0
    assert foreign(bytes(terminal.raw)[-4096:]) == []


def go(terminal: Recorded, screen: Entry) -> None:
    """Open a screen, out of whatever is open still."""
    for _ in range(8):
        with suppress(AssertionError):
            terminal.type(screen.key or ":")
            if not screen.key:
                terminal.until(lambda text: "Search for commands" in text, seconds=3)
                terminal.type(screen.title)
                terminal.until(lambda text: screen.words[:30] in text, seconds=3)
                terminal.type("\r")
            terminal.until(lambda text: _is_on(text, screen), seconds=3)
            return
        terminal.type(ESC)
    raise AssertionError(f"{screen.name} does not open:\n{terminal.text()}")


def _is_on(text: str, screen: Entry) -> bool:
    return f"  {screen.title}  " in text.splitlines()[0]


def _is_whole(text: str) -> bool:
    """Tell whether the header stands where it belongs, or a window that takes all the room."""
    return "museum" in text.splitlines()[0] or text.startswith("╭")
