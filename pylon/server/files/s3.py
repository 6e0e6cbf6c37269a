"""Files in a bucket that speaks S3: `backend = "s3://bucket/prefix?endpoint=https://…&region=…"`.

Credentials come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …), never from
the address. A file still comes in on disk first, so what lies in the bucket is whole.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from pylon import limits_files
from pylon.errors import Unavailable
from pylon.server.buckets import PUT_BYTES, PUTS_AT_ONCE, Bucket, open_bucket
from pylon.server.files.backends import Chunks, FileMissing

_HASH: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class S3Backend:
    """Bytes in a bucket, by their hash."""

    def __init__(self, bucket: Bucket) -> None:
        """Connect to a bucket; raises Unavailable where obstore is not installed."""
        opened = open_bucket(bucket, "files")
        self._obstore, self._store = opened.obstore, opened.store
        self._exceptions = opened.exceptions

    async def publish(self, temporary: Path, sha256: str) -> None:
        """Put a finished file under its hash; it is there whole or not at all."""
        try:
            await self._obstore.put_async(
                self._store, _key(sha256), temporary, chunk_size=PUT_BYTES,
                max_concurrency=PUTS_AT_ONCE,
            )  # fmt: skip
        except self._exceptions.BaseError as error:
            raise _unreachable() from error

    @asynccontextmanager
    async def open(self, sha256: str) -> AsyncIterator[Chunks]:
        """Open bytes for reading; raises FileMissing."""
        if await self.size(sha256) is None:
            raise FileMissing()

        async def chunks(start: int, end: int) -> AsyncGenerator[bytes, None]:
            if start >= end:
                return
            try:
                found = await self._obstore.get_async(
                    self._store, _key(sha256), options={"range": (start, end)}
                )
                async for chunk in found.stream(min_chunk_size=limits_files.FILE_CHUNK_BYTES):
                    yield bytes(chunk)
            except self._exceptions.BaseError as error:
                raise _unreachable() from error

        yield chunks

    async def size(self, sha256: str) -> int | None:
        """Return how many bytes lie under a hash, or None."""
        try:
            found = await self._obstore.head_async(self._store, _key(sha256))
        except (FileNotFoundError, self._exceptions.NotFoundError):
            return None
        except self._exceptions.BaseError as error:
            raise _unreachable() from error
        return int(found["size"])

    async def remove(self, sha256: str) -> None:
        """Remove the bytes of a hash, if they are there."""
        try:
            await self._obstore.delete_async(self._store, _key(sha256))
        except (FileNotFoundError, self._exceptions.NotFoundError):
            return
        except self._exceptions.BaseError as error:
            raise _unreachable() from error

    async def all(self) -> dict[str, int]:
        """Return the sizes by hash of all that is there; other keys of the bucket are not ours."""
        found: dict[str, int] = {}
        try:
            async for page in self._obstore.list(self._store, "blobs", chunk_size=1_000):
                for one in page:
                    name = str(one["path"]).rpartition("/")[2]
                    if _HASH.match(name):
                        found[name] = int(one["size"])
        except self._exceptions.BaseError as error:
            raise _unreachable() from error
        return found

    async def close(self) -> None:
        """Nothing is left open."""


def _key(sha256: str) -> str:
    if not _HASH.match(sha256):  # no assertion: it would be gone under -O
        raise ValueError("files are named by hashes only")
    return f"blobs/{sha256[:2]}/{sha256}"


def _unreachable() -> Unavailable:
    return Unavailable("the bucket of files did not answer as it should", reason="bucket")
