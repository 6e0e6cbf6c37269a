"""What keeps files within their bounds: removes those nobody owns, and what broken uploads left.

Files go in two steps: the database forgets them first, then their bytes go, if no other file has
the same. A crash in between leaves orphans, which are found when the runtime starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from pylon import limits_files
from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.server.files import disk
from pylon.server.files.store import FileStore
from pylon.server.storage import branches, files
from pylon.server.storage.database import Database
from pylon.server.storage.files import StoredFile
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.files")
_AT_ONCE = 200
_SCAN_SECONDS = 60.0


@dataclass(slots=True)
class Swept:
    """What one sweep removed."""

    files: int = 0
    blobs: int = 0
    uploads: int = 0
    leftovers: int = 0


class Sweeper:
    """Sweeps one store until stopped."""

    def __init__(
        self, store: FileStore, database: Database, clock: Clock,
        is_open: Callable[[str], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        """Make it; `is_open` tells of an upload in pieces that somebody sends a piece of."""
        self._store = store
        self._database = database
        self._clock = clock
        self._is_open = is_open
        self._task: asyncio.Task[None] | None = None
        #: One sweep at a time: who asks for one finds its work done.
        self._turn = asyncio.Lock()
        #: Bytes that no file has, by hash, and when that was first seen.
        self._orphans_since: dict[str, int] = {}

    def start(self) -> None:
        """Start to sweep; owned by this object until `stop()`."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="pylon-files-sweep")

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        scan_at = 0.0
        while True:
            is_full = self._clock.monotonic() >= scan_at
            try:
                swept = await self.sweep(now_ms=self._clock.now_ms(), is_full=is_full)
                if is_full:
                    scan_at = self._clock.monotonic() + limits_files.FILE_ORPHAN_SECONDS
                if swept != Swept():
                    _log.info("files.swept files=%d blobs=%d uploads=%d leftovers=%d", swept.files,
                              swept.blobs, swept.uploads, swept.leftovers)  # fmt: skip
            except (PylonError, OSError) as error:  # the storage is in trouble, or stopping
                _log.warning("files.sweep_failed %s", error)
            await self._clock.sleep(limits_files.FILE_SWEEP_SECONDS)

    async def sweep(
        self, *, now_ms: int, is_full: bool, fresh_seconds: float = limits_files.FILE_FRESH_SECONDS,
        released_seconds: float = limits_files.FILE_RELEASED_SECONDS,
        orphan_seconds: float = limits_files.FILE_ORPHAN_SECONDS,
    ) -> Swept:  # fmt: skip
        """Remove what is to go now; with `is_full` also look through the folders for orphans."""
        async with self._turn:
            swept = Swept()
            await self._files(
                swept, round(now_ms - fresh_seconds * 1000), round(now_ms - released_seconds * 1000)
            )
            await self._uploads(swept, now_ms)
            if is_full:
                await self._orphans(swept, now_ms, round(now_ms - orphan_seconds * 1000))
            return swept

    async def _files(self, swept: Swept, fresh_before: int, released_before: int) -> None:
        def due(raw: object) -> list[StoredFile]:
            return files.overdue(
                raw, fresh_before=fresh_before, released_before=released_before, limit=_AT_ONCE  # type: ignore[arg-type]
            )  # fmt: skip

        def work(transaction: Transaction) -> list[StoredFile]:
            gone = due(transaction.connection)  # asked again: one may have found an owner
            transaction.cause = "sweep"
            for one in gone:
                files.remove(transaction, one)
            return gone

        while await self._database.readers.run(lambda reader: due(reader.raw)):
            gone = (await self._database.writer.submit(work)).value
            swept.files += len(gone)
            for sha256 in {one.sha256 for one in gone}:
                swept.blobs += await self.remove_unused(sha256)

    async def remove(self, file_ids: Collection[str]) -> int:
        """Remove files at once that no row owns, with their bytes; returns how many there were."""

        def work(transaction: Transaction) -> list[StoredFile]:
            transaction.cause = "erase"
            found = (files.find(transaction.connection, one) for one in file_ids)
            gone = [one for one in found if one is not None and one.state != "owned"]
            for one in gone:
                files.remove(transaction, one)
            return gone

        async with self._turn:
            gone = (await self._database.writer.submit(work)).value
            for sha256 in {one.sha256 for one in gone}:
                await self.remove_unused(sha256)
            return len(gone)

    async def remove_unused(self, sha256: str) -> bool:
        """Remove bytes that no file has, in no branch."""
        return await self._store.remove(sha256, lambda: self._is_used(sha256))

    async def _is_used(self, sha256: str) -> bool:
        is_here = await self._database.readers.run(lambda reader: files.is_used(reader.raw, sha256))
        return is_here or await self._store.run(
            branches.is_used_elsewhere, self._database.place, sha256
        )

    async def _uploads(self, swept: Swept, now_ms: int) -> None:
        expired = await self._database.readers.run(
            lambda reader: files.expired_uploads(reader.raw, now_ms, _AT_ONCE)
        )
        gone = [one for one in expired if not self._is_open(one)]
        if not gone:
            return

        def work(transaction: Transaction) -> None:
            for one in gone:
                files.drop_upload(transaction, one)

        await self._database.writer.submit(work)
        for one in gone:
            await self._store.run(disk.unlink, self._store.incoming / one)
        swept.uploads += len(gone)

    async def _orphans(self, swept: Swept, now_ms: int, before: int) -> None:
        """Remove what the database does not know: pieces without an upload, bytes without a file.

        Bytes must have been seen without a file for a while: who has put another database in place
        for a moment still has them. An upload on its way is known to the store.
        """
        open_now = await self._database.readers.run(
            lambda reader: {one.id for one in files.open_uploads(reader.raw)}
        )
        for path in await self._store.run(lambda: list(self._store.incoming.iterdir())):
            # A copy that an upload is about to go on in has its name and an ending.
            owner = path.with_name(path.name.removesuffix(disk.PART))
            if owner.name not in open_now and owner not in self._store.active:
                await self._store.run(disk.unlink, path)
                swept.leftovers += 1
        there = await self._store.backend.all()
        known = await self._database.readers.run(
            lambda reader: files.hashes(reader.raw), timeout_s=_SCAN_SECONDS
        )
        orphans = there.keys() - known.keys()
        self._orphans_since = {one: self._orphans_since.get(one, now_ms) for one in orphans}
        for sha256, since in list(self._orphans_since.items()):
            if since <= before and await self.remove_unused(sha256):
                del self._orphans_since[sha256]
                swept.blobs += 1
        await self._pictures(swept, there.keys())

    async def _pictures(self, swept: Swept, there: Collection[str]) -> None:
        """Remove pictures of bytes that are gone: we were killed between the two, or one was late.

        Those of bytes that lie there go with them.
        """
        for path in await self._store.run(lambda: list(self._store.images.iterdir())):
            sha256 = path.name.partition("-")[0]
            if sha256 not in there and not await self._is_used(sha256):
                await self._store.run(disk.unlink, path)
                swept.leftovers += 1
