"""Rounds: one at a time, for whatever woke them, also after one that failed."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pylon.errors import Unavailable
from pylon.server.jobs.rounds import Rounds
from pylon.testing.manual_clock import ManualClock

LOG = logging.getLogger("pylon.rounds")


class Work:
    """Counts its rounds; what is in `trouble` is raised, one each."""

    def __init__(self) -> None:
        self.count = 0
        self.trouble: list[Exception] = []
        self.held = asyncio.Event()
        self.held.set()

    async def __call__(self) -> None:
        self.count += 1
        await self.held.wait()
        if self.trouble:
            raise self.trouble.pop()


async def rest() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_wakes_them_in_a_round_makes_one_more_and_not_two():
    """However often they are woken meanwhile."""
    work = Work()
    rounds = Rounds("rounds", ManualClock(), work, LOG)
    rounds.start()
    await rest()
    assert (work.count, rounds.is_due) == (1, False)
    work.held.clear()
    rounds.wake()
    assert rounds.is_due
    await rest()
    assert (work.count, rounds.is_on) == (2, True)
    rounds.wake()
    rounds.wake()
    work.held.set()
    await rest()
    assert (work.count, rounds.is_due) == (3, False)
    await rounds.stop()


async def test_they_are_due_from_the_wake_to_the_end_without_a_gap():
    """Who waits until nothing is due must not find the moment between the two."""
    work = Work()
    rounds = Rounds("rounds", ManualClock(), work, LOG)
    rounds.start()
    while not work.count:
        assert rounds.is_due
        await asyncio.sleep(0)
    await rounds.stop()


async def test_one_that_failed_is_told_and_followed_by_another(caplog: pytest.LogCaptureFixture):
    """A storage in trouble has told of itself; anything else is a mistake of ours."""
    clock, work = ManualClock(), Work()
    work.trouble = [Unavailable("the disk is full"), ZeroDivisionError("a slip")]
    rounds = Rounds("rounds", clock, work, LOG)
    rounds.start()
    for count in (1, 2, 3):
        await rest()
        assert work.count == count
        await clock.advance(1.0)
    assert [one.getMessage() for one in caplog.records] == ["rounds.round_failed"]
    await rounds.stop()


async def test_a_due_time_wakes_them_and_none_after_the_stop():
    """The earliest time counts; nothing is left that could ring."""
    clock, work = ManualClock(), Work()
    rounds = Rounds("rounds", clock, work, LOG)
    rounds.start()
    await rest()
    rounds.wake_by(clock.now_ms() + 5_000)
    rounds.wake_by(clock.now_ms() + 9_000)
    await rest()
    await clock.advance(5.0)
    await rest()
    assert work.count == 2
    await rounds.stop()
    rounds.wake_by(clock.now_ms())
    rounds.wake()
    await rest()
    assert work.count == 2


async def test_who_waits_for_the_end_of_a_round_hears_of_it():
    """Not before it has ended."""
    work = Work()
    work.held.clear()
    rounds = Rounds("rounds", ManualClock(), work, LOG)
    rounds.start()
    waiter = asyncio.create_task(rounds.over())
    await rest()
    assert not waiter.done()
    work.held.set()
    await asyncio.wait_for(waiter, 60)
    await rounds.stop()
