"""One operation on its way: checked, deduplicated, run in a transaction, remembered.

An operation can be run again where its batch was lost, so everything that it depends on is
recorded in it. What does not live here: batches and commits (`storage.writer`), and framing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import FunctionKind
from pylon.clock import Clock, iso_ms
from pylon.errors import (
    Conflict,
    InvalidArgument,
    NotFound,
    OperationExpired,
    PylonError,
    Unauthenticated,
)
from pylon.identity import Identity, IdentityKind
from pylon.ids import IdSource, is_operation_id, uuid7_time_ms
from pylon.schema.wire import masked_text
from pylon.server.auth.scopes import demand_call
from pylon.server.calls import Call
from pylon.server.functions.app_code import AppCode, find_function
from pylon.server.functions.authorize import fresh_identity
from pylon.server.functions.builtin import BUILTINS
from pylon.server.functions.context import MutationContext
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.doors import Doors
from pylon.server.functions.drafts import Drafter, InsertDraft
from pylon.server.functions.outcome import Outcome, Status
from pylon.server.functions.rowwrites import RowWrites
from pylon.server.storage import operations
from pylon.server.storage.apart import Apart
from pylon.server.storage.statements import Counted
from pylon.server.storage.transaction import Transaction

_DAY_MS: Final = 86_400_000
#: Callers whose drafts are prepared at one time.
_DRAFTERS_MAX: Final = 1_000


class _Recorded(Conflict):
    """The operation id belongs to other content: refused, and nothing is recorded over it."""


class Preparer:
    """Makes operations of what callers ask, before any transaction; one per runtime."""

    def __init__(
        self, app_code: AppCode, definitions: DefinitionHolder, clock: Clock, ids: IdSource,
        doors: Doors, *, retain_days: int, forgotten_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.app_code = app_code
        self._doors = doors
        self._forgotten_ms = forgotten_ms
        self._memory_ms = (retain_days + limits.OPERATION_EXTRA_DAYS) * _DAY_MS
        self.ids = ids
        self._definitions = definitions
        self._clock = clock
        self._drafters: dict[int, Drafter] = {}
        self._now_ms, self._now = 0, ""

    def prepare(
        self, identity: Identity, fn: str, args: Mapping[str, Any], op_id: str | None, cause: str,
        address: str = "",
    ) -> PreparedOperation:  # fmt: skip
        """Return a checked operation; raises what is refused and can't be remembered.

        `address` is the network that an anonymous caller is counted by.
        """
        definition = self._definitions.current
        _demand_caller(definition, identity, fn)
        demand_call(identity, fn, args)
        refusal = None if fn in BUILTINS else _no_mutation(definition, fn)
        if op_id is not None:
            if not is_operation_id(op_id):
                raise InvalidArgument("an op_id is 1-64 of A-Za-z0-9_.:-", field="op_id")
            minted_ms = uuid7_time_ms(op_id.lower())
            if minted_ms is not None and (
                minted_ms < self._clock.machine_ms() - self._memory_ms
                or minted_ms <= self._forgotten_ms()
            ):
                raise OperationExpired()
        if refusal is not None and (op_id is None or identity.principal is None):
            raise refusal
        if refusal is None and fn not in BUILTINS:
            self._doors.demand_rate(definition.functions[fn], identity, address)
        operation = self.make(identity, fn, args, op_id, cause, definition)
        operation.refusal = refusal
        return operation

    def make(
        self, identity: Identity, fn: str, args: Mapping[str, Any], op_id: str | None, cause: str,
        definition: AppDefinition,
    ) -> PreparedOperation:  # fmt: skip
        """Return an operation of a definition, internal functions included."""
        seed = b"" if fn in BUILTINS else self.ids.random_bytes(16)
        operation = PreparedOperation(self, identity, fn, args, op_id, cause, definition, seed)
        if fn == "pylon.insert":
            operation.draft = self._draft(identity, definition, args)
        return operation

    def _draft(
        self, identity: Identity, definition: AppDefinition, args: Mapping[str, Any]
    ) -> InsertDraft | None:
        # The drafter holds its identity, so that nobody else can have the same address.
        drafter = self._drafters.get(id(identity))
        if drafter is None or drafter.definition is not definition:
            if len(self._drafters) >= _DRAFTERS_MAX:
                self._drafters.clear()
            drafter = Drafter(definition, identity, self.ids.uuid7)
            self._drafters[id(identity)] = drafter
        now_ms = self._clock.now_ms()
        if now_ms != self._now_ms:
            self._now_ms, self._now = now_ms, iso_ms(now_ms)
        return drafter.draft(args, self._now)


class PreparedOperation:
    """One operation, as the writer runs it (`storage.batch.Work`)."""

    __slots__ = (
        "_args", "_builtin", "_cause", "_content", "_definition", "_fn", "_identity", "_makers",
        "_op_id", "_principal", "_seed", "call", "draft", "is_plain", "refusal",
    )  # fmt: skip

    def __init__(
        self, makers: Preparer, identity: Identity, fn: str, args: Mapping[str, Any],
        op_id: str | None, cause: str, definition: AppDefinition, seed: bytes,
    ) -> None:  # fmt: skip
        self._makers = makers
        self._identity = identity
        self._fn = fn
        self._args = args
        self._op_id = op_id
        self._definition = definition
        self._seed = seed
        self._builtin = BUILTINS.get(fn)
        #: What the log says of its writes: whence it was asked, and of the app's own code which;
        #: a job or an action that asks names itself.
        self._cause = cause if self._builtin is not None or ":" in cause else f"{cause}:{fn}"
        #: It writes one thing at its end; the app's own code may do anything.
        self.is_plain = self._builtin is not None
        #: Whose memory the operation is kept in; None for nobody's.
        self._principal = None if op_id is None else identity.principal
        self._content = b"" if self._principal is None else content_hash(fn, args)
        #: What it will insert, worked out already for this very caller.
        self.draft: InsertDraft | None = None
        #: Why it is refused whatever is stored; remembered like any other refusal.
        self.refusal: PylonError | None = None
        #: What traces it; None where nobody does.
        self.call: Call | None = None

    @property
    def apart(self) -> Apart | None:
        """Return that it may take long; None where it is done on the loop."""
        if self._builtin is not None or self.refusal is not None:
            return None
        return Apart.of(self._fn, self._definition.functions[self._fn].timeout_s)

    def run(self, transaction: Transaction) -> Outcome:
        """Run it; a duplicate answers what was answered the first time."""
        call = self.call
        if call is not None:
            call.runs()
        identity = fresh_identity(transaction, self._identity)
        principal, op_id = self._principal, self._op_id
        if principal is not None and op_id is not None:
            stored = operations.find(transaction, principal, op_id)
            if stored is not None:
                return _replay(stored, self._content)
        if self.refusal is not None:
            raise self.refusal
        transaction.actor = identity.user_id
        transaction.cause = self._cause
        transaction.operation_id = op_id
        draft = self.draft
        if draft is not None and identity is self._identity:
            value = _insert_draft(draft, transaction)
        elif self._builtin is not None:
            writes = RowWrites(self._definition, identity, transaction, self._makers.ids.uuid7)
            value = self._builtin(writes, self._args)
        else:
            with Counted(transaction, call):
                value = self._run_app(identity, transaction)
        if call is not None:
            call.rows_written = len(transaction.records)
        if not transaction.is_joined:
            transaction.settle()
        seq = transaction.seq
        if principal is not None and op_id is not None:
            outcome = f'{{"seq":{seq},"value":{value}}}'
            operations.record(transaction, principal, op_id, self._content, outcome)
        return Outcome(Status.APPLIED, seq, value)

    def refuse(self, transaction: Transaction, error: PylonError) -> None:
        """Remember a refusal that was decided; one that may yet turn out well is not."""
        if self._principal is None or self._op_id is None:
            return
        if error.is_transient or isinstance(error, _Recorded | Unauthenticated):
            return
        outcome = jsonvalue.encode_text(
            {"error": error.to_wire(), "http_status": error.http_status}
        )
        operations.record(transaction, self._principal, self._op_id, self._content, outcome)

    def _run_app(self, identity: Identity, transaction: Transaction) -> str:
        code, definition = self._makers.app_code, self._definition
        function = definition.functions[self._fn]
        decoded = code.arguments(
            definition, function, identity, self._args, transaction.now, transaction.exists
        )
        seconds = function.timeout_s or limits.FUNCTION_SECONDS
        facts = code.facts(definition, identity, transaction.now, self._seed, seconds, self._cause)
        context = MutationContext(facts, transaction)
        return code.answer(function, lambda: function.handler(context, **decoded), seconds)


def _demand_caller(definition: AppDefinition, identity: Identity, fn: str) -> None:
    """Raise Unauthenticated for an anonymous caller where no function may let him in."""
    if identity.kind is not IdentityKind.ANONYMOUS:
        return
    function = definition.functions.get(fn)
    if function is None or function.is_internal or function.allow is None:
        raise Unauthenticated()


def _no_mutation(definition: AppDefinition, fn: str) -> PylonError | None:
    """Return why a name is no mutation, or None where it is one."""
    try:
        function = find_function(definition, fn)
    except NotFound as error:
        return error
    if function.kind is FunctionKind.MUTATION:
        return None
    return InvalidArgument(f"{fn} is a {function.kind}, not a mutation", field="fn")


def _insert_draft(draft: InsertDraft, transaction: Transaction) -> str:
    row = transaction.insert(draft.entity, draft.row)
    if draft.may_read:
        if draft.hidden:
            return masked_text(draft.entity, row, draft.hidden)
        wire = transaction.records[-1].wire
        assert wire is not None
        return wire
    return jsonvalue.encode_text({"id": row["id"], "_seq": row["_seq"]})


def content_hash(fn: str, args: Mapping[str, Any]) -> bytes:
    """Return what an operation id is bound to: equal for equal calls, however they were spelled."""
    return hashlib.blake2b(jsonvalue.canonical_json((fn, args)), digest_size=16).digest()


def _replay(stored: operations.StoredOutcome, content: bytes) -> Outcome:
    if stored.content != content:
        raise _Recorded("this operation id was used for something else")
    outcome = jsonvalue.decode_trusted(stored.outcome)
    if "error" in outcome:
        return Outcome(
            Status.DUPLICATE, None, error=outcome["error"], http_status=outcome["http_status"]
        )
    return Outcome(Status.DUPLICATE, outcome["seq"], jsonvalue.encode_text(outcome["value"]))
