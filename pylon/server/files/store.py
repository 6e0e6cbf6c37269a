"""The store of files: how bytes come in, where they lie, and when they go.

Bytes come in under a name of our own in `tmp/`, are hashed on the way, and get their place by one
rename before the database says that there is such a file (I77). What the database does not know is
an orphan, and swept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylon import limits, limits_files
from pylon.errors import PayloadTooLarge, PylonError
from pylon.server.files import disk
from pylon.server.files.backends import Backend, Chunks, DiskBackend, Threads, opened
from pylon.server.files.disk import DiskBlobs, Writing
from pylon.server.files.room import Room


@dataclass(frozen=True, slots=True)
class Received:
    """A whole file that came in and has no place yet."""

    path: Path
    size: int
    sha256: str


class FileStore:
    """The bytes of one runtime's files."""

    def __init__(
        self, folder: Path, *, max_bytes: int, room: Room, token: Callable[[], str],
        backend: Callable[[Threads], Backend] | None = None,
    ) -> None:  # fmt: skip
        """Make the store; nothing is touched before `prepare`.

        Args:
            folder: the project's `.pylon/files`.
            max_bytes: of one file.
            room: counts what is on its way, against the quotas.
            token: makes a name that nobody can guess.
            backend: makes what keeps the bytes; None: the folder.
        """
        self.folder = folder
        self.incoming = folder / "tmp"
        #: Pictures in other widths, named by the hash of what they are made of.
        self.images = folder / "images"
        self.max_bytes = max_bytes
        self.room = room
        self._token = token
        self.threads = Threads()
        self.run = self.threads.run
        self.backend: Backend = (
            backend(self.threads) if backend is not None
            else DiskBackend(DiskBlobs(folder / "blobs"), self.threads)
        )  # fmt: skip
        self._publishing: Counter[str] = Counter()
        self._removing: set[str] = set()
        self._changed = asyncio.Condition()
        #: Files in `tmp/` that are being written at this moment.
        self.active: set[Path] = set()

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.folder, self.incoming, self.folder / "blobs", self.images):
            disk.prepare_folder(folder)

    async def close(self) -> None:
        """End the threads and connections."""
        await self.backend.close()
        self.threads.close()

    def new_id(self) -> str:
        """Return an id that nobody can guess, for a file or an upload."""
        return self._token()

    def opened(self, path: Path) -> AbstractAsyncContextManager[Chunks]:
        """Open a file of our own on disk for reading in chunks."""
        return opened(self.threads, path)

    def demand_size(self, length: int) -> None:
        """Raise PayloadTooLarge for a file that is larger than one may be."""
        if length > self.max_bytes:
            raise PayloadTooLarge(
                f"a file has at most {self.max_bytes // limits.MIB} MB",
                hint="[files] max_mb in pylon.toml", limit=self.max_bytes,
            )  # fmt: skip

    @asynccontextmanager
    async def receive(
        self, principal: str | None, chunks: AsyncIterator[bytes], length: int | None
    ) -> AsyncIterator[Received]:
        """Take a file in, whole; what became of it is removed unless it got its place.

        Args:
            principal: who brings it; it counts for him while it is on its way.
            chunks: its bytes.
            length: how many there will be, where that is known.
        """
        if length is not None:
            self.demand_size(length)
        with self.room.reserve(principal, length or 0) as reservation:
            path = self.incoming / self._token()
            await self.run(disk.demand_room, self.incoming, length or 0)
            writing = await self.run(Writing, path)
            self.active.add(path)
            buffer = Buffer(self, writing)
            try:
                async for chunk in chunks:
                    reached = buffer.size + len(chunk)
                    self.demand_size(reached)
                    reservation.grow(reached)
                    await buffer.append(chunk)
                await buffer.flush()
                await self.run(writing.sync)
                yield Received(path, writing.size, writing.sha256())
            finally:
                with suppress(PylonError):  # it is removed in any case
                    await buffer.written()
                await self.run(writing.discard)
                self.active.discard(path)

    @asynccontextmanager
    async def published(self, received: Received) -> AsyncIterator[None]:
        """Give bytes their place, and keep them there until the block has said whose they are."""
        sha256 = received.sha256
        async with self._changed:
            await self._changed.wait_for(lambda: sha256 not in self._removing)
            self._publishing[sha256] += 1
        try:
            await self.backend.publish(received.path, sha256)
            yield
        finally:
            self._publishing[sha256] -= 1
            if not self._publishing[sha256]:
                del self._publishing[sha256]

    async def remove(self, sha256: str, is_used: Callable[[], Any]) -> bool:
        """Remove bytes that no file has; tells whether they were removed.

        `is_used` is awaited when nobody can begin to use them any more.
        """
        if sha256 in self._publishing or sha256 in self._removing:
            return False
        self._removing.add(sha256)
        try:
            if await is_used():
                return False
            await self.backend.remove(sha256)
            await self.run(_remove_images, self.images, sha256)
            return True
        finally:
            async with self._changed:
                self._removing.discard(sha256)
                self._changed.notify_all()


class Buffer:
    """Collects small chunks, so that the disk and its threads are not asked for each."""

    def __init__(self, store: FileStore, writing: Writing) -> None:
        self._store = store
        self._writing = writing
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._taken = self._synced = writing.size
        #: A thread's work goes on when whoever waits for it is cancelled.
        self._under_way: asyncio.Future[None] | None = None

    @property
    def size(self) -> int:
        """Return how many bytes came so far."""
        return self._taken

    async def append(self, chunk: bytes) -> None:
        """Take a chunk; returns when there is room for the next."""
        self._chunks.append(chunk)
        self._waiting += len(chunk)
        self._taken += len(chunk)
        if self._waiting >= limits_files.FILE_CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Have all that came be written."""
        await self.written()
        data, self._chunks, self._waiting = b"".join(self._chunks), [], 0
        if data:
            self._under_way = asyncio.ensure_future(self._store.run(self._writing.append, data))
            await self.written()
        if self._writing.size - self._synced >= limits_files.FILE_SYNC_BYTES:
            # Little by little: a large file that is synced at once holds up everybody's commits.
            await self._store.run(self._writing.sync)
            self._synced = self._writing.size

    async def written(self) -> None:
        """Return once no thread writes any more; the file may be closed then."""
        if self._under_way is None:
            return
        try:
            await asyncio.shield(self._under_way)
        finally:
            if self._under_way.done():
                self._under_way = None
                self._taken = self._writing.size + self._waiting


def _remove_images(folder: Path, sha256: str) -> None:
    for path in folder.glob(f"{sha256}-*"):
        with suppress(OSError):
            path.unlink()
