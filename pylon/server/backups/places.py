"""Off this machine: where copies of backups go, a folder elsewhere (`file://`) or a bucket (`s3://`).

What goes there is `NAME.db`, the contents of its files under `files/`, and last `NAME.json`: what
has that is whole. Everything comes under a temporary name first, is read back, and gets its name
only if it is the same. Nothing is ever removed there; a bucket has rules of its own for that.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from pylon import jsonvalue, limits_files, paths
from pylon.errors import InvalidJson, NotFound
from pylon.server.buckets import (
    PUT_BYTES,
    PUTS_AT_ONCE,
    Bucket,
    Keys,
    open_bucket,
    parse_bucket,
)
from pylon.server.files.copying import beside, hashes_in
from pylon.server.files.disk import DiskBlobs
from pylon.server.storage.backup import BackupFailed, sync_file

_PARTIAL: Final = ".partial"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.json\Z", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class Place(Protocol):
    """Somewhere else that takes files by name."""

    #: The address, for people; it never has a secret.
    url: str

    async def put(self, source: Path, name: str) -> None:
        """Put a file there under a name; raises BackupFailed. It may be a temporary name."""
        ...

    async def rename(self, name: str, final: str) -> None:
        """Give what is there whole its final name; raises BackupFailed."""
        ...

    async def size(self, name: str) -> int | None:
        """Return how large what has a name is; None where nothing has it."""
        ...

    def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a name; raises BackupFailed."""
        ...

    async def names(self) -> list[str]:
        """Return the names of records there."""
        ...


def parse_place(url: str) -> tuple[str, Path | Bucket] | None:
    """Return the address without anything secret, and what it names; None for an empty text.

    Raises ValueError, which never repeats the address.
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
        has_login = bool(parts.username or parts.password)
    except ValueError:
        raise ValueError("this is no address") from None
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        if parts.netloc not in ("", "localhost") or not path.is_absolute():
            raise ValueError("a folder is written file:///mnt/disk/folder")
        return url, path
    if parts.scheme != "s3" or has_login:
        raise ValueError(
            "it is file:///folder or s3://bucket/prefix?endpoint=https://…; keys for a bucket are"
            " backup.access_key and backup.secret_key"
        )
    bucket = parse_bucket(url)
    assert bucket is not None
    return url, bucket


def open_place(url: str, keys: Keys) -> Place:
    """Return a place; raises ValueError, and Unavailable where obstore is not installed."""
    found = parse_place(url)
    if found is None:
        raise ValueError("it is file:///folder or s3://bucket/prefix")
    shown, what = found
    return FolderPlace(shown, what) if isinstance(what, Path) else BucketPlace(shown, what, keys)


class FolderPlace:
    """A folder: another disk, a mounted share."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder

    async def put(self, source: Path, name: str) -> None:
        """Put a file there, on the disk when this returns; raises BackupFailed."""
        await self._run(self._put, source, name)

    def _put(self, source: Path, name: str) -> None:
        if not self._folder.is_dir():
            raise BackupFailed(
                f"there is no folder {self._folder}", hint="is the disk mounted? make the folder"
            )
        target = self._folder / name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        # Anew: a file or a link that others laid there would give them all that is written to it.
        target.unlink(missing_ok=True)
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as into, source.open("rb") as out:
                shutil.copyfileobj(out, into, PUT_BYTES)
            sync_file(target)
        except BaseException:
            target.unlink(missing_ok=True)  # a part of it would take the room that was not enough
            raise

    async def rename(self, name: str, final: str) -> None:
        """Give a file its final name; raises BackupFailed."""
        await self._run(self._rename, name, final)

    def _rename(self, name: str, final: str) -> None:
        (self._folder / name).replace(self._folder / final)
        paths.sync_folder((self._folder / final).parent)

    async def size(self, name: str) -> int | None:
        """Return how large a file is; None where there is none."""
        try:
            return (await asyncio.to_thread((self._folder / name).stat)).st_size
        except OSError:
            return None

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a file; raises BackupFailed."""
        try:
            with (self._folder / name).open("rb") as stream:
                while chunk := await asyncio.to_thread(stream.read, PUT_BYTES):
                    yield chunk
        except OSError as error:
            raise BackupFailed(f"{self.url} cannot be read: {error.strerror}") from error

    async def names(self) -> list[str]:
        """Return the names of records."""
        return sorted(one.name for one in self._folder.glob("*.json") if _NAME.match(one.name))

    async def _run(self, function: Any, *given: Any) -> None:
        try:
            await asyncio.to_thread(function, *given)
        except OSError as error:
            raise BackupFailed(f"{self.url} cannot be written: {error.strerror}") from error


class BucketPlace:
    """A bucket that speaks S3."""

    def __init__(self, url: str, bucket: Bucket, keys: Keys) -> None:
        opened = open_bucket(bucket, "backups", keys)
        self._obstore, self._store = opened.obstore, opened.store
        self._exceptions = opened.exceptions
        self.url = url

    async def put(self, source: Path, name: str) -> None:
        """Put a file there under a name; raises BackupFailed."""
        await self._ask(
            partial(
                self._obstore.put, self._store, name, source, chunk_size=PUT_BYTES,
                max_concurrency=PUTS_AT_ONCE,
            )
        )  # fmt: skip

    async def rename(self, name: str, final: str) -> None:
        """Give what is there its final name; raises BackupFailed."""
        await self._ask(partial(self._obstore.rename, self._store, name, final))

    async def size(self, name: str) -> int | None:
        """Return how large it is; None where nothing has the name."""
        with suppress(FileNotFoundError, self._exceptions.NotFoundError):
            found = await self._ask(partial(self._obstore.head, self._store, name))
            return int(found["size"])
        return None

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a name; raises BackupFailed."""
        try:
            found = await self._ask(partial(self._obstore.get, self._store, name))
        except (FileNotFoundError, self._exceptions.NotFoundError) as error:
            raise BackupFailed(f"{self.url} has no {name}") from error
        chunks = iter(found.stream(min_chunk_size=limits_files.FILE_CHUNK_BYTES))
        while (chunk := await self._ask(partial(next, chunks, None))) is not None:
            yield bytes(chunk)

    async def names(self) -> list[str]:
        """Return the names of records."""
        listed = await self._ask(partial(self._obstore.list_with_delimiter, self._store))
        found = [str(one["path"]).rpartition("/")[2] for one in listed["objects"]]
        return sorted(one for one in found if _NAME.match(one))

    async def _ask(self, asked: Callable[[], Any]) -> Any:
        """Ask on a thread: a command that has its answer ends, and leaves no task of the library's.

        Its own tasks outlive the loop, and could crash the interpreter after all is done.
        """
        try:
            return await asyncio.to_thread(asked)
        except (FileNotFoundError, self._exceptions.NotFoundError):
            raise
        except self._exceptions.BaseError as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> BackupFailed:
        # What the library says may repeat a request, and with it a signature: its kind is enough.
        return BackupFailed(
            f"{self.url} did not answer as it should ({type(error).__name__})",
            hint="look at the address, the keys and the bucket's rights",
        )


async def send(place: Place, file: Path, sha256: str, record: bytes) -> None:
    """Put a backup somewhere else, read it back, and give it its name; raises BackupFailed.

    Args:
        place: where.
        file: the database; the contents of its files lie in `FILE.files`.
        sha256: of the file.
        record: what is known of it, as JSON; its name is what makes the backup one.
    """
    for blob in sorted(beside(file).glob("??/*")):
        if _HASH.match(blob.name):
            name = f"files/{blob.name}"
            if await place.size(name) != blob.stat().st_size:
                await _put_same(place, blob, name, blob.name, by=file.stem)
    await _put_same(place, file, file.name, sha256, by=file.stem)
    beside_it = file.with_name(f".{file.name}.json")
    try:
        beside_it.write_bytes(record)
        found = hashlib.sha256(record).hexdigest()
        await _put_same(place, beside_it, f"{file.stem}.json", found, by=file.stem)
    finally:
        beside_it.unlink(missing_ok=True)


async def _put_same(place: Place, source: Path, name: str, sha256: str, *, by: str) -> None:
    """Put a file there, whole or not at all; another backup may be sending the same meanwhile."""
    temporary = f"{name}.{by}{_PARTIAL}"
    await place.put(source, temporary)
    found = hashlib.sha256()
    async for chunk in place.read(temporary):
        found.update(chunk)
    if found.hexdigest() != sha256:
        raise BackupFailed(f"{place.url} gives back other bytes than it was given: {name}")
    await place.rename(temporary, name)


async def listed(place: Place) -> list[dict[str, Any]]:
    """Return what is known of the backups there, the newest first; raises BackupFailed."""
    found: list[dict[str, Any]] = []
    for name in await place.names():
        data = b"".join([chunk async for chunk in place.read(name)])
        try:
            one = jsonvalue.parse(data)
            found.append({**one, "name": name.removesuffix(".json"), "at_ms": int(one["at_ms"])})
        except (InvalidJson, KeyError, TypeError, ValueError):
            continue  # somebody else's file
    return sorted(found, key=lambda one: -one["at_ms"])


async def fetch(place: Place, name: str, folder: Path) -> Path:
    """Bring a backup back, checked by its hash; returns its file.

    Raises NotFound, and BackupFailed where it is not what was sent.
    """
    known = {one["name"]: one for one in await listed(place)}
    if name not in known:
        raise NotFound(f"{place.url} has no backup {name[:100]!r}")
    target = folder / f"{name}.db"
    if target.exists():
        raise BackupFailed(f"{target} is there already")
    partial = folder / f".copy-{name}{_PARTIAL}"
    try:
        await _bring(place, f"{name}.db", partial, str(known[name].get("sha256")))
        wanted = await hashes_in(partial) if known[name].get("files") else {}
        into = DiskBlobs(beside(target))
        for sha256 in wanted:
            path = into.path(sha256)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await _bring(place, f"files/{sha256}", path, sha256)
        partial.replace(target)
        paths.sync_folder(folder)
    except BaseException as error:
        shutil.rmtree(beside(target), ignore_errors=True)
        if isinstance(error, OSError):
            raise BackupFailed(f"{folder} cannot be written: {error.strerror}") from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    return target


async def _bring(place: Place, name: str, target: Path, sha256: str) -> None:
    found = hashlib.sha256()
    descriptor = os.open(target, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        async for chunk in place.read(name):
            found.update(chunk)
            await asyncio.to_thread(stream.write, chunk)
        stream.flush()
        await asyncio.to_thread(os.fsync, stream.fileno())
    if found.hexdigest() != sha256:
        raise BackupFailed(f"{place.url} has other bytes than were sent: {name}")
