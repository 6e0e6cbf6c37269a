"""The requests of the Python client: what comes of answers that are no runtime's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pylon.client.connection import Connection, ServerRefused
from pylon.errors import PylonError, Unavailable


@asynccontextmanager
async def _answering(status: int, body: bytes) -> AsyncIterator[Connection]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} Is\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        connection = Connection(url, None, lambda event: None)
        await connection.start()
        try:
            yield connection
        finally:
            await connection.stop()


async def _ask(connection: Connection, *, is_stream: bool) -> None:
    if not is_stream:
        await connection.request("GET", "/api/sync/pull")
        return
    async for _ in connection.events("/api/fn/spell", {}):
        pass


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("status", [200, 502])
async def test_a_page_of_a_proxy_is_no_answer(status: int, *, is_stream: bool) -> None:
    """Its runtime is away: it is tried again, as where nobody answers; an upload goes on."""
    async with _answering(status, b"<html>Bad Gateway</html>") as connection:
        with pytest.raises(Unavailable):
            await _ask(connection, is_stream=is_stream)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(503, b"{}", "UNAVAILABLE"), (503, b"", "UNAVAILABLE"), (404, b"[1]", "INTERNAL"),
     (500, b'{"error": "down"}', "UNAVAILABLE"),
     (409, b'{"error": {"code": "CONFLICT", "message": "taken"}}', "CONFLICT")],
)  # fmt: skip
async def test_an_error_without_a_code_gets_one(
    status: int, body: bytes, code: str, *, is_stream: bool
) -> None:
    """The same one as in the browser."""
    async with _answering(status, body) as connection:
        with pytest.raises(PylonError) as refused:
            await _ask(connection, is_stream=is_stream)
        assert isinstance(refused.value, ServerRefused)
        assert refused.value.code == code
