"""One attempt at a job: its lease, and its work as a transaction or as a coroutine.

Whoever does the work ends it with the token of his claim, and only while his lease lasts. A `def`
job's rows and its completion are one transaction, so a job that lost its lease has done nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function
from pylon.app.jobs import JobOptions
from pylon.errors import (
    InvalidArgument,
    JobLost,
    PayloadTooLarge,
    PylonError,
    Refused,
    Unauthenticated,
)
from pylon.identity import Identity, stored_identity
from pylon.server.calls import Call
from pylon.server.functions.app_code import AppCode
from pylon.server.functions.authorize import fresh_identity
from pylon.server.functions.call_facts import ActionTools, CallFacts
from pylon.server.functions.context import ActionContext, MutationContext
from pylon.server.functions.failures import AppFailed, contained, said_of, traceback_of
from pylon.server.functions.timed import within
from pylon.server.jobs.states import Verdict, after_failure
from pylon.server.storage import completions, jobs
from pylon.server.storage.jobs import ClaimedJob
from pylon.server.storage.statements import Counted
from pylon.server.storage.transaction import Transaction

_PROGRESS_TEXT_MAX: Final = 200


@dataclass(slots=True)
class Attempt:
    """A claimed job under way. `expires_at` is monotonic: the machine's clock ends no lease."""

    job: ClaimedJob
    options: JobOptions
    monotonic: Callable[[], float]
    expires_at: float
    progress: tuple[float, str | None] | None = None
    #: Why it was stopped from outside; None while nobody did.
    stopped: str | None = None
    #: What traces it.
    call: Call | None = field(default=None, repr=False)
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_held(self) -> bool:
        """Tell whether the job is still this attempt's."""
        return self.stopped is None and self.monotonic() < self.expires_at

    @property
    def cause(self) -> str:
        """Return what the log says of its writes."""
        return f"job:{self.job.name}#{self.job.id}"

    @property
    def seed(self) -> bytes:
        """Return what its chance comes from: the same where its transaction is run again."""
        return f"{self.job.id} {self.job.token}".encode()

    def demand_held(self) -> None:
        """Raise JobLost once the job is not this attempt's any more."""
        if not self.is_held:
            raise JobLost()

    def identity(self) -> Identity:
        """Return the stated principal, as the job stores it; who he is now is asked later."""
        return stored_identity(self.job.principal, self.job.user_id)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """`ctx.job`: which attempt this is; `token` fences what it does elsewhere."""

    id: str
    name: str
    attempt: int
    attempts: int
    token: int


class _InJob:
    """What the contexts of jobs have beside those of their colour."""

    _attempt: Attempt

    @cached_property
    def job(self) -> JobFacts:
        """Return which job this is, and which attempt at it."""
        one = self._attempt.job
        return JobFacts(one.id, one.name, one.attempt, one.retries + 1, one.token)

    def progress(self, share: float, text: str | None = None) -> None:
        """Say how far the job has come: 0 to 1, and in a few words with what."""
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise InvalidArgument("progress is a number from 0 to 1", field="share")
        said = None if text is None else str(text)[:_PROGRESS_TEXT_MAX]
        self._attempt.progress = (float(share), said)


class JobTransactionContext(_InJob, MutationContext):
    """`ctx` of a `def` job."""

    def __init__(self, facts: CallFacts, transaction: Transaction, attempt: Attempt) -> None:
        MutationContext.__init__(self, facts, transaction)
        self._attempt = attempt


class JobActionContext(_InJob, ActionContext):
    """`ctx` of an `async def` job."""

    def __init__(self, facts: CallFacts, tools: ActionTools, attempt: Attempt) -> None:
        ActionContext.__init__(self, facts, tools)
        self._attempt = attempt


def result_text(value: Any) -> str:
    """Return the JSON of a result; raises PayloadTooLarge."""
    return demand_job_result(jsonvalue.encode_text(value))


def demand_job_result(text: str) -> str:
    """Return the JSON of a job's result; raises PayloadTooLarge."""
    if len(text.encode()) > limits.JOB_BYTES_MAX:
        raise PayloadTooLarge(f"a job's result has at most {limits.JOB_BYTES_MAX} bytes")
    return text


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, as it is kept."""

    error: str
    traceback: str | None
    #: Trying again is of no use: the job refused, or its caller is gone.
    is_final: bool
    #: The log has told it already, when the function failed.
    is_told: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return the failure that an exception is."""
        if isinstance(error, AppFailed):
            return cls(error.said, error.traceback_text, is_final=False, is_told=True)
        cause = error.__cause__ if isinstance(error, PylonError) and error.__cause__ else error
        if isinstance(cause, PylonError):
            return cls(
                f"{cause.code}: {cause.message}", None,
                isinstance(cause, Refused | Unauthenticated),
            )  # fmt: skip
        return cls(said_of(cause), traceback_of(cause), is_final=False)

    @property
    def code(self) -> str:
        """Return the code of a refusal; INTERNAL for whatever the app threw."""
        return self.error.partition(":")[0] if self.traceback is None else "INTERNAL"

    def verdict(self, attempt: Attempt, now_ms: int, chance: float) -> Verdict:
        """Return what becomes of the job."""
        return after_failure(
            attempt=attempt.job.attempt, retries=attempt.job.retries,
            backoff_s=attempt.options.backoff_s, now_ms=now_ms, chance=chance,
            is_final=self.is_final,
        )  # fmt: skip

    def store(self, transaction: Transaction, attempt: Attempt, chance: float) -> Verdict | None:
        """End the attempt with it; None where the job is another's by now."""
        verdict = self.verdict(attempt, transaction.now_ms, chance)
        is_ours = jobs.end_attempt(
            transaction, attempt.job, verdict.state.value, verdict.due_ms, self.error,
            self.traceback,
        )  # fmt: skip
        return verdict if is_ours else None


class TransactionJob:
    """A `def` job as one operation of the writer (`storage.batch.Work`)."""

    is_plain = False

    def __init__(
        self, code: AppCode, definition: AppDefinition, function: Function, attempt: Attempt,
        chance: Callable[[], float],
    ) -> None:  # fmt: skip
        self._code = code
        self._definition = definition
        self._function = function
        self.attempt = attempt
        self._chance = chance
        #: What became of the job, where its failure was stored in the place of its transaction.
        self.verdict: Verdict | None = None

    def run(self, transaction: Transaction) -> None:
        """Run the job and complete it, all or nothing."""
        attempt, function, code = self.attempt, self._function, self._code
        attempt.demand_held()
        identity = fresh_identity(transaction, attempt.identity())
        transaction.actor = identity.user_id
        transaction.cause = cause = attempt.cause
        decoded = function.arguments.decode(jsonvalue.decode_trusted(attempt.job.args))
        seconds = attempt.options.timeout_s or limits.FUNCTION_SECONDS
        facts = code.facts(
            self._definition, identity, transaction.now, attempt.seed, seconds, cause
        )
        call = attempt.call
        if call is not None:
            call.runs()
        with Counted(transaction, call):
            context = JobTransactionContext(facts, transaction, attempt)
            value = code.answer(function, lambda: function.handler(context, **decoded), seconds)
        if call is not None:
            call.rows_written = len(transaction.records)
        result = demand_job_result(value)
        job = attempt.job
        if not completions.complete(transaction, job, result, attempt.progress):
            raise JobLost()

    def refuse(self, transaction: Transaction, error: PylonError) -> None:
        """Store the failure in its place."""
        self.verdict = None
        if not isinstance(error, JobLost) and not error.is_stop and self.attempt.is_held:
            self.verdict = Failure.of(error).store(transaction, self.attempt, self._chance())


async def run_coroutine(
    code: AppCode, function: Function, attempt: Attempt, context: JobActionContext
) -> str:
    """Run an `async def` job and return its result as JSON; raises what it raises.

    One that does not let itself be cancelled when its time is over is left behind: it can neither
    end the job nor reach the app's data any more.
    """
    decoded = function.arguments.decode(jsonvalue.decode_trusted(attempt.job.args))
    seconds = attempt.options.timeout_s or limits.JOB_SECONDS
    try:
        value = await within(
            contained(function.handler(context, **decoded)), seconds, function.name
        )
    except PylonError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is the job's failure
        raise code.internal(function.name, error) from None
    return demand_job_result(code.answer(function, lambda: value, limits.FUNCTION_SECONDS))
