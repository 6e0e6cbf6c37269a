"""`ctx.files`: what code may do with files, with the authority in force.

Everywhere: what a file is (`get`). In mutations also `delete`, which shares their fate. Bytes are
I/O: actions and `async def` jobs read them and bring new ones.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pylon import limits_files
from pylon.errors import InvalidArgument, NotFound, PayloadTooLarge
from pylon.ids import is_id
from pylon.schema.files import File
from pylon.server.files.names import clean_name, clean_type
from pylon.server.functions.authority import authority_of
from pylon.server.functions.authorize import Reader
from pylon.server.functions.file_rights import FileRights
from pylon.server.storage.files import StoredFile
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

if TYPE_CHECKING:
    from pylon.server.functions.call_facts import ActionTools, CallFacts
    from pylon.server.functions.context import Context
    from pylon.server.functions.file_service import FileService


def _id_of(file: Any) -> str:
    named = file.id if isinstance(file, File) else file
    if isinstance(named, dict):
        named = named.get("id")
    if not is_id(named):
        raise InvalidArgument("a file is named by its id, or is what a File field holds")
    return str(named)


class ReadFiles:
    """`ctx.files` of a query."""

    def __init__(
        self, context: Context, facts: CallFacts, raw: RawConnection, reader: Reader
    ) -> None:
        self._context = context
        self._facts = facts
        self._raw = raw
        self._reader = reader

    def get(self, file: Any) -> File | None:
        """Return a file that the authority in force may read, or None."""
        rights = FileRights(
            definition=self._facts.definition, identity=authority_of(self._context),
            now=self._facts.now, reader=self._reader, raw=self._raw, reads=self._facts.reads,
        )  # fmt: skip
        stored = rights.readable(_id_of(file))
        return None if stored is None else File(**stored.to_object())


class TransactionFiles(ReadFiles):
    """`ctx.files` of a mutation or a `def` job."""

    def __init__(self, context: Context, facts: CallFacts, transaction: Transaction) -> None:
        super().__init__(context, facts, transaction.connection, transaction)
        self._transaction = transaction

    def delete(self, file: Any) -> None:
        """Empty the fields that hold a file, by the policy of their rows; it goes if none does."""
        from pylon.server.functions.file_service import delete_in

        delete_in(
            self._facts.definition, authority_of(self._context), self._transaction, _id_of(file)
        )


class ActionFiles:
    """`ctx.files` of an action or an `async def` job."""

    def __init__(self, context: Context, facts: CallFacts, tools: ActionTools) -> None:
        self._context = context
        self._facts = facts
        self._tools = tools
        self._demand = tools.demand

    @property
    def _service(self) -> FileService:
        assert self._tools.files is not None, "a runtime has files"
        return self._tools.files

    def _stored(self, file: Any) -> StoredFile:
        self._demand()
        return self._service.readable_now(authority_of(self._context), _id_of(file))

    async def get(self, file: Any) -> File | None:
        """Return a file that the authority in force may read, or None."""
        try:
            return File(**self._stored(file).to_object())
        except NotFound:
            return None

    @asynccontextmanager
    async def open(
        self, file: Any, start: int = 0, end: int | None = None
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """Give the bytes of a file in chunks; raises NotFound where it can't be read.

        `async with ctx.files.open(row.attachment) as chunks: async for chunk in chunks: …`
        """
        stored = self._stored(file)
        last = stored.size if end is None else min(end, stored.size)
        async with (
            self._service.store.backend.open(stored.sha256) as chunks,
            aclosing(chunks(start, last)) as stream,
        ):
            yield stream

    async def read(self, file: Any, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of a file; raises NotFound, and PayloadTooLarge for a large one."""
        stored = self._stored(file)
        last = stored.size if end is None else min(end, stored.size)
        if last - start > limits_files.FILE_READ_BYTES_MAX:
            raise PayloadTooLarge(
                f"at most {limits_files.FILE_READ_BYTES_MAX} bytes are read at once",
                hint="async with ctx.files.open(file) as chunks: …",
            )
        async with self.open(file, start, last) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def create(
        self, data: bytes | str | AsyncIterable[bytes], *, name: str = "file",
        type: str = "application/octet-stream",
    ) -> File:  # fmt: skip
        """Store a new file as the authority's in force; put it into a row, or it goes in a day."""
        self._demand()
        content = data.encode() if isinstance(data, str) else data
        length = len(content) if isinstance(content, bytes) else None
        identity = authority_of(self._context)
        async with self._service.store.receive(
            identity.principal, _chunks(content), length
        ) as received:
            self._demand()
            saved = await self._service.save(
                identity, received, name=clean_name(name), kind=clean_type(type),
                cause=self._facts.cause or "action",
            )  # fmt: skip
        return File(**saved)

    async def delete(self, file: Any) -> None:
        """Empty the fields that hold a file, by the policy of their rows; it goes if none does."""
        self._demand()
        await self._service.delete(
            authority_of(self._context), _id_of(file), cause=self._facts.cause or "action"
        )


async def _chunks(content: bytes | AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    if isinstance(content, bytes):
        for start in range(0, len(content), limits_files.FILE_CHUNK_BYTES):
            yield content[start : start + limits_files.FILE_CHUNK_BYTES]
        return
    async for chunk in content:
        yield bytes(chunk)
