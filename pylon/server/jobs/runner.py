"""Runs one attempt from its claim to its end, whatever happens to it on the way.

What the app's code throws is the job's failure; what the storage throws is tried again while the
lease lasts, because nobody can know whether the end was stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.jobs import JobOptions
from pylon.clock import Clock, iso_ms
from pylon.errors import JobLost, NotFound, PylonError, Unavailable
from pylon.identity import Identity
from pylon.ids import IdSource
from pylon.server.calls import Call, inside
from pylon.server.functions.executor import Executor
from pylon.server.jobs.attempt import (
    Attempt,
    Failure,
    JobActionContext,
    TransactionJob,
    result_text,
    run_coroutine,
)
from pylon.server.jobs.states import JobState, Verdict
from pylon.server.observe import Observer
from pylon.server.storage import completions
from pylon.server.storage.apart import Apart
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

T = TypeVar("T")
_log = logging.getLogger("pylon.jobs")
_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class SystemJob:
    """A job of the runtime's own: `run(job id, arguments)`."""

    run: Callable[[str, dict[str, Any]], Awaitable[Any]]
    options: JobOptions


class Runner:
    """Runs attempts; one per runtime."""

    def __init__(
        self, database: Database, executor: Executor, clock: Clock, ids: IdSource,
        observer: Observer, system_jobs: Mapping[str, SystemJob],
    ) -> None:  # fmt: skip
        self._database = database
        self._executor = executor
        self._clock = clock
        self._ids = ids
        self._observer = observer
        self.system_jobs = system_jobs
        #: Attempts that have ended since the start.
        self.ended = {"completed": 0, "failed": 0}

    def options(self, definition: AppDefinition, name: str) -> JobOptions | None:
        """Return how a job is run; None where there is none of this name."""
        ours = self.system_jobs.get(name)
        if ours is not None:
            return ours.options
        function = definition.functions.get(name)
        return None if function is None else function.job

    def is_transaction(self, definition: AppDefinition, name: str) -> bool:
        """Tell whether it runs and ends in one transaction: a `def` of the app's."""
        function = definition.functions.get(name)
        return function is not None and function.job is not None and not function.job.is_coroutine

    def runs_as_caller(self, definition: AppDefinition, name: str) -> bool:
        """Tell whether its caller must be known before it starts: an `async def` of the app's."""
        function = definition.functions.get(name)
        return function is not None and function.job is not None and function.job.is_coroutine

    async def run(
        self, attempt: Attempt, definition: AppDefinition, identity: Identity | None
    ) -> None:
        """Run an attempt that is no transaction, and end it.

        Raises JobLost where the job is not its any more. Cancelled, it ends nothing: whoever
        cancels does that.
        """
        attempt.call = call = self._begin(attempt)
        with inside(call):
            await self._traced(attempt, partial(self._run, attempt, definition, identity))

    def submit(
        self, attempts: Iterable[Attempt], definition: AppDefinition
    ) -> Iterator[tuple[list[TransactionJob], asyncio.Future[list[Any]]]]:
        """Hand `def` jobs that were claimed together to the writer.

        Yields jobs and the future of their outcomes: all that are short are one unit, without a
        task for each. `settle` takes the outcomes.
        """
        short: list[TransactionJob] = []
        writer, code = self._database.writer, self._executor.app_code
        for attempt in attempts:
            function = definition.functions[attempt.job.name]
            attempt.call = self._begin(attempt)
            work = TransactionJob(code, definition, function, attempt, self.chance)
            apart = Apart.of(function.name, attempt.options.timeout_s)
            if apart is None:
                short.append(work)
            else:
                yield [work], writer.submit_each([work], apart=apart)
        if short:
            yield short, writer.submit_each(short)

    def settle(self, work: TransactionJob, outcome: Any) -> Callable[[], Awaitable[None]] | None:
        """Take what became of a `def` job; returns what is left to do, None where it has ended.

        Raises JobLost where the job is not the attempt's any more.
        """
        attempt = work.attempt
        if not isinstance(outcome, PylonError):
            self._tell_end(attempt, None)
            return None
        if isinstance(outcome, JobLost):
            self._tell_lost(attempt)
            raise outcome
        if outcome.is_stop:  # the worker stops as well: it gives the job back
            return partial(self._traced, attempt, _never)
        failure = Failure.of(outcome)
        if work.verdict is None or isinstance(outcome, Unavailable):  # or nobody knows
            return partial(self._traced, attempt, partial(self._fail, attempt, failure))
        self._tell(attempt, failure, work.verdict)
        self._tell_end(attempt, failure)
        return None

    # --- what is traced

    def _begin(self, attempt: Attempt) -> Call:
        job = attempt.job
        return self._observer.begin(job.name, "job", job.user_id or job.principal, attempt.cause)

    async def _traced(
        self, attempt: Attempt, work: Callable[[], Awaitable[Failure | None]]
    ) -> None:
        """Await the end of an attempt, and take it into what is traced."""
        try:
            failure = await work()
        except BaseException:
            self._tell_lost(attempt)
            raise
        self._tell_end(attempt, failure)

    def _tell_end(self, attempt: Attempt, failure: Failure | None) -> None:
        assert attempt.call is not None
        if failure is None:
            self.ended["completed"] += 1
            self._observer.end(attempt.call)
        else:
            self.ended["failed"] += 1
            self._observer.end(attempt.call, "failed", failure.code, failure.error)

    def _tell_lost(self, attempt: Attempt) -> None:
        assert attempt.call is not None
        self._observer.end(attempt.call, attempt.stopped or "lost")

    # --- what has tasks of its own

    async def _run(
        self, attempt: Attempt, definition: AppDefinition, identity: Identity | None
    ) -> Failure | None:
        """Return why the attempt failed, with that stored; None where it completed the job."""
        name = attempt.job.name
        function = definition.functions.get(name)
        if name in self.system_jobs:
            return await self._run_apart(attempt, self._run_ours(attempt))
        if function is None or function.job is None:
            missing = NotFound(f"there is no job {name} in this version of the app")
            return await self._fail(attempt, Failure.of(missing))
        assert identity is not None
        context = self._context(attempt, definition, identity)
        return await self._run_apart(
            attempt, run_coroutine(self._executor.app_code, function, attempt, context)
        )

    async def _run_ours(self, attempt: Attempt) -> str:
        ours = self.system_jobs[attempt.job.name]
        async with asyncio.timeout(ours.options.timeout_s):
            args = jsonvalue.decode_trusted(attempt.job.args)
            return result_text(await ours.run(attempt.job.id, args))

    def _context(
        self, attempt: Attempt, definition: AppDefinition, identity: Identity
    ) -> JobActionContext:
        facts = self._executor.app_code.facts(
            definition, identity, iso_ms(self._clock.now_ms()), self._ids.random_bytes(16),
            limits.FUNCTION_SECONDS, attempt.cause,
        )  # fmt: skip
        tools = self._executor.actions.tools(definition, attempt.cause, attempt.demand_held)
        return JobActionContext(facts, tools, attempt)

    async def _run_apart(self, attempt: Attempt, work: Awaitable[str]) -> Failure | None:
        """Run what is no transaction, and store its end in one."""
        try:
            result = await work
        except JobLost:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the job's failure
            return await self._fail(attempt, Failure.of(error))
        job = attempt.job

        def complete(transaction: Transaction) -> bool:
            attempt.demand_held()
            return completions.complete(transaction, job, result, attempt.progress)

        if not await self._end(attempt, complete):
            raise JobLost()
        return None

    async def _fail(self, attempt: Attempt, failure: Failure) -> Failure:
        chance = self.chance()

        def fail(transaction: Transaction) -> Verdict | None:
            attempt.demand_held()
            return failure.store(transaction, attempt, chance)

        self._tell(attempt, failure, await self._end(attempt, fail))
        return failure

    def _tell(self, attempt: Attempt, failure: Failure, verdict: Verdict | None) -> None:
        if verdict is not None and verdict.state is JobState.DEAD:
            _log.error(
                "job.dead %s %s: %s", attempt.job.name, attempt.job.id, failure.error,
                extra={"is_told": failure.is_told},
            )  # fmt: skip

    async def _end(self, attempt: Attempt, work: Callable[[Transaction], T]) -> T:
        """Store the end of an attempt; again and again while nothing can be written."""
        while True:
            try:
                ended: T = (await self._database.writer.submit(work)).value
                return ended
            except Unavailable as error:
                if not attempt.is_held or error.is_stop:
                    raise JobLost() from error
                await self._clock.sleep(_AGAIN_SECONDS)

    def chance(self) -> float:
        """Return a number from 0 to 1."""
        return int.from_bytes(self._ids.random_bytes(4)) / 2**32


async def _never() -> None:
    """Return when the worker stops: it cancels."""
    await asyncio.get_running_loop().create_future()
