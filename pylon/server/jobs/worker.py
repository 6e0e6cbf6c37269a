"""The worker: claims jobs as there is room, and has each of them run and ended.

A commit (`JobsDue`), the end of a job, or a due time has it go round (`rounds`). What runs one job
is `runner`; leases and the past are `keeper`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from pylon.app.definition import AppDefinition
from pylon.clock import Clock
from pylon.errors import JobLost, NotFound, PylonError
from pylon.policy.mistakes import nearest
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.jobs.attempt import Attempt, TransactionJob
from pylon.server.jobs.claims import Carried, Claimer, Claims
from pylon.server.jobs.keeper import Keeper
from pylon.server.jobs.room import Room
from pylon.server.jobs.rounds import Rounds
from pylon.server.jobs.runner import Runner
from pylon.server.jobs.slots import Slots
from pylon.server.storage import job_reads, jobs
from pylon.server.storage.database import Database
from pylon.server.storage.jobs import ClaimedJob, JobCancelled, JobsDue
from pylon.server.storage.units import FunctionWork, Unit

_log = logging.getLogger("pylon.jobs")
#: What running jobs get to end by themselves at a stop, and then to be given back.
_STOP_SECONDS: Final = 1.0
_GIVE_BACK_SECONDS: Final = 0.8


class Due(NamedTuple):
    """What comes next: when (Unix ms), and its name."""

    at_ms: int
    name: str


class Worker:
    """Runs the jobs of one runtime."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, runner: Runner, room: Room,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._definitions = definitions
        self._runner = runner
        self.room = room
        self.ended = runner.ended
        self._claimer = Claimer(runner, room, clock)
        self._clock = clock
        self._rounds = Rounds("jobs", clock, self._round, _log)
        self.running: dict[str, Attempt] = {}
        self.keeper = Keeper(database, clock, self.running, self._lost)
        self.slots = Slots(database, definitions, clock)
        #: Rises whenever a job was enqueued, begun, ended, retried or cancelled, or a queue paused.
        self.version = 0
        #: Queues that may have jobs to run now.
        self._hot: set[str] = set()
        self.paused: dict[str, int] = {}
        #: Queues of jobs that end with the batch that they are in: who asks in it finds their room.
        self._ahead: set[str] = set()
        #: Some job may be running as the database has it, and nobody runs it.
        self._has_strangers = False
        #: A claim in the commit that enqueued, until what it took is started.
        self._carried: Carried | None = None
        #: `def` jobs that are with the writer.
        self._submitted: set[asyncio.Future[list[Any]]] = set()

    # --- life

    async def start(self) -> None:
        """Void the leases of the process before this one, and begin."""
        self.paused = jobs.paused(self._database.readers.inline.raw)
        await self.keeper.void_strangers("the process that ran it ended")
        committed = await self._database.writer.submit(jobs.available_queues)
        self._hot |= committed.value
        await self.slots.start()
        self._database.writer.on_notice(self._noticed)
        self._database.writer.follow(self._claim_along)
        self.keeper.start()
        self._rounds.start()

    async def stop(self) -> None:
        """Start nothing more, and give back what does not end within a moment."""
        await self._rounds.stop()
        with suppress(PylonError):  # started, to be ended or given back
            await self._take_carried()
        ends: set[asyncio.Future[Any]] = {*self._submitted}
        ends.update(one.task for one in self.running.values() if one.task is not None)
        if ends:
            await asyncio.wait(ends, timeout=_STOP_SECONDS)
        left = list(self.running.values())
        for attempt in left:
            self._stop_attempt(attempt, "stopped")
        try:
            if left:
                async with asyncio.timeout(_GIVE_BACK_SECONDS):
                    await self._database.writer.submit(
                        lambda transaction: [jobs.release(transaction, one.job) for one in left]
                    )
        finally:  # what is not given back, the next process finds
            await self.keeper.stop()

    def _noticed(self, notice: object) -> None:
        self.version += 1
        match notice:
            case JobsDue(queue, due_ms):
                if due_ms > self._clock.now_ms():
                    self._rounds.wake_by(due_ms)
                elif self._carried is None or not self._carried.covers(queue):
                    self._hot.add(queue)
                    self._rounds.wake()
            case JobCancelled(job_id):
                attempt = self.running.get(job_id)
                if attempt is not None:
                    self._stop_attempt(attempt, "cancelled")
            case _:
                pass

    def _stop_attempt(self, attempt: Attempt, why: str) -> None:
        attempt.stopped = why
        if attempt.task is not None:
            attempt.task.cancel()

    def _lost(self) -> None:
        self._has_strangers = True
        self._rounds.wake()

    def app_reloaded(self) -> None:
        """Look at the schedules of the new definition; jobs under way keep theirs."""
        self.slots.forget()
        self._hot |= self.known_queues()
        self._rounds.wake()

    def known_queues(self) -> set[str]:
        """Return the queues that the app's functions and the runtime's own jobs name."""
        options = [one.job for one in self._definitions.current.functions.values()]
        options += [one.options for one in self._runner.system_jobs.values()]
        return {one.queue for one in options if one is not None}

    async def set_paused(self, queue: str, *, is_paused: bool) -> None:
        """Pause a queue, over restarts too, or have it go on; what runs ends.

        Raises NotFound for a name that no function, setting, job or pause has.
        """
        known = self.known_queues() | self.room.named | self.paused.keys()
        if queue not in known:
            known |= jobs.queues(self._database.readers.inline.raw)
        if queue not in known:
            raise NotFound(f"there is no queue {queue}", hint=nearest(queue, sorted(known)))
        change = jobs.pause if is_paused else jobs.resume
        await self._database.writer.submit(lambda transaction: change(transaction, queue))
        self.paused = jobs.paused(self._database.readers.inline.raw)
        self.version += 1
        self._rounds.wake()

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing runs, and nothing would without time passing."""
        waiting = self._hot - self.paused.keys()
        return not (self.running or waiting or self._rounds.is_due or self._carried is not None)

    # --- a clock that is warped

    async def will_warp(self) -> None:
        """Note that time goes ahead by no clock's fault."""
        await self.slots.will_warp()

    def time_moved(self) -> None:
        """Look at what is due: the wall time is another, and no timer knows."""
        self._rounds.time_moved()

    def next_due(self) -> Due | None:
        """Return the next job or slot that waits for its time; one may have come by now."""
        found = job_reads.next_scheduled(self._database.readers.inline.raw)
        slots = [
            (at_ms, name) for name, at_ms in self.slots.upcoming().items() if at_ms is not None
        ]
        return min([Due(*one) for one in (*slots, *(() if found is None else (found,)))],
                   default=None)  # fmt: skip

    def is_quiet(self, without: Set[str]) -> bool:
        """Tell whether nothing runs but these jobs, and no round is due.

        What waits for room, or for the rate of its queue, does not count.
        """
        is_round = self._rounds.is_due or self._carried is not None
        return not is_round and self.running.keys() <= without

    async def round_over(self) -> None:
        """Return when the next round is over."""
        await self._rounds.over()

    # --- claiming

    async def _round(self) -> None:
        """Fire what is due, claim what there is room for, start it, and set the timer."""
        await self._take_carried()
        if self._has_strangers:
            await self.keeper.void_strangers("its lease ended")
            self._has_strangers = False
        next_slot = await self.slots.fire()
        definition = self._definitions.current
        now = self._clock.monotonic()
        asked = {
            queue
            for queue in self._hot - self.paused.keys()
            if queue in self._ahead or self.room.free(queue, now) > 0
        }
        self._ahead.clear()
        self._hot -= asked  # from here on it is told of what comes
        try:
            claims = await self._claim(definition, asked)
        except PylonError:
            # Whether it was committed is not known: what is claimed and not ours is ended.
            self._hot |= asked
            self._has_strangers = True
            raise
        self._take(claims, definition)
        if self._ahead or claims.has_more_due:
            self._rounds.wake()  # and that one sets the timer
            return
        # Read now, and nothing awaited after: what is enqueued from here on sets the timer itself.
        next_due = jobs.next_due(self._database.readers.inline.raw)
        waits = [self.room.wait_s(queue, self._clock.monotonic()) for queue in self._hot]
        soon = [self._clock.now_ms() + int(one * 1000) + 1 for one in waits if one is not None]
        due = [one for one in (next_due, next_slot, *soon) if one is not None]
        self._rounds.wake_next(min(due, default=None))

    async def _claim(self, definition: AppDefinition, asked: set[str]) -> Claims:
        if not asked and not self._has_due():
            return Claims([], set(), self._clock.monotonic())
        work = self._claimer.claiming(definition, asked, self.paused)
        claims: Claims = (await self._database.writer.submit(work)).value
        return claims

    def _claim_along(self, notices: list[object]) -> Unit | None:
        """Claim what a batch enqueues in its own commit: one sync later is a good part of a wait.

        Not while a round claims: that one hears of it after the commit.
        """
        if self._rounds.is_on or self._rounds.is_stopping or self._carried is not None:
            return None
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        due = {it.queue for it in notices if isinstance(it, JobsDue) and it.due_ms <= now_ms}
        asked = {one for one in due - self.paused.keys() if self.room.free(one, now) > 0}
        if not asked:
            return None
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: self._rounds.wake())
        self._carried = Carried(future, asked, self._definitions.current)
        work = FunctionWork(
            self._claimer.claiming(self._carried.definition, asked, self.paused), None
        )
        return Unit((work,), future, is_group=False)

    async def _take_carried(self) -> None:
        """Start what was claimed in the commit that enqueued it."""
        carried = self._carried
        if carried is None:
            return
        try:
            claims: Claims = (await carried.future).value
        except PylonError:
            self._hot |= carried.asked
            self._has_strangers = True
            raise
        finally:
            self._carried = None
        self._take(claims, carried.definition)

    def _take(self, claims: Claims, definition: AppDefinition) -> None:
        """Start what was claimed."""
        self._hot |= claims.hot
        transactions: list[Attempt] = []
        for job, identity in claims.jobs:
            attempt = self._begin(job, definition, claims.at)
            if not self._runner.is_transaction(definition, job.name):
                self._start(attempt, partial(self._runner.run, attempt, definition, identity))
                continue
            transactions.append(attempt)
            if job.queue in claims.hot:
                self._ahead.add(job.queue)
        for works, future in self._runner.submit(transactions, definition):
            self._submitted.add(future)
            future.add_done_callback(partial(self._settle, works))

    def _has_due(self) -> bool:
        due = jobs.next_due(self._database.readers.inline.raw)
        return due is not None and due <= self._clock.now_ms()

    # --- running

    def _begin(self, job: ClaimedJob, definition: AppDefinition, at: float) -> Attempt:
        """Count a job that was claimed at a moment (monotonic) as running."""
        attempt = self._claimer.attempt(job, definition, at)
        self.version += 1
        self.running[job.id] = attempt
        self.room.start(job.queue, self._clock.monotonic())
        self.keeper.watch()
        return attempt

    def _settle(self, works: list[TransactionJob], done: asyncio.Future[list[Any]]) -> None:
        """Take the outcomes of `def` jobs."""
        self._submitted.discard(done)
        failure = done.exception()
        outcomes = done.result() if failure is None else [failure] * len(works)
        for work, outcome in zip(works, outcomes, strict=True):
            rest = None
            try:
                rest = self._runner.settle(work, outcome)
            except JobLost:  # whoever cancels has ended it
                self._has_strangers |= work.attempt.stopped != "cancelled"
            if rest is None:
                self._end(work.attempt)
            else:
                self._start(work.attempt, rest)

    def _start(self, attempt: Attempt, work: Callable[[], Awaitable[None]]) -> None:
        """Have a task of its own do what takes waiting."""
        attempt.task = asyncio.get_running_loop().create_task(
            self._run_one(attempt, work), name=f"pylon-job-{attempt.job.name}"
        )

    async def _run_one(self, attempt: Attempt, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            if attempt.stopped is None:
                raise
        except JobLost:
            self._has_strangers = True
        except Exception:  # noqa: BLE001 -- one job's end must not end the others
            self._has_strangers = True
            _log.exception("job.end_failed %s %s", attempt.job.name, attempt.job.id)
        finally:
            self._end(attempt)

    def _end(self, attempt: Attempt) -> None:
        self.version += 1
        attempt.stopped = attempt.stopped or "ended"
        if self.running.get(attempt.job.id) is attempt:
            del self.running[attempt.job.id]
        self.room.end(attempt.job.queue)
        self._rounds.wake()
