"""`ctx.workflows`: runs started, signalled and cancelled in the transaction that wants it.

In a mutation they share its fate; in an action each is a transaction of its own, and awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import FunctionKind, to_json
from pylon.errors import InvalidArgument, NotFound, PayloadTooLarge
from pylon.identity import Identity
from pylon.policy.mistakes import nearest
from pylon.server.functions.authority import authority_of
from pylon.server.functions.later import Submit
from pylon.server.functions.nested import key_of, name_of
from pylon.server.storage import journal, workflows
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import NewRun, RunState
from pylon.sqlite import RawConnection

if TYPE_CHECKING:
    from pylon.server.functions.call_facts import CallFacts
    from pylon.server.functions.context import Context

_EVENT_MAX: Final = 200
_LIVE: Final = (RunState.RUNNING, RunState.PARKED, RunState.DIVERGED)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the app sees it; `state` is one of those of docs/workflows.md."""

    id: str
    name: str
    state: str
    result: Any
    error: str | None


def new_run(
    definition: AppDefinition, identity: Identity, function: Any, args: Mapping[str, Any], *,
    key: Any, run_id: str,
) -> NewRun:  # fmt: skip
    """Return a checked run; raises NotFound, InvalidArgument and PayloadTooLarge."""
    functions = definition.functions
    name = name_of(function)
    found = functions.get(name)
    if found is None:
        known = [one.name for one in functions.values() if one.kind is FunctionKind.WORKFLOW]
        raise NotFound(f"there is no workflow {name}", hint=nearest(name, known))
    if found.kind is not FunctionKind.WORKFLOW:
        raise InvalidArgument(
            f"{name} is a {found.kind}, not a workflow", hint="declare it with @app.workflow"
        )
    plain = to_json(args)
    found.arguments.decode(plain)
    text = jsonvalue.encode_text(plain)
    if len(text.encode()) > limits.WORKFLOW_BYTES_MAX:
        raise PayloadTooLarge(
            f"a workflow's arguments have at most {limits.WORKFLOW_BYTES_MAX} bytes"
        )
    return NewRun(
        id=run_id, name=name, args=text, identity=identity,
        key=None if key is None else key_of(key),
    )  # fmt: skip


def signal_run(transaction: Transaction, run_id: str, event: Any, data: Any) -> bool:
    """Keep a signal for a run and have it look; False for a run that has ended.

    Raises NotFound, InvalidArgument, PayloadTooLarge, and Conflict where too many are kept.
    """
    if not isinstance(event, str) or not 1 <= len(event) <= _EVENT_MAX:
        raise InvalidArgument(f"event is a name of 1 to {_EVENT_MAX} characters", field="event")
    text = jsonvalue.encode_text(to_json(data))
    if len(text.encode()) > limits.WORKFLOW_BYTES_MAX:
        raise PayloadTooLarge(f"a signal's data has at most {limits.WORKFLOW_BYTES_MAX} bytes")
    run = workflows.by_id(transaction.connection, str(run_id))
    if run is None:
        raise NotFound("there is no such run, or none any more")
    if run.state not in _LIVE:
        return False
    journal.add_signal(transaction, run.n, event, text)
    workflows.wake(transaction, run.n)
    return True


def _view(connection: RawConnection, run_id: str) -> RunView | None:
    run = workflows.by_id(connection, str(run_id))
    if run is None:
        return None
    result = None if run.result is None else jsonvalue.decode_trusted(run.result)
    error = None
    if run.error is not None:
        found = jsonvalue.decode_trusted(run.error)
        error = f"{found['code']}: {found['message']}"
    return RunView(run.id, run.name, run.state, result, error)


class ReadWorkflows:
    """`ctx.workflows` of a query."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection

    def get(self, run_id: str) -> RunView | None:
        """Return a run, or None where there is none, or none any more."""
        return _view(self._connection, run_id)


class TransactionWorkflows(ReadWorkflows):
    """`ctx.workflows` of a mutation or a `def` job: part of its transaction."""

    def __init__(self, context: Context, facts: CallFacts, transaction: Transaction) -> None:
        super().__init__(transaction.connection)
        self._context = context
        self._facts = facts
        self._transaction = transaction

    def start(self, function: Any, /, *, key: Any = None, **args: Any) -> str:
        """Start a run and return its id; with a taken key, the id of the run that has it."""
        run = new_run(
            self._facts.definition, authority_of(self._context), function, args, key=key,
            run_id=self._context.new_id(),
        )  # fmt: skip
        return workflows.start(self._transaction, run)

    def signal(self, run_id: str, event: str, data: Any = None) -> bool:
        """Hand a run what it waits for, or will; tells whether it had not ended."""
        return signal_run(self._transaction, run_id, event, data)

    def cancel(self, run_id: str) -> bool:
        """Cancel a run for good; tells whether it had not ended."""
        return workflows.cancel(self._transaction, str(run_id))


class ActionWorkflows:
    """`ctx.workflows` of an action or an `async def` job."""

    def __init__(
        self, context: Context, facts: CallFacts, submit: Submit[Any],
        reader: Callable[[], RawConnection],
    ) -> None:  # fmt: skip
        self._context = context
        self._facts = facts
        self._submit = submit
        self._reader = reader

    async def start(self, function: Any, /, *, key: Any = None, **args: Any) -> str:
        """Start a run and return its id, once it is stored."""
        run = new_run(
            self._facts.definition, authority_of(self._context), function, args, key=key,
            run_id=self._context.new_id(),
        )  # fmt: skip

        def work(transaction: Transaction) -> str:
            transaction.cause = self._facts.cause
            return workflows.start(transaction, run)

        return str(await self._submit(work))

    async def signal(self, run_id: str, event: str, data: Any = None) -> bool:
        """Hand a run what it waits for, or will; tells whether it had not ended."""
        return bool(
            await self._submit(lambda transaction: signal_run(transaction, run_id, event, data))
        )

    async def cancel(self, run_id: str) -> bool:
        """Cancel a run for good; tells whether it had not ended."""
        return bool(
            await self._submit(lambda transaction: workflows.cancel(transaction, str(run_id)))
        )

    async def get(self, run_id: str) -> RunView | None:
        """Return a run, or None where there is none, or none any more."""
        return _view(self._reader(), run_id)
