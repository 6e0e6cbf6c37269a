"""Connections that say nothing are given up, and what is no HTTP is answered like all else.

No socket waits for ever for its first request; a request that cannot be read is refused in the
one shape of errors, and is no news for the log: anybody can send one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import http_exceptions, web
from aiohttp.web_protocol import RequestHandler

from pylon import limits
from pylon.errors import (
    AddressInUse,
    BadRequest,
    Internal,
    PayloadTooLarge,
    PylonError,
    RateLimited,
)
from pylon.server.http.exchange import error_answer
from pylon.server.quota import Quota

_log = logging.getLogger("pylon.http")

_KEEP_ALIVE_SECONDS = 75.0
_LINE_BYTES_MAX = 8_190
#: Connections that wait to be taken.
BACKLOG = 1024


class _Handler(RequestHandler):
    """aiohttp's handler of one connection; what it refuses by itself is refused as we do."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:  # fmt: skip
        """Answer what could not be read, and close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer was sent already")
        answer = error_answer(self._as_pylon_error(status, exc))
        answer.headers["Server"] = "Pylon"
        answer.force_close()
        return answer

    def _as_pylon_error(self, status: int, exc: BaseException | None) -> PylonError:
        if isinstance(exc, http_exceptions.LineTooLong):
            return PayloadTooLarge(
                f"a line of a request's head has at most {_LINE_BYTES_MAX} bytes"
            )
        if 400 <= status < 500:
            _log.debug("http.malformed %s", exc)
            return BadRequest()
        if isinstance(exc, ConnectionError):  # anybody can leave in the middle of a body
            _log.debug("http.left %s", exc)
        else:
            _log.error("http.failed", exc_info=exc)
        return Internal()


class PatientServer(web.Server):
    """aiohttp's server, with a time limit for the headers of a connection's first request.

    Later requests of the same connection are covered by the keep-alive time, bodies by
    `Exchange.body`.
    """

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        quota: Quota | None = None,
    ) -> None:  # fmt: skip
        """Make a server; `quota` counts its connections."""
        self._answer = handler
        self._quota = quota or Quota(
            "connections", limits.CONNECTIONS_MAX, limits.CONNECTIONS_MAX,
            limits.CONNECTIONS_PER_ADDRESS_MAX,
        )  # fmt: skip
        self._counted: dict[Any, str] = {}
        self._silent: dict[Any, asyncio.TimerHandle] = {}
        super().__init__(
            self._heard, access_log=None, keepalive_timeout=_KEEP_ALIVE_SECONDS,
            lingering_time=1.0, max_line_size=_LINE_BYTES_MAX, max_field_size=_LINE_BYTES_MAX,
            auto_decompress=False,
        )  # fmt: skip

    @property
    def count(self) -> int:
        """Return how many connections there are."""
        return self._quota.count

    def __call__(self) -> RequestHandler:
        """Return the handler of a new connection."""
        return _Handler(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Count it, and begin to wait for its first request."""
        super().connection_made(handler, transport)
        address = _address_of(transport)
        try:
            self._quota.demand("", address)
        except RateLimited:
            transport.abort()
            return
        self._quota.add("", address)
        self._counted[handler] = address
        self._silent[handler] = asyncio.get_running_loop().call_later(
            limits.HEADER_SECONDS, self._give_up, handler, transport
        )

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Count and wait for it no more."""
        address = self._counted.pop(handler, None)
        if address is not None:
            self._quota.add("", address, -1)
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


def _address_of(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else "local"


def listen_on(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises AddressInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressInUse(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="another program has the port; choose one with --port",
        ) from error
    return listener
