"""The shape of HTTP: what is no request, no method, no host or no type is refused as all else."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest

from pylon.testing.served import Caller, DidNotStart, ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES

MALFORMED = {
    "no HTTP": b"\x16\x03\x01nothing\r\n\r\n",
    "no request line": b"GET\r\n\r\n",
    "an unknown method": b"FOO! /api/health HTTP/1.1\r\n\r\n",
    "no host": b"GET /api/health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    "bytes in the path": b"GET /api/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a bad header": b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n",
    "NUL in a header": b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    "line feeds alone": b"GET /api/health HTTP/1.1\nHost: localhost\n\n",
    "too many headers": (
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 500 + b"\r\n"
    ),
    "two lengths": (
        b"POST /api/fn/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3"
        b"\r\n\r\n{}"
    ),
    "a length and chunks": (
        b"POST /api/fn/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding:"
        b" chunked\r\n\r\n{}"
    ),
    "a length below nothing": (
        b"POST /api/fn/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -2\r\n\r\n{}"
    ),
}  # fmt: skip


async def raw(served: ServedProject, data: bytes) -> tuple[int, dict[str, str], Any]:
    """Send bytes as they are; return status, headers and JSON body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(data)
        async with asyncio.timeout(60):
            head = b"HTTP/1.1 100 Continue"
            while head.startswith(b"HTTP/1.1 100"):
                head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split()[1]), headers, json.loads(body) if body else None
    finally:
        writer.close()


def request(
    served: ServedProject, caller: Caller, line: str, *headers: str, body: bytes = b""
) -> bytes:  # fmt: skip
    """Return the bytes of a request."""
    lines = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{served.port}", *headers]
    lines += [f"{name}: {value}" for name, value in caller.headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def test_what_is_no_http_is_refused_in_the_one_shape(serve: Serve) -> None:
    """Strict JSON, a 4xx, the connection closed, and neither a traceback nor a line in the log."""
    served = await serve(NOTES, mode="serve", extra=("--migrate",))
    logged = len(served.lines)
    for name, data in MALFORMED.items():
        status, headers, body = await raw(served, data)
        assert (status, body["error"]["code"]) == (400, "BAD_REQUEST"), name
        assert headers["content-type"] == "application/json", name
        assert headers["server"] == "pylon", name
    long_line = b"GET /api/health?x=" + b"y" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    status, _, body = await raw(served, long_line)
    assert (status, body["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert served.lines[logged:] == []
    assert (await served.anonymous().get("/api/health")).status == 200


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_who_leaves_within_a_body_is_no_news_for_the_log(serve: Serve, head: str) -> None:
    """Anybody can do that as often as he likes: a traceback each time would fill the disk."""
    served = await serve(NOTES)
    for is_hard in (False, True):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            f"POST /api/auth/magic/send HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
            f"Content-Type: application/json\r\n{head}\r\n\r\n5\r\n{{".encode()
        )
        await writer.drain()
        assert (await served.anonymous().get("/api/health")).status == 200
        if is_hard:
            writer.transport.abort()
        writer.close()
    await asyncio.sleep(0.2)
    assert (await served.anonymous().get("/api/health")).status == 200
    assert "Traceback" not in served.output
    assert "http.failed" not in served.output


async def test_a_refused_method_names_those_that_are_taken(serve: Serve) -> None:
    """405 has Allow; HEAD is GET without the body; nothing is changed by OPTIONS."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    note = await ada.insert("Note", text="x")
    for method, path, allow in (
        ("OPTIONS", "/api/entities/Note", "GET, HEAD, POST"),
        ("PUT", f"/api/entities/Note/{note['id']}", "DELETE, GET, HEAD, PATCH"),
        ("TRACE", "/api/health", "GET, HEAD"),
        ("POST", "/api/sync/ws", "GET, HEAD"),
        ("GET", "/api/sync/push", "POST"),
        ("DELETE", "/index.html", "GET, HEAD"),
    ):
        answer = await ada.ask(method, path)
        assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED"), (method, path)
        assert answer.headers["Allow"] == allow, (method, path)
    for path in ("/api/sync/events", "/_pylon/dev/events"):
        status, headers, body = await raw(served, request(served, ada, f"HEAD {path}"))
        assert (status, body) == (200, None)
        assert headers["content-type"].startswith("text/event-stream"), path
        assert "transfer-encoding" not in headers, "no event stream begins"
    for path in ("/api/health", "/api/entities/Note", f"/api/entities/Note/{note['id']}"):
        got, head = await ada.get(path), await ada.ask("HEAD", path)
        assert (head.status, head.body) == (200, "")
        for name in ("Content-Length", "Content-Type", "ETag"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)


async def test_the_client_knows_whose_rows_it_keeps(serve: Serve) -> None:
    """The runtime puts its app's name into the script, so that its quotes stay quotes."""
    served = await serve('from pylon import App\n\napp = App("it\'s `mine`")\n')
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{served.url}/_pylon/client.js") as answer,
    ):
        text = await answer.text()
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "it%27s%20%60mine%60" in text
    assert "__PYLON_APP__" not in text


async def test_a_socket_path_without_an_upgrade_is_a_bad_request(serve: Serve) -> None:
    """Neither a plain GET nor a broken handshake is an error of the server."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    upgrade = ("Upgrade: websocket", "Connection: Upgrade")
    for headers in (
        (), (*upgrade, "Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        (*upgrade, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: abc"),
        (*upgrade, "Sec-WebSocket-Version: 13"),
    ):  # fmt: skip
        status, _, body = await raw(served, request(served, ada, "GET /api/sync/ws", *headers))
        assert (status, body["error"]["code"]) == (400, "BAD_REQUEST"), headers


async def test_bodies_are_json_in_utf8_and_not_compressed(serve: Serve) -> None:
    """Other types, other charsets and every encoding are 415; a bomb is never unfolded."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    body = b'{"text":"x"}'
    for kind in ("", "text/plain", "application/json; charset=utf-16",
                 "application/json;charset=latin-1", "application/vnd.api+json"):  # fmt: skip
        answer = await ada.ask("POST", "/api/entities/Note", data=body,
                               headers={"Content-Type": kind})  # fmt: skip
        assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA"), kind
    bomb = gzip.compress(b'{"text":"' + b"x" * 50_000_000 + b'"}', 1)
    for encoding, data in (("gzip", gzip.compress(body)), ("gzip", b"no gzip"), ("br", body),
                           ("zstd", body), ("nothing", body), ("gzip", bomb)):  # fmt: skip
        status, _, answered = await raw(
            served, request(served, ada, "POST /api/entities/Note",
                            "Content-Type: application/json", f"Content-Encoding: {encoding}",
                            body=data),
        )  # fmt: skip
        assert (status, answered["error"]["code"]) == (415, "UNSUPPORTED_MEDIA"), encoding
    for kind in ("application/json", 'Application/JSON; charset="UTF-8"'):
        answer = await ada.ask("POST", "/api/entities/Note", data=body,
                               headers={"Content-Type": kind})  # fmt: skip
        assert answer.status == 201, kind


async def test_who_waits_for_a_word_before_the_body_gets_it(serve: Serve) -> None:
    """`Expect: 100-continue` is answered where the body is wanted, and not where it is refused."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    head = request(served, ada, "POST /api/entities/Note", "Content-Type: application/json",
                   "Expect: 100-continue", "Content-Length: 12")  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head)
    async with asyncio.timeout(60):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"text":"x"}')
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201")
    writer.close()
    large = head.replace(b"Content-Length: 12", b"Content-Length: 99999999")
    status, _, body = await raw(served, large)
    assert (status, body["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_large_files_are_served_like_small_ones(serve: Serve) -> None:
    """Same type, same headers, HEAD and all; nothing of the folder's neighbours."""
    served = await serve(NOTES)
    folder = served.project / "web"
    folder.mkdir(exist_ok=True)
    nobody = served.anonymous()
    for size in (10, 3_000_000):
        (folder / "types.d.ts").write_text("x" * size)
        got, head = await nobody.get("/types.d.ts"), await nobody.ask("HEAD", "/types.d.ts")
        assert (got.status, len(got.body), head.status) == (200, size, 200)
        for answer in (got, head):
            assert answer.headers["Content-Type"] == "application/typescript; charset=utf-8"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Length"] == str(size)
            assert answer.headers["Server"] == "Pylon"


async def test_paths_are_decoded_once(serve: Serve) -> None:
    """What is escaped twice is a name with an escape in it, not another name."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    await ada.insert("Note", id="a", text="x")
    assert (await raw(served, request(served, ada, "GET /api/entities/Note/%61")))[0] == 200
    for path in ("/api/entities/Note/%2561", "/api/entities/Note/%ff", "/api/entities/Note/%00",
                 "/api/entities/Note/a%2fb", "/%252e%252e/app.py", "/..%5capp.py"):  # fmt: skip
        status, _, body = await raw(served, request(served, ada, f"GET {path}"))
        assert (status, body["error"]["code"]) == (404, "NOT_FOUND"), path


@pytest.mark.parametrize("origin", ["https://chat.example", "https://Chat.Example:443/"])
async def test_hosts_and_origins_are_ours_or_refused(serve: Serve, origin: str) -> None:
    """Ours: this machine's names and the hosts of `origins`, with no port or the own one."""
    served = await serve(NOTES, toml=f'[server]\norigins = ["{origin}"]\n')
    port = served.port

    async def ask(host: str, *headers: str, target: str = "/api/health") -> int:
        lines = "".join(f"{one}\r\n" for one in headers)
        data = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"
        return (await raw(served, data.encode("latin-1")))[0]

    names = ("localhost", "127.0.0.1", "[::1]", "chat.example", "CHAT.example")
    for host in [*names, *(f"{name}:{port}" for name in names)]:
        assert await ask(host) == 200, host
    for host in ("evil.example", "localhost.evil.example", f"localhost:{port + 1}", "0.0.0.0",
                 "chat.example:1", "[::]", "", "\xff", "localhost, evil"):  # fmt: skip
        assert await ask(host) == 421, host
    assert await ask("localhost", target="http://evil.example/api/health") == 421
    assert await ask("localhost", target=f"http://localhost:{port}/api/health") == 200
    for given in (f"http://localhost:{port}", f"http://[::1]:{port}", "https://chat.example",
                  f"http://chat.example:{port}"):  # fmt: skip
        assert await ask("localhost", f"Origin: {given}") == 200, given
    for given in ("null", "https://evil.example", "http://chat.example", f"https://localhost:{port}",
                  "https://chat.example.evil.example", "https://chat.example:444", "\xff",
                  f"http://localhost:{port + 1}", "http://localhost"):  # fmt: skip
        assert await ask("localhost", f"Origin: {given}") == 403, given


async def test_bytes_in_credentials_are_no_error_of_the_server(serve: Serve) -> None:
    """A token that is no text is a wrong token, for people and for the owner."""
    served = await serve(NOTES)
    nobody = served.anonymous()
    for path in ("/api/auth/me", "/api/admin/status", "/api/health?full=1"):
        line = request(served, nobody, f"GET {path}", "Authorization: Bearer \xff")
        status, _, body = await raw(served, line)
        assert (status, body["error"]["code"]) == (401, "UNAUTHENTICATED"), path


async def test_an_origin_without_a_scheme_stops_the_start(serve: Serve) -> None:
    """Half an origin would match nothing, or a request without a host."""
    for origin in ("chat.example", "*", "", "https://chat.example/path", "ws://chat.example"):
        served = await serve(NOTES, is_started=False, toml=f'[server]\norigins = ["{origin}"]\n')
        with pytest.raises(DidNotStart) as caught:
            await served.start()
        assert "is no origin" in str(caught.value), origin
