"""GET /api/sync/events: the same batches as the socket's, as server-sent events.

What goes wrong after the answer has begun is an event of its own and the end of the stream; a
caller who leaves costs nothing but the next write.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from pylon import limits, limits_live
from pylon.errors import ResyncRequired, Unauthenticated
from pylon.server.http.event_stream import HEADERS, POLL_SECONDS, EventStream, demand_session
from pylon.server.http.exchange import Exchange
from pylon.server.http.pull import read_batch, specs_of, start_of, view_of, view_over
from pylon.server.sync.catch_up import Page
from pylon.server.sync.channel import principal_of
from pylon.server.sync.projection import batch_body
from pylon.server.sync.subscription import make_function_subscription
from pylon.server.sync.view import View


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
            stream.follow()
            with suppress(ConnectionError):  # the caller has left
                await stream.run()
        finally:
            stream.leave()
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
        given = query.get("subscriptions")
        specs = None if given is None else specs_of(exchange, given)
        self._rows = None if specs is None else [one for one in specs if one.fn is None]
        self._view = self._view_now()
        self._functions = [
            make_function_subscription(one, self._services.definitions.current, identity)
            for one in specs or ()
            if one.fn is not None
        ]
        #: Of followed functions, what each came to last and was not sent yet.
        self._values: dict[str, str] = {}
        #: Subscriptions that it counts for.
        self.wanted = 1 if specs is None else len(specs)
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

    def _view_now(self) -> View:
        exchange, rows = self._exchange, self._rows
        if rows is None:
            return view_of(exchange, exchange.identity, None)
        return view_over(exchange, exchange.identity, rows)

    def follow(self) -> None:
        """Begin to follow the functions that were asked for."""
        for one in self._functions:
            self._services.hub.live.follow(self, one, self._exchange.identity)

    def leave(self) -> None:
        """Follow them no more."""
        for one in self._functions:
            self._services.hub.live.leave(self, one.id)

    def take_live(self, kind: str, members: str) -> bool:
        """Keep the newest of a followed function until it is sent.

        An error is a `value` event too: pages take an event `error` for a broken connection.
        Refused while too much is kept for a caller who reads slowly.
        """
        name = members.partition(",")[0]
        kept = sum(len(one) for each, one in self._values.items() if each != name)
        if kept > limits_live.LIVE_QUEUE_BYTES_MAX:
            return False
        self._values[name] = members
        return True

    async def begin(self) -> None:
        """Refuse a cursor that can't be continued while that still has a status; then begin."""
        await self._read(1)
        await self._stream.begin()

    async def run(self) -> None:
        """Send what there is, and what comes."""
        try:
            while not self._services.is_stopping:
                is_more = await self._send_next()
                await self._send_values()
                if not is_more:
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
            self._view = self._view_now()
        page = await self._read(limits.PULL_LIMIT_MAX)
        if page.tail or page.more or self._is_due:
            epoch = services.database.epoch
            batch = batch_body(epoch, self._told, page.through, page.tail, more=page.more)
            await self._stream.send("changes", batch.decode(), f"{epoch}:{page.through}")
            self._told = page.through
        self._cursor = services.database.cursor(page.through)
        return page.more

    async def _send_values(self) -> None:
        """Send what followed functions came to, for as long as the caller is who he was."""
        while self._values:
            demand_session(self._exchange)
            members = self._values.pop(next(iter(self._values)))
            await self._stream.send("value", f"{{{members}}}")

    async def _read(self, limit: int) -> Page:
        exchange = self._exchange
        return await read_batch(exchange, self._view, self._cursor, limit, exchange.identity.asker)

    @property
    def _is_due(self) -> bool:
        return self._stream.silent_s > self._services.hub.heartbeat_s - 2 * POLL_SECONDS

    async def _until_newer(self) -> None:
        services = self._services
        while services.database.head <= self._cursor.seq and not self._values:
            if services.is_stopping or self._is_due:
                return
            await asyncio.sleep(POLL_SECONDS)
            demand_session(self._exchange)
