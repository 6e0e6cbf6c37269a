"""The one way to run a function, whatever its colour and whoever asks over which transport.

Every write comes through here: built-in or the app's own, over HTTP, the socket, push or an
action. What happens to one operation is `operation`; what a push does with many is `push`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pylon import limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function, FunctionKind
from pylon.app.webhooks import Webhook
from pylon.clock import Clock, iso_ms
from pylon.errors import InvalidArgument, NotFound, PylonError, Refused
from pylon.identity import ANONYMOUS, SYSTEM, Identity
from pylon.ids import IdSource
from pylon.protocol.messages import Operation
from pylon.server.auth.scopes import demand_call
from pylon.server.calls import Call, inside
from pylon.server.functions.actions import Actions, Caller, Demand, Send, nothing
from pylon.server.functions.app_code import AppCode, find_function
from pylon.server.functions.authorize import demand_signed_in, identity_now
from pylon.server.functions.builtin import BUILTINS
from pylon.server.functions.context import ActionContext, QueryContext
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.doors import Doors
from pylon.server.functions.operation import PreparedOperation, Preparer
from pylon.server.functions.outcome import Outcome, Status, refused
from pylon.server.functions.push import Preparing, push_atomic, push_each
from pylon.server.functions.reasons import Reasons
from pylon.server.functions.webhooks import Received
from pylon.server.mail.mailer import Mailer
from pylon.server.observe import Observer
from pylon.server.storage.apart import Apart
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.statements import counting
from pylon.webhooks import WebhookRequest

_DONE: Final = Outcome(Status.APPLIED)


class Executor:
    """Runs functions for callers; one per runtime."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, clock: Clock, ids: IdSource,
        observer: Observer, mailer: Mailer, *, retain_days: int = limits.RETAIN_DAYS,
        says_why: bool = False,
    ) -> None:  # fmt: skip
        """Make the executor; where it `says_why` (development) refusals carry an explanation."""
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._ids = ids
        self._observer = observer
        #: Says why policies refused; None outside development (I73).
        self.reasons = Reasons(database, definitions, clock) if says_why else None
        self.app_code = AppCode(database, clock, ids, mailer)
        self.doors = Doors(clock)
        self._preparer = Preparer(
            self.app_code, definitions, clock, ids, self.doors, retain_days=retain_days,
            forgotten_ms=lambda: database.forgotten_ms,
        )  # fmt: skip
        self.actions = Actions(
            database, clock, ids, self.app_code, self.call_inside, self.doors.actions
        )

    async def close(self) -> None:
        """End the actions that still run, and explain nothing more."""
        if self.reasons is not None:
            await self.reasons.stop()
        await self.actions.close()

    # --- mutations

    async def mutate(
        self, identity: Identity, fn: str, args: Mapping[str, Any], *, op_id: str | None,
        cause: str, address: str = "",
    ) -> Outcome:  # fmt: skip
        """Run one mutation, built-in or the app's, and return what became of it."""
        call = self._begin(identity, fn, cause)
        try:
            operation = self._preparer.prepare(identity, fn, args, op_id, cause, address)
            operation.call = call
            submitted = self._database.writer.submit_work(operation, apart=operation.apart)
            outcome: Outcome = (await submitted).value
        except PylonError as error:
            outcome = refused(error)
        self._end(call, outcome)
        if self.reasons is not None:
            await self.reasons.add_to(identity, [outcome], [op_id])
        return outcome

    async def push(
        self, identity: Identity, batch: Sequence[Operation], *, atomic: bool, cause: str,
        address: str = "",
    ) -> list[Outcome]:  # fmt: skip
        """Run the operations of a push, in order; each its own transaction unless `atomic`."""
        if len(batch) > limits.PUSH_OPERATIONS_MAX:
            raise InvalidArgument(
                f"a push has at most {limits.PUSH_OPERATIONS_MAX} operations", field="operations"
            )
        started = self._clock.monotonic()
        run = push_atomic if atomic else push_each
        calls = {
            one.op_id: self._begin(identity, one.fn, cause)
            for one in batch
            if one.fn not in BUILTINS
        }
        preparing = Preparing(self._preparer, identity, cause, address, calls)
        outcomes = await run(preparing, self._database.writer, batch)
        self._end_push(identity, batch, outcomes, calls, started, cause)
        if self.reasons is not None:
            await self.reasons.add_to(identity, outcomes, [one.op_id for one in batch])
        return outcomes

    # --- queries and actions

    def demand_callable(self, identity: Identity, fn: str) -> None:
        """Raise NotFound or Unauthenticated where no arguments could make the call right."""
        if fn in BUILTINS:
            demand_signed_in(identity)
            return
        function = find_function(self._definitions.current, fn)
        if function.allow is None:
            demand_signed_in(identity)

    def is_action(self, fn: str) -> bool:
        """Tell whether a name is an action."""
        return self._kind(fn) == FunctionKind.ACTION.value

    def identity_now(self, identity: Identity) -> Identity:
        """Return who a caller is by now; raises Unauthenticated where his session has ended."""
        return identity_now(identity, self._database.readers.inline.rows, self._clock.now_ms())

    def demand_allowed(self, identity: Identity, fn: str, args: Mapping[str, Any]) -> None:
        """Raise where a caller may not call a function, or not any more."""
        definition = self._definitions.current
        function = find_function(definition, fn)
        demand_call(identity, fn, args, is_query=function.kind is FunctionKind.QUERY)
        now = iso_ms(self._clock.now_ms())
        self.app_code.arguments(definition, function, identity, args, now)

    async def call(
        self, identity: Identity, fn: str, args: Mapping[str, Any], *, op_id: str | None = None,
        cause: str, address: str = "", send: Send | None = None,
    ) -> Outcome:  # fmt: skip
        """Run a function of any colour from outside; refusals are outcomes.

        Args:
            identity: who calls.
            fn: the function.
            args: its arguments, as they came.
            op_id: makes a mutation happen once.
            cause: what the log says of its writes.
            address: the network that an anonymous caller is counted by.
            send: takes the parts of an action that yields; its value is null then.
        """
        definition = self._definitions.current
        if self._kind(fn) == "mutation":
            return await self.mutate(identity, fn, args, op_id=op_id, cause=cause, address=address)
        call = self._begin(identity, fn, cause)
        try:
            function = find_function(definition, fn)
            is_query = function.kind is FunctionKind.QUERY
            demand_call(identity, fn, args, is_query=is_query)
            self.doors.demand_rate(function, identity, address)
            if is_query:
                value = await self._ask(definition, function, identity, args, call)
            else:
                caller = Caller(identity.user_id or "", address)
                with inside(call):
                    value = await self.actions.run(
                        definition, function, identity, args, send=send, caller=caller
                    )
            outcome = Outcome(Status.APPLIED, None, value)
        except PylonError as error:
            outcome = refused(error)
        except BaseException:  # whoever called is gone
            self._observer.end(call, "cancelled")
            raise
        self._end(call, outcome)
        if self.reasons is not None:
            await self.reasons.add_to(identity, [outcome], [op_id])
        return outcome

    async def _ask(
        self, definition: AppDefinition, function: Function, identity: Identity,
        args: Mapping[str, Any], call: Call,
    ) -> str:  # fmt: skip
        """Run a query: on the loop, or on a reader's thread where it may take long."""
        code, now = self.app_code, iso_ms(self._clock.now_ms())
        decoded = code.arguments(definition, function, identity, args, now)
        seconds = function.timeout_s or limits.FUNCTION_SECONDS
        seed = self._ids.random_bytes(16)

        def run(reads: ReadConnection) -> str:
            call.runs()
            facts = code.facts(definition, identity, now, seed, seconds)
            context = QueryContext(facts, counting(reads, call))
            return code.answer(function, lambda: function.handler(context, **decoded), seconds)

        apart = Apart.of(function.name, function.timeout_s)
        readers = self._database.readers
        if apart is not None:
            return await readers.run(run, asker=identity.user_id, timeout_s=seconds, apart=apart)
        connection = readers.inline
        connection.raw.execute("BEGIN")
        try:
            return run(connection)
        finally:
            connection.raw.execute("ROLLBACK")

    async def receive(self, webhook: Webhook, request: WebhookRequest) -> Received:
        """Run a webhook and return its answer; refusals are raised."""
        call = self._begin(ANONYMOUS, webhook.label, "http")
        try:
            with inside(call):
                answer = await self.actions.receive(self._definitions.current, webhook, request)
        except PylonError as error:
            self._end(call, refused(error))
            raise
        except BaseException:
            self._observer.end(call, "cancelled")
            raise
        self._observer.end(call)
        return answer

    def hook_context(self, definition: AppDefinition, hook: str) -> ActionContext:
        """Return what a start or stop hook works with: an action's context, as the system."""
        return self.actions.context(definition, SYSTEM, f"function:{hook}")

    def prepare_inside(
        self, definition: AppDefinition, identity: Identity, fn: str, args: Mapping[str, Any],
        cause: str,
    ) -> PreparedOperation:  # fmt: skip
        """Return a mutation, built-in or the app's own, for a transaction that is more than it."""
        return self._preparer.make(identity, fn, args, None, cause, definition)

    async def call_inside(
        self, definition: AppDefinition, identity: Identity, fn: str, args: Mapping[str, Any],
        cause: str, demand: Demand = nothing, op_id: str | None = None,
    ) -> Outcome:  # fmt: skip
        """Run a function for an action or a step; internal ones too, and refusals are raised.

        With an `op_id` it is a mutation, and happens once.
        """
        call = self._begin(identity, fn, cause)
        try:
            with inside(call):
                outcome = await self._run_inside(
                    definition, identity, fn, args, cause, call, demand, op_id
                )
        except PylonError as error:
            self._end(call, refused(error))
            raise
        except BaseException:
            self._observer.end(call, "cancelled")
            raise
        self._end(call, outcome)
        return outcome

    async def _run_inside(
        self, definition: AppDefinition, identity: Identity, fn: str, args: Mapping[str, Any],
        cause: str, call: Call, demand: Demand, op_id: str | None,
    ) -> Outcome:  # fmt: skip
        function = definition.functions.get(fn)
        if op_id is not None:
            _demand_memory(identity, fn, function)
        if function is not None and function.kind is FunctionKind.JOB:
            raise InvalidArgument(f"{fn} is a job", hint=f"await ctx.jobs.enqueue({fn}, …)")
        if function is not None and function.kind is FunctionKind.WORKFLOW:
            raise InvalidArgument(f"{fn} is a workflow", hint=f"await ctx.workflows.start({fn}, …)")
        if function is not None and function.kind is FunctionKind.QUERY:
            identity = self.identity_now(identity)  # he asked long ago, perhaps
            value = await self._ask(definition, function, identity, args, call)
            return Outcome(Status.APPLIED, None, value)
        if function is not None and function.kind is FunctionKind.ACTION:
            value = await self.actions.run(definition, function, identity, args, demand=demand)
            return Outcome(Status.APPLIED, None, value)
        if function is None and fn not in BUILTINS:
            raise NotFound(f"there is no function {fn}")
        operation = self._preparer.make(identity, fn, args, op_id, cause, definition)
        operation.call = call
        submitted = self._database.writer.submit_work(operation, apart=operation.apart)
        outcome: Outcome = (await submitted).value
        if outcome.error is not None:  # as it was refused the first time
            error = outcome.error
            raise Refused(error["code"], error["message"], **error.get("details", {}))
        return outcome

    # --- what is traced

    def _kind(self, fn: str) -> str:
        """Return the colour of a function that may be called from outside, or `call`."""
        if fn in BUILTINS:
            return FunctionKind.MUTATION.value
        function = self._definitions.current.functions.get(fn)
        return "call" if function is None else function.kind.value

    def _begin(self, identity: Identity, fn: str, cause: str) -> Call:
        user = identity.email or identity.user_id or identity.kind.value
        return self._observer.begin(fn, self._kind(fn), user, cause)

    def _end(self, call: Call, outcome: Outcome) -> None:
        error = outcome.error
        if error is None:
            self._observer.end(call)
        else:
            self._observer.end(call, str(outcome.status), error["code"], error["message"])

    def _end_push(
        self, identity: Identity, batch: Sequence[Operation], outcomes: Sequence[Outcome],
        calls: Mapping[str, Call], started: float, cause: str,
    ) -> None:  # fmt: skip
        """Keep each call of the app's functions and each refusal, and the rest as one line."""
        plain = 0
        for operation, outcome in zip(batch, outcomes, strict=True):
            if operation.fn in BUILTINS and outcome.error is None:
                plain += 1
                continue
            call = calls.get(operation.op_id) or self._begin(identity, operation.fn, cause)
            self._end(call, outcome)
        if plain:
            first = next(one.fn for one in batch if one.fn in BUILTINS)
            call = self._begin(identity, first, cause)
            call.started = call.run_from = started
            call.times = plain
            call.rows_written = sum(1 for one in outcomes if one.status is Status.APPLIED)
            self._end(call, _DONE)


def _demand_memory(identity: Identity, fn: str, function: Function | None) -> None:
    """Raise where a call cannot be remembered as done."""
    if function is not None and function.kind is not FunctionKind.MUTATION:
        raise InvalidArgument(f"{fn} is no mutation: only what is one transaction is done once")
    if identity.principal is None:
        raise InvalidArgument(
            "what nobody does is not remembered", hint="with ctx.as_system(): await ctx.once(…)"
        )
