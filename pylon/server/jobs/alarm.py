"""One timer for the next thing that is due; none where nothing is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pylon import limits
from pylon.clock import Clock


class Alarm:
    """Calls back at a wall time, and before it at the latest once a minute.

    Sleeping is by monotonic time and being due by the machine's clock, which somebody may set: so
    the sleeper looks again.
    """

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due_ms: int | None = None
        self._task: asyncio.Task[None] | None = None

    def set(self, due_ms: int | None) -> None:
        """Ring at this Unix time instead of any other; None: never."""
        if due_ms == self._due_ms and (due_ms is None or self._task is not None):
            return
        self._due_ms = due_ms
        self._cancel()
        if due_ms is not None:
            self._task = asyncio.get_running_loop().create_task(
                self._sleep(due_ms), name="pylon-jobs-alarm"
            )

    def set_earlier(self, due_ms: int) -> None:
        """Ring at this Unix time, unless it rings before."""
        if self._due_ms is None or due_ms < self._due_ms:
            self.set(due_ms)

    async def _sleep(self, due_ms: int) -> None:
        seconds = (due_ms - self._clock.now_ms()) / 1000
        await self._clock.sleep(max(0.0, min(seconds, limits.JOB_TIMER_SECONDS)))
        self._task = self._due_ms = None
        self._ring()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def stop(self) -> None:
        """Ring no more."""
        self.set(None)
