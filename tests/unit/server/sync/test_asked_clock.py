"""The clock that replicas are judged by: what is before the last time it told is counted."""

from __future__ import annotations

from pylon.server.sync.asked_clock import AskedClock
from pylon.testing.manual_clock import START_MS, ManualClock


def test_a_time_before_the_last_one_is_counted_once() -> None:
    """By a millisecond as by an hour; what is equal or later is not."""
    inner = ManualClock()
    clock = AskedClock(inner)
    assert (clock.now_ms(), clock.now_ms(), clock.times_back) == (START_MS, START_MS, 0)
    inner._start_ms -= 1
    assert (clock.now_ms(), clock.times_back, clock.last_ms) == (START_MS - 1, 1, START_MS - 1)
    inner._start_ms += 3_600_000
    assert (clock.now_ms() > START_MS, clock.times_back) == (True, 1)
    inner._start_ms -= 3_600_000
    assert (clock.now_ms(), clock.times_back) == (START_MS - 1, 2)
    assert clock.machine_ms() == inner.machine_ms()
