"""The owner's client: what it says where nobody answers, or somebody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from pylon import jsonvalue
from pylon.client import admin
from pylon.client.admin import AdminClient, AdminError


@asynccontextmanager
async def _answering(body: bytes, status: str = "200 OK") -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _failure(url: str) -> AdminError:
    client = AdminClient(url, token="t")
    try:
        with pytest.raises(AdminError) as failed:
            await client.get("admin/status")
    finally:
        await client.close()
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


async def test_a_runtime_that_hangs_is_told_of_while_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket takes whoever comes, and nothing follows: it is no matter of a firewall."""
    monkeypatch.setattr(admin, "_TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_unix_server(lambda _, out: held.append(out), tmp_path / "s")
    client = AdminClient("http://localhost", socket_path=tmp_path / "s")
    waits: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        waits.append("begun")
        yield
        waits.append("answered")

    client.waiting = waiting
    async with server:
        for ask in (client.get("admin/schema"), client.post("admin/seed", {})):
            with pytest.raises(AdminError) as failed:
                await ask
            assert "nothing came within" in failed.value.message
            assert "pylon projects restart" in str(failed.value.hint)
        await client.close()
        for out in held:
            out.close()
    assert waits == ["begun", "begun"]


@pytest.mark.parametrize("status", ["502 Bad Gateway", "302 Found\r\nLocation: /login"])
async def test_a_file_is_not_what_a_proxy_says(status: str) -> None:
    """Its page is neither stored as the file, nor a fault that nobody expects."""
    target = BytesIO()
    async with _answering(b"<html>", status) as url:
        client = AdminClient(url, token="t")
        try:
            with pytest.raises(AdminError, match=r"proxy|elsewhere"):
                await client.download("admin/files/1", target)
        finally:
            await client.close()
    assert target.getvalue() == b""


@pytest.mark.parametrize(
    ("message", "is_of_token"),
    [("the admin token is missing or wrong", True), ("Sign in first.", False)],
)
async def test_a_token_is_blamed_only_where_it_is_not_taken(
    message: str, is_of_token: bool
) -> None:
    """A function that is called as nobody asks for a sign-in: that is no matter of tokens."""
    body = jsonvalue.encode({"error": {"code": "UNAUTHENTICATED", "message": message}})
    async with _answering(body, "401 Unauthorized") as url:
        error = await _failure(url)
    assert (error.code, error.message) == ("UNAUTHENTICATED", message)
    assert ("PYLON_ADMIN_TOKEN" in str(error.hint)) is is_of_token
