"""One request on its way: what handlers read, and the answers they give.

The server is aiohttp's low-level one: a routed application with a stack of middlewares costs
more per request than everything that Pylon does for it.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from pylon import jsonvalue, limits
from pylon.errors import (
    InvalidArgument,
    InvalidJson,
    MethodNotAllowed,
    PayloadTooLarge,
    PylonError,
    RateLimited,
    RequestTimeout,
    Unavailable,
    UnsupportedMedia,
)  # fmt: skip
from pylon.identity import Identity
from pylon.ids import is_operation_id
from pylon.policy.mistakes import nearest
from pylon.server.hosts import is_loopback, is_this_machine
from pylon.server.http.peers import client_of, network_of

if TYPE_CHECKING:
    from pylon.server.functions.outcome import Outcome
    from pylon.server.http.services import Services

_INTEGER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_JSON_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(slots=True)
class Exchange:
    """A request with its services; the identity is resolved when it is first asked for."""

    request: web.BaseRequest
    services: Services
    path: str
    #: The parts of the path that the route left open.
    parts: tuple[str, ...] = ()
    #: The request came over the admin socket, which only the owner can reach.
    is_local_socket: bool = False
    _identity: Identity | None = field(default=None)

    @property
    def method(self) -> str:
        """Return the request's method."""
        return self.request.method

    @property
    def address(self) -> str:
        """Return what the caller is counted by: a network that he cannot choose (I72)."""
        return address_of(self.request, self.services)

    @property
    def is_browser(self) -> bool:
        """Tell whether a web page asks: only browsers send these headers by themselves."""
        headers = self.request.headers
        return "Origin" in headers or "Sec-Fetch-Site" in headers

    @property
    def is_of_this_machine(self) -> bool:
        """Tell whether the caller is on this machine, names it so, and is no proxy."""
        headers, peer = self.request.headers, self.request.remote or ""
        name = urlsplit(f"//{self.request.host}").hostname or ""
        proxied_for = headers.get("X-Forwarded-For", peer).partition(",")[0].strip()
        is_here = is_loopback(peer) and is_loopback(proxied_for)
        return is_here and is_this_machine(name) and "Forwarded" not in headers

    @property
    def identity(self) -> Identity:
        """Return the caller; raises Unauthenticated for a bad token."""
        if self._identity is None:
            token = token_of(self.request, self.services.config.session_cookie)
            self._identity = self.services.sessions.resolve(token)
        return self._identity

    @property
    def has_left(self) -> bool:
        """Tell whether the caller's connection is gone."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    @property
    def operation_id(self) -> str | None:
        """Return the Idempotency-Key; raises InvalidArgument for one that is no operation id."""
        given = self.request.headers.get("Idempotency-Key")
        if given is not None and not is_operation_id(given):
            raise InvalidArgument(
                "an Idempotency-Key is 1-64 of A-Za-z0-9_.:-", field="Idempotency-Key"
            )
        return given

    def query(self, names: Collection[str] | None = None) -> Mapping[str, str]:
        """Return the query string's parameters.

        Raises InvalidArgument for one that is given twice or, where `names` are given, is none of
        them: a name spelled wrongly must not read as one left out.
        """
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.request.rel_url.raw_query_string, keep_blank_values=True):
            if name in found:
                raise InvalidArgument(f"{name} is given twice", field=name)
            if names is not None and name not in names:
                raise InvalidArgument(
                    f"there is no parameter {name[:64]}", hint=nearest(name, names), field=name[:64]
                )
            found[name] = value
        return found

    async def body(self, most: int = limits.BODY_BYTES_MAX) -> bytes:
        """Return the body; raises PayloadTooLarge before reading more than the limit.

        Raises RequestTimeout for a body that does not arrive in time, and Unauthenticated where
        the caller is out by its end.
        """
        request = self.request
        _demand_fits(request.content_length or 0, most)
        content = request.content
        if content.is_eof():  # all of it came with the headers: nothing to wait for
            data = content.read_nowait()
            _demand_fits(len(data), most)
            return data
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # of the answer itself nothing was sent yet
        # Put together once: a body of many small pieces must not be copied for each of them.
        chunks, size = [], 0
        try:
            async with asyncio.timeout(limits.HEADER_SECONDS):
                while chunk := await content.readany():
                    size += len(chunk)
                    _demand_fits(size, most)
                    chunks.append(chunk)
        except TimeoutError:
            raise RequestTimeout from None
        self.demand_same_caller()
        return b"".join(chunks)

    def demand_same_caller(self) -> None:
        """Raise where who was let in is out by now, or another: body or answer took long."""
        before, self._identity = self._identity, None
        if before is not None and self.identity != before:
            raise Unavailable("your rights changed on the way; send it again", reason="changed")

    async def json(self) -> Any:
        """Return the body as strict JSON; raises UnsupportedMedia, InvalidJson."""
        headers = self.request.headers
        if not _is_json_type(headers.get("Content-Type", "")):
            raise UnsupportedMedia()
        if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise UnsupportedMedia("bodies are sent as they are, not compressed")
        return jsonvalue.parse(await self.body())

    async def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty body is an empty object."""
        if self.request.content_length in (None, 0) and not self.request.can_read_body:
            return {}
        value = await self.json()
        if not isinstance(value, dict):
            raise InvalidArgument("the body is an object")
        return value


def _demand_fits(size: int, most: int) -> None:
    if size > most:
        raise PayloadTooLarge(f"a body has at most {most} bytes")


@lru_cache(maxsize=64)
def _is_json_type(text: str) -> bool:
    """Tell whether a Content-Type says JSON; JSON is UTF-8, whatever else it says is not."""
    kind, *parameters = [part.strip().lower() for part in text.split(";")]
    charsets = [part.partition("=")[2].strip(' "') for part in parameters
                if part.partition("=")[0].strip() == "charset"]  # fmt: skip
    return kind == "application/json" and all(one in ("utf-8", "utf8") for one in charsets)


def address_of(request: web.BaseRequest, services: Services) -> str:
    """Return the network that a request is counted by."""
    peer = request.remote or "local"
    if services.proxies:
        peer = client_of(peer, request.headers.getall("X-Forwarded-For", ()), services.proxies)
    return network_of(peer)


def token_of(request: web.BaseRequest, cookie: str) -> str | None:
    """Return the token of a request: Authorization, subprotocol, or `cookie`; never the URL."""
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else header
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered is not None:
        for one in offered.split(","):
            if one.strip().startswith("bearer."):
                return one.strip().removeprefix("bearer.")
    if "Cookie" in request.headers:
        return request.cookies.get(cookie)
    return None


def json_text(
    text: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer whose body is ready JSON text."""
    merged = _JSON_HEADERS if headers is None else {**_JSON_HEADERS, **headers}
    return web.Response(body=text.encode(), status=status, headers=merged)


def json_body(body: bytes) -> web.Response:
    """Return an answer whose body is ready JSON."""
    return web.Response(body=body, headers=_JSON_HEADERS)


def json_value(value: Any, status: int = 200) -> web.Response:
    """Return an answer with a JSON value."""
    return web.Response(body=jsonvalue.encode(value), status=status, headers=_JSON_HEADERS)


def no_content() -> web.Response:
    """Return 204."""
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


def error_answer(error: PylonError) -> web.Response:
    """Return the one shape of a failed call."""
    answer = json_value({"error": error.to_wire()}, error.http_status)
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(error.allow)
    if isinstance(error, RateLimited):
        answer.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return answer


def outcome_error(outcome: Outcome) -> web.Response:
    """Return the answer of a call that was refused."""
    answer = json_value({"error": outcome.error}, outcome.http_status)
    if outcome.retry_after_s is not None:
        answer.headers["Retry-After"] = str(max(1, math.ceil(outcome.retry_after_s)))
    return answer


def flag(text: str | None) -> bool:
    """Return a yes-or-no query parameter."""
    return text in ("1", "true", "yes")


def integer(text: str | None, name: str) -> int | None:
    """Return an integer query parameter; raises InvalidArgument."""
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise InvalidArgument(f"{name} is a whole number", field=name)
    return int(text)


def listed(text: str | None) -> list[str] | None:
    """Return a query parameter that is a comma list; an empty one has nothing in it."""
    if text is None:
        return None
    return [one.strip() for one in text.split(",")] if text.strip() else []


def json_parameter(text: str | None, name: str) -> Any:
    """Return a JSON query parameter; raises InvalidArgument."""
    if text is None:
        return None
    try:
        return jsonvalue.parse(text.encode())
    except InvalidJson as error:
        raise InvalidArgument(f"{name}: {error.message}", field=name) from error
