"""Keeps leases: extends those of running jobs, ends those that nobody kept, forgets old jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from pylon import limits
from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.server.jobs.attempt import Attempt
from pylon.server.jobs.states import JobState, after_loss
from pylon.server.storage import jobs
from pylon.server.storage.database import Database
from pylon.server.storage.forgetting import AT_ONCE, keep_forgetting
from pylon.server.storage.jobs import ClaimedJob
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.jobs")
#: How often it is looked at what runs: progress is stored so often, and leases end so late.
_LOOK_SECONDS: Final = 1.0


class Keeper:
    """The leases of one worker. Its timers run only while there is something to keep."""

    def __init__(
        self, database: Database, clock: Clock, running: dict[str, Attempt],
        on_lost: Callable[[], None],
    ) -> None:  # fmt: skip
        self._database = database
        self._clock = clock
        self._running = running
        self._on_lost = on_lost
        self._beat: asyncio.Task[None] | None = None
        self._cleaner: asyncio.Task[None] | None = None
        self._stored: dict[str, object] = {}

    def start(self) -> None:
        """Begin to forget old jobs."""
        self._cleaner = asyncio.get_running_loop().create_task(
            keep_forgetting(
                self._database, self._clock, lambda it: jobs.forget(it, at_most=AT_ONCE), _log
            ),
            name="pylon-jobs-forget",
        )

    async def stop(self) -> None:
        """Keep nothing more."""
        tasks = [one for one in (self._beat, self._cleaner) if one is not None]
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def watch(self) -> None:
        """Keep the leases of what runs until nothing does."""
        if self._beat is None or self._beat.done():
            self._beat = asyncio.get_running_loop().create_task(
                self._keep(), name="pylon-jobs-leases"
            )

    # --- leases

    async def _keep(self) -> None:
        beat_s = limits.JOB_LEASE_SECONDS / 3
        next_beat = self._clock.monotonic() + beat_s
        while True:
            await self._clock.sleep(min(_LOOK_SECONDS, beat_s))
            if not self._running:
                self._stored.clear()
                return
            try:
                self._end_expired()
                if self._clock.monotonic() >= next_beat:
                    next_beat = self._clock.monotonic() + beat_s
                    await self._extend()
                await self._store_progress()
            except PylonError as error:  # nothing can be written: leases end by themselves
                _log.warning("jobs.leases_not_kept %s", error.message)

    async def _extend(self) -> None:
        held = {one.job.id: one for one in self._running.values() if one.is_held}
        if not held:
            return
        began = self._clock.monotonic()
        pairs = [(one.job.id, one.job.token) for one in held.values()]
        kept = (
            await self._database.writer.submit(lambda transaction: jobs.extend(transaction, pairs))
        ).value
        for job_id in kept:
            # From before the commit on: what the database says ends later than what we go by.
            held[job_id].expires_at = began + limits.JOB_LEASE_SECONDS

    def _end_expired(self) -> None:
        """End attempts whose lease is over, as after a stop of the whole process (SIGSTOP)."""
        over = [
            one for one in self._running.values()
            if one.stopped is None and self._clock.monotonic() >= one.expires_at
        ]  # fmt: skip
        for attempt in over:
            attempt.stopped = "lost"
            if attempt.task is not None:
                attempt.task.cancel()
        if over:
            self._on_lost()

    async def _store_progress(self) -> None:
        told = [
            one for one in self._running.values()
            if one.progress is not None and self._stored.get(one.job.id) is not one.progress
        ]  # fmt: skip
        if not told:
            return

        def work(transaction: Transaction) -> None:
            for one in told:
                if one.progress is not None:
                    jobs.note_progress(transaction, one.job.id, one.job.token, *one.progress)

        for one in told:
            self._stored[one.job.id] = one.progress
        await self._database.writer.submit(work)

    # --- what nobody holds

    async def void_strangers(self, why: str) -> None:
        """End the leases that nobody of this worker has: of a process before it, or lost since.

        One process owns the folder, so whoever else had one is gone.
        """

        def work(transaction: Transaction) -> list[ClaimedJob]:
            strangers = [
                one for one in jobs.running(transaction)
                if (ours := self._running.get(one.id)) is None
                or ours.job.token != one.token
                or ours.stopped is not None
            ]  # fmt: skip
            for one in strangers:
                _end_lost(transaction, one, why)
            return strangers

        for one in (await self._database.writer.submit(work)).value:
            _log.warning("job.lost %s %s: %s", one.name, one.id, why)

    # --- the past


def _end_lost(transaction: Transaction, job: ClaimedJob, why: str) -> None:
    verdict = after_loss(attempt=job.attempt, retries=job.retries, now_ms=transaction.now_ms)
    error = f"{why} in attempt {job.attempt} of {job.retries + 1}"
    jobs.end_attempt(transaction, job, verdict.state.value, verdict.due_ms, error)
    if verdict.state is JobState.DEAD:
        _log.error("job.dead %s %s: %s", job.name, job.id, error)
