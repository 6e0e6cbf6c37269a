"""Actions: the app's coroutines, each with an end, for callers who may leave before it.

An action runs in a task of its own. When its caller leaves or its time is over it is cancelled:
its `finally` runs and may still reach the app's data for a while; one that goes on all the same is
left behind, and reaches nothing any more. What does not live here: how parts travel (`http`).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import AsyncGeneratorType
from typing import Any

import aiohttp

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function
from pylon.app.webhooks import Webhook
from pylon.clock import Clock, iso_ms
from pylon.errors import Cancelled, PayloadTooLarge, PylonError
from pylon.identity import ANONYMOUS, Identity
from pylon.ids import IdSource
from pylon.server.functions.app_code import AppCode
from pylon.server.functions.call_facts import ActionTools
from pylon.server.functions.context import ActionContext
from pylon.server.functions.failures import contained
from pylon.server.functions.file_service import FileService
from pylon.server.functions.outcome import Outcome
from pylon.server.functions.outgoing import open_session
from pylon.server.functions.timed import over_time
from pylon.server.functions.webhooks import Received, received
from pylon.server.quota import Quota
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction
from pylon.webhooks import WebhookRequest

_log = logging.getLogger("pylon.functions")
#: Takes one part, as JSON text; returns when there is room for the next.
Send = Callable[[str], Awaitable[None]]
#: Raises where code outside of transactions may do nothing more.
Demand = Callable[[], None]
#: Runs a function for code of the app: definition, authority, name, arguments, cause, demand, and
#: the operation id under which it happens once.
CallInside = Callable[
    [AppDefinition, Identity, str, Mapping[str, Any], str, Demand, str | None], Awaitable[Outcome]
]


def nothing() -> None:
    """Demand nothing."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom an action that came from outside is counted for: user (or nobody) and network."""

    user: str
    address: str


@dataclass(slots=True)
class _Life:
    """How long an action may do what it does."""

    monotonic: Callable[[], float]
    #: Whatever else it depends on.
    outer: Demand
    ends_at: float = math.inf
    #: Nobody waits for it any more.
    is_over: bool = False

    def end(self) -> bool:
        """Leave it the time to clean up; tells whether that begins only now."""
        if self.is_over:
            return False
        self.is_over = True
        self.ends_at = self.monotonic() + limits.ACTION_CLEANUP_SECONDS
        return True

    def demand(self) -> None:
        self.outer()
        if self.monotonic() >= self.ends_at:
            raise Cancelled("this call is over")

    def demand_listener(self) -> None:
        if self.is_over:
            raise Cancelled


class Actions:
    """Runs actions; one per runtime."""

    def __init__(
        self, database: Database, clock: Clock, ids: IdSource, app_code: AppCode,
        call_inside: CallInside, quota: Quota,
    ) -> None:  # fmt: skip
        self._database = database
        self._clock = clock
        self._ids = ids
        self._code = app_code
        self._call_inside = call_inside
        self._quota = quota
        #: The runtime's files; None where it has none.
        self.files: FileService | None = None
        self._running: set[asyncio.Task[Any]] = set()
        #: The session for outgoing requests; opened by whoever needs it first.
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Cancel what still runs, and close the session for outgoing requests."""
        left = list(self._running)
        for one in left:
            one.cancel()
        if left:
            await asyncio.wait(left, timeout=1.0)
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def run(
        self, definition: AppDefinition, function: Function, identity: Identity,
        args: Mapping[str, Any], *, send: Send | None = None, caller: Caller | None = None,
        demand: Demand = nothing,
    ) -> str:  # fmt: skip
        """Run an action and return its value as JSON text; cancelling this cancels it.

        Args:
            definition: whose function it is.
            function: the action.
            identity: the authority that it works with.
            args: its arguments, as they came.
            send: takes the parts of one that yields; the value is null then. Without it the
                value is the list of them.
            caller: who is counted for it; None where the app calls itself.
            demand: raises where whoever runs it may do nothing more.
        """
        now = iso_ms(self._clock.now_ms())
        decoded = self._code.arguments(definition, function, identity, args, now)
        life = _Life(self._clock.monotonic, demand)
        context = self.context(definition, identity, f"function:{function.name}", life.demand)
        value: str = await self.attended(
            self._work(function, context, decoded, life, send), life, function.name,
            function.timeout_s or limits.ACTION_SECONDS, caller,
        )  # fmt: skip
        return value

    async def attended(
        self, work: Any, life: _Life, name: str, seconds: float, caller: Caller | None
    ) -> Any:
        """Await code of the app in a task of its own, for as long as its time lasts."""
        try:
            if caller is not None:
                self._quota.demand(caller.user, caller.address)
        except PylonError:
            work.close()
            raise
        task = asyncio.get_running_loop().create_task(work, name=f"app:{name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        if caller is not None:
            self._quota.add(caller.user, caller.address)
            task.add_done_callback(lambda _: self._quota.add(caller.user, caller.address, -1))
        try:
            done, _ = await asyncio.wait((task,), timeout=seconds)
        except asyncio.CancelledError:
            self._stop(task, life, name)
            raise
        if not done:
            self._stop(task, life, name)
            raise over_time(name, seconds)
        if task.cancelled():
            raise self._code.internal(name, RuntimeError("it cancelled itself"))
        return task.result()

    def _stop(self, task: asyncio.Task[Any], life: _Life, name: str) -> None:
        if life.end():  # else it cleans up already, and is not to be kept from it
            task.cancel()
        asyncio.get_running_loop().call_later(
            limits.ACTION_CLEANUP_SECONDS, self._leave_behind, task, name
        )

    @staticmethod
    def _leave_behind(task: asyncio.Task[Any], name: str) -> None:
        if not task.done():
            _log.warning("function.does_not_end %s was cancelled and goes on all the same", name)
            task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # was logged where it was raised, and told whoever still waited

    async def _work(
        self, function: Function, context: ActionContext, decoded: Mapping[str, Any], life: _Life,
        send: Send | None,
    ) -> str:  # fmt: skip
        code = self._code
        try:
            result = function.handler(context, **decoded)
            if not inspect.isasyncgen(result):
                value = await contained(result)
            elif send is not None:
                await contained(self._stream(function, result, life, send))
                return "null"
            else:
                parts = _Parts(function.name)
                await contained(self._stream(function, result, life, parts.take))
                return parts.text
        except PylonError as error:
            code.check_refusal(function.name, error)
            raise
        except Exception as error:  # noqa: BLE001 -- whatever the app throws harms its call alone
            raise code.internal(function.name, error) from None
        return code.answer(function, lambda: value, limits.FUNCTION_SECONDS)

    async def _stream(
        self, function: Function, parts: AsyncGeneratorType[Any, Any], life: _Life, send: Send
    ) -> None:
        try:
            async for part in parts:
                life.demand_listener()
                await send(self._code.part(function, part))
                await asyncio.sleep(0)  # one that never waits must not keep others from running
        except (asyncio.CancelledError, Cancelled):
            life.end()
            if parts.ag_frame is not None:  # it stands at a yield: have it learn of it there
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await parts.athrow(asyncio.CancelledError())
            raise
        finally:
            await parts.aclose()

    async def receive(
        self, definition: AppDefinition, webhook: Webhook, request: WebhookRequest
    ) -> Received:
        """Run a webhook, as nobody, and return its answer."""
        life = _Life(self._clock.monotonic, nothing)
        context = self.context(definition, ANONYMOUS, webhook.label, life.demand)
        answer: Received = await self.attended(
            self._receiving(webhook, context, request), life, webhook.label, webhook.timeout_s,
            Caller("", request.address),
        )  # fmt: skip
        return answer

    async def _receiving(
        self, webhook: Webhook, context: ActionContext, request: WebhookRequest
    ) -> Received:
        code = self._code
        try:
            value = await contained(webhook.handler(context, request))
            return received(value, webhook.label)
        except PylonError as error:
            code.check_refusal(webhook.label, error)
            raise
        except Exception as error:  # noqa: BLE001 -- whatever the app throws harms its call alone
            raise code.internal(webhook.label, error) from None

    # --- what they work with

    def context(
        self, definition: AppDefinition, identity: Identity, cause: str,
        demand: Demand = nothing,
    ) -> ActionContext:  # fmt: skip
        """Return the context of code outside of transactions; arguments as for `tools`."""
        facts = self._code.facts(
            definition, identity, iso_ms(self._clock.now_ms()), self._ids.random_bytes(16),
            limits.FUNCTION_SECONDS, cause,
        )  # fmt: skip
        return ActionContext(facts, self.tools(definition, cause, demand))

    def tools(self, definition: AppDefinition, cause: str, demand: Demand = nothing) -> ActionTools:
        """Return what code outside of transactions reaches the app's data with.

        Args:
            definition: whose functions it may run.
            cause: what the log says of its writes.
            demand: raises where it may do nothing more; asked before each step.
        """

        async def run(
            authority: Identity, name: str, inner: Mapping[str, Any], op_id: str | None = None
        ) -> Any:
            demand()
            outcome = await self._call_inside(
                definition, authority, name, inner, cause, demand, op_id
            )
            return None if outcome.value is None else jsonvalue.decode_trusted(outcome.value)

        async def submit(work: Callable[[Transaction], Any]) -> Any:
            demand()
            return (await self._database.writer.submit(work)).value

        if self._http is None or self._http.closed:  # an app may have closed it
            self._http = open_session()
        return ActionTools(
            run=run, http=self._http, submit=submit,
            reader=lambda: self._database.readers.inline.raw, files=self.files, demand=demand,
        )  # fmt: skip


class _Parts:
    """The parts of a stream that nobody reads part by part."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._texts: list[str] = []
        self._size = 2

    async def take(self, text: str) -> None:
        """Keep one more; raises PayloadTooLarge."""
        self._size += len(text.encode()) + 1
        if self._size > limits.RESULT_BYTES_MAX:
            raise PayloadTooLarge(
                f"{self._name} yielded more than {limits.RESULT_BYTES_MAX} bytes in all",
                hint="ask with Accept: text/event-stream, or by a call on the socket",
            )
        self._texts.append(text)

    @property
    def text(self) -> str:
        """Return the JSON list of them."""
        return f"[{','.join(self._texts)}]"
