"""The one way to run a function: deduplicate, check, run in a transaction, commit, remember.

Every write comes through here, whatever its transport: built-in or the app's own, over HTTP, the
socket, pull-and-push or an action. What does not live here: framing of answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pylon import jsonvalue, limits, sqlite
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function, FunctionKind, to_json
from pylon.clock import Clock, iso_ms
from pylon.errors import (
    Aborted,
    Conflict,
    Internal,
    InvalidArgument,
    NotFound,
    OperationExpired,
    PolicyDenied,
    PylonError,
    RateLimited,
    Unauthenticated,
    Unavailable,
)  # fmt: skip
from pylon.identity import Identity, IdentityKind
from pylon.ids import IdSource, is_operation_id, uuid7_time_ms
from pylon.policy.mistakes import nearest
from pylon.protocol.messages import Operation
from pylon.server.functions.budget import Budget
from pylon.server.functions.builtin import BUILTINS
from pylon.server.functions.context import (
    ActionContext,
    CallFacts,
    MutationContext,
    QueryContext,
)  # fmt: skip
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.rowwrites import RowWrites
from pylon.server.observe import Observer
from pylon.server.storage import accounts, operations
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.functions")
_OPERATION_MEMORY_MS = (limits.RETAIN_DAYS + limits.OPERATION_EXTRA_DAYS) * 86_400_000


class Status(StrEnum):
    """What became of an operation."""

    APPLIED = "applied"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    RETRY = "retry"


@dataclass(slots=True)
class Outcome:
    """The answer of one operation. `value` is JSON text; `error` is set instead of it."""

    status: Status
    seq: int | None = None
    value: str | None = None
    error: dict[str, Any] | None = None
    http_status: int = 200

    def to_json(self, op_id: str) -> str:
        """Return the result object of a push."""
        head = f'{{"op_id":{jsonvalue.encode_text(op_id)},"status":"{self.status}"'
        seq = "null" if self.seq is None else str(self.seq)
        if self.error is not None:
            return f'{head},"seq":{seq},"error":{jsonvalue.encode_text(self.error)}}}'
        return f'{head},"seq":{seq},"value":{self.value or "null"}}}'


class _Recorded(Conflict):
    """The operation id belongs to other content: refused, and nothing is recorded over it."""


@dataclass(slots=True)
class _Call:
    """One operation on its way."""

    identity: Identity
    fn: str
    args: Mapping[str, Any]
    op_id: str | None
    cause: str
    definition: AppDefinition
    content: bytes
    seed: bytes
    rows_written: int = 0


class Executor:
    """Runs functions for callers; one per runtime."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, clock: Clock, ids: IdSource,
        observer: Observer,
    ) -> None:  # fmt: skip
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._ids = ids
        self._observer = observer
        self._budget = Budget()
        #: The session that actions make outgoing requests with; set by the assembly.
        self.http: Any = None

    # --- mutations

    async def mutate(
        self, identity: Identity, fn: str, args: Mapping[str, Any], *, op_id: str | None,
        cause: str,
    ) -> Outcome:  # fmt: skip
        """Run one mutation, built-in or the app's, and return what became of it."""
        started = self._clock.monotonic()
        call = None
        try:
            call = self._prepare(identity, fn, args, op_id, cause)
            outcome = await _settled(self._submit(call))
        except PylonError as error:
            outcome = _refused(error)
        self._note(identity, fn, started, outcome, call)
        return outcome

    async def push(
        self, identity: Identity, batch: Sequence[Operation], *, atomic: bool, cause: str
    ) -> list[Outcome]:
        """Run the operations of a push, in order; each its own transaction unless `atomic`."""
        if len(batch) > limits.PUSH_OPERATIONS_MAX:
            raise InvalidArgument(
                f"a push has at most {limits.PUSH_OPERATIONS_MAX} operations", field="operations"
            )
        started = self._clock.monotonic()
        if atomic:
            outcomes = await self._push_atomic(identity, batch, cause)
        else:
            outcomes = await self._push_each(identity, batch, cause)
        for operation, outcome in zip(batch, outcomes, strict=True):
            if operation.fn not in BUILTINS or outcome.error is not None:
                self._note(identity, operation.fn, started, outcome, None)
        if batch and all(one.fn in BUILTINS for one in batch) and len(batch) > 1:
            self._observer.note_call(
                name=f"{batch[0].fn} ×{len(batch)}", kind="mutation", user=identity.email,
                ms=(self._clock.monotonic() - started) * 1000, outcome="done",
                rows_written=sum(1 for one in outcomes if one.status is Status.APPLIED),
            )  # fmt: skip
        elif batch and outcomes[0].error is None and batch[0].fn in BUILTINS:
            self._note(identity, batch[0].fn, started, outcomes[0], None)
        return outcomes

    async def _push_each(
        self, identity: Identity, batch: Sequence[Operation], cause: str
    ) -> list[Outcome]:
        futures: list[asyncio.Future[Any] | Outcome] = []
        for operation in batch:
            try:
                call = self._prepare(identity, operation.fn, operation.args, operation.op_id, cause)
                futures.append(self._submit(call))
            except PylonError as error:
                futures.append(_refused(error))
        outcomes: list[Outcome] = []
        must_retry = False
        for one in futures:
            outcome = one if isinstance(one, Outcome) else await _settled(one)
            if must_retry and outcome.status is not Status.RETRY:
                # Those behind a retry were run too (they were queued together); what they did
                # is recorded, so that sending them again answers `duplicate`.
                outcome = _refused(Unavailable("an operation before this one must be retried"))
            must_retry = must_retry or outcome.status is Status.RETRY
            outcomes.append(outcome)
        return outcomes

    async def _push_atomic(
        self, identity: Identity, batch: Sequence[Operation], cause: str
    ) -> list[Outcome]:
        """Run all in one savepoint: one rejected makes all rejected, the others ABORTED."""
        calls: list[_Call] = []
        culprit = [0]
        try:
            for place, one in enumerate(batch):
                culprit[0] = place
                calls.append(self._prepare(identity, one.fn, one.args, one.op_id, cause))

            def work(transaction: Transaction) -> list[Outcome]:
                outcomes = []
                for place, call in enumerate(calls):
                    culprit[0] = place
                    outcomes.append(self._run(call, transaction))
                return outcomes

            committed = await self._database.writer.submit(work)
        except PylonError as error:
            failed = _refused(error)
            aborted = failed if failed.status is Status.RETRY else _refused(Aborted())
            return [failed if place == culprit[0] else aborted for place in range(len(batch))]
        for outcome in committed.value:
            outcome.seq = committed.seq if outcome.seq is None else outcome.seq
        outcomes_done: list[Outcome] = committed.value
        return outcomes_done

    def _prepare(
        self, identity: Identity, fn: str, args: Mapping[str, Any], op_id: str | None, cause: str
    ) -> _Call:
        if op_id is not None:
            if not is_operation_id(op_id):
                raise InvalidArgument("an op_id is 1-64 of A-Za-z0-9_.:-", field="op_id")
            minted_ms = uuid7_time_ms(op_id)
            if minted_ms is not None and minted_ms < self._clock.now_ms() - _OPERATION_MEMORY_MS:
                raise OperationExpired()
        definition = self._definitions.current
        if fn not in BUILTINS:
            function = find_function(definition, fn)
            if function.kind is not FunctionKind.MUTATION:
                raise InvalidArgument(f"{fn} is a {function.kind}, not a mutation", field="fn")
        content = (
            b""
            if op_id is None
            else hashlib.blake2b(jsonvalue.canonical_json([fn, args]), digest_size=16).digest()
        )
        seed = b"" if fn in BUILTINS else self._ids.random_bytes(16)
        return _Call(identity, fn, args, op_id, cause, definition, content, seed)

    def _submit(self, call: _Call) -> asyncio.Future[Any]:
        return self._database.writer.submit(
            lambda transaction: self._run(call, transaction),
            on_refused=(
                None
                if call.op_id is None or call.identity.principal is None
                else lambda transaction, error: self._record_refusal(call, transaction, error)
            ),
        )

    def _run(self, call: _Call, transaction: Transaction) -> Outcome:
        """Run one operation inside its savepoint."""
        identity = fresh_identity(transaction, call.identity)
        principal = identity.principal
        if call.op_id is not None and principal is not None:
            stored = operations.find(transaction, principal, call.op_id)
            if stored is not None:
                return _replay(stored, call)
        transaction.actor = identity.user_id
        transaction.cause = call.cause
        transaction.operation_id = call.op_id
        builtin = BUILTINS.get(call.fn)
        if builtin is not None:
            writes = RowWrites(call.definition, identity, transaction, self._ids.uuid7)
            value = builtin(writes, call.args)
        else:
            value = self._run_app(call, identity, transaction)
        if call.op_id is not None and principal is not None:
            operations.record(
                transaction, principal, call.op_id, call.content,
                f'{{"seq":{transaction.seq},"value":{value}}}',
            )  # fmt: skip
        call.rows_written = len(transaction.records)
        return Outcome(Status.APPLIED, transaction.seq, value)

    def _run_app(self, call: _Call, identity: Identity, transaction: Transaction) -> str:
        function = find_function(call.definition, call.fn)
        decoded = self._guarded(function, call.definition, identity, call.args, transaction.now)
        seconds = function.timeout_s or limits.FUNCTION_SECONDS
        facts = self._facts(call.definition, identity, transaction.now, call.seed, seconds)
        context = MutationContext(facts, transaction)
        value = self._guard_app(function, lambda: function.handler(context, **decoded), seconds)
        return jsonvalue.encode_text(function.arguments.encode_result(value))

    def _record_refusal(self, call: _Call, transaction: Transaction, error: PylonError) -> None:
        principal = call.identity.principal
        if error.is_transient or isinstance(error, _Recorded | Unauthenticated):
            return
        assert call.op_id is not None
        assert principal is not None
        outcome = {"error": error.to_wire(), "http_status": error.http_status}
        operations.record(
            transaction, principal, call.op_id, call.content, jsonvalue.encode_text(outcome)
        )

    # --- queries and actions

    async def call(
        self, identity: Identity, fn: str, args: Mapping[str, Any], *, op_id: str | None = None,
        cause: str,
    ) -> Outcome:  # fmt: skip
        """Run a function of any colour from outside; refusals are outcomes."""
        started = self._clock.monotonic()
        try:
            definition = self._definitions.current
            if fn in BUILTINS:
                return await self.mutate(identity, fn, args, op_id=op_id, cause=cause)
            function = find_function(definition, fn)
            if function.kind is FunctionKind.MUTATION:
                return await self.mutate(identity, fn, args, op_id=op_id, cause=cause)
            if function.kind is FunctionKind.QUERY:
                value = self._query(definition, function, identity, args)
            else:
                value = await self._action(definition, function, identity, args, cause)
            outcome = Outcome(Status.APPLIED, None, jsonvalue.encode_text(value))
        except PylonError as error:
            outcome = _refused(error)
        self._note(identity, fn, started, outcome, None)
        return outcome

    def _query(
        self, definition: AppDefinition, function: Function, identity: Identity,
        args: Mapping[str, Any],
    ) -> Any:  # fmt: skip
        now = iso_ms(self._clock.now_ms())
        decoded = self._guarded(function, definition, identity, args, now)
        seconds = function.timeout_s or limits.FUNCTION_SECONDS
        facts = self._facts(definition, identity, now, self._ids.random_bytes(16), seconds)
        connection = self._database.readers.inline
        connection.raw.execute("BEGIN")
        try:
            context = QueryContext(facts, connection)
            value = self._guard_app(function, lambda: function.handler(context, **decoded), seconds)
            return function.arguments.encode_result(value)
        finally:
            connection.raw.execute("ROLLBACK")

    async def _action(
        self, definition: AppDefinition, function: Function, identity: Identity,
        args: Mapping[str, Any], cause: str,
    ) -> Any:  # fmt: skip
        now = iso_ms(self._clock.now_ms())
        decoded = self._guarded(function, definition, identity, args, now)

        async def run(authority: Identity, name: str, inner: Mapping[str, Any]) -> Any:
            outcome = await self._call_inside(definition, authority, name, inner, function.name)
            return None if outcome.value is None else jsonvalue.decode_trusted(outcome.value)

        facts = self._facts(
            definition, identity, now, self._ids.random_bytes(16), limits.FUNCTION_SECONDS
        )
        context = ActionContext(facts, run, self.http)
        try:
            result = function.handler(context, **decoded)
            if inspect.isasyncgen(result):
                return [to_json(part) async for part in result]
            async with asyncio.timeout(function.timeout_s):
                return function.arguments.encode_result(await result)
        except (PylonError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise self._internal(function.name, error) from error

    async def _call_inside(
        self, definition: AppDefinition, identity: Identity, fn: str, args: Mapping[str, Any],
        caller: str,
    ) -> Outcome:  # fmt: skip
        """Run a function for an action; internal ones too, and refusals are raised."""
        function = definition.functions.get(fn)
        cause = f"function:{caller}"
        if function is not None and function.kind is FunctionKind.QUERY:
            return Outcome(
                Status.APPLIED, None,
                jsonvalue.encode_text(self._query(definition, function, identity, args)),
            )  # fmt: skip
        if function is not None and function.kind is FunctionKind.ACTION:
            value = await self._action(definition, function, identity, args, cause)
            return Outcome(Status.APPLIED, None, jsonvalue.encode_text(value))
        if function is None and fn not in BUILTINS:
            raise NotFound(f"there is no function {fn}")
        call = _Call(identity, fn, args, None, cause, definition, b"", self._ids.random_bytes(16))
        committed = await self._submit(call)
        outcome: Outcome = committed.value
        return outcome

    # --- shared

    def _guarded(
        self, function: Function, definition: AppDefinition, identity: Identity,
        args: Mapping[str, Any], now: str,
    ) -> dict[str, Any]:  # fmt: skip
        """Judge `allow` and decode the arguments: 401, INVALID_ARGUMENT, POLICY_DENIED."""
        is_anonymous = identity.kind is IdentityKind.ANONYMOUS
        if function.allow is None:
            if is_anonymous:
                raise Unauthenticated()
            return function.arguments.decode(args)
        decoded = function.arguments.decode(args)
        lookup = self._database.readers.inline.exists
        is_allowed = identity.is_system or function.allow.allows(
            identity, None, now=now, args=to_json(decoded), lookup=lookup
        )
        if not is_allowed:
            raise (
                Unauthenticated()
                if is_anonymous
                else PolicyDenied(f"the policy does not allow you to call {function.name}")
            )
        return decoded

    def _facts(
        self, definition: AppDefinition, identity: Identity, now: str, seed: bytes, seconds: float
    ) -> CallFacts:
        return CallFacts(
            definition=definition, identity=identity, now=now, seed=seed,
            deadline=self._clock.monotonic() + seconds, monotonic=self._clock.monotonic,
        )  # fmt: skip

    def _guard_app(self, function: Function, run: Any, seconds: float) -> Any:
        """Run the app's own code within its budget; what it throws harms only itself (I88)."""
        try:
            return self._budget.run(run, seconds, function.name)
        except (PylonError, sqlite.Error):
            raise
        except Exception as error:
            raise self._internal(function.name, error) from error

    def _internal(self, name: str, error: Exception) -> Internal:
        error_id = self._ids.uuid7()
        _log.error("function.failed %s id=%s", name, error_id, exc_info=error)
        return Internal(f"{name} failed; the log has the details under {error_id}", id=error_id)

    def _note(
        self, identity: Identity, fn: str, started: float, outcome: Outcome, call: _Call | None
    ) -> None:
        error = outcome.error
        self._observer.note_call(
            name=fn, kind="mutation" if outcome.seq is not None else "call",
            user=identity.email or identity.kind.value,
            ms=(self._clock.monotonic() - started) * 1000,
            outcome="done" if error is None else str(outcome.status),
            code=error["code"] if error else None,
            rows_written=call.rows_written if call else 0,
            error=error["message"] if error else None,
        )  # fmt: skip


def find_function(definition: AppDefinition, name: str) -> Function:
    """Return a function that may be called from outside; raises NotFound."""
    function = definition.functions.get(name)
    if function is None or function.is_internal:
        known = [one.name for one in definition.functions.values() if not one.is_internal]
        raise NotFound(f"there is no function {name}", hint=nearest(name, known))
    return function


def fresh_identity(transaction: Transaction, identity: Identity) -> Identity:
    """Return the caller as the database knows him now, inside the operation (I60).

    Raises Unauthenticated where the session is gone or the account is disabled.
    """
    if identity.kind is not IdentityKind.USER:
        return identity
    key = (identity.user_id, identity.session_id)
    found: Identity | None = transaction.batch_facts.get(key)
    if found is None:
        assert identity.user_id is not None
        account = accounts.account_by_id(transaction.select, identity.user_id)
        if account is None or account.disabled:
            raise Unauthenticated("this account can't be used any more")
        if identity.session_id is not None:
            session = accounts.session_by_id(transaction.select, identity.session_id)
            if session is None or session.expires_at_ms <= transaction.now_ms:
                raise Unauthenticated("the session has ended")
        found = (
            identity
            if account.auth_version == identity.auth_version
            else Identity(
                kind=IdentityKind.USER, user_id=account.id, email=account.email,
                roles=account.roles, claims=identity.claims, session_id=identity.session_id,
                auth_version=account.auth_version,
            )
        )  # fmt: skip
        transaction.batch_facts[key] = found
    return found


def _replay(stored: operations.StoredOutcome, call: _Call) -> Outcome:
    if stored.content != call.content:
        raise _Recorded("this operation id was used for something else")
    outcome = jsonvalue.decode_trusted(stored.outcome)
    if "error" in outcome:
        return Outcome(
            Status.DUPLICATE, None, error=outcome["error"], http_status=outcome["http_status"]
        )
    return Outcome(Status.DUPLICATE, outcome["seq"], jsonvalue.encode_text(outcome["value"]))


def _refused(error: PylonError) -> Outcome:
    status = Status.RETRY if isinstance(error, Unavailable | RateLimited) else Status.REJECTED
    return Outcome(status, None, error=error.to_wire(), http_status=error.http_status)


async def _settled(future: asyncio.Future[Any]) -> Outcome:
    try:
        committed = await future
    except PylonError as error:
        return _refused(error)
    outcome: Outcome = committed.value
    return outcome
