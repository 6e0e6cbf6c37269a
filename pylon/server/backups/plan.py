"""When the next backup is due, and which old ones may go. Pure: times are Unix ms of the machine.

A day is one of UTC, a week begins on Monday. What was made by hand, or before something final, is
never dropped by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pylon import limits_keeping
from pylon.server.backups.records import Record

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_WEEK_MS: Final = 7 * _DAY_MS
#: 1970-01-01 was a Thursday.
_MONDAY_MS: Final = 4 * _DAY_MS
_EVERY: Final = re.compile(r"([1-9][0-9]{0,4})(m|h|d)\Z", re.ASCII)
_AT: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z", re.ASCII)
_UNITS: Final = {"m": _MINUTE_MS, "h": 60 * _MINUTE_MS, "d": _DAY_MS}
_RETRY_MS: Final = 5 * _MINUTE_MS
_RETRY_MS_MAX: Final = 60 * _MINUTE_MS


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule: an interval, or a time of the day; with neither there is none."""

    every_ms: int | None = None
    at_ms: int | None = None

    @property
    def text(self) -> str:
        """Return it in words; empty where there is none."""
        if self.every_ms is not None:
            return f"every {_duration(self.every_ms)}"
        if self.at_ms is None:
            return ""
        hour, minute = divmod(self.at_ms // _MINUTE_MS, 60)
        return f"daily at {hour:02d}:{minute:02d} UTC"


def parse_every(text: str) -> int | None:
    """Return an interval in ms, None for an empty text; raises ValueError."""
    if not text:
        return None
    found = _EVERY.match(text)
    if found is None:
        raise ValueError("it is a number and m, h or d, such as 6h")
    return int(found[1]) * _UNITS[found[2]]


def parse_at(text: str) -> int | None:
    """Return a time of the day in ms, None for an empty text; raises ValueError."""
    if not text:
        return None
    found = _AT.match(text)
    if found is None:
        raise ValueError("it is a time of the day (UTC), such as 03:00")
    return (int(found[1]) * 60 + int(found[2])) * _MINUTE_MS


def due_ms(plan: Plan, records: Sequence[Record], since_ms: int, now_ms: int) -> int | None:
    """Return when the next scheduled backup is due; None where there is no schedule.

    Args:
        plan: the schedule.
        records: what there is, the newest first.
        since_ms: when the schedule came into force, where no scheduled backup is older.
        now_ms: the machine's time.

    A machine that was off at the time makes one as soon as it is on. After a failure it is tried
    again in minutes, then in an hour. A clock that was set back neither starves nor hurries it:
    what is of the future counts for nothing.
    """
    tries = [one for one in records if one.kind == "scheduled" and one.at_ms <= now_ms]
    good = next((one.at_ms for one in tries if one.state != "failed"), None)
    base = since_ms if good is None else good
    due = _slot_after(plan, base)
    if due is None:
        return None
    failures = 0
    for one in tries:
        if one.state != "failed":
            break
        failures += 1
    if failures:
        wait = min(_RETRY_MS * 2 ** (failures - 1), _RETRY_MS_MAX)
        due = max(due, tries[0].at_ms + wait)
    return due


def _slot_after(plan: Plan, base_ms: int) -> int | None:
    if plan.every_ms is not None:
        return base_ms + plan.every_ms
    if plan.at_ms is None:
        return None
    slot = base_ms - base_ms % _DAY_MS + plan.at_ms
    return slot if slot > base_ms else slot + _DAY_MS


def droppable(records: Sequence[Record], keep_daily: int, keep_weekly: int) -> list[Record]:
    """Return the scheduled backups that may go.

    Of each of the newest days and weeks that have one, the newest proven one stays; so does the
    last proven backup, whatever its age. Nothing goes while no scheduled one is proven.

    Args:
        records: what there is, the newest first.
        keep_daily: days.
        keep_weekly: weeks.
    """
    # Of what failed: the newest say why, the others say nothing more.
    tries = [one for one in records if one.state == "failed" and one.bytes == 0]
    gone = tries[limits_keeping.BACKUPS_FAILED_KEPT_MAX :]
    scheduled = [one for one in records if one.kind == "scheduled" and one.bytes]
    proven = [one for one in scheduled if one.state == "proven"]
    if not proven:
        return gone
    kept = {proven[0].name}
    for size, start, count in ((_DAY_MS, 0, keep_daily), (_WEEK_MS, _MONDAY_MS, keep_weekly)):
        newest: dict[int, str] = {}
        for one in proven:
            newest.setdefault((one.at_ms - start) // size, one.name)
        kept |= set(list(newest.values())[:count])
    return gone + [
        one for one in scheduled if one.name not in kept and one.at_ms <= proven[0].at_ms
    ]


def _duration(ms: int) -> str:
    for unit in ("d", "h", "m"):
        if ms % _UNITS[unit] == 0:
            return f"{ms // _UNITS[unit]} {unit}"
    raise AssertionError("intervals are whole minutes")
