"""A runtime elsewhere that means ill: before an honest one, with what steers behind every text.

What is asked is asked with those texts: the honest one gets it without what was put behind them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
from aiohttp import web

from pylon import jsonvalue

#: What is put behind every text.
TWIST: Final = "\x1b]0;PWNED\x07"
#: Says what a message is: nobody would look at one of another kind.
_KEPT: Final = "type"
_HEADERS: Final = ("Authorization", "Content-Type", "Accept")


def twisted(value: Any) -> Any:
    """Return a JSON value with the twist behind all of its texts."""
    if isinstance(value, str):
        return value + TWIST
    if isinstance(value, list):
        return [twisted(one) for one in value]
    if isinstance(value, dict):
        return {name: one if name == _KEPT else twisted(one) for name, one in value.items()}
    return value


class TwistedRuntime:
    """Listens on this machine, before the runtime at a URL, or behind a socket."""

    def __init__(self, behind: str, *, socket: Path | None = None) -> None:
        self._behind = behind
        connector = None if socket is None else aiohttp.UnixConnector(str(socket))
        self._session = aiohttp.ClientSession(connector=connector)
        application = web.Application(client_max_size=2**26)
        application.router.add_get("/api/admin/stream", self._stream)
        application.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        self.url = ""

    async def start(self, *, socket: Path | None = None) -> Self:
        """Begin to listen, on a port or on a socket."""
        await self._runner.setup()
        if socket is not None:
            await web.UnixSite(self._runner, str(socket)).start()
            return self
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}"
        return self

    async def close(self) -> None:
        """End, and what is open with it."""
        await self._session.close()
        await self._runner.cleanup()

    def told(self, value: Any) -> Any:
        """Return what is told in place of a JSON value."""
        return twisted(value)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.replace(quote(TWIST, safe=""), "")
        body = jsonvalue.encode_text(_straight(await _json_of(request)))
        async with self._session.request(
            request.method, self._behind + path, data=body if request.can_read_body else None,
            headers=_headers_of(request), allow_redirects=False,
        ) as answer:  # fmt: skip
            data = await answer.read()
            if "json" in answer.headers.get("Content-Type", ""):
                data = jsonvalue.encode(self.told(jsonvalue.decode_trusted(data)))
            kind = answer.content_type
        return web.Response(body=data, status=answer.status, content_type=kind)

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        near = web.WebSocketResponse(max_msg_size=0)
        await near.prepare(request)
        async with self._session.ws_connect(
            self._behind + request.raw_path, headers=_headers_of(request), max_msg_size=0
        ) as far:
            told = asyncio.create_task(_drain(near))
            async for message in far:
                if near.closed:  # else each that was left holds one of the session's connections
                    break
                if message.type is aiohttp.WSMsgType.TEXT:
                    value = self.told(jsonvalue.decode_trusted(message.data))
                    await near.send_str(jsonvalue.encode_text(value))
            told.cancel()
        return near


async def _drain(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


async def _json_of(request: web.Request) -> Any:
    data = await request.read()
    return jsonvalue.decode_trusted(data) if data else None


def _straight(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(TWIST, "")
    if isinstance(value, list):
        return [_straight(one) for one in value]
    if isinstance(value, dict):
        return {_straight(name): _straight(one) for name, one in value.items()}
    return value


def _headers_of(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in _HEADERS if name in request.headers}
