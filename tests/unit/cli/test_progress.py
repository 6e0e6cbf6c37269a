"""How far a long command is: what is told of it on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from pylon.cli.progress import Progress, left_text
from pylon.testing.manual_clock import ManualClock


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def _shown(monkeypatch: pytest.MonkeyPatch, shares: list[float], *, step: int) -> list[str]:
    """Return what was shown of so many steps, a second each."""
    terminal, clock, left = _Terminal(), ManualClock(), iter(shares)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("rows", share=lambda: next(left), clock=clock) as progress:
        for _ in shares:
            await clock.advance(1.0)
            progress.step(step)
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


async def test_a_pipe_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no terminal gets no line that is drawn over."""
    stream, clock = io.StringIO(), ManualClock()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress("rows", share=lambda: 0.5, clock=clock) as progress:
        await clock.advance(1.0)
        progress.step()
    assert stream.getvalue() == ""
