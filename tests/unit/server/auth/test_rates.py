"""Rates: so many at once, so many a second, for each key alone, and never an endless memory."""

from __future__ import annotations

import pytest

from pylon.errors import RateLimited
from pylon.server.auth.rates import RateLimiter
from pylon.testing.manual_clock import ManualClock


def _taken(limiter: RateLimiter, key: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limiter.demand(key)
        except RateLimited:
            continue
        count += 1
    return count


async def test_a_burst_and_then_so_many_a_second() -> None:
    """What was not used is saved up to the burst, and no further."""
    clock = ManualClock()
    limiter = RateLimiter(clock, per_second=2, burst=5)
    assert _taken(limiter, "a", 20) == 5
    await clock.advance(1.5)
    assert _taken(limiter, "a", 20) == 3
    await clock.advance(3_600)
    assert _taken(limiter, "a", 20) == 5


async def test_to_ask_again_and_again_does_not_delay_the_next() -> None:
    """A refused try costs nothing: after the time that was named there is one."""
    clock = ManualClock()
    limiter = RateLimiter(clock, per_second=0.1, burst=1)
    limiter.demand("a")
    for _ in range(9):
        with pytest.raises(RateLimited):
            limiter.demand("a")
        await clock.advance(1)
    with pytest.raises(RateLimited) as refused:
        limiter.demand("a")
    assert refused.value.retry_after_s == pytest.approx(1.0)
    await clock.advance(1.01)
    limiter.demand("a")


def test_keys_do_not_share() -> None:
    """One who is over his limit takes nothing from another."""
    limiter = RateLimiter(ManualClock(), per_second=1, burst=2)
    assert _taken(limiter, "a", 5) == 2
    assert _taken(limiter, "b", 5) == 2


def test_keys_are_bounded_and_the_longest_unseen_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of keys forgets old ones, not the one that asks all the time."""
    monkeypatch.setattr("pylon.server.auth.rates._KEYS_MAX", 10)
    limiter = RateLimiter(ManualClock(), per_second=0.001, burst=1)
    limiter.demand("busy")
    for number in range(100):
        limiter.demand(f"flood {number}")
        with pytest.raises(RateLimited):
            limiter.demand("busy")
    assert len(limiter._buckets) <= 10
