"""Limits of what comes in and goes out, one below, at and one above; over them it costs nothing."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import Any

import pytest

from pylon import jsonvalue, limits
from tests.conftest import Serve

APP = """
from __future__ import annotations

from pylon import App, Entity, Json, Text, field

app = App("edges")
SIGNED_IN = "auth.userId != null"


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN)
class Thing(Entity):
    data: Json | None = None
    text: Text | None = None


@app.entity(read="true", insert=SIGNED_IN)
class Short(Entity):
    text: str = field(max_length=5)


@app.query
def echo(ctx, data: Json) -> Json:
    return data


@app.mutation(timeout=30)
def fill(ctx, rows: int, characters: int) -> int:
    for _ in range(rows):
        ctx.db.insert("Thing", text="x" * characters)
    return rows
"""


def _deep(levels: int) -> bytes:
    """Return a body in which this many brackets are open at once."""
    return b'{"data":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def _many_keys(count: int) -> bytes:
    inner = b",".join(b'"k%d":0' % number for number in range(count - 1))
    return b'{"data":{' + inner + b"}}"


def _digits(count: int) -> bytes:
    return b'{"data":[-' + b"9" * count + b"]}"


def _long(size: int) -> bytes:
    return b'{"data":"' + b"x" * (size - 11) + b'"}'


@pytest.mark.parametrize(
    ("make", "limit", "code"),
    [
        (_deep, limits.JSON_DEPTH_MAX, "INVALID_JSON"),
        (_many_keys, limits.JSON_KEYS_MAX, "INVALID_JSON"),
        (_digits, limits.JSON_INTEGER_DIGITS_MAX, "INVALID_JSON"),
        (_long, limits.BODY_BYTES_MAX, "PAYLOAD_TOO_LARGE"),
    ],
    ids=["depth", "keys", "digits", "bytes"],
)
async def test_bodies_at_their_edge(serve: Serve, make: Any, limit: int, code: str) -> None:
    """One below and at it are taken, one above is refused, far above at once."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    for amount in (limit - 1, limit):
        answer = await ada.ask("POST", "/api/fn/echo", data=make(amount))
        assert answer.code in (None, "INVALID_ARGUMENT"), (amount, answer.body)
        assert answer.status in (200, 400)
    for amount in (limit + 1, limit * 5):
        started = time.monotonic()
        answer = await ada.ask("POST", "/api/fn/echo", data=make(amount))
        assert answer.code == code, amount
        assert time.monotonic() - started < 20


async def test_rows_at_their_edge(serve: Serve) -> None:
    """A row of exactly the limit is stored and read back; one byte more is refused."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    row = await ada.insert("Thing", id="n", text="")
    room = limits.ROW_BYTES_MAX - len(jsonvalue.encode(row))
    for more, status in ((-1, 201), (0, 201), (1, 413)):
        text = "x" * (room + more - 1) + "y"
        answer = await ada.post("/api/entities/Thing", {"id": f"{more % 3}", "text": text})
        # `_seq` may have grown by a digit, `id` is as long as before.
        assert answer.status == status, more
        if status == 201:
            assert len(jsonvalue.encode(answer.body)) == limits.ROW_BYTES_MAX + more
            assert (await ada.get(f"/api/entities/Thing/{more % 3}")).body == answer.body
        else:
            assert answer.code == "PAYLOAD_TOO_LARGE"
    umlauts = await ada.post("/api/entities/Thing", {"text": "ä" * (room // 2 + 100)})
    assert umlauts.code == "PAYLOAD_TOO_LARGE", "bytes are counted, not characters"


async def test_transactions_at_their_edge(serve: Serve) -> None:
    """So many rows fit into one, and one more takes all of them with it."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    most = limits.TRANSACTION_ROWS_MAX
    head = (await ada.get("/api/health")).body["head"]
    answer = await ada.call("fill", rows=most + 1, characters=1)
    assert (answer.status, answer.code) == (413, "TRANSACTION_TOO_LARGE")
    answer = await ada.call("fill", rows=20, characters=limits.TRANSACTION_BYTES_MAX // 20)
    assert (answer.status, answer.code) == (413, "TRANSACTION_TOO_LARGE")
    assert (await ada.get("/api/health")).body["head"] == head
    assert (await ada.call("fill", rows=most, characters=1)).body["value"] == most


async def test_pages_of_large_rows_end_early(serve: Serve) -> None:
    """What is held of a page has a bound; the pages after it have the rest, each row once."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    for start in range(0, 30, 2):
        operations = [
            {"op_id": f"o{n}", "fn": "pylon.insert",
             "args": {"entity": "Thing", "values": {"text": f"{n:02}" + "x" * 400_000}}}
            for n in (start, start + 1)
        ]  # fmt: skip
        assert (await ada.post("/api/sync/push", {"operations": operations})).status == 200
    seen: list[str] = []
    after, pages = None, 0
    while pages == 0 or after is not None:
        page = (await ada.post("/api/query/Thing", {"limit": 1000, "after": after})).body
        seen += [row["text"][:2] for row in page["rows"]]
        assert len(page["rows"]) * 400_000 <= limits.LIST_BYTES_MAX + limits.ROW_BYTES_MAX
        after, pages = page["next"], pages + 1
    assert seen == [f"{n:02}" for n in range(30)]
    assert pages == 2


async def test_a_runtime_asks_for_the_files_it_may_need(serve: Serve) -> None:
    """A low soft limit is raised as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        served = await serve(APP)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wanted = limits.OPEN_FILES_WANTED
    expected = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    assert resource.prlimit(served.pid, resource.RLIMIT_NOFILE) == (expected, hard)


async def test_without_descriptors_what_is_there_goes_on(serve: Serve) -> None:
    """Callers who are connected are served; new ones are, as soon as others have gone."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await ada.insert("Thing", text="before")
    resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (48, 48))
    crowd = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(80)]
    assert (await ada.post("/api/entities/Thing", {"text": "meanwhile"})).status == 201
    for _, writer in crowd:
        writer.close()
    async with asyncio.timeout(60):
        while not await _is_served(served.port):
            await asyncio.sleep(0.05)
    assert len(served.lines) < 200, "it does not talk of it without end"


async def _is_served(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
    except ConnectionResetError:
        return False
    finally:
        writer.close()
