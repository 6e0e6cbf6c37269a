"""Connections are counted by address, and those beyond the bound are closed unread."""

from __future__ import annotations

import asyncio

from aiohttp import web

from pylon.server.http.connections import PatientServer
from pylon.server.quota import Quota


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="here")


async def _ask(port: int) -> tuple[bytes, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        async with asyncio.timeout(60):
            return await reader.readline(), writer
    except ConnectionResetError:
        return b"", writer


async def test_connections_beyond_the_bound_are_closed() -> None:
    """Two of two are served, the third is not, and one is again where another has gone."""
    quota = Quota("connections", 10, 10, 2)
    server = PatientServer(_answer, quota)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    writers = []
    for expected in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n", b""):
        line, writer = await _ask(port)
        assert line == expected
        writers.append(writer)
    assert quota.count == 2
    writers[0].close()
    async with asyncio.timeout(60):
        while quota.count > 1:
            await asyncio.sleep(0.01)
    line, writer = await _ask(port)
    assert line.startswith(b"HTTP/1.1 200")
    for one in (*writers, writer):
        one.close()
    listening.close()
    await server.shutdown(1)
    assert quota.count == 0
