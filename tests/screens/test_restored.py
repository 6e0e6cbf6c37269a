"""However a dashboard ends, the terminal is what it was: measured in a pseudo-terminal.

A shell holds it before and after, as a person's does. What can't be promised is SIGKILL of the
dashboard itself: nobody is left who could write. `reset` is for that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pylon.testing.warm import WarmProject
from tests.kept import until
from tests.museum import HOSTILE, PLAIN, make_museum
from tests.recorded import SHELL, Recorded, foreign, left_behind

pytestmark = pytest.mark.timeout(300)

#: A dashboard that fails where `L` is pressed, with words that would steer.
_FAULTY = f"""
from pylon.tui.log_pane import LogPane
from pylon.cli.main import main

def fail(self):
    secret = "the value of a variable"
    raise RuntimeError({HOSTILE!r})

LogPane.action_lens = fail
main()
"""
End = Callable[[Recorded, int], None]


def _typed(keys: str) -> End:
    return lambda terminal, _: terminal.press(keys)


def _sent(number: signal.Signals) -> End:
    return lambda _, pid: os.kill(pid, number)


def _asked(terminal: Recorded, _: int) -> None:
    """Leave by ctrl+c, and answer once the question is there."""
    terminal.press("\x03")
    terminal.until(lambda text: "quit?" in text.lower())
    terminal.press("y")


def _failed(terminal: Recorded, _: int) -> None:
    """Press the key that fails once its screen is there: before, it would be another screen's."""
    terminal.press("2")
    terminal.until(lambda text: "No change yet" in text)
    terminal.press("L")


def _stopped_and_on(terminal: Recorded, pid: int) -> None:
    """Stop it as a shell's job is stopped: the terminal is the shell's; then on with it, to q."""
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGTSTP)
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    terminal.text()
    assert left_behind(bytes(terminal.raw)) == []
    os.kill(pid, signal.SIGCONT)
    terminal.until(lambda _: "mode 1049" in left_behind(bytes(terminal.raw)))
    terminal.quits("ended with")  # what is typed before it reads again is lost, as everywhere


#: How it ends, and the exit code.
_ENDS: dict[str, tuple[End, int]] = {
    "q": (_typed("q"), 0),
    "ctrl+c and y": (_asked, 0),
    "SIGTERM": (_sent(signal.SIGTERM), 0),
    "SIGHUP": (_sent(signal.SIGHUP), 0),
    "SIGINT": (_sent(signal.SIGINT), 0),
    "SIGTSTP, SIGCONT, q": (_stopped_and_on, 0),
}


async def test_the_terminal_is_restored_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, signals, a fault of ours: cursor, screen, mouse, paste, keyboard and lines are back."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    try:
        await served.start()
        folder = str(served.project)
        for how, (ends, code) in _ENDS.items():
            await asyncio.to_thread(_is_restored, tmp_path, how, ends, code, "-m", "pylon", folder)
        said = await asyncio.to_thread(
            _is_restored, tmp_path, "fault", _failed, 1, "-c", _FAULTY, folder
        )
        assert "RuntimeError" in said
        assert "the value of a variable" not in said
    finally:
        await served.close()


async def test_the_launcher_restores_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of projects ends by signals as a dashboard does."""
    monkeypatch.chdir(tmp_path)
    for number in (signal.SIGTERM, signal.SIGHUP):
        await asyncio.to_thread(
            _is_restored, tmp_path, number.name, _sent(number), 0, "-m", "pylon"
        )


def _is_restored(folder: Path, how: str, ends: End, code: int, *program: str) -> str:
    """End a dashboard; returns what the terminal showed afterwards."""
    before, after = folder / "before", folder / "after"
    terminal = Recorded(
        program=("/bin/sh", "-c", SHELL, str(after), str(before), sys.executable, *program)
    )
    terminal.until(lambda text: "● museum" in text or "pylon  your projects" in text)
    (child,) = psutil.Process(terminal.child.pid).children()
    ends(terminal, child.pid)
    said = terminal.until(lambda text: "ended with" in text)
    assert f"ended with {code}" in said, (how, said)
    assert left_behind(bytes(terminal.raw)) == [], how
    drawn = bytes(terminal.raw)
    assert foreign(drawn[drawn.index(b"\x1b[?1049h") :]) == [], how  # before: words for the wait
    assert after.read_text() == before.read_text(), how
    terminal.press("\n")
    terminal.ends()
    return said
