"""GET /api/sync/events: the same batches as the socket's, as server-sent events.

What goes wrong after the answer has begun is an event of its own and the end of the stream; a
caller who leaves costs nothing but the next write.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from pylon import limits
from pylon.errors import ResyncRequired, Unauthenticated
from pylon.identity import IdentityKind
from pylon.server.http.exchange import Exchange, json_parameter
from pylon.server.http.pull import read_batch, start_of, view_of
from pylon.server.sync.channel import principal_of
from pylon.server.sync.projection import batch_body

_POLL_SECONDS: Final = 0.1
_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


async def events(exchange: Exchange) -> web.StreamResponse:
    """Stream batches, `id:` their `through`, until the caller leaves or the runtime stops."""
    hub = exchange.services.hub
    stream = _Stream(exchange)
    if exchange.method == "HEAD":
        return web.Response(headers=_HEADERS)
    user, address = principal_of(exchange.identity), exchange.address
    subscriptions = hub.quotas.subscriptions
    with hub.admitted(exchange.identity, address):
        subscriptions.demand(user, address, stream.wanted)
        subscriptions.add(user, address, stream.wanted)
        try:
            await stream.begin()
            with suppress(ConnectionError):  # the caller has left
                await stream.run()
        finally:
            subscriptions.add(user, address, -stream.wanted)
    return stream.answer


class _Stream:
    """One caller's stream."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._services = exchange.services
        identity = exchange.identity  # before anything else is judged
        assert identity is not None
        query = exchange.query(("cursor", "subscriptions"))
        self._subscriptions = query.get("subscriptions")
        self._view = view_of(exchange, exchange.identity, self._subscriptions)
        #: Subscriptions that it counts for.
        given = json_parameter(self._subscriptions, "subscriptions")
        self.wanted = 1 if given is None else len(given)
        self._cursor = start_of(
            exchange,
            exchange.identity,
            exchange.request.headers.get("Last-Event-ID") or query.get("cursor"),
        )
        #: Through where the caller was told; what was looked at since held nothing for him.
        self._told: int = self._cursor.seq
        self._definition = self._services.definitions.current
        self._last_sent = self._services.clock.monotonic()
        self.answer = web.StreamResponse(headers=_HEADERS)

    async def begin(self) -> None:
        """Refuse a cursor that can't be continued while that still has a status; then begin."""
        await read_batch(self._exchange, self._view, self._cursor, 1)
        await self.answer.prepare(self._exchange.request)

    async def run(self) -> None:
        """Send what there is, and what comes."""
        try:
            while not self._services.is_stopping:
                if not await self._send_next():
                    await self._until_newer()
            await self._send("goaway", '{"reason":"stopping","retry_ms":500}')
        except ResyncRequired as error:
            reason, head = error.details["reason"], self._services.database.cursor()
            await self._send("resync", f'{{"reason":"{reason}","head":"{head}"}}')
        except Unauthenticated:
            await self._send("goaway", '{"reason":"session ended","retry_ms":0}')

    async def _send_next(self) -> bool:
        """Send the next batch, if there is one or one is due; tells whether there is more."""
        services = self._services
        self._demand_session()
        if services.definitions.current is not self._definition:
            self._definition = services.definitions.current
            await self._send("schema", f'{{"schema":"{self._definition.hash}"}}')
            self._view = view_of(self._exchange, self._exchange.identity, self._subscriptions)
        page = await read_batch(self._exchange, self._view, self._cursor, limits.PULL_LIMIT_MAX)
        if page.tail or page.more or self._is_due:
            epoch = services.database.epoch
            batch = batch_body(epoch, self._told, page.through, page.tail, more=page.more)
            await self._send("changes", batch.decode(), f"{epoch}:{page.through}")
            self._told = page.through
        self._cursor = services.database.cursor(page.through)
        return page.more

    @property
    def _is_due(self) -> bool:
        silent = self._services.clock.monotonic() - self._last_sent
        return silent > self._services.hub.heartbeat_s - 2 * _POLL_SECONDS

    async def _until_newer(self) -> None:
        services = self._services
        while services.database.head <= self._cursor.seq:
            if services.is_stopping or self._is_due:
                return
            await asyncio.sleep(_POLL_SECONDS)
            self._demand_session()

    def _demand_session(self) -> None:
        """Raise Unauthenticated where the session has ended, or its caller is another now."""
        identity = self._exchange.identity
        if identity.kind is not IdentityKind.USER or identity.user_id is None:
            return
        now = self._services.sessions.identity_now(identity.user_id, identity.session_id)
        if now is None or now.auth_version != identity.auth_version:
            raise Unauthenticated

    async def _send(self, event: str, data: str, id_: str | None = None) -> None:
        head = f"id: {id_}\n" if id_ is not None else ""
        await self._write(f"{head}event: {event}\ndata: {data}\n\n".encode())
        self._last_sent = self._services.clock.monotonic()

    async def _write(self, data: bytes) -> None:
        """Write for as long as the caller takes something and is who he was."""
        transport = self._exchange.request.transport
        writing = asyncio.ensure_future(self.answer.write(data))
        since, left = self._services.clock.monotonic(), -1
        while not (await asyncio.wait((writing,), timeout=_POLL_SECONDS))[0]:
            now = self._services.clock.monotonic()
            queued = 0 if transport is None else transport.get_write_buffer_size()
            if queued != left:
                since, left = now, queued
            is_over = now - since > limits.SEND_STALL_SECONDS or self._has_ended
            if is_over and transport is not None:
                transport.abort()
        await writing

    @property
    def _has_ended(self) -> bool:
        try:
            self._demand_session()
        except Unauthenticated:
            return True
        return False
