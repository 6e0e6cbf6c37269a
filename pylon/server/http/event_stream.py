"""Server-sent events to one caller: bounded by what he takes, for as long as he is who he was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from pylon import limits
from pylon.errors import Unauthenticated
from pylon.identity import IdentityKind
from pylon.server.http.exchange import Exchange

POLL_SECONDS: Final = 0.1
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def demand_session(exchange: Exchange) -> None:
    """Raise Unauthenticated where the caller's session has ended, or he is another now."""
    identity = exchange.identity
    if identity.kind is not IdentityKind.USER or identity.user_id is None:
        return
    now = exchange.services.sessions.identity_now(identity.user_id, identity.session_id)
    if now is None or now.auth_version != identity.auth_version:
        raise Unauthenticated


class EventStream:
    """One answer of events; it begins with the first."""

    def __init__(
        self, exchange: Exchange, demand: Callable[[Exchange], None] = demand_session
    ) -> None:
        """Make a stream; `demand` raises Unauthenticated where its reader is out by now."""
        self._exchange = exchange
        self._demand = demand
        self._clock = exchange.services.clock
        self._beginning = asyncio.Lock()
        self._last_sent = self._clock.monotonic()
        self.answer = web.StreamResponse(headers=HEADERS)

    @property
    def has_begun(self) -> bool:
        """Tell whether the answer has a status already."""
        return self.answer.prepared

    @property
    def silent_s(self) -> float:
        """Return for how long nothing was sent."""
        return self._clock.monotonic() - self._last_sent

    async def begin(self) -> None:
        """Send the head of the answer, once."""
        async with self._beginning:
            if not self.has_begun:
                await self.answer.prepare(self._exchange.request)

    async def send(self, event: str, data: str, id_: str | None = None) -> None:
        """Send one event and wait until the caller has taken most of what was sent.

        Raises ConnectionError where he has left, or takes nothing for too long.
        """
        head = f"id: {id_}\n" if id_ is not None else ""
        await self._write(f"{head}event: {event}\ndata: {data}\n\n".encode())

    async def keep_alive(self) -> None:
        """Send what means nothing, so that nobody between takes the stream for dead."""
        await self._write(b":\n\n")

    async def _write(self, data: bytes) -> None:
        await self.begin()
        self._last_sent = self._clock.monotonic()
        transport = self._exchange.request.transport
        writing = asyncio.ensure_future(self.answer.write(data))
        try:
            since, left = self._clock.monotonic(), -1
            while not (await asyncio.wait((writing,), timeout=POLL_SECONDS))[0]:
                now = self._clock.monotonic()
                queued = 0 if transport is None else transport.get_write_buffer_size()
                if queued != left:
                    since, left = now, queued
                is_over = now - since > limits.SEND_STALL_SECONDS or self._has_ended
                if is_over and transport is not None:
                    transport.abort()
            await writing
            self._last_sent = self._clock.monotonic()
        finally:
            writing.cancel()

    @property
    def _has_ended(self) -> bool:
        try:
            self._demand(self._exchange)
        except Unauthenticated:
            return True
        return False
