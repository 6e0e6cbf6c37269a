"""Time, handed in: the `Clock` protocol, what reads the machine's clocks, and what warps them.

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

    def machine_ms(self) -> int:
        """Return the machine's wall time as Unix milliseconds, which nobody warps.

        For what the world outside counts by: ids that others mint, their tokens, files.
        """
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

    def machine_ms(self) -> int:
        """Return the same."""
        return self.now_ms()

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)


class WarpedClock:
    """Another clock's time plus what it was warped by; durations are the other clock's.

    Only the wall time jumps: what waits for so many seconds (heartbeats, timeouts, leases) waits
    for them, and nobody's socket is cut because a week went by.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        #: How far the time is ahead of the machine's.
        self.offset_ms = 0

    def now_ms(self) -> int:
        """Return the warped wall time as Unix milliseconds."""
        return self._machine.now_ms() + self.offset_ms

    def machine_ms(self) -> int:
        """Return the wall time that was not warped, as Unix milliseconds."""
        return self._machine.machine_ms()

    def monotonic(self) -> float:
        """Return the other clock's monotonic seconds."""
        return self._machine.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many of the other clock's seconds."""
        await self._machine.sleep(seconds)

    def jump_to(self, unix_ms: int) -> None:
        """Have it be a moment that lies ahead; one that has passed changes nothing."""
        self.offset_ms += max(0, unix_ms - self.now_ms())

    def reset(self) -> None:
        """Have it be the other clock's time again."""
        self.offset_ms = 0


def iso_ms(unix_ms: int) -> str:
    """Return Unix milliseconds as the wire's one form of time: `2026-11-23T12:00:00.000Z`."""
    days, in_day = divmod(unix_ms, MILLISECONDS_PER_DAY)
    seconds, ms = divmod(in_day, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    year, month, day = _civil_from_days(days)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}Z"


def ahead_text(offset_ms: int) -> str:
    """Return how far a warped clock is ahead: `7 d 01:00:00 ahead`; nothing for not at all."""
    if not offset_ms:
        return ""
    minutes, second = divmod(offset_ms // 1000, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days} d ' if days else ''}{hour:02d}:{minute:02d}:{second:02d} ahead"


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
