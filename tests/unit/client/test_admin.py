"""The owner's client: what it says where nobody answers, or somebody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pylon.client.admin import AdminClient, AdminError


@asynccontextmanager
async def _answering(body: bytes) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _failure(url: str) -> AdminError:
    admin = AdminClient(url, token="t")
    try:
        with pytest.raises(AdminError) as failed:
            await admin.get("admin/status")
    finally:
        await admin.close()
    return failed.value


async def test_where_nobody_listens_the_reason_is_short() -> None:
    """One clause with the address and the system's word, and what to look at."""
    async with _answering(b"") as url:
        pass
    error = await _failure(url)
    assert url in error.message
    assert "ssl" not in error.message
    assert "[" not in error.message
    assert error.hint is not None


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff"])
async def test_another_server_is_told_from_a_runtime(body: bytes) -> None:
    """What is no JSON object is no Pylon runtime; nothing breaks."""
    async with _answering(body) as url:
        assert "no Pylon runtime" in (await _failure(url)).message
