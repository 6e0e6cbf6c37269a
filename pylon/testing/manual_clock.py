"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from typing import Final

#: 2026-01-01T00:00:00.000Z.
START_MS: Final = 1_767_225_600_000
#: The last of any advance passes step by step.
_STEPWISE_SECONDS: Final = 60.0
_BETWEEN_SECONDS: Final = 5.0


class ManualClock:
    """Time that `advance` moves; sleepers wake in the order of their time."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._start_ms = start_ms
        self._elapsed = 0.0
        self._count = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Return the wall time as Unix milliseconds."""
        return self._start_ms + round(self._elapsed * 1000)

    def machine_ms(self) -> int:
        """Return the same: what warps a clock stands above this one."""
        return self.now_ms()

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._count), waiter))
        await waiter

    async def advance(
        self, seconds: float, between: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Move time on, waking whoever's time has come, each at its own moment.

        A long time passes in one leap, as for a machine that slept: who has slept through it
        wakes once. `between` is awaited after the leap, and then every few seconds of the time
        that passes: for what takes real time, of which this clock knows nothing.
        """
        paused = self._elapsed
        end = self._elapsed + seconds
        if seconds > _STEPWISE_SECONDS:
            self._elapsed = end - _STEPWISE_SECONDS
            for _ in range(len(self._sleepers)):
                if self._sleepers[0][0] <= self._elapsed:
                    await self._wake_next()
        while self._sleepers and self._sleepers[0][0] <= end:
            if between is not None and self._elapsed - paused > _BETWEEN_SECONDS:
                paused = self._elapsed
                await between()
            await self._wake_next()
        self._elapsed = end

    async def advance_to_next(self) -> bool:
        """Move on to the next sleeper's time; False where nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return False
        await self._wake_next()
        return True

    async def _wake_next(self) -> None:
        when, _, waiter = heapq.heappop(self._sleepers)
        self._elapsed = max(self._elapsed, when)
        if not waiter.done():
            waiter.set_result(None)
            # Who wakes may go to sleep again before the time that is being moved to.
            for _ in range(3):
                await asyncio.sleep(0)
