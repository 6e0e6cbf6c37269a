"""Hostile input: refused with a place and a code, before it costs anything, and nothing stored."""

from __future__ import annotations

import asyncio

from pylon import limits
from pylon.testing.served import ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES

_DEEP = b'{"text":"x","extra":' + b"[" * 70 + b"]" * 70 + b"}"
_MANY = b'{"text":"x","extra":{' + b",".join(b'"k%d":1' % n for n in range(10_100)) + b"}}"
BAD_BODIES = {
    "not JSON": (b"{", "INVALID_JSON"),
    "duplicate keys": (b'{"text":"a","text":"b"}', "INVALID_JSON"),
    "a lone surrogate": (b'{"text":"\\ud800"}', "INVALID_JSON"),
    "NUL in text": (b'{"text":"a\\u0000b"}', None),
    "NaN": (b'{"text":"x","ratio":NaN}', "INVALID_JSON"),
    "Infinity": (b'{"text":"x","ratio":1e999}', None),
    "an integer beyond 2^53": (b'{"text":"x","rank":9007199254740993}', "INVALID_ARGUMENT"),
    "a float for an integer": (b'{"text":"x","rank":1.5}', "INVALID_ARGUMENT"),
    "a bool for an integer": (b'{"text":"x","rank":true}', "INVALID_ARGUMENT"),
    "a text for a bool": (b'{"text":"x","secret":"true"}', "INVALID_ARGUMENT"),
    "a naive time": (b'{"text":"x","at":"2026-11-24T12:00:00"}', "INVALID_ARGUMENT"),
    "a day that is none": (b'{"text":"x","day":"2026-02-30"}', "INVALID_ARGUMENT"),
    "too many decimals": (b'{"text":"x","price":"1.234"}', "INVALID_ARGUMENT"),
    "an unknown choice": (b'{"text":"x","kind":"silent"}', "INVALID_ARGUMENT"),
    "an unknown field": (b'{"text":"x","txt":"y"}', "INVALID_ARGUMENT"),
    "a text that is too long": (b'{"text":"' + b"x" * 201 + b'"}', "INVALID_ARGUMENT"),
    "an empty text": (b'{"text":""}', "INVALID_ARGUMENT"),
    "a missing text": (b"{}", "INVALID_ARGUMENT"),
    "a null text": (b'{"text":null}', "INVALID_ARGUMENT"),
    "_seq": (b'{"text":"x","_seq":1}', "INVALID_ARGUMENT"),
    "a list": (b"[]", None),
    "depth": (_DEEP, None),
    "too many keys": (_MANY, None),
    "bad UTF-8": (b'{"text":"\xff"}', "INVALID_JSON"),
}  # fmt: skip


async def test_bad_bodies_are_refused_and_leave_nothing(serve: Serve) -> None:
    """Every bad body is a 400 that says what is wrong; no row and no log entry is left."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    before = (await ada.get("/api/health")).body["head"]
    for name, (data, code) in BAD_BODIES.items():
        answer = await ada.ask("POST", "/api/entities/Note", data=data)
        assert answer.status == 400, f"{name}: {answer}"
        assert answer.code in ("INVALID_JSON", "INVALID_ARGUMENT"), name
        if code is not None:
            assert answer.code == code, f"{name}: {answer.body}"
    assert (await ada.get("/api/health")).body["head"] == before
    assert (await ada.get("/api/entities/Note")).body["rows"] == []


async def test_every_problem_is_named_at_once(serve: Serve) -> None:
    """Three wrong fields are three problems of one answer."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    answer = await ada.post("/api/entities/Note", {"rank": "x", "secret": 1, "nope": 2})
    fields = {one["field"] for one in answer.body["error"]["details"]["problems"]}
    assert fields == {"text", "rank", "secret", "nope"}


async def test_sizes_and_types_are_judged_before_they_are_read(serve: Serve) -> None:
    """A body over the limit is 413, a form is 415, a compressed bomb never unfolds."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    big = b'{"text":"' + b"x" * (limits.BODY_BYTES_MAX + 10) + b'"}'
    assert (await ada.ask("POST", "/api/entities/Note", data=big)).code == "PAYLOAD_TOO_LARGE"
    form = await ada.ask(
        "POST", "/api/entities/Note", data=b"text=x",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert form.code == "UNSUPPORTED_MEDIA"
    row = {"text": "x", "extra": {"a": "y" * 600_000}}
    assert (await ada.post("/api/entities/Note", row)).status in (400, 413)


async def test_foreign_hosts_and_origins_are_turned_away(serve: Serve) -> None:
    """DNS rebinding and cross-site requests end before any handler (I74)."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    foreign = await ada.ask("GET", "/api/health", headers={"Host": "evil.example"})
    assert (foreign.status, foreign.code) == (421, "MISDIRECTED")
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{served.port}"):
        answer = await ada.ask("POST", "/api/entities/Note", {"text": "x"},
                               headers={"Origin": origin})  # fmt: skip
        assert (answer.status, answer.code) == (403, "FORBIDDEN_ORIGIN"), origin
    own = await ada.ask("POST", "/api/entities/Note", {"text": "x"}, headers={"Origin": served.url})
    assert own.status == 201
    socket = await ada.ask(
        "GET", "/api/sync/ws",
        headers={
            "Origin": "http://evil.example", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )  # fmt: skip
    assert socket.status == 403


async def test_unknown_paths_and_methods(serve: Serve) -> None:
    """Unknown paths of the API are 404, known ones with another method 405."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    assert (await ada.get("/api/nope")).code == "NOT_FOUND"
    # What an error quotes of a request is strict JSON, which has no NUL in a text.
    for path in ("/api/x%00", "/api/entities/No%00te", "/api/health?a%00=1&a%00=1"):
        assert "x00" not in str((await ada.get(path)).body["error"])
    assert (await ada.get("/api/entities/Nope")).code == "NOT_FOUND"
    assert (await ada.ask("PUT", "/api/entities/Note", {})).code == "METHOD_NOT_ALLOWED"
    assert (await ada.get("/../../etc/passwd")).status in (400, 404)
    assert (await ada.get("/%2e%2e/app.py")).status in (400, 404)
    assert (await ada.get("/.pylon/app.db")).status == 404


async def _until_closed(served: ServedProject, request: str) -> bytes:
    """Send the beginning of a request and return what came until the connection ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(request.encode())
        await writer.drain()
        assert (await served.anonymous().get("/api/health")).status == 200
        async with asyncio.timeout(limits.HEADER_SECONDS + 10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_requests_that_never_end_are_given_up(serve: Serve) -> None:
    """A body that stops, and headers that come in drops, hold no connection for ever."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    body = (
        f"POST /api/entities/Note HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        f"Authorization: Bearer {ada.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    slow_body, slow_head = await asyncio.gather(
        _until_closed(served, body), _until_closed(served, "GET /api/health HTTP/1.1\r\nHost:")
    )
    assert b"REQUEST_TIMEOUT" in slow_body
    assert slow_head == b""


async def test_data_requests_have_a_rate_where_one_is_set(serve: Serve) -> None:
    """With `requests_per_second` a flood meets 429; without it there is no limit."""
    served = await serve(NOTES, toml="[limits]\nrequests_per_second = 5\n")
    ada = await served.login("ada@example.com")
    answers = [await ada.get("/api/entities/Note") for _ in range(30)]
    assert {one.status for one in answers} == {200, 429}
