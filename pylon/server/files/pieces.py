"""Uploads in pieces: what came is kept when the connection is lost, and the next piece goes on.

How far an upload has come is known in memory while it is under way, and by the database as far as
it was synced to the disk. One piece at a time: a second one is refused, unless the first has fallen
silent, as one whose connection broke unnoticed does.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pylon import limits_files
from pylon.clock import Clock
from pylon.errors import Conflict, InvalidArgument, NotFound, PylonError, RateLimited
from pylon.server.files import disk
from pylon.server.files.disk import Writing
from pylon.server.files.store import Buffer, FileStore, Received
from pylon.server.storage import files
from pylon.server.storage.database import Database
from pylon.server.storage.files import Upload
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

#: Uploads whose hash so far is remembered; of others it is worked out anew, from the disk.
_REMEMBERED_MAX: Final = 200
#: How long a piece waits for one before it that is about to end.
_MOMENT_SECONDS: Final = 0.3


@dataclass(slots=True)
class Piece:
    """A piece under way: the one that may write its upload."""

    upload: Upload
    task: asyncio.Task[Any] | None
    heard_at: float
    #: All bytes are there, and the file is being made of them.
    is_ending: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    writing: Writing | None = None
    buffer: Buffer | None = None

    @property
    def offset(self) -> int:
        """Return how many bytes of the upload came so far."""
        return self.upload.kept if self.buffer is None else self.buffer.size


def _demand_few(raw: RawConnection, principal: str | None) -> None:
    """Raise RateLimited where a principal has as many uploads under way as he may have."""
    if files.count_uploads(raw, principal) >= limits_files.UPLOADS_PER_USER_MAX:
        raise RateLimited(
            f"at most {limits_files.UPLOADS_PER_USER_MAX} uploads are open at a time",
            retry_after_s=60.0, limit="uploads",
        )  # fmt: skip


class Pieces:
    """The uploads in pieces of one runtime."""

    def __init__(self, store: FileStore, database: Database, clock: Clock) -> None:
        self._store = store
        self._database = database
        self._clock = clock
        self._active: dict[str, Piece] = {}
        self._remembered: OrderedDict[str, Writing] = OrderedDict()
        self._endings: set[asyncio.Future[None]] = set()

    async def stop(self) -> None:
        """Return once what came of pieces that were cut off is kept."""
        await asyncio.gather(*self._endings, return_exceptions=True)

    def is_open(self, upload_id: str) -> bool:
        """Tell whether a piece of an upload is under way."""
        return upload_id in self._active

    def offset(self, upload: Upload) -> int:
        """Return how many bytes of an upload are there."""
        if upload.file is not None:
            return upload.length
        if upload.id in self._active:
            return self._active[upload.id].offset
        remembered = self._remembered.get(upload.id)
        return upload.kept if remembered is None else remembered.size

    def find(self, principal: str | None, upload_id: str) -> Upload:
        """Return an upload of a caller's; raises NotFound for any other."""
        found = files.find_upload(self._database.readers.inline.raw, upload_id)
        is_over = found is not None and found.expires_at < self._clock.now_ms()
        if found is None or found.uploader != principal or is_over:
            raise NotFound("there is no such upload, or none any more", hint="begin another one")
        return found

    async def begin(self, principal: str | None, name: str, kind: str, length: int) -> Upload:
        """Begin an upload of so many bytes; raises as `FileStore.receive`, and RateLimited."""
        self._store.demand_size(length)
        _demand_few(self._database.readers.inline.raw, principal)
        with self._store.room.reserve(principal, length):
            await self._store.run(disk.demand_room, self._store.incoming, length)
            upload = Upload(
                self._store.new_id(), principal, name, kind, length, 0, self._expiry(), None
            )

            def work(transaction: Transaction) -> None:
                # Once more: others may have begun since, all at once.
                _demand_few(transaction.connection, principal)
                files.begin_upload(transaction, upload)

            await self._database.writer.submit(work)
        return upload

    def _expiry(self) -> int:
        return self._clock.now_ms() + round(limits_files.UPLOAD_SECONDS * 1000)

    async def drop(self, upload: Upload) -> None:
        """Give an upload up; of one that is complete the file stays."""
        await self._end_active(upload.id)

        def work(transaction: Transaction) -> None:
            files.drop_upload(transaction, upload.id)

        await self._database.writer.submit(work)
        self._remembered.pop(upload.id, None)
        await self._store.run(disk.unlink, self._store.incoming / upload.id)

    @asynccontextmanager
    async def piece(self, upload: Upload, offset: int) -> AsyncIterator[Piece]:
        """Go on with an upload at `offset`; what came is kept however the block ends.

        Raises Conflict where the upload is elsewhere, or a piece of it is under way.
        """
        if upload.id in self._active:
            await self._displace(self._active[upload.id])
            upload = self.find(upload.uploader, upload.id)
            if upload.file is not None:
                raise Conflict("the upload is complete", offset=upload.length)
        piece = Piece(upload, asyncio.current_task(), self._clock.monotonic())
        self._active[upload.id] = piece
        path = self._store.incoming / upload.id
        self._store.active.add(path)
        try:
            piece.writing = await self._writing(upload)
            piece.buffer = Buffer(self._store, piece.writing)
            if offset != piece.offset:
                raise Conflict("the upload is not there", offset=piece.offset)
            yield piece
        finally:
            # On its own: who is cancelled twice, by a lost connection and by us, loses nothing.
            ending = asyncio.ensure_future(self._end(piece, path))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)

    async def _end(self, piece: Piece, path: Path) -> None:
        try:
            await self._keep(piece)
        finally:
            del self._active[piece.upload.id]
            self._store.active.discard(path)
            piece.ended.set()

    async def _displace(self, active: Piece) -> None:
        """Return when a piece is over that was, or that fell silent; raises Conflict for others."""
        with suppress(TimeoutError):  # its connection was lost at this moment, perhaps
            async with asyncio.timeout(_MOMENT_SECONDS):
                await active.ended.wait()
        silent_s = self._clock.monotonic() - active.heard_at
        if not active.is_ending and silent_s >= limits_files.UPLOAD_SILENT_SECONDS:
            await self._end_active(active.upload.id)
        if active.upload.id in self._active:
            raise Conflict("a piece of this upload is under way", offset=active.offset)

    async def _end_active(self, upload_id: str) -> None:
        active = self._active.get(upload_id)
        if active is not None and active.task is not None:
            active.task.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(limits_files.FILE_IDLE_SECONDS):
                    await active.ended.wait()

    async def _writing(self, upload: Upload) -> Writing:
        """Return where the next byte goes, with the hash of those before it."""
        remembered = self._remembered.pop(upload.id, None)
        if remembered is not None:
            await self._store.run(remembered.open_again)
            return remembered
        writing = await self._store.run(
            lambda: Writing(self._store.incoming / upload.id, is_new=False)
        )
        await self._store.run(writing.resume, upload.kept)
        return writing

    async def receive(self, piece: Piece, chunks: AsyncGenerator[bytes, None]) -> Received | None:
        """Append a piece as it comes; returns the file once the upload is whole.

        Raises InvalidArgument where more comes than was said: then nothing of that chunk is kept.
        """
        upload, writing, buffer = piece.upload, piece.writing, piece.buffer
        assert writing is not None
        assert buffer is not None
        synced = buffer.size
        async for chunk in chunks:
            piece.heard_at = self._clock.monotonic()
            if buffer.size + len(chunk) > upload.length:
                raise InvalidArgument(
                    f"more came than the {upload.length} bytes of Upload-Length", field="body"
                )
            await buffer.append(chunk)
            if buffer.size - synced >= limits_files.UPLOAD_SYNC_BYTES:
                await self._sync(piece)
                synced = buffer.size
        if buffer.size < upload.length:
            return None
        piece.is_ending = True
        await buffer.flush()
        await self._store.run(writing.sync)
        return Received(writing.path, writing.size, writing.sha256())

    async def _sync(self, piece: Piece) -> None:
        writing, buffer = piece.writing, piece.buffer
        assert writing is not None
        assert buffer is not None
        await buffer.flush()
        await self._store.run(writing.sync)
        kept, expiry = writing.size, self._expiry()

        def work(transaction: Transaction) -> None:
            files.keep_upload(transaction, piece.upload.id, kept, expiry)

        await self._database.writer.submit(work)

    async def _keep(self, piece: Piece) -> None:
        """Have what came of a piece survive, and remember its hash for the next."""
        writing = piece.writing
        if writing is None:
            return
        raw = self._database.readers.inline.raw
        now = files.find_upload(raw, piece.upload.id)
        if now is None or now.file is not None:
            await self._store.run(writing.discard)
            return
        try:
            if writing.size != now.kept or (piece.buffer and piece.buffer.size != writing.size):
                with suppress(PylonError):  # the disk is full, or the runtime stops
                    await self._sync(piece)
        finally:
            await self._store.run(writing.close)
        self._remembered[piece.upload.id] = writing
        while len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)
