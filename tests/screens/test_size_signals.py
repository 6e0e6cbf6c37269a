"""Storms of sizes by the terminal's own signal, on every screen, in a real pseudo-terminal.

A window that is dragged changes its size faster than anything can be drawn. Whatever was under
way, what stands there at last is what calmly changed sizes lead to; now and then the runtime is
killed in the middle of it. Then the shell gets its terminal back as it was.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from pylon.testing.warm import WarmProject
from pylon.tui.entry import Entry
from pylon.tui.registry import SCREENS
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.recorded import SHELL, Recorded, foreign, left_behind
from tests.screens.masks import masked
from tests.screens.test_hostile_terminal import go

# Nothing beside it holds up the sizes, which are to follow each other fast.
pytestmark = [pytest.mark.timeout(600), pytest.mark.pair]

ESC: Final = "\x1b"
_SIZES: Final = 60
_LEAST: Final = (20, 5)
_MOST: Final = (250, 80)
#: The longest wait between most of them.
_SECONDS: Final = 0.01
#: What a storm ends with, and the longest that a person waits for a whole picture.
_LAST: Final = ((80, 24), (200, 50), (120, 35), (100, 30))
#: On these a storm begins and ends with the last line, which is followed.
_FOLLOWING: Final = frozenset({"log", "runtime"})
#: Each so many screens the runtime is killed in the middle of a storm.
_KILLED: Final = 4
#: What each screen shows then; mails are those since the start, and there was a kill before.
_SHOWN: Final = {**SHOWN, "mail": "No mail was sent since the start"}


async def test_storms_of_sizes_leave_each_screen_right_and_the_terminal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 sizes from 20x5 to 250x80 on each of the screens, keys and deaths among them; then `q`."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    before, after = tmp_path / "before", tmp_path / "after"
    chance = random.Random(7)
    try:
        await served.start()
        for one in await fill_museum(served, PLAIN):
            await one.close()
        terminal = Recorded(
            program=(
                "/bin/sh", "-c", SHELL, str(after), str(before), sys.executable, "-m", "pylon",
                str(served.project),
            ), columns=100, lines=30,
        )  # fmt: skip
        await asyncio.to_thread(terminal.until, lambda text: "● museum" in text)
        for at, screen in enumerate(SCREENS):
            if at % _KILLED == 1:
                await _death_in_a_storm(served, terminal, screen, chance)
            await asyncio.to_thread(_storm_on, terminal, screen, chance, _LAST[at % len(_LAST)])
        await asyncio.to_thread(_is_given_back, terminal)
        assert after.read_text() == before.read_text()
    finally:
        await served.close()


def _storm_on(
    terminal: Recorded, screen: Entry, chance: random.Random, last: tuple[int, int]
) -> None:
    """Hold what stands on a screen after a storm against what stood there in the calm."""
    terminal.resize(*last)
    go(terminal, screen)
    terminal.until(lambda text: _SHOWN[screen.name] in text and _is_bare(text))
    calm = _calm(terminal, screen)
    _storm(terminal, screen, chance)
    terminal.resize(*last)
    terminal.type(ESC)  # the help was opened in the middle
    try:
        terminal.until(lambda text: _picture(screen, text) == calm, seconds=120)
    except AssertionError as wrong:
        raise AssertionError(f"{screen.name} at {last}, before:\n{calm}\n\nnow {wrong}") from None


def _storm(
    terminal: Recorded, screen: Entry, chance: random.Random, *, killed: int | None = None
) -> None:
    """Change the size again and again, with a few keys in between; kill a process half-way."""
    keys = {10: "k", 20: "j"} if screen.name in _FOLLOWING else {10: "j", 20: "k"}
    terminal.is_drawn = False
    for at in range(_SIZES):
        odd = (_LEAST, _MOST) if at % 15 == 0 else ()
        columns, lines = chance.choice(odd) if odd else tuple(
            chance.randint(*ends) for ends in zip(_LEAST, _MOST, strict=True)
        )  # fmt: skip
        # Not the emulator's, which draws nothing now.
        terminal.child.setwinsize(lines, columns)
        if key := {**keys, 30: "?"}.get(at):
            terminal.press(key)
        if at == _SIZES // 2 and killed is not None:
            os.kill(killed, signal.SIGKILL)
        # Now and then it is long enough for a picture to be under way.
        time.sleep(chance.random() * (_SECONDS if at % 6 else 10 * _SECONDS))
        terminal.reads()
    terminal.is_drawn = True


async def _death_in_a_storm(
    served: WarmProject, terminal: Recorded, screen: Entry, chance: random.Random
) -> None:
    """Kill the runtime in the middle of a storm: gone is said, and no more once it is back."""
    await asyncio.to_thread(go, terminal, screen)
    await asyncio.to_thread(_storm, terminal, screen, chance, killed=served.pid)
    terminal.resize(*_LAST[0])
    await asyncio.to_thread(terminal.type, ESC)
    await served.stop(signal.SIGKILL)
    await asyncio.to_thread(terminal.until, lambda text: "gone" in text and _is_whole(text))
    await served.start()
    await asyncio.to_thread(
        terminal.until, lambda text: "gone" not in text and "● museum" in text and _is_whole(text)
    )


def _calm(terminal: Recorded, screen: Entry) -> str:
    """Return the picture of a screen once it stands still."""
    pictures = [_picture(screen, terminal.text())]
    for _ in range(200):
        pictures.append(_picture(screen, terminal.text()))
        if len(pictures) > 8 and len(set(pictures[-8:])) == 1:
            return pictures[-1]
    raise AssertionError(f"{screen.name} does not stand still:\n{terminal.text()}")


def _picture(screen: Entry, text: str) -> str:
    """Return a picture without ages and figures: what stands where, in which words."""
    try:
        shown = masked(screen, text.split("\n"))
    except (ValueError, StopIteration):  # headings are missing: it is half drawn
        return text
    alike = re.sub(r"just now|[\d,.]+(?: (?:s|min|KiB|MiB)\b)?(?: ago)?", "#", shown)
    return "\n".join(" ".join(line.split()) for line in alike.splitlines())


def _is_whole(text: str) -> bool:
    lines = text.split("\n")
    return "museum" in lines[0] and lines[-1].rstrip().endswith(" Quit")


def _is_bare(text: str) -> bool:
    """Tell whether a picture is whole, and neither the palette nor a message lies over it."""
    return _is_whole(text) and not {"▌", "▔"} & set(text)


def _is_given_back(terminal: Recorded) -> None:
    """Quit while the size still changes, and look at what is left."""
    for lines in range(20, 30):
        terminal.resize(90, lines)
    said = terminal.quits("ended with")
    assert "ended with 0" in said, said
    raw = bytes(terminal.raw)
    assert left_behind(raw) == []
    # A slow start shows how far it is, in a line that is wiped out before the dashboard begins.
    assert set(foreign(raw)) <= {"\x1b[K"}
    terminal.press("\n")
    terminal.ends()
