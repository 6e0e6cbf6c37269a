"""Claiming: which jobs a transaction takes, by the bounds that hold in it, and whose they are.

What is claimed is begun by the worker, once the claim is committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from pylon import limits
from pylon.app.definition import AppDefinition
from pylon.app.jobs import JobOptions
from pylon.clock import Clock
from pylon.errors import Unauthenticated
from pylon.identity import Identity
from pylon.server.functions.authorize import fresh_identity
from pylon.server.jobs.attempt import Attempt, Failure
from pylon.server.jobs.room import Room
from pylon.server.jobs.runner import Runner
from pylon.server.storage import jobs
from pylon.server.storage.jobs import ClaimedJob
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.jobs")
#: Scheduled jobs that one transaction makes available.
_DUE_AT_ONCE: Final = 500


@dataclass(slots=True)
class Claims:
    """What one claiming transaction found."""

    jobs: list[tuple[ClaimedJob, Identity | None]]
    #: Queues that may have more to run.
    hot: set[str]
    #: When the lease began, by the monotonic clock.
    at: float
    #: More jobs may be due than one transaction made available.
    has_more_due: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """A claim that is in the batch that enqueued."""

    future: asyncio.Future[Any]
    asked: set[str]
    definition: AppDefinition

    def covers(self, queue: str) -> bool:
        """Tell whether what the commit under way tells of a queue is claimed in it."""
        return queue in self.asked and not self.future.done()


class Claimer:
    """Makes the work of claiming transactions."""

    def __init__(self, runner: Runner, room: Room, clock: Clock) -> None:
        self._runner = runner
        self._room = room
        self._clock = clock

    def claiming(
        self, definition: AppDefinition, asked: set[str], paused: Collection[str]
    ) -> Callable[[Transaction], Claims]:
        """Return what claims from these queues, and makes available what is due."""

        def work(transaction: Transaction) -> Claims:
            found = Claims([], set(), self._clock.monotonic())
            promoted, found.has_more_due = jobs.promote(transaction, at_most=_DUE_AT_ONCE)
            found.hot |= promoted & set(paused)
            # As the table has it now: what ended in this batch has left its room.
            counts = jobs.running_counts(transaction)
            left = limits.JOBS_RUNNING_MAX - sum(count for *_, count in counts)
            names = _left_by_name(definition, counts)
            for queue in asked | (promoted - set(paused)):
                running = sum(count for one, _, count in counts if one == queue)
                bounds = self._room.bounds(queue)
                free = min(bounds.concurrency - running, self._room.may_start(queue, found.at))
                at_most = min(free, left)
                if at_most <= 0:
                    found.hot.add(queue)
                    continue
                claimed, has_more = jobs.claim(transaction, queue, at_most, names)
                for one in claimed:
                    if one.name in names:
                        names[one.name] -= 1
                    self._admit(transaction, definition, one, found)
                left -= len(claimed)
                if has_more:
                    found.hot.add(queue)
            return found

        return work

    def _admit(
        self, transaction: Transaction, definition: AppDefinition, job: ClaimedJob, found: Claims
    ) -> None:
        """Take a claimed job, with who its caller is now; one whose caller is gone is dead."""
        if not self._runner.runs_as_caller(definition, job.name):
            found.jobs.append((job, None))
            return
        attempt = self.attempt(job, definition, found.at)
        try:
            found.jobs.append((job, fresh_identity(transaction, attempt.identity())))
        except Unauthenticated as gone:
            Failure.of(gone).store(transaction, attempt, 0.0)
            _log.error("job.dead %s %s: %s", job.name, job.id, gone.message)

    def attempt(self, job: ClaimedJob, definition: AppDefinition, at: float) -> Attempt:
        """Return the attempt that a claim of a moment (monotonic) is."""
        options = self._runner.options(definition, job.name) or JobOptions()
        return Attempt(job, options, self._clock.monotonic, at + limits.JOB_LEASE_SECONDS)


def _left_by_name(definition: AppDefinition, counts: list[tuple[str, str, int]]) -> dict[str, int]:
    """Return how many more may run of each function that has a bound of its own."""
    left = {
        one.name: one.job.concurrency
        for one in definition.functions.values()
        if one.job is not None and one.job.concurrency is not None
    }
    for _, name, count in counts:
        if name in left:
            left[name] = max(left[name] - count, 0)
    return left
