"""Schedules: when slots come, also where clocks change, and which one is the newest."""

from __future__ import annotations

import datetime as dt
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.app.schedule import Schedule

HOUR_MS = 3_600_000
EXPRESSIONS = ("* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *", "15 3 * * 1", "0 0 1 * *")


def _ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


def _slots(schedule: Schedule, after: str, count: int) -> list[str]:
    found, at = [], _ms(after)
    for _ in range(count):
        slot = schedule.next_after(at)
        assert slot is not None
        at = slot
        found.append(dt.datetime.fromtimestamp(at / 1000, dt.UTC).isoformat()[:16])
    return found


def test_what_is_no_schedule_is_told() -> None:
    """Fields, zone and impossible dates each have their words."""
    for expression, zone, words in (
        ("* * * *", "UTC", "five fields"), ("61 * * * *", "UTC", "Bad minute"),
        (None, "UTC", "five fields"), ("* * * * *", "Mars/Base", "no time zone"),
        ("* * * * *", "../etc/passwd", "no time zone"), ("0 0 31 2 *", "UTC", "no schedule"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            Schedule.parse(expression, zone)


def test_a_time_that_the_clocks_skip_comes_right_after_the_gap() -> None:
    """02:30 in Berlin does not exist on 29 March 2026: the run is at 03:00 there."""
    daily = Schedule.parse("30 2 * * *", "Europe/Berlin")
    assert _slots(daily, "2026-03-28T12:00+00:00", 2) == ["2026-03-29T01:00", "2026-03-30T00:30"]


def test_a_time_that_comes_twice_runs_once_and_every_hour_by_the_time_that_passes() -> None:
    """On 25 October 2026 in Berlin 02:30 comes twice."""
    daily = Schedule.parse("30 2 * * *", "Europe/Berlin")
    assert _slots(daily, "2026-10-24T12:00+00:00", 2) == ["2026-10-25T00:30", "2026-10-26T01:30"]
    hourly = Schedule.parse("0 * * * *", "Europe/Berlin")
    assert _slots(hourly, "2026-10-24T23:30+00:00", 3) == [
        "2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"
    ]  # fmt: skip


@settings(max_examples=40)
@given(
    st.sampled_from(EXPRESSIONS), st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    st.integers(0, 3 * 365 * 24), st.integers(0, 4 * 60),
)  # fmt: skip
def test_the_newest_slot_is_the_last_of_all_that_came(
    expression: str, zone: str, hours: int, minutes: int
) -> None:
    """However it is looked for, it is what going through all of them finds."""
    schedule = Schedule.parse(expression, zone)
    after = _ms("2024-01-01T00:00+00:00") + hours * HOUR_MS
    until = after + minutes * 60_000
    slots = list(takewhile(lambda slot: slot <= until, schedule._slots(after)))
    assert schedule.newest(after, until) == (slots[-1] if slots else None)


def test_after_years_the_newest_slot_is_found_at_once() -> None:
    """A schedule of every minute is not gone through minute by minute."""
    every = Schedule.parse("* * * * *", "UTC")
    until = _ms("2026-05-05T05:05:30+00:00")
    assert every.newest(0, until) == until - 30_000
    leap = Schedule.parse("0 0 29 2 *", "UTC")
    assert leap.newest(0, until) == _ms("2024-02-29T00:00+00:00")
    assert leap.newest(_ms("2024-03-01T00:00+00:00"), until) is None
