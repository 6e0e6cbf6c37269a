"""GET /api/sync/events: the same batches as the socket's, as server-sent events.

What goes wrong after the answer has begun is an event of its own and the end of the stream; a
caller who leaves costs nothing but the next write.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from pylon import limits
from pylon.errors import ResyncRequired, Unauthenticated
from pylon.server.http.event_stream import HEADERS, POLL_SECONDS, EventStream, demand_session
from pylon.server.http.exchange import Exchange, json_parameter
from pylon.server.http.pull import read_batch, start_of, view_of
from pylon.server.sync.channel import principal_of
from pylon.server.sync.projection import batch_body


async def events(exchange: Exchange) -> web.StreamResponse:
    """Stream batches, `id:` their `through`, until the caller leaves or the runtime stops."""
    hub = exchange.services.hub
    stream = _Stream(exchange)
    if exchange.method == "HEAD":
        return web.Response(headers=HEADERS)
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
        self._stream = EventStream(exchange)

    @property
    def answer(self) -> web.StreamResponse:
        """Return the answer as far as it is."""
        return self._stream.answer

    async def begin(self) -> None:
        """Refuse a cursor that can't be continued while that still has a status; then begin."""
        await read_batch(self._exchange, self._view, self._cursor, 1)
        await self._stream.begin()

    async def run(self) -> None:
        """Send what there is, and what comes."""
        try:
            while not self._services.is_stopping:
                if not await self._send_next():
                    await self._until_newer()
            await self._stream.send("goaway", '{"reason":"stopping","retry_ms":500}')
        except ResyncRequired as error:
            reason, head = error.details["reason"], self._services.database.cursor()
            await self._stream.send("resync", f'{{"reason":"{reason}","head":"{head}"}}')
        except Unauthenticated:
            await self._stream.send("goaway", '{"reason":"session ended","retry_ms":0}')

    async def _send_next(self) -> bool:
        """Send the next batch, if there is one or one is due; tells whether there is more."""
        services = self._services
        demand_session(self._exchange)
        if services.definitions.current is not self._definition:
            self._definition = services.definitions.current
            await self._stream.send("schema", f'{{"schema":"{self._definition.hash}"}}')
            self._view = view_of(self._exchange, self._exchange.identity, self._subscriptions)
        page = await read_batch(self._exchange, self._view, self._cursor, limits.PULL_LIMIT_MAX)
        if page.tail or page.more or self._is_due:
            epoch = services.database.epoch
            batch = batch_body(epoch, self._told, page.through, page.tail, more=page.more)
            await self._stream.send("changes", batch.decode(), f"{epoch}:{page.through}")
            self._told = page.through
        self._cursor = services.database.cursor(page.through)
        return page.more

    @property
    def _is_due(self) -> bool:
        return self._stream.silent_s > self._services.hub.heartbeat_s - 2 * POLL_SECONDS

    async def _until_newer(self) -> None:
        services = self._services
        while services.database.head <= self._cursor.seq:
            if services.is_stopping or self._is_due:
                return
            await asyncio.sleep(POLL_SECONDS)
            demand_session(self._exchange)
