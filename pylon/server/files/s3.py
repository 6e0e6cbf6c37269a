"""Files in a bucket that speaks S3: `backend = "s3://bucket/prefix?endpoint=https://…&region=…"`.

Credentials come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …), never from
the address. A file still comes in on disk first, so what lies in the bucket is whole.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pylon import limits, limits_files
from pylon.errors import Unavailable
from pylon.server.files.backends import Chunks, FileMissing

_HASH: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_OPTIONS: Final = ("endpoint", "region")
#: Sent to the bucket at once, and how many such pieces.
_PUT_BYTES: Final = 8 * limits.MIB
_PUTS_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a bucket is."""

    name: str
    prefix: str
    endpoint: str | None
    region: str | None


def parse_bucket(text: str) -> Bucket | None:
    """Return the bucket that a setting names, None for the disk; raises ValueError."""
    if text == "disk":
        return None
    try:
        address = urlsplit(text)
        has_login = bool(address.username or address.password)
    except ValueError:
        raise ValueError("this is no address") from None
    if address.scheme != "s3" or not address.hostname:
        raise ValueError("it is disk, or s3://bucket/prefix?endpoint=https://…")
    if has_login:
        raise ValueError("credentials come from the environment: AWS_ACCESS_KEY_ID and so on")
    options = dict(parse_qsl(address.query))
    for name in options:
        if name not in _OPTIONS:
            raise ValueError(f"an s3 address has no {name}; there is {' and '.join(_OPTIONS)}")
    endpoint = options.get("endpoint")
    if endpoint is not None and urlsplit(endpoint).scheme not in ("http", "https"):
        raise ValueError("endpoint is an http or https address")
    return Bucket(address.netloc, address.path.strip("/"), endpoint, options.get("region"))


class S3Backend:
    """Bytes in a bucket, by their hash."""

    def __init__(self, bucket: Bucket) -> None:
        """Connect to a bucket; raises Unavailable where obstore is not installed."""
        try:
            # An extra: whoever keeps files on disk does without it.
            self._obstore: Any = importlib.import_module("obstore")
            store = importlib.import_module("obstore.store")
            self._exceptions: Any = importlib.import_module("obstore.exceptions")
        except ImportError as error:
            raise Unavailable(
                "files in a bucket need obstore", reason="no_s3",
                hint="pip install 'pylon-runtime[s3]'",
            ) from error  # fmt: skip
        config: dict[str, Any] = {}
        if bucket.endpoint is not None:
            config["endpoint"] = bucket.endpoint
        if bucket.region is not None:
            config["region"] = bucket.region
        is_plain = (bucket.endpoint or "").startswith("http://")
        self._store = store.S3Store(
            bucket.name, prefix=bucket.prefix or None, config=config,
            client_options={"allow_http": is_plain, "timeout": "600s"},
            retry_config={"max_retries": 3},
        )  # fmt: skip

    async def publish(self, temporary: Path, sha256: str) -> None:
        """Put a finished file under its hash; it is there whole or not at all."""
        try:
            await self._obstore.put_async(
                self._store, _key(sha256), temporary, chunk_size=_PUT_BYTES,
                max_concurrency=_PUTS_AT_ONCE,
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
    assert _HASH.match(sha256), "files are named by hashes only"
    return f"blobs/{sha256[:2]}/{sha256}"


def _unreachable() -> Unavailable:
    return Unavailable("the bucket of files did not answer as it should", reason="bucket")
