"""Connections that say nothing are given up: no socket waits for ever for its first request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from pylon import limits

_KEEP_ALIVE_SECONDS = 75.0
_LINE_BYTES_MAX = 8_190


class PatientServer(web.Server):
    """aiohttp's server, with a time limit for the headers of a connection's first request.

    Later requests of the same connection are covered by the keep-alive time, bodies by
    `Exchange.body`.
    """

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        self._answer = handler
        self._silent: dict[Any, asyncio.TimerHandle] = {}
        super().__init__(
            self._heard, access_log=None, keepalive_timeout=_KEEP_ALIVE_SECONDS,
            lingering_time=1.0, max_line_size=_LINE_BYTES_MAX, max_field_size=_LINE_BYTES_MAX,
        )  # fmt: skip

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(handler, transport)
        self._silent[handler] = asyncio.get_running_loop().call_later(
            limits.HEADER_SECONDS, self._give_up, handler, transport
        )

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Wait no longer."""
        self._stop_waiting(handler)
        super().connection_lost(handler, exc)

    def _stop_waiting(self, handler: Any) -> None:
        timer = self._silent.pop(handler, None)
        if timer is not None:
            timer.cancel()

    def _give_up(self, handler: Any, transport: asyncio.Transport) -> None:
        self._silent.pop(handler, None)
        transport.abort()

    async def _heard(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.protocol in self._silent:
            self._stop_waiting(request.protocol)
        return await self._answer(request)
