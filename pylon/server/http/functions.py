"""POST /api/fn/{name}: call a query, mutation or action; and the same for the owner, as anybody.

An action lives as long as its caller is there: it is cancelled when he leaves, when his session
ends, and when he may not call it any more. With `Accept: text/event-stream` its parts come one by
one, as fast as he takes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from pylon import jsonvalue
from pylon.errors import Cancelled, InvalidArgument, PylonError
from pylon.identity import Identity
from pylon.server.functions.outcome import Outcome, refused
from pylon.server.http.acting import acting
from pylon.server.http.event_stream import EventStream, demand_session
from pylon.server.http.exchange import Exchange, json_text, outcome_error

_POLL_SECONDS: Final = 0.25


async def call_function(exchange: Exchange) -> web.StreamResponse:
    """Call a function with the body as its arguments' object."""
    identity, name = exchange.identity, exchange.parts[0]
    executor = exchange.services.executor
    executor.demand_callable(identity, name)
    op_id = exchange.operation_id
    args = await exchange.json_object()
    if executor.is_action(name):
        call = _Attended(exchange, identity, name, args, cause="http", address=exchange.address)
        return await call.answer()
    outcome = await executor.call(
        identity, name, args, op_id=op_id, cause="http", address=exchange.address
    )
    return _answer(exchange, outcome)


async def call_as(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/call {fn, args, as?}: call a function as a user, or as the system."""
    body = await exchange.json_object()
    name, args = str(body.get("fn")), body.get("args") or {}
    if not isinstance(args, dict):
        raise InvalidArgument("args is an object", field="args")
    identity = acting(exchange, body.get("as"))
    executor = exchange.services.executor
    if executor.is_action(name):
        return await _Attended(exchange, identity, name, args, cause="cli", address="").answer()
    outcome = await executor.call(identity, name, args, cause="cli")
    if outcome.error is not None:
        return outcome_error(outcome)
    return json_text(f'{{"value":{outcome.value or "null"}}}')


def _answer(exchange: Exchange, outcome: Outcome) -> web.Response:
    if outcome.error is not None:
        return outcome_error(outcome)
    value = outcome.value or "null"
    if outcome.seq is None:
        return json_text(f'{{"value":{value}}}')
    head = exchange.services.database.cursor(outcome.seq)
    return json_text(f'{{"value":{value},"head":"{head}"}}')


class _Attended:
    """One call of an action, for as long as somebody is there for it."""

    def __init__(
        self, exchange: Exchange, identity: Identity, name: str, args: Mapping[str, Any], *,
        cause: str, address: str,
    ) -> None:  # fmt: skip
        self._exchange = exchange
        self._executor = exchange.services.executor
        self._identity = identity
        self._name = name
        self._args = args
        self._cause = cause
        self._address = address
        wants = exchange.request.headers.get("Accept", "")
        self._stream = (
            EventStream(exchange, self._demand_listener)
            if "text/event-stream" in wants.lower()
            else None
        )
        #: Decided: a part that is still on its way comes too late.
        self._is_over = False

    async def answer(self) -> web.StreamResponse:
        """Run it and answer."""
        stream = self._stream
        outcome = await self._outcome()
        if stream is None or (outcome.error is not None and not stream.has_begun):
            return _answer(self._exchange, outcome)
        with suppress(ConnectionError):
            if outcome.error is not None:
                await stream.send("error", jsonvalue.encode_text({"error": outcome.error}))
            else:
                await stream.send("returned", f'{{"value":{outcome.value or "null"}}}')
            await stream.answer.write_eof()
        return stream.answer

    async def _outcome(self) -> Outcome:
        call = asyncio.ensure_future(
            self._executor.call(
                self._identity, self._name, self._args, cause=self._cause, address=self._address,
                send=None if self._stream is None else self._send,
            )
        )  # fmt: skip
        try:
            while not (await asyncio.wait((call,), timeout=_POLL_SECONDS))[0]:
                if self._exchange.has_left:
                    raise ConnectionResetError("the caller has left")
                self._demand_still_allowed()
                await self._keep_alive()
            return call.result()
        except PylonError as error:
            return refused(error)
        finally:
            self._is_over = True
            call.cancel()

    def _demand_still_allowed(self) -> None:
        """Raise where the session has ended, or the caller may not call this any more."""
        now = self._executor.identity_now(self._identity)
        if now is not self._identity:
            self._executor.demand_allowed(now, self._name, self._args)
            self._identity = now

    def _demand_listener(self, exchange: Exchange) -> None:
        """Raise where the reader's session has ended; the owner, who calls as another, has none."""
        if self._cause == "http":
            demand_session(exchange)

    async def _keep_alive(self) -> None:
        stream = self._stream
        if stream is not None and stream.silent_s > self._exchange.services.hub.heartbeat_s:
            await stream.keep_alive()

    async def _send(self, part: str) -> None:
        assert self._stream is not None
        if self._is_over:
            raise Cancelled
        try:
            await self._stream.send("part", f'{{"value":{part}}}')
        except ConnectionError as error:
            raise Cancelled from error
