"""How far a long command is: what is told of it on a terminal."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from typing import Any

import pytest

from pylon.cli import copies, progress
from pylon.cli.progress import Progress, Waiting, left_text
from pylon.server.storage import backup
from pylon.testing.manual_clock import ManualClock


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def _shown(monkeypatch: pytest.MonkeyPatch, shares: list[float], *, step: int) -> list[str]:
    """Return what was shown of so many steps, a second each."""
    terminal, clock, left = _Terminal(), ManualClock(), iter(shares)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("rows", share=lambda: next(left), clock=clock) as shown:
        for _ in shares:
            await clock.advance(1.0)
            shown.step(step)
    return terminal.getvalue().split("\r\x1b[K")[1:]


async def test_what_is_left_is_told_by_the_pace_of_the_last_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What an earlier run did goes by fast, and is soon forgotten."""
    shown = await _shown(monkeypatch, [0.5 + n / 200 for n in range(30)], step=1_000)
    assert shown[0] == "1,000 rows, 50%, 1,000/s, 1 s left"
    assert shown[29] == "30,000 rows, 64%, 1,000/s, 1 min 11 s left"
    assert shown[-1] == "", "the line is gone in the end"


async def test_nothing_is_told_of_the_end_while_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where all was read and something is still done, the count alone goes on."""
    shown = await _shown(monkeypatch, [1.0] * 14, step=10)
    assert shown[13] == "140 rows, 100%"


def test_what_is_left_is_said_for_people() -> None:
    """The two largest units."""
    assert [left_text(one) for one in (0.2, 59, 61, 3_600, 9_000)] == [
        "0 s", "59 s", "1 min 1 s", "1 h 0 min", "2 h 30 min",
    ]  # fmt: skip


async def test_a_long_wait_is_told_and_goes_with_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not before two seconds; then by the second, within the width, until somebody answers."""
    terminal, clock = _Terminal(), ManualClock()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    waiting = Waiting("no answer yet of the runtime of \x1b[2Jchat", clock)
    with waiting():
        await asyncio.sleep(0)
        await clock.advance(1.9)
        assert terminal.getvalue() == ""
        for _ in range(4):
            await clock.advance(0.5)
    shown = terminal.getvalue().split("\r\x1b[K")[1:]
    assert shown[0] == "no answer yet of the runtime of �[2Jchat: 2 s (ctrl+c ends "
    assert "3 s" in shown[-2]
    assert shown[-1] == "", "the line is gone in the end"
    await clock.advance(10.0)
    assert terminal.getvalue().endswith("\r\x1b[K"), "nothing is told where nobody waits"


async def test_of_many_requests_one_that_is_answered_is_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever asks again and again while something is made shows how far that is."""
    terminal, clock = _Terminal(), ManualClock()
    monkeypatch.setattr(sys, "stderr", terminal)
    waiting = Waiting("no answer", clock)
    with waiting():
        await asyncio.sleep(0)
        for _ in range(10):
            with waiting():
                await clock.advance(1.0)
        assert terminal.getvalue() == ""
        await clock.advance(2.5)
        assert "no answer: 2 s" in terminal.getvalue()


async def test_a_pipe_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no terminal gets no line that is drawn over."""
    stream, clock = io.StringIO(), ManualClock()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress("rows", share=lambda: 0.5, clock=clock) as progress:
        await clock.advance(1.0)
        progress.step()
    with Waiting("no answer", clock)():
        await clock.advance(10.0)
    assert stream.getvalue() == ""


def test_a_long_look_at_a_database_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy, a check, a fold of the log: each takes as long as the database is large."""
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_LATE_SECONDS", 0.02)
    monkeypatch.setattr(progress, "_TICK_SECONDS", 0.01)

    async def slow(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(0.3)
        raise backup.DatabaseUnusable("enough")

    for name, run, said in (
        (
            "verify_file",
            lambda: copies._verify(tmp_path / "a.db"),
            "verifying: folding the log: 0 s",
        ),
        (
            "check",
            lambda: copies._checked(tmp_path / "a.db"),
            "checking a.db: 0 s (ctrl+c ends it)",
        ),
    ):
        monkeypatch.setattr(backup, name, slow)
        with pytest.raises(backup.DatabaseUnusable):
            asyncio.run(run())
        assert said in terminal.getvalue()
        assert terminal.getvalue().endswith("\r\x1b[K"), "the line is gone in the end"
