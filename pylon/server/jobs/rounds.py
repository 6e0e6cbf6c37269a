"""Rounds of work: one at a time, when something woke them, and for as long as nothing stops them.

The worker of jobs and the engine of workflows go by it: woken by commits, by the end of what they
run, and by one timer for the next due time; they never look on their own account.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from pylon.clock import Clock
from pylon.errors import Unavailable
from pylon.server.jobs.alarm import Alarm

#: After a round that failed, and while nothing can be written.
AGAIN_SECONDS: Final = 1.0


class Rounds:
    """Runs `work` once for whatever woke it."""

    def __init__(
        self, name: str, clock: Clock, work: Callable[[], Awaitable[None]], log: logging.Logger
    ) -> None:
        """Make them, not started.

        Args:
            name: what they are of, as the log has it (`NAME.round_failed`).
            clock: the time.
            work: one round.
            log: where a round that failed is told.
        """
        self._name = name
        self._clock = clock
        self._work = work
        self._log = log
        self._wake = asyncio.Event()
        self._alarm = Alarm(clock, self._wake.set)
        #: One is under way.
        self.is_on = False
        self.is_stopping = False
        #: Who waits for the end of the next round.
        self._watchers: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with a round; owned by this object until `stop()`."""
        self._wake.set()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"pylon-{self._name}")

    async def stop(self) -> None:
        """Begin no round more; returns when the one under way is over."""
        self.is_stopping = True
        self._wake.set()
        self._alarm.stop()
        if self._task is not None:
            await self._task

    def wake(self) -> None:
        """Have there be a round."""
        self._wake.set()

    def wake_by(self, due_ms: int) -> None:
        """Have there be a round at this Unix time, or before."""
        if not self.is_stopping:
            self._alarm.set_earlier(due_ms)

    def wake_next(self, due_ms: int | None) -> None:
        """Have the next round be at this Unix time, whatever was said before; None: when woken."""
        if not self.is_stopping:
            self._alarm.set(due_ms)

    @property
    def is_due(self) -> bool:
        """Tell whether a round is under way, or the next thing to come."""
        return self.is_on or self._wake.is_set()

    def time_moved(self) -> None:
        """Look at what is due: the wall time is another, and no timer knows."""
        self._alarm.set(None)
        self._wake.set()

    async def over(self) -> None:
        """Return when the next round is over."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(waiter)
        await waiter

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self.is_on = True
            # One more pass of the loop: what ends in it leaves room for this round.
            await asyncio.sleep(0)
            if self.is_stopping:
                self.is_on = False
                return
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 -- without this task nothing ever runs again
                if not isinstance(error, Unavailable):
                    self._log.exception("%s.round_failed", self._name)
                self.is_on = False
                await self._clock.sleep(AGAIN_SECONDS)
                self._wake.set()
            self.is_on = False
            watchers, self._watchers = self._watchers, []
            for one in watchers:
                if not one.done():
                    one.set_result(None)
