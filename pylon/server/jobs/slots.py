"""Schedules: each slot has one run, over restarts, jumps of the clock and changes of summer time.

Of the slots that were missed while the app was down, or while the clock jumped ahead, the newest
has its run, once, and those before it have none. A slot is skipped while the run of an earlier one
has not begun yet. Where the clock goes back, slots that had their run have none again.

In development time may be warped: slots that it took are taken for as long as the process lives,
however far ahead they were, and the next start counts from its own time on.
"""

from __future__ import annotations

import logging
from typing import Final

from pylon.app.functions import Function
from pylon.clock import Clock, iso_ms
from pylon.identity import SYSTEM
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.storage import jobs, schedules
from pylon.server.storage.database import Database
from pylon.server.storage.jobs import NewJob
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.jobs")
#: A last slot so far ahead of the time was taken by a clock that was wrong.
_WRONG_CLOCK_MS: Final = 25 * 3_600_000


class Slots:
    """The schedules of the current definition."""

    def __init__(self, database: Database, definitions: DefinitionHolder, clock: Clock) -> None:
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._last: dict[str, int] = {}
        #: Time was warped: a last slot far ahead is no clock's fault.
        self._is_warped = False
        #: The next slot of each schedule; None until it was worked out.
        self._next: dict[str, int | None] | None = None

    async def start(self) -> None:
        """Read which slots had their runs."""
        now = self._clock.now_ms()
        await self._database.writer.submit(lambda tx: schedules.end_warp(tx, now))
        self._last = schedules.last_slots(self._database.readers.inline.raw)
        self.forget()

    async def will_warp(self) -> None:
        """Note, for the next process too, that time is warped."""
        if not self._is_warped:
            await self._database.writer.submit(schedules.note_warp)
            self._is_warped = True

    def forget(self) -> None:
        """Work the next slots out anew."""
        self._next = None

    def _scheduled(self) -> list[Function]:
        return [
            one for one in self._definitions.current.functions.values()
            if one.job is not None and one.job.schedule is not None
        ]  # fmt: skip

    def upcoming(self) -> dict[str, int | None]:
        """Return the next slot of each schedule by name, Unix ms."""
        return dict(self._next or {})

    async def fire(self) -> int | None:
        """Enqueue the runs of slots that have come; returns when the next one comes, Unix ms."""
        now = self._clock.now_ms()
        if self._next is None or any(one is not None and one <= now for one in self._next.values()):
            for function in self._scheduled():
                await self._fire_one(function, now)
            self._next = {}
            for one in self._scheduled():
                assert one.job is not None
                assert one.job.schedule is not None
                self._next[one.name] = one.job.schedule.next_after(max(now, self._last[one.name]))
        return min((one for one in self._next.values() if one is not None), default=None)

    async def _fire_one(self, function: Function, now: int) -> None:
        assert function.job is not None
        assert function.job.schedule is not None
        last = self._last.get(function.name)
        if last is None or (last > now + _WRONG_CLOCK_MS and not self._is_warped):
            await self._count_from(function.name, now)
            return
        slot = function.job.schedule.newest(last, now)
        if slot is None:
            return
        job_id = self._database.new_id()

        def work(transaction: Transaction) -> bool:
            if not schedules.take_slot(transaction, function.name, slot):
                return True
            if schedules.has_unbegun(transaction, function.name):
                return False
            assert function.job is not None
            transaction.cause = f"cron:{iso_ms(slot)}"
            jobs.enqueue(
                transaction,
                NewJob(
                    id=job_id, name=function.name, queue=function.job.queue, args="{}",
                    identity=SYSTEM, retries=function.job.retries,
                ),
            )  # fmt: skip
            return True

        if not (await self._database.writer.submit(work)).value:
            _log.warning("cron.skipped %s at %s: the run before it has not begun yet",
                         function.name, iso_ms(slot))  # fmt: skip
        self._last[function.name] = slot

    async def _count_from(self, name: str, now: int) -> None:
        """Have a schedule's slots count from a moment on."""
        await self._database.writer.submit(
            lambda transaction: schedules.set_slot(transaction, name, now)
        )
        self._last[name] = now
