"""The owner's client: what it says where nobody answers, or somebody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner

from pylon import jsonvalue, limits_data
from pylon.cli import reach, seed
from pylon.cli.main import cli
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


@asynccontextmanager
async def _saying(head: str, *pieces: bytes, is_endless: bool = False) -> AsyncIterator[str]:
    """Answer every request with these bytes; an endless one says the last piece again and again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode())
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            while is_endless:
                writer.write(pieces[-1])
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
def few_bytes(monkeypatch: pytest.MonkeyPatch) -> int:
    """Have less taken of an answer than a runtime may give, so that a test is quick."""
    monkeypatch.setattr(limits_data, "ANSWER_BYTES_MAX", 256 * 1024)
    return 256 * 1024


_OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json"
_EVENTS = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"


async def test_an_answer_without_end_is_left(few_bytes: int) -> None:
    """However much is sent, so much is held; it says what, where and what to do."""
    async with _saying(_OK, b'{"a": "', b"x" * 65_536, is_endless=True) as url:
        error = await _failure(url)
    assert "MiB" in error.message
    assert url in error.message
    assert error.hint is not None


async def test_a_part_without_end_is_left(few_bytes: int) -> None:
    """A stream of parts may go on for ever; a line of it may not."""
    async with _saying(_EVENTS, b"event: part\ndata: ", b"x" * 65_536, is_endless=True) as url:
        admin = AdminClient(url, token="t")
        with pytest.raises(AdminError, match="MiB"):
            await admin.call("f", {}, on_part=lambda _: None)
        await admin.close()


async def test_a_message_of_the_stream_without_end_is_left(few_bytes: int) -> None:
    """The stream ends with words for it, and not with the memory."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"type": "status"}')
        with suppress(ConnectionError):
            await socket.send_str("x" * (few_bytes + 1))
        return socket

    async with _web(stream) as url:
        admin = AdminClient(url, token="t")
        messages = admin.stream()
        assert await anext(messages) == {"type": "status"}
        with pytest.raises(AdminError, match="MiB"):
            await anext(messages)
        await admin.close()


async def test_a_stream_of_something_else_ends_in_words() -> None:
    """A message that is no object is said to be none of a runtime's."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("<html>")
        return socket

    async with _web(stream) as url:
        admin = AdminClient(url, token="t")
        with pytest.raises(AdminError, match="no Pylon runtime"):
            await anext(admin.stream())
        await admin.close()


@pytest.mark.parametrize(
    ("head", "body", "words"),
    [
        ("HTTP/1.1 502 Bad Gateway", b"<html>", "says 502"),
        ("HTTP/1.1 400 Bad Request", b'{"error": "no"}', "no Pylon runtime"),
        ("HTTP/1.1 400 Bad Request", b'{"error": {"code": 7}}', "no Pylon runtime"),
        ("HTTP/1.1 302 Found\r\nLocation: https://sso.example", b"", "sso.example"),
        ("HTTP/1.1 400 Bad Request", b'{"error": {"message": 5, "details": [1]}}', "5"),
    ],
)
async def test_a_refused_download_says_why(head: str, body: bytes, words: str) -> None:
    """A proxy's page, or a refusal of another shape, is told like that of any other request."""
    async with _saying(head, body) as url:
        admin, target = AdminClient(url, token="t"), BytesIO()
        with pytest.raises(AdminError, match=words):
            await admin.download("admin/export", target)
        await admin.close()
    assert target.getvalue() == b""


@pytest.mark.parametrize("event", [b"event: error\ndata: {}\n", b"event: part\ndata: <html>\n"])
async def test_a_part_of_something_else_ends_in_words(event: bytes) -> None:
    """What streams and is no part of a runtime's answer is said to be none."""
    async with _saying(_EVENTS, event) as url:
        admin = AdminClient(url, token="t")
        with pytest.raises(AdminError, match="no Pylon runtime"):
            await admin.call("f", {}, on_part=lambda _: None)
        await admin.close()


@asynccontextmanager
async def _web(
    stream: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/api/admin/stream", stream)
    runner = web.AppRunner(application, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def test_a_seed_and_a_reload_are_waited_for_as_long_as_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many rows, or a migration of many: it goes on there, so nobody is told that it failed."""
    monkeypatch.setattr(admin, "_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    body = b'{"ok":true,"ran":true,"generation":2,"ms":1,"mistakes":[],"plan":""}'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.6)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    def local(_: Path) -> AdminClient:
        return AdminClient("http://localhost", socket_path=tmp_path / "s")

    (tmp_path / "app.py").touch()
    for module, name, stand_in in (
        (seed, "running_runtime", lambda _: True), (reach, "running_runtime", lambda _: True),
        (seed, "local_admin", local), (reach, "local_admin", local),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, stand_in)
    async with await asyncio.start_unix_server(answer, tmp_path / "s"):
        for words in (["seed"], ["reload", "--migrate"]):
            words += ["--project", str(tmp_path)]
            done = await asyncio.to_thread(CliRunner().invoke, cli, words)
            assert done.exit_code == 0, done
