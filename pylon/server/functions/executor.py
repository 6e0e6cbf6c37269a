"""The one way to run a function, whatever its colour and whoever asks over which transport.

Every write comes through here: built-in or the app's own, over HTTP, the socket, push or an
action. What happens to one operation is `operation`; what a push does with many is `push`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import aiohttp

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function, FunctionKind
from pylon.clock import Clock, iso_ms
from pylon.errors import FunctionTimeout, InvalidArgument, NotFound, PylonError
from pylon.identity import SYSTEM, Identity
from pylon.ids import IdSource
from pylon.protocol.messages import Operation
from pylon.server.auth.scopes import demand_call
from pylon.server.calls import Call, inside
from pylon.server.functions.app_code import AppCode, find_function
from pylon.server.functions.authorize import demand_signed_in, identity_now
from pylon.server.functions.builtin import BUILTINS
from pylon.server.functions.context import ActionContext, ActionTools, QueryContext
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.failures import contained
from pylon.server.functions.operation import PreparedOperation, Preparer
from pylon.server.functions.outcome import Outcome, Status, refused
from pylon.server.functions.outgoing import open_session
from pylon.server.functions.push import push_atomic, push_each
from pylon.server.functions.reasons import Reasons
from pylon.server.mail.mailer import Mailer
from pylon.server.observe import Observer
from pylon.server.storage.database import Database
from pylon.server.storage.statements import counting
from pylon.server.storage.transaction import Transaction

_DONE: Final = Outcome(Status.APPLIED)
#: Raises where code outside of transactions may do nothing more.
Demand = Callable[[], None]


def _nothing() -> None:
    """Demand nothing."""


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
        self._preparer = Preparer(
            self.app_code, definitions, clock, ids, retain_days=retain_days,
            forgotten_ms=lambda: database.forgotten_ms,
        )  # fmt: skip
        #: The session that actions make outgoing requests with; opened by the first action.
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the session for outgoing requests, and explain nothing more."""
        if self.reasons is not None:
            await self.reasons.stop()
        if self._http is not None:
            await self._http.close()
            self._http = None

    # --- mutations

    async def mutate(
        self, identity: Identity, fn: str, args: Mapping[str, Any], *, op_id: str | None,
        cause: str,
    ) -> Outcome:  # fmt: skip
        """Run one mutation, built-in or the app's, and return what became of it."""
        call = self._begin(identity, fn, cause)
        try:
            operation = self._preparer.prepare(identity, fn, args, op_id, cause)
            operation.call = call
            outcome: Outcome = (await self._database.writer.submit_work(operation)).value
        except PylonError as error:
            outcome = refused(error)
        self._end(call, outcome)
        if self.reasons is not None:
            await self.reasons.add_to(identity, [outcome], [op_id])
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
        run = push_atomic if atomic else push_each
        calls = {
            one.op_id: self._begin(identity, one.fn, cause)
            for one in batch
            if one.fn not in BUILTINS
        }
        outcomes = await run(self._preparer, self._database.writer, identity, batch, cause, calls)
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

    async def call(
        self, identity: Identity, fn: str, args: Mapping[str, Any], *, op_id: str | None = None,
        cause: str,
    ) -> Outcome:  # fmt: skip
        """Run a function of any colour from outside; refusals are outcomes."""
        definition = self._definitions.current
        if self._kind(fn) == "mutation":
            return await self.mutate(identity, fn, args, op_id=op_id, cause=cause)
        call = self._begin(identity, fn, cause)
        try:
            function = find_function(definition, fn)
            is_query = function.kind is FunctionKind.QUERY
            demand_call(identity, fn, args, is_query=is_query)
            if is_query:
                value = self._query(definition, function, identity, args, call)
            else:
                with inside(call):
                    value = await self._action(definition, function, identity, args, cause)
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

    def _query(
        self, definition: AppDefinition, function: Function, identity: Identity,
        args: Mapping[str, Any], call: Call | None = None,
    ) -> str:  # fmt: skip
        now = iso_ms(self._clock.now_ms())
        code = self.app_code
        decoded = code.arguments(definition, function, identity, args, now)
        seconds = function.timeout_s or limits.FUNCTION_SECONDS
        facts = code.facts(definition, identity, now, self._ids.random_bytes(16), seconds)
        connection = self._database.readers.inline
        connection.raw.execute("BEGIN")
        try:
            context = QueryContext(facts, counting(connection, call))
            return code.answer(function, lambda: function.handler(context, **decoded), seconds)
        finally:
            connection.raw.execute("ROLLBACK")

    async def _action(
        self, definition: AppDefinition, function: Function, identity: Identity,
        args: Mapping[str, Any], cause: str, demand: Demand = _nothing,
    ) -> str:  # fmt: skip
        now = iso_ms(self._clock.now_ms())
        code = self.app_code
        decoded = code.arguments(definition, function, identity, args, now)
        context = self._context(definition, identity, function.name, now, demand)
        budget = asyncio.timeout(function.timeout_s)
        try:
            async with budget:
                value = await contained(_ended(function.handler(context, **decoded)))
        except PylonError as error:
            code.check_refusal(function.name, error)
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and budget.expired():
                raise FunctionTimeout(
                    f"{function.name} ran longer than {function.timeout_s:g} s and was stopped",
                    hint="what it wrote before stays; give it a longer timeout=",
                ) from error
            raise code.internal(function.name, error) from None
        return code.answer(function, lambda: value, limits.FUNCTION_SECONDS)

    def _context(
        self, definition: AppDefinition, identity: Identity, caller: str, now: str,
        demand: Demand = _nothing,
    ) -> ActionContext:  # fmt: skip
        cause = f"function:{caller}"
        facts = self.app_code.facts(
            definition, identity, now, self._ids.random_bytes(16), limits.FUNCTION_SECONDS, cause
        )
        return ActionContext(facts, self.tools(definition, cause, demand))

    def tools(
        self, definition: AppDefinition, cause: str, demand: Demand = _nothing
    ) -> ActionTools:
        """Return what code outside of transactions reaches the app's data with.

        Args:
            definition: whose functions it may run.
            cause: what the log says of its writes.
            demand: raises where it may do nothing more; asked before each step.
        """

        async def run(authority: Identity, name: str, inner: Mapping[str, Any]) -> Any:
            demand()
            outcome = await self.call_inside(definition, authority, name, inner, cause, demand)
            return None if outcome.value is None else jsonvalue.decode_trusted(outcome.value)

        async def submit(work: Callable[[Transaction], Any]) -> Any:
            demand()
            return (await self._database.writer.submit(work)).value

        if self._http is None:
            self._http = open_session()
        return ActionTools(
            run=run, http=self._http, submit=submit,
            reader=lambda: self._database.readers.inline.raw,
        )  # fmt: skip

    def hook_context(self, definition: AppDefinition, hook: str) -> ActionContext:
        """Return what a start or stop hook works with: an action's context, as the system."""
        return self._context(definition, SYSTEM, hook, iso_ms(self._clock.now_ms()))

    def prepare_inside(
        self, definition: AppDefinition, identity: Identity, fn: str, args: Mapping[str, Any],
        cause: str,
    ) -> PreparedOperation:  # fmt: skip
        """Return a mutation, built-in or the app's own, for a transaction that is more than it."""
        return self._preparer.make(identity, fn, args, None, cause, definition)

    async def call_inside(
        self, definition: AppDefinition, identity: Identity, fn: str, args: Mapping[str, Any],
        cause: str, demand: Demand = _nothing,
    ) -> Outcome:  # fmt: skip
        """Run a function for an action or a step; internal ones too, and refusals are raised."""
        call = self._begin(identity, fn, cause)
        try:
            with inside(call):
                outcome = await self._run_inside(
                    definition, identity, fn, args, cause, call, demand
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
        cause: str, call: Call, demand: Demand,
    ) -> Outcome:  # fmt: skip
        function = definition.functions.get(fn)
        if function is not None and function.kind is FunctionKind.JOB:
            raise InvalidArgument(f"{fn} is a job", hint=f"await ctx.jobs.enqueue({fn}, …)")
        if function is not None and function.kind is FunctionKind.WORKFLOW:
            raise InvalidArgument(f"{fn} is a workflow", hint=f"await ctx.workflows.start({fn}, …)")
        if function is not None and function.kind is FunctionKind.QUERY:
            rows, now_ms = self._database.readers.inline.rows, self._clock.now_ms()
            identity = identity_now(identity, rows, now_ms)  # he asked long ago, perhaps
            value = self._query(definition, function, identity, args, call)
            return Outcome(Status.APPLIED, None, value)
        if function is not None and function.kind is FunctionKind.ACTION:
            value = await self._action(definition, function, identity, args, cause, demand)
            return Outcome(Status.APPLIED, None, value)
        if function is None and fn not in BUILTINS:
            raise NotFound(f"there is no function {fn}")
        operation = self._preparer.make(identity, fn, args, None, cause, definition)
        operation.call = call
        outcome: Outcome = (await self._database.writer.submit_work(operation)).value
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


async def _ended(result: Awaitable[Any] | AsyncGenerator[Any, None]) -> Any:
    """Return what an action returns, or all that it yields."""
    if inspect.isasyncgen(result):
        return [part async for part in result]
    return await result  # type: ignore[misc]
