"""Uploads in pieces: lost connections, wrong offsets, rivals, restarts, strangers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon import limits_files
from pylon.server.files.pieces import Pieces
from tests.integration.files_app import Front, Got, Person, files_front

DATA = bytes(range(256)) * 1200
BYTES = "application/octet-stream"


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with files_front(tmp_path / "app", toml="[files]\nmax_mb = 1\nquota_mb = 2\n") as started:
        yield started


async def _begin(who: Person, length: int = len(DATA)) -> str:
    got = await who.ask(
        "POST", "/api/files?resumable=1", Upload_Length=str(length), X_Filename="a%20b.png",
        Content_Type="image/png",
    )  # fmt: skip
    assert (got.status, got.body["offset"]) == (201, 0)
    assert got.body["url"] == got.headers["Location"]
    return str(got.body["url"])


async def _patch(who: Person, url: str, offset: int, data: Any) -> Got:
    return await who.ask("PATCH", url, data, Upload_Offset=str(offset), Content_Type=BYTES)


async def _offset(who: Person, url: str) -> int:
    head = await who.ask("HEAD", url)
    assert head.headers["Upload-Length"] == str(len(DATA))
    return int(head.headers["Upload-Offset"])


async def _send_and_lose(front: Front, who: Person, url: str, offset: int, sent: bytes) -> None:
    """Send the head of a piece and some bytes of it, and cut the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(
        f"PATCH {url} HTTP/1.1\r\nHost: 127.0.0.1:{front.port}\r\n"
        f"Authorization: Bearer {who.token}\r\nContent-Type: {BYTES}\r\n"
        f"Upload-Offset: {offset}\r\nContent-Length: {len(DATA) - offset}\r\n\r\n".encode()
        + sent
    )
    await writer.drain()
    async with asyncio.timeout(60):
        while await _offset(who, url) < offset + len(sent):
            await asyncio.sleep(0.01)
    writer.close()
    await writer.wait_closed()
    assert reader is not None


async def test_pieces_become_the_file(front: Front) -> None:
    """Piece by piece, over a lost connection, wrong offsets refused; then it is like any file."""
    ann = await front.person("ann@example.com")
    url = await _begin(ann)
    first = await _patch(ann, url, 0, DATA[:100_000])
    assert (first.status, first.data) == (200, b'{"offset":100000}')
    wrong = await _patch(ann, url, 99_999, b"x")
    assert (wrong.status, wrong.code) == (409, "CONFLICT")
    assert wrong.body["error"]["details"] == {"offset": 100_000}
    await _send_and_lose(front, ann, url, 100_000, DATA[100_000:150_000])
    assert await _offset(ann, url) == 150_000
    last = await _patch(ann, url, 150_000, DATA[150_000:])
    assert last.status == 201
    assert last.body["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert (last.body["name"], last.body["type"]) == ("a b.png", "image/png")
    assert (await ann.ask("GET", last.body["url"])).data == DATA
    assert await _offset(ann, url) == len(DATA)
    for again, offset in ((DATA[150_000:], 150_000), (b"", len(DATA))):
        assert (await _patch(ann, url, offset, again)).body == last.body
    assert (await _patch(ann, url, 0, b"x")).body["error"]["details"] == {"offset": len(DATA)}
    assert front.leftovers() == []
    assert (await ann.ask("DELETE", url)).status == 204
    assert (await ann.ask("HEAD", url)).status == 404
    assert (await ann.ask("GET", last.body["url"])).status == 200, "the file stays"


async def test_an_upload_outlives_the_memory_of_it(front: Front) -> None:
    """After a restart the hash is worked out anew from what was synced; the rest is cut off."""
    ann = await front.person("ann@example.com")
    url = await _begin(ann)
    await _patch(ann, url, 0, DATA[:100_000])
    path = front.folder / "tmp" / url.rpartition("/")[2]
    with path.open("ab") as stream:
        stream.write(b"written, and never synced")
    service = front.rt.runtime.services.files
    database = front.rt.runtime.services.database
    service.pieces = Pieces(service.store, database, front.rt.clock)
    await front.sweep()
    assert await _offset(ann, url) == 100_000
    last = await _patch(ann, url, 100_000, DATA[100_000:])
    assert last.body["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_an_upload_is_its_beginners(front: Front) -> None:
    """Nobody else learns that it is there, whatever he asks."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    url = await _begin(ann)
    for who in (bob, front.nobody()):
        for method in ("GET", "HEAD", "PATCH", "DELETE"):
            got = await who.ask(
                method, url, b"" if method == "PATCH" else None, Upload_Offset="0",
                Content_Type=BYTES,
            )  # fmt: skip
            assert got.status == 404, method
    begun = await front.nobody().ask("POST", "/api/files?resumable=1", Upload_Length="1")
    assert begun.status == 401
    assert (await ann.ask("DELETE", url)).status == 204
    assert front.leftovers() == []


async def test_one_piece_at_a_time(front: Front) -> None:
    """Of two one wins; one that fell silent gives way to the next attempt."""
    ann = await front.person("ann@example.com")
    url = await _begin(ann)
    held = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield DATA[:70_000]
        await held.wait()
        yield DATA[70_000:]

    first = asyncio.create_task(_patch(ann, url, 0, slow()))
    async with asyncio.timeout(60):
        while await _offset(ann, url) < 70_000:
            await asyncio.sleep(0.01)
    rival = await _patch(ann, url, 70_000, DATA[70_000:])
    assert (rival.status, rival.body["error"]["details"]) == (409, {"offset": 70_000})
    await front.rt.clock.advance(limits_files.UPLOAD_SILENT_SECONDS, lambda: asyncio.sleep(0))
    taken = await _patch(ann, url, 70_000, DATA[70_000:])
    assert taken.status == 201
    held.set()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await first
    assert (await ann.ask("GET", taken.body["url"])).data == DATA


async def test_what_is_wrong_with_a_piece(front: Front) -> None:
    """Numbers, types and lengths are judged; too much is not kept."""
    ann = await front.person("ann@example.com")
    for length in ("", "-1", "1.5", "x", "9" * 20):
        got = await ann.ask("POST", "/api/files?resumable=1", Upload_Length=length)
        assert (got.status, got.code) == (400, "INVALID_ARGUMENT")
    got = await ann.ask("POST", "/api/files?resumable=1", Upload_Length=str(2**20 + 1))
    assert (got.status, got.code) == (413, "PAYLOAD_TOO_LARGE")
    url = await _begin(ann, 10)
    assert (await ann.ask("PATCH", url, b"x", Content_Type=BYTES)).status == 400
    assert (await ann.ask("PATCH", url, b"x", Upload_Offset="0", Content_Type="a/b")).status == 415
    assert (await _patch(ann, url, 0, b"x" * 11)).status == 400

    async def unsaid() -> AsyncIterator[bytes]:
        yield b"x" * 4
        await asyncio.sleep(0.05)
        yield b"x" * 7

    assert (await _patch(ann, url, 0, unsaid())).status == 400
    got = await ann.ask("GET", url)
    assert int(got.headers["Upload-Offset"]) in (0, 4)


async def test_uploads_count_and_end(front: Front) -> None:
    """What was begun counts in the quota; after a day it is dropped, with its bytes."""
    ann = await front.person("ann@example.com")
    urls = [await _begin(ann, 2**20) for _ in range(2)]
    got = await ann.ask("POST", "/api/files?resumable=1", Upload_Length="1")
    assert (got.status, got.code) == (413, "QUOTA_EXCEEDED")
    assert (await ann.ask("POST", "/api/files", b"x")).code == "QUOTA_EXCEEDED"
    await _patch(ann, urls[0], 0, DATA)
    await front.sweep(limits_files.UPLOAD_SECONDS + 1)
    assert front.leftovers() == []
    ann = await front.person("ann@example.com")
    assert (await ann.ask("HEAD", urls[0])).status == 404
    await _begin(ann, 2**20)


def _restart(front: Front) -> None:
    """Forget what a process knew of uploads: nothing but the database and the folder is left."""
    service = front.rt.runtime.services.files
    database = front.rt.runtime.services.database
    service.pieces = Pieces(service.store, database, front.rt.clock)


async def test_bytes_that_are_not_there_are_asked_for_again(front: Front) -> None:
    """As after a restore, which has no pieces: never are they made up."""
    ann = await front.person("ann@example.com")
    url = await _begin(ann)
    await _patch(ann, url, 0, DATA[:100_000])
    (front.folder / "tmp" / url.rpartition("/")[2]).unlink()
    _restart(front)
    refused = await _patch(ann, url, 100_000, DATA[100_000:])
    assert (refused.status, refused.body["error"]["details"]["offset"]) == (409, 0)
    assert await _offset(ann, url) == 0
    last = await _patch(ann, url, 0, DATA)
    assert last.body["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert (await ann.ask("GET", last.body["url"])).data == DATA


async def test_going_on_with_a_killed_upload_touches_no_file_of_the_same_bytes(
    front: Front,
) -> None:
    """It was killed with its bytes in place and not recorded; another has brought them since."""
    ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
    url = await _begin(ann)
    await _patch(ann, url, 0, DATA[:100_000])
    path = front.folder / "tmp" / url.rpartition("/")[2]
    path.write_bytes(DATA)
    store = front.rt.runtime.services.files.store
    await store.backend.publish(path, hashlib.sha256(DATA).hexdigest())
    _restart(front)
    theirs = await bob.upload(DATA)
    wrong = await _patch(ann, url, 100_000, b"other bytes")
    assert wrong.json()["offset"] == 100_011
    assert (await bob.ask("GET", theirs["url"])).data == DATA
    rest = bytes(len(DATA) - 100_011)
    last = await _patch(ann, url, 100_011, rest)
    whole = DATA[:100_000] + b"other bytes" + rest
    assert last.body["sha256"] == hashlib.sha256(whole).hexdigest()
    assert (await ann.ask("GET", last.body["url"])).data == whole
    assert (await bob.ask("GET", theirs["url"])).data == DATA
