"""Files in a bucket: the same promises as on disk, against a local S3 server."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pylon.server.buckets import Bucket, parse_bucket
from tests.integration.files_app import files_front

pytest.importorskip("obstore")
pytest.importorskip("moto.server")


@asynccontextmanager
async def bucket_server() -> AsyncIterator[str]:
    """Run a local S3 server with a bucket `attic`; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"from moto.server import main; main(['-p', '{port}'])",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(20):
            while True:
                try:
                    async with session.put(f"http://127.0.0.1:{port}/attic") as made:
                        assert made.status == 200
                        break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    """The address of a local S3 server."""
    async with bucket_server() as found:
        yield found


async def test_a_bucket_keeps_files_as_a_disk_does(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In, out, parts, in pieces, missing, swept; nothing stays on disk, and no name is a key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    toml = f'[files]\nbackend = "s3://attic/app?endpoint={endpoint}&region=us-east-1"\n'
    data = bytes(range(256)) * 4_000
    async with files_front(tmp_path / "app", toml=toml) as front:
        backend = front.rt.runtime.services.files.store.backend
        ann, bob = await front.person("ann@example.com"), await front.person("bob@example.com")
        made = await ann.upload(data, "..%2F..%2Fx", "image/png")
        assert await backend.all() == {made["sha256"]: len(data)}
        assert (await ann.ask("GET", made["url"])).data == data
        part = await ann.ask("GET", made["url"], Range="bytes=1000-300000")
        assert (part.status, part.data) == (206, data[1000:300_001])
        assert await bob.status_of(made["id"]) == 404
        empty = await ann.upload(b"", "nothing")
        assert (await ann.ask("GET", empty["url"])).data == b""
        got = await ann.ask("POST", "/api/files?resumable=1", Upload_Length="6")
        url, kind = got.body["url"], "application/octet-stream"
        await ann.ask("PATCH", url, b"abc", Upload_Offset="0", Content_Type=kind)
        last = await ann.ask("PATCH", url, b"def", Upload_Offset="3", Content_Type=kind)
        assert (await ann.ask("GET", last.body["url"])).data == b"abcdef"
        assert front.blobs() == front.leftovers() == []
        await backend.remove(last.body["sha256"])
        got = await ann.ask("GET", last.body["url"])
        assert (got.status, got.code) == (503, "UNAVAILABLE")
        for one in (made, empty, last.body):
            assert (await ann.ask("DELETE", f"/api/files/{one['id']}")).status == 204
        await front.sweep(601)
        assert await backend.all() == {}


@pytest.mark.parametrize(
    ("text", "bucket"),
    [
        ("disk", None), ("s3://attic", Bucket("attic", "", None, None)),
        ("s3://attic/a/b/?endpoint=http://x:9&region=r", Bucket("attic", "a/b", "http://x:9", "r")),
    ],
)  # fmt: skip
def test_addresses_of_buckets(text: str, bucket: Bucket | None) -> None:
    """A bucket, a prefix, an endpoint, a region."""
    assert parse_bucket(text) == bucket


@pytest.mark.parametrize(
    "text", ["", "s3", "s3://", "http://x", "s3://key:secret@attic", "s3://a?key=1",
             "s3://a?endpoint=ftp://x", "s3://[x"],
)  # fmt: skip
def test_what_is_no_address_of_a_bucket(text: str) -> None:
    """Anything else stops the start; secrets have no place in it."""
    with pytest.raises(ValueError, match=r".+"):
        parse_bucket(text)
