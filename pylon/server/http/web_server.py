"""Pages of the project's own web server, under the app's address; in development only (I73).

Whatever no route of ours answers is asked of it: pages, modules, and the socket over which it tells
them what changed. It listens on loopback, gets no cookie and no token of ours.
"""

from __future__ import annotations

import asyncio
from html import escape
from typing import Final

import aiohttp
from aiohttp import WSMsgType, hdrs, web
from yarl import URL

from pylon.errors import BadRequest, Unavailable
from pylon.server.http.exchange import Exchange

_CHUNK_BYTES: Final = 65_536
_MESSAGE_BYTES_MAX: Final = 16_777_216
_CONNECT_SECONDS: Final = 2.0
#: Between two programs, not between browser and program; or ours alone.
_NOT_PASSED_ON: Final = frozenset(
    one.lower()
    for one in (
        hdrs.HOST, hdrs.CONNECTION, hdrs.KEEP_ALIVE, hdrs.TRANSFER_ENCODING, hdrs.UPGRADE, hdrs.TE,
        hdrs.TRAILER, hdrs.PROXY_AUTHORIZATION, hdrs.PROXY_AUTHENTICATE, hdrs.COOKIE,
        hdrs.AUTHORIZATION, hdrs.SET_COOKIE, hdrs.SEC_WEBSOCKET_KEY, hdrs.SEC_WEBSOCKET_VERSION,
        hdrs.SEC_WEBSOCKET_EXTENSIONS, hdrs.SEC_WEBSOCKET_PROTOCOL,
    )
)  # fmt: skip
_WAITING_PAGE: Final = """\
<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<title>starting …</title><body style="font:16px/1.5 system-ui;max-width:36rem;margin:18vh auto">
<h1>The web server does not answer yet</h1><p>{why}</p>
<p>It is started by <code>[web] dev</code> in <code>pylon.toml</code>: <code>{command}</code>.
What it prints is in the dashboard (<kbd>0</kbd>) and in the terminal of <code>pylon dev</code>.
This page looks again by itself.</p>
"""


class WebServerPages:
    """Asks one web server on loopback."""

    def __init__(self, port: int, command: str) -> None:
        self._base = URL.build(scheme="http", host="127.0.0.1", port=port)
        self._command = command
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Pass a request on, and its answer back; a page that waits where nobody answers."""
        request = exchange.request
        try:
            if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
                return await self._bridge(request)
            return await self._forward(request)
        except aiohttp.ClientConnectionError as error:
            if hdrs.ACCEPT in request.headers and "text/html" in request.headers[hdrs.ACCEPT]:
                why, command = escape(str(error)), escape(self._command)
                text = _WAITING_PAGE.format(why=why, command=command)
                return web.Response(text=text, content_type="text/html", status=503)
            raise Unavailable(
                "the web server of [web] dev does not answer", hint=f"it is: {self._command}"
            ) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            )  # fmt: skip
        return self._session

    def _url(self, request: web.BaseRequest) -> URL:
        path = request.raw_path if request.raw_path.startswith("/") else request.path_qs
        if not path.startswith("/"):
            raise BadRequest("this names no page")  # `OPTIONS *`: it would become part of the host
        return URL(f"{self._base}{path}", encoded=True)

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        body = request.content if request.can_read_body else None
        async with self._opened().request(
            request.method, self._url(request), headers=_passed_on(request.headers), data=body,
            allow_redirects=False,
        ) as found:  # fmt: skip
            answer = web.StreamResponse(
                status=found.status, reason=found.reason, headers=_passed_on(found.headers)
            )
            await answer.prepare(request)
            async for chunk in found.content.iter_chunked(_CHUNK_BYTES):
                await answer.write(chunk)
            await answer.write_eof()
            return answer

    async def _bridge(self, request: web.BaseRequest) -> web.StreamResponse:
        protocols = [
            one.strip()
            for one in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
            if one.strip()
        ]
        async with self._opened().ws_connect(
            self._url(request), protocols=protocols, headers=_passed_on(request.headers),
            max_msg_size=_MESSAGE_BYTES_MAX,
        ) as far:  # fmt: skip
            near = web.WebSocketResponse(protocols=protocols, max_msg_size=_MESSAGE_BYTES_MAX)
            await near.prepare(request)
            both = [
                asyncio.ensure_future(_pump(near, far)),
                asyncio.ensure_future(_pump(far, near)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                await asyncio.gather(*both, return_exceptions=True)
            await near.close()
            return near


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: _Socket, target: _Socket) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await target.send_bytes(message.data)


def _passed_on(headers: object) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in headers.items()  # type: ignore[attr-defined]
        if name.lower() not in _NOT_PASSED_ON
    ]
