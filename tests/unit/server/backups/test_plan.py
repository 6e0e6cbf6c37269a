"""When a backup is due, and which may go."""

from __future__ import annotations

import pytest

from pylon.server.backups.plan import Plan, droppable, due_ms, parse_at, parse_every
from pylon.server.backups.records import Record

DAY = 86_400_000
HOUR = 3_600_000
#: A Monday at midnight.
NOW = 1_767_571_200_000


def _record(at_ms: int, state: str = "proven", kind: str = "scheduled", size: int = 1) -> Record:
    return Record(name=f"{kind}-{at_ms}-{state}", kind=kind, at_ms=at_ms, state=state, bytes=size)


@pytest.mark.parametrize(
    ("text", "ms"), [("", None), ("6h", 6 * HOUR), ("1d", DAY), ("90m", 90 * 60_000)]
)
def test_an_interval_is_a_number_and_a_unit(text: str, ms: int | None) -> None:
    """Nothing is none."""
    assert parse_every(text) == ms


@pytest.mark.parametrize("text", ["0h", "h", "6 h", "-1h", "6s", "100000h", "6h\n"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    """Rather than read as another one."""
    with pytest.raises(ValueError, match="6h"):
        parse_every(text)


@pytest.mark.parametrize("text", ["24:00", "3:00", "03:60", "03", "03:00Z"])
def test_what_is_no_time_of_the_day_is_refused(text: str) -> None:
    """The last one that is right is 23:59."""
    assert parse_at("23:59") == 24 * HOUR - 60_000
    with pytest.raises(ValueError, match="03:00"):
        parse_at(text)


def test_an_interval_counts_from_the_last_good_one() -> None:
    """And from when the schedule came into force where there is none."""
    plan = Plan(every_ms=6 * HOUR)
    assert due_ms(plan, [], NOW, NOW) == NOW + 6 * HOUR
    assert due_ms(plan, [_record(NOW - HOUR)], NOW - 50, NOW) == NOW + 5 * HOUR
    assert due_ms(plan, [_record(NOW - DAY)], NOW, NOW) == NOW - 18 * HOUR, "at once"
    assert due_ms(plan, [_record(NOW - HOUR, kind="hand")], NOW, NOW) == NOW + 6 * HOUR
    assert due_ms(Plan(), [], NOW, NOW) is None


def test_a_daily_one_comes_at_its_time() -> None:
    """A machine that was off then makes it as soon as it is on."""
    plan = Plan(at_ms=3 * HOUR)
    assert due_ms(plan, [], NOW, NOW) == NOW + 3 * HOUR
    assert due_ms(plan, [], NOW + 3 * HOUR, NOW + 3 * HOUR) == NOW + DAY + 3 * HOUR
    assert due_ms(plan, [_record(NOW - 2 * DAY)], NOW, NOW) == NOW - 2 * DAY + 3 * HOUR


def test_a_clock_that_was_set_back_does_not_starve_the_schedule() -> None:
    """What was made in the future counts for nothing."""
    plan = Plan(every_ms=HOUR)
    assert due_ms(plan, [_record(NOW + 300 * DAY)], NOW, NOW) == NOW + HOUR


def test_a_clock_that_was_set_back_does_not_hurry_the_schedule() -> None:
    """What was made since counts, and a failure still waits, behind one of the future."""
    plan = Plan(every_ms=HOUR)
    future, made = _record(NOW + 300 * DAY), _record(NOW - 60_000)
    assert due_ms(plan, [future, made], NOW - DAY, NOW) == made.at_ms + HOUR
    failed = _record(NOW - 1_000, "failed", size=0)
    for one in (future, _record(NOW + 300 * DAY, "failed", size=0)):
        due = due_ms(plan, [one, failed], NOW - DAY, NOW)
        assert due is not None
        assert due > NOW + 4 * 60_000


def test_a_failure_is_tried_again_soon_and_then_seldom() -> None:
    """Five minutes, twice that, and an hour at most; what was good before is still the base."""
    plan = Plan(every_ms=HOUR)
    good = _record(NOW - 2 * HOUR)
    found = []
    tries: list[Record] = []
    for n in range(1, 7):
        tries.insert(0, _record(NOW - 1_000 + n, "failed", size=0))
        due = due_ms(plan, [*tries, good], NOW, NOW)
        assert due is not None
        found.append(round((due - NOW) / 60_000))
    assert found == [5, 10, 20, 40, 60, 60]


def test_of_old_ones_days_and_weeks_stay() -> None:
    """The newest of each day, then of each week; never what somebody made by hand."""
    records = [_record(NOW + 12 * HOUR - n * 12 * HOUR) for n in range(80)]
    by_hand = _record(NOW - 300 * DAY, kind="hand")
    before = _record(NOW - 301 * DAY, kind="before-restore")
    gone = {one.name for one in droppable([*records, by_hand, before], 7, 4)}
    kept = [one for one in records if one.name not in gone]
    days = {one.at_ms // DAY for one in kept}
    assert len(kept) == len(days), "one of a day"
    assert {NOW // DAY - n for n in range(7)} <= days
    assert len(kept) == 7 + 2, "and the Sundays of two weeks before the days"
    assert by_hand.name not in gone
    assert before.name not in gone


def test_nothing_goes_before_something_newer_is_proven() -> None:
    """Else a fault that came with the last release would take the last good copy."""
    bad = [_record(NOW - n * HOUR, "failed") for n in range(5)]
    assert droppable(bad, 1, 0) == []
    good = _record(NOW - 9 * HOUR)
    older = _record(NOW - 10 * HOUR)
    assert droppable([*bad, good, older], 1, 0) == [older]
    assert good not in droppable([good], 0, 0), "the last proven one stays"


def test_tries_that_made_nothing_are_forgotten_in_time() -> None:
    """The newest say why."""
    tries = [_record(NOW - n * HOUR, "failed", size=0) for n in range(30)]
    assert droppable(tries, 7, 4) == tries[20:]
