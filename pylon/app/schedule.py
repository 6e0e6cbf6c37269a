"""Schedules: five fields of a crontab and a time zone, to the slots at which a job runs.

A slot is a moment, Unix ms. Around a change of the clocks the rules are those of Debian's cron: a
job at a fixed time that the clocks skip runs right after the gap, one at a time that comes twice
runs once, and one at every hour or minute runs by the time that really passes.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_HOUR_MS = 3_600_000
#: How far back the newest slot is looked for, step by step: every minute has few in an hour, and
#: 29 February few in years.
_WINDOWS_MS = (_HOUR_MS, 24 * _HOUR_MS, 32 * 24 * _HOUR_MS, 400 * 24 * _HOUR_MS)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job runs; make it with `parse`."""

    expression: str
    zone: str

    @classmethod
    def parse(cls, expression: object, zone: object) -> Schedule:
        """Return a schedule; raises ValueError with what is wrong."""
        if len(str(expression).split()) != 5:
            raise ValueError('a schedule is five fields, such as "*/5 * * * *"')
        try:
            ZoneInfo(str(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = f'there is no time zone {zone}; they are named as in "Europe/Berlin"'
            raise ValueError(message) from None
        schedule = cls(str(expression), str(zone))
        try:
            next(schedule._slots(0))
        except CronSimError as error:
            raise ValueError(f"{expression!r} is no schedule: {error}") from None
        except StopIteration:
            raise ValueError(f"{expression!r} never comes") from None
        return schedule

    def next_after(self, unix_ms: int) -> int | None:
        """Return the first slot after a moment; None where there is none in sight."""
        return next(self._slots(unix_ms), None)

    def newest(self, after_ms: int, until_ms: int) -> int | None:
        """Return the last slot after one moment and up to another, or None."""
        for start in (*(max(after_ms, until_ms - one) for one in _WINDOWS_MS), after_ms):
            found = deque(takewhile(lambda slot: slot <= until_ms, self._slots(start)), maxlen=1)
            if found or start == after_ms:
                return found[0] if found else None
        return None

    def _slots(self, after_ms: int) -> Iterator[int]:
        start = dt.datetime.fromtimestamp(after_ms / 1000, ZoneInfo(self.zone))
        for slot in CronSim(self.expression, start):
            yield int(slot.timestamp()) * 1000
