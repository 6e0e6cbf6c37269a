"""A terminal that goes away, or is left alone for a while, under a dashboard."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from pylon.testing.warm import WarmProject
from tests.kept import until
from tests.museum import PLAIN, make_museum
from tests.recorded import Recorded, left_behind

pytestmark = pytest.mark.timeout(300)
_RESIZES = 200


async def test_it_ends_with_its_terminal_also_one_that_did_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a connection that hung before it broke: no process is left behind, busy for ever."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    try:
        await served.start()
        for reads in (True, False):
            await asyncio.to_thread(_hangs_up, str(served.project), reads=reads)
    finally:
        await served.close()


async def test_it_goes_on_after_a_stop_that_nobody_told_it_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP, and a SIGCONT out of the blue: keys come once, by one thread, and `q` ends it."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    try:
        await served.start()
        await asyncio.to_thread(_stops, str(served.project))
    finally:
        await served.close()


def _hangs_up(folder: str, *, reads: bool) -> None:
    terminal = Recorded(folder)
    terminal.until(lambda text: "● museum" in text)
    process = psutil.Process(terminal.child.pid)
    for at in range(_RESIZES):  # more than the kernel and the queue of writes hold
        terminal.child.setwinsize(20 + at % 30, 80 + at % 60)
        time.sleep(0.01)
        if reads:
            terminal.reads()
    terminal.child.ptyproc.fileobj.close()
    terminal.child.ptyproc.closed = terminal.child.closed = True
    try:
        until(lambda: not terminal.child.isalive(), seconds=60)
    finally:
        if terminal.child.isalive():
            process.kill()


def _stops(folder: str) -> None:
    terminal = Recorded(folder)
    terminal.until(lambda text: "● museum" in text)
    process = psutil.Process(terminal.child.pid)
    before = process.num_threads()
    for stop in (signal.SIGSTOP, None, signal.SIGSTOP, None):
        if stop is not None:
            os.kill(process.pid, stop)
            until(lambda: process.status() == psutil.STATUS_STOPPED)
        begin = len(terminal.raw)
        terminal.screen.erase_in_display(2)  # a shell had it meanwhile
        os.kill(process.pid, signal.SIGCONT)
        terminal.until(lambda _, begin=begin: b"\x1b[?1049h" in terminal.raw[begin:])  # type: ignore[misc]
        terminal.until(lambda text: "museum" in text and "No change yet" in text)
        terminal.until(lambda text: text.rstrip().endswith(" Quit"))
    terminal.press("4")
    terminal.until(lambda text: "Nobody is connected" in text)
    until(lambda: process.num_threads() <= before + 5)  # of pools; two more for each time otherwise
    terminal.quits()
    assert terminal.ends() == 0
    assert left_behind(bytes(terminal.raw)) == []
