"""Many operations in one message: each its own transaction, or all of them one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pylon.errors import Aborted, PylonError, Unavailable
from pylon.identity import Identity
from pylon.protocol.messages import Operation
from pylon.server.calls import Call
from pylon.server.functions.operation import PreparedOperation, Preparer
from pylon.server.functions.outcome import Outcome, Status, refused
from pylon.server.storage import operations
from pylon.server.storage.apart import Apart
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.units import Committed
from pylon.server.storage.writer import Writer


@dataclass(frozen=True, slots=True)
class Preparing:
    """Makes one caller's operations."""

    preparer: Preparer
    identity: Identity
    cause: str
    #: The network that an anonymous caller is counted by.
    address: str
    #: What traces them, by operation id.
    calls: Mapping[str, Call]

    def operation(self, one: Operation) -> PreparedOperation:
        """Return it; raises what is refused and can't be remembered."""
        made = self.preparer.prepare(
            self.identity, one.fn, one.args, one.op_id, self.cause, self.address
        )
        made.call = self.calls.get(one.op_id)
        return made


async def push_each(
    preparing: Preparing, writer: Writer, batch: Sequence[Operation]
) -> list[Outcome]:
    """Run the operations in order, each its own transaction; one answer for all."""
    outcomes: list[Outcome | None] = []
    prepared: list[PreparedOperation] = []
    for one in batch:
        try:
            prepared.append(preparing.operation(one))
            outcomes.append(None)
        except PylonError as error:
            outcomes.append(refused(error))
            if error.is_transient:  # nothing behind it may happen before it
                outcomes += [_earlier()] * (len(batch) - len(outcomes))
                break
    if not prepared:
        return [one for one in outcomes if one is not None]
    principal = preparing.identity.principal

    def look_up(transaction: Transaction) -> None:
        if principal is not None:
            operations.look_up(transaction, principal, [one.op_id for one in batch])

    try:
        answers = iter(await writer.submit_group(prepared, look_up=look_up, apart=_apart(prepared)))
    except PylonError as error:
        failed = refused(error)
        return [failed if one is None else one for one in outcomes]
    settled = [_outcome_of(next(answers)) if one is None else one for one in outcomes]
    return _stopped_at_retry(settled)


def _apart(prepared: Sequence[PreparedOperation]) -> Apart | None:
    return Apart.together([one.apart for one in prepared])


def _outcome_of(answer: Outcome | PylonError) -> Outcome:
    return refused(answer) if isinstance(answer, PylonError) else answer


def _stopped_at_retry(outcomes: list[Outcome]) -> list[Outcome]:
    """Have everything behind a retry be sent again, also what needed no transaction to fail."""
    for place, one in enumerate(outcomes):
        if one.status is Status.RETRY:
            rest = outcomes[place + 1 :]
            return [
                *outcomes[: place + 1],
                *(one if one.status is Status.RETRY else _earlier() for one in rest),
            ]
    return outcomes


def _earlier() -> Outcome:
    return refused(
        Unavailable("an operation before this one must be retried", reason="earlier_operation")
    )


class _RejectedBefore(PylonError):
    """An operation of the batch is one that was rejected some time ago."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


async def push_atomic(
    preparing: Preparing, writer: Writer, batch: Sequence[Operation]
) -> list[Outcome]:
    """Run all in one savepoint: one rejected makes all rejected, the others ABORTED."""
    prepared: list[PreparedOperation] = []
    culprit = 0

    def work(transaction: Transaction) -> list[Outcome]:
        nonlocal culprit
        transaction.is_joined = True
        outcomes = []
        for place, one in enumerate(prepared):
            culprit = place
            outcome = one.run(transaction)
            if outcome.error is not None:
                raise _RejectedBefore(outcome)
            outcomes.append(outcome)
        return outcomes

    try:
        for place, one in enumerate(batch):
            culprit = place
            prepared.append(preparing.operation(one))
        committed: Committed[list[Outcome]] = await writer.submit(work, apart=_apart(prepared))
    except _RejectedBefore as rejection:
        failed = rejection.outcome
    except PylonError as error:
        failed = refused(error)
    else:
        return committed.value
    aborted = failed if failed.status is Status.RETRY else refused(Aborted())
    return [failed if place == culprit else aborted for place in range(len(batch))]
