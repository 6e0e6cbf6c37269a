"""`ctx.jobs` and `ctx.mail`: what is to happen after the commit, in the transaction that wants it.

In a mutation they return at once and share its fate; in an action, which has no transaction, they
are awaited and each is one of its own. A query can only look.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pylon import jsonvalue, limits
from pylon.app.functions import Function, FunctionKind, to_json
from pylon.app.jobs import seconds_of
from pylon.errors import InvalidArgument, NotFound, PayloadTooLarge
from pylon.policy.mistakes import nearest
from pylon.server.functions.authority import authority_of
from pylon.server.functions.nested import key_of, name_of
from pylon.server.mail.message import Mail
from pylon.server.storage import completions, jobs
from pylon.server.storage.job_reads import read_job
from pylon.server.storage.jobs import NewJob
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

if TYPE_CHECKING:
    from pylon.server.functions.call_facts import CallFacts
    from pylon.server.functions.context import Context

T = TypeVar("T")
#: Runs work in a transaction of its own.
Submit = Callable[[Callable[[Transaction], T]], Awaitable[T]]
_PRIORITY_MAX: Final = 100
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the app sees it; `state` is one of those of docs/jobs.md."""

    id: str
    name: str
    state: str
    attempt: int
    progress: float | None
    progress_text: str | None
    result: Any
    error: str | None


def _view(connection: RawConnection, job_id: str) -> JobView | None:
    found = read_job(connection, str(job_id))
    if found is None:
        return None
    result = None if found.result is None else jsonvalue.decode_trusted(found.result)
    return JobView(
        found.id, found.name, found.state, found.attempt, found.progress, found.progress_text,
        result, found.error,
    )  # fmt: skip


class _Maker:
    """Makes what is to be enqueued, by the definition and the authority of one call."""

    def __init__(self, context: Context, facts: CallFacts) -> None:
        self._context = context
        self._facts = facts

    def job(
        self, function: Any, args: Mapping[str, Any], *, delay: Any, at: Any, key: Any,
        priority: Any, now_ms: int,
    ) -> NewJob:  # fmt: skip
        """Return a checked job; raises NotFound, InvalidArgument and PayloadTooLarge."""
        found = self._function(function)
        assert found.job is not None
        plain = to_json(args)
        found.arguments.decode(plain)
        text = jsonvalue.encode_text(plain)
        if len(text.encode()) > limits.JOB_BYTES_MAX:
            raise PayloadTooLarge(f"a job's arguments have at most {limits.JOB_BYTES_MAX} bytes")
        return NewJob(
            id=self._context.new_id(), name=found.name, queue=found.job.queue, args=text,
            identity=authority_of(self._context), retries=found.job.retries,
            due_ms=_due_ms(delay, at, now_ms), priority=_priority(priority),
            key=key_of(key) if key is not None else found.job.key_of(plain),
        )  # fmt: skip

    def mail(
        self, to: Any, subject: Any, text: Any, html: Any, template: Any, data: Any
    ) -> tuple[Mail, str]:
        """Return a checked mail, and the id of its job."""
        plain = to_json(data or {})
        if not isinstance(plain, dict):
            raise InvalidArgument("data is an object: names and values", field="data")
        mail = self._facts.mailer.compose(to, subject, text, html, template=template, data=plain)
        return mail, self._context.new_id()

    def send(self, transaction: Transaction, mail: Mail, mail_id: str) -> str:
        identity = authority_of(self._context)
        return self._facts.mailer.send(transaction, mail, identity=identity, mail_id=mail_id)

    def _function(self, given: Any) -> Function:
        functions = self._facts.definition.functions
        name = name_of(given)
        found = functions.get(name)
        if found is None:
            known = [one.name for one in functions.values() if one.kind is FunctionKind.JOB]
            raise NotFound(f"there is no job {name}", hint=nearest(name, known))
        if found.kind is not FunctionKind.JOB:
            raise InvalidArgument(
                f"{name} is a {found.kind}, not a job", hint="declare it with @app.job"
            )
        return found


def _due_ms(delay: Any, at: Any, now_ms: int) -> int | None:
    if delay is not None and at is not None:
        raise InvalidArgument("a job has a delay or a time, not both", field="at")
    if at is not None:
        if not isinstance(at, dt.datetime) or at.tzinfo is None:
            raise InvalidArgument("at is a datetime with a time zone", field="at")
        due = int(at.timestamp() * 1000)
    elif delay is not None:
        seconds = seconds_of(delay)
        if seconds is None or seconds < 0:
            raise InvalidArgument("delay is seconds from 0, or a timedelta", field="delay")
        due = now_ms + int(min(seconds, 1e12) * 1000)
    else:
        return None
    if due > now_ms + limits.JOB_DELAY_DAYS_MAX * _DAY_SECONDS * 1000:
        most = limits.JOB_DELAY_DAYS_MAX
        raise InvalidArgument(f"a job waits at most {most} days", field="at")
    return max(due, 0)


def _priority(given: Any) -> int:
    if type(given) is not int or not -_PRIORITY_MAX <= given <= _PRIORITY_MAX:
        raise InvalidArgument(
            f"priority is a whole number from -{_PRIORITY_MAX} to {_PRIORITY_MAX}",
            field="priority",
        )
    return given


class ReadJobs:
    """`ctx.jobs` of a query."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection

    def get(self, job_id: str) -> JobView | None:
        """Return a job, or None where there is none, or none any more."""
        return _view(self._connection, job_id)


class TransactionJobs(ReadJobs):
    """`ctx.jobs` of a mutation or a `def` job: part of its transaction."""

    def __init__(self, context: Context, facts: CallFacts, transaction: Transaction) -> None:
        super().__init__(transaction.connection)
        self._maker = _Maker(context, facts)
        self._transaction = transaction

    def enqueue(
        self, function: Any, *, delay: Any = None, at: Any = None, key: Any = None,
        priority: Any = 0, **args: Any,
    ) -> str:  # fmt: skip
        """Enqueue a job and return its id; with a taken key, the id of the job that has it."""
        job = self._maker.job(
            function, args, delay=delay, at=at, key=key, priority=priority,
            now_ms=self._transaction.now_ms,
        )  # fmt: skip
        return jobs.enqueue(self._transaction, job)

    def get(self, job_id: str) -> JobView | None:
        """Return a job, or None where there is none, or none any more."""
        completions.settle(self._transaction)
        return super().get(job_id)

    def cancel(self, job_id: str) -> bool:
        """Cancel a job that has not ended; tells whether it was there."""
        return jobs.cancel(self._transaction, job_id)


class ActionJobs:
    """`ctx.jobs` of an action or an `async def` job."""

    def __init__(
        self, context: Context, facts: CallFacts, submit: Submit[Any],
        reader: Callable[[], RawConnection],
    ) -> None:  # fmt: skip
        self._maker = _Maker(context, facts)
        self._facts = facts
        self._submit = submit
        self._reader = reader

    async def enqueue(
        self, function: Any, *, delay: Any = None, at: Any = None, key: Any = None,
        priority: Any = 0, **args: Any,
    ) -> str:  # fmt: skip
        """Enqueue a job and return its id, once it is stored."""
        job = self._maker.job(
            function, args, delay=delay, at=at, key=key, priority=priority,
            now_ms=self._facts.now_ms(),
        )  # fmt: skip

        def work(transaction: Transaction) -> str:
            transaction.cause = self._facts.cause
            return jobs.enqueue(transaction, job)

        return str(await self._submit(work))

    async def cancel(self, job_id: str) -> bool:
        """Cancel a job that has not ended; tells whether it was there."""
        return bool(await self._submit(lambda transaction: jobs.cancel(transaction, job_id)))

    async def get(self, job_id: str) -> JobView | None:
        """Return a job, or None where there is none, or none any more."""
        return _view(self._reader(), job_id)


class TransactionMail:
    """`ctx.mail` of a mutation or a `def` job: sent if its transaction is committed."""

    def __init__(self, context: Context, facts: CallFacts, transaction: Transaction) -> None:
        self._maker = _Maker(context, facts)
        self._transaction = transaction

    def send(
        self, to: Any, subject: Any = None, text: Any = None, html: Any = None, *,
        template: Any = None, data: Any = None,
    ) -> str:  # fmt: skip
        """Have a mail sent; returns the id of its job."""
        mail, mail_id = self._maker.mail(to, subject, text, html, template, data)
        return self._maker.send(self._transaction, mail, mail_id)


class ActionMail:
    """`ctx.mail` of an action or an `async def` job."""

    def __init__(self, context: Context, facts: CallFacts, submit: Submit[Any]) -> None:
        self._maker = _Maker(context, facts)
        self._facts = facts
        self._submit = submit

    async def send(
        self, to: Any, subject: Any = None, text: Any = None, html: Any = None, *,
        template: Any = None, data: Any = None,
    ) -> str:  # fmt: skip
        """Have a mail sent; returns the id of its job, once that is stored."""
        mail, mail_id = self._maker.mail(to, subject, text, html, template, data)

        def work(transaction: Transaction) -> str:
            transaction.cause = self._facts.cause
            return self._maker.send(transaction, mail, mail_id)

        return str(await self._submit(work))
