"""Where the bytes of files can lie, as the store uses it: a folder here, others beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pylon import limits_files
from pylon.errors import Unavailable
from pylon.server.files import disk
from pylon.server.files.disk import DiskBlobs

T = TypeVar("T")
#: (start, end) -> the bytes between, in chunks.
Chunks = Callable[[int, int], AsyncGenerator[bytes, None]]


class FileMissing(Unavailable):
    """The file's bytes are not where they should be; `pylon files verify` says more."""

    def __init__(self) -> None:
        super().__init__(reason="file_missing")


class Threads:
    """The threads that files are read and written on."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(limits_files.FILE_THREADS, thread_name_prefix="pylon-files")

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run what blocks. Who is cancelled meanwhile still waits for it: it holds a file open."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait({future})
            raise

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def opened(threads: Threads, path: Path) -> AsyncIterator[Chunks]:
    """Open a file on disk for reading in chunks; raises FileMissing."""
    try:
        descriptor = await threads.run(disk.open_for_reading, path)
    except OSError as error:
        raise FileMissing() from error

    async def chunks(start: int, end: int) -> AsyncGenerator[bytes, None]:
        while start < end:
            chunk = await threads.run(disk.read_at, descriptor, start, end)
            if not chunk:
                raise FileMissing()
            start += len(chunk)
            yield chunk

    try:
        yield chunks
    finally:
        await threads.run(disk.close, descriptor)


class Backend(Protocol):
    """Where bytes lie, by their hash."""

    async def publish(self, temporary: Path, sha256: str) -> None:
        """Put a finished file under its hash; the temporary one is gone then."""
        ...

    def open(self, sha256: str) -> AbstractAsyncContextManager[Chunks]:
        """Open bytes for reading; raises FileMissing."""
        ...

    async def size(self, sha256: str) -> int | None:
        """Return how many bytes lie under a hash, or None."""
        ...

    async def remove(self, sha256: str) -> None:
        """Remove the bytes of a hash, if they are there."""
        ...

    async def all(self) -> dict[str, int]:
        """Return the sizes by hash of all that is there."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


class DiskBackend:
    """Bytes in a folder of the project."""

    def __init__(self, blobs: DiskBlobs, threads: Threads) -> None:
        self.blobs = blobs
        self._threads = threads
        self._run = threads.run

    async def publish(self, temporary: Path, sha256: str) -> None:
        """Put a finished file under its hash."""
        try:
            await self._run(self.blobs.publish, temporary, sha256)
        except OSError as error:
            raise disk.as_unavailable(error) from error

    def open(self, sha256: str) -> AbstractAsyncContextManager[Chunks]:
        """Open bytes for reading; raises FileMissing."""
        return opened(self._threads, self.blobs.path(sha256))

    async def size(self, sha256: str) -> int | None:
        """Return how many bytes lie under a hash, or None."""
        return await self._run(self.blobs.size, sha256)

    async def remove(self, sha256: str) -> None:
        """Remove the bytes of a hash, if they are there."""
        await self._run(self.blobs.remove, sha256)

    async def all(self) -> dict[str, int]:
        """Return the sizes by hash of all that is there."""
        return await self._run(lambda: dict(self.blobs.all()))

    async def close(self) -> None:
        """Nothing is open."""
