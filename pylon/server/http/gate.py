"""The gate before every handler, on every port: Host, Origin, then errors into answers.

A web page can send requests to a server on localhost; what it cannot do is name our host and our
origin (I74).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

from pylon import limits
from pylon.errors import (
    BadRequest,
    ForbiddenOrigin,
    Internal,
    Misdirected,
    PayloadTooLarge,
    PylonError,
)
from pylon.server.http.exchange import Exchange, address_of, error_answer
from pylon.server.http.routes import Router
from pylon.server.http.services import Services

_log = logging.getLogger("pylon.http")
#: What `limits.requests_per_second` counts; auth routes have a limit of their own.
_DATA_PATHS = ("/api/entities/", "/api/query/", "/api/aggregate/", "/api/search/", "/api/fn/",
               "/api/sync/")  # fmt: skip
#: What is read for a caller, by POST and by GET: it may have waited for its turn, and goes out to
#: nobody who lost his right to it in the meantime (I63). Writes are judged in their transactions.
_READ_PATHS = (
    ("/api/query/", "/api/aggregate/"),
    ("/api/entities/", "/api/search/", "/api/sync/pull", "/api/sync/snapshot"),
)
#: What the supervisor asks twice a second: nobody is there because of it.
_SUPERVISORS_PATHS = ("/api/admin/status", "/api/admin/shutdown")
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def known_names(
    host: str, port: int, origins: Iterable[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return (hosts, origins) that are ours.

    Args:
        host: the address that is listened on.
        port: the port.
        origins: further origins, from the settings.
    """
    given = [urlsplit(origin.lower()) for origin in origins]
    names = {*_LOCAL_NAMES, _bracketed(host.lower())}
    names |= {_bracketed(one.hostname or "") for one in given}
    hosts = {*names, *(f"{name}:{port}" for name in names), *(one.netloc for one in given)}
    own = {f"http://{name}:{port}" for name in names}
    if port == _DEFAULT_PORTS["http"]:
        own |= {f"http://{name}" for name in names}
    for one in given:
        # Browsers leave the usual port out.
        is_usual = one.port in (None, _DEFAULT_PORTS.get(one.scheme))
        name = _bracketed(one.hostname or "")
        own.add(f"{one.scheme}://{name}" if is_usual else f"{one.scheme}://{name}:{one.port}")
    return frozenset(hosts), frozenset(own)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


class Gate:
    """Turns requests into answers."""

    def __init__(self, services: Services, router: Router, *, is_local_socket: bool) -> None:
        self._services = services
        self._router = router
        self._is_local_socket = is_local_socket

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; no exception leaves it but cancellation."""
        if self._is_local_socket and request.path in _SUPERVISORS_PATHS:
            return await self._answer(request)
        presence = self._services.presence
        presence.enter()
        try:
            return await self._answer(request)
        finally:
            presence.leave()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if not self._is_local_socket:
                self._check_host(request)
                self._check_origin(request)
                self._check_rate(request)
            exchange = Exchange(
                request, self._services, request.path, is_local_socket=self._is_local_socket
            )
            answer = await self._router.dispatch(exchange)
            if request.path.startswith(_READ_PATHS[request.method in ("GET", "HEAD")]):
                exchange.demand_same_caller()
        except PylonError as error:
            answer = self._refusal(request, error)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except (web.HTTPBadRequest, web.HTTPRequestEntityTooLarge) as error:
            answer = error_answer(_as_pylon_error(error))
        except Exception as error:  # noqa: BLE001 -- the last net: nothing leaks (I76)
            error_id = self._services.ids.uuid7()
            _log.error("http.failed %s %s id=%s", request.method, request.path, error_id,
                       exc_info=error)  # fmt: skip
            answer = error_answer(Internal(id=error_id))
        if not answer.prepared:
            answer.headers["Server"] = "Pylon"  # not which libraries in which versions
        return answer

    def _refusal(self, request: web.BaseRequest, error: PylonError) -> web.Response:
        answer = error_answer(error)
        if request.can_read_body and not request.content.at_eof():
            # What was not read would be taken for the next request.
            answer.force_close()
        return answer

    def _check_rate(self, request: web.BaseRequest) -> None:
        rates = self._services.data_rates
        if rates is not None and request.path.startswith(_DATA_PATHS):
            rates.demand(address_of(request, self._services))

    def _check_host(self, request: web.BaseRequest) -> None:
        host = request.headers.get("Host", "").lower()
        target = request.raw_path
        if not target.startswith("/"):  # a whole URL names the host again, and wins
            host = urlsplit(target).netloc.lower() or host
        if host not in self._services.known_hosts:
            raise Misdirected(
                f"this runtime does not answer for {host[:100]!r}",
                hint="add its origin to [server] origins in pylon.toml",
            )

    def _check_origin(self, request: web.BaseRequest) -> None:
        origin = request.headers.get("Origin")
        if origin is not None:
            if origin not in self._services.known_origins:
                raise ForbiddenOrigin()
        elif request.method not in ("GET", "HEAD") and request.headers.get(
            "Sec-Fetch-Site", "none"
        ) not in ("same-origin", "none"):
            raise ForbiddenOrigin()


def _as_pylon_error(error: web.HTTPException) -> PylonError:
    if error.status == 413:
        return PayloadTooLarge(f"a body has at most {limits.BODY_BYTES_MAX} bytes")
    return BadRequest("this path takes a WebSocket")
