"""Time, handed in: the `Clock` protocol and the one that reads the machine's clocks.

Nothing else in Pylon reads a clock. Wall time informs and never orders anything (I14);
durations are measured with `monotonic`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

MILLISECONDS_PER_DAY = 86_400_000


class Clock(Protocol):
    """What tells the time: Unix milliseconds, monotonic seconds, and a sleep between them."""

    def now_ms(self) -> int:
        """Return the wall time as Unix milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of monotonic time."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """Return the wall time as Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)


def iso_ms(unix_ms: int) -> str:
    """Return Unix milliseconds as the wire's one form of time: `2026-11-23T12:00:00.000Z`."""
    days, in_day = divmod(unix_ms, MILLISECONDS_PER_DAY)
    seconds, ms = divmod(in_day, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    year, month, day = _civil_from_days(days)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}Z"


def _civil_from_days(days: int) -> tuple[int, int, int]:
    """Return (year, month, day) of a day count since 1970-01-01.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (proleptic Gregorian).
    """
    days += 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + era * 400 + (1 if month <= 2 else 0), month, day
