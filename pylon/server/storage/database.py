"""The database of one project: opened, owned, migrated, recovered and closed here.

Everything else asks its parts: `writer` for changes, `readers` for reads, `tail` for the newest
records.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pylon.clock import Clock
from pylon.errors import Unavailable
from pylon.ids import Epoch, IdSource, Seq
from pylon.policy.slices import SliceRule
from pylon.protocol.change import Cursor
from pylon.schema.model import Schema
from pylon.server.storage import system_tables
from pylon.server.storage.change_log import LogRecord, LogTail, read_head, read_rewritten
from pylon.server.storage.folder import FolderLock, prepare_folder, tighten
from pylon.server.storage.lineage import Lineage, Witness, meta, set_meta, settle_lineage
from pylon.server.storage.operations import read_forgotten
from pylon.server.storage.place import Place, place_in_use
from pylon.server.storage.readers import Readers
from pylon.server.storage.tables import EntityTable, tables_of
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.writer import Writer
from pylon.sqlite import (
    LIBRARY_VERSION,
    THREADS,
    Connection,
    Engine,
    Error,
    RawConnection,
    has_wal_reset_fault,
)

T = TypeVar("T")
_log = logging.getLogger("pylon.storage")
_WITNESS_SECONDS = 1.0
#: Free bytes below which a write is not worth a try.
_ROOM_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """What the status shows of the storage."""

    sqlite: str
    has_wal_reset_fault: bool
    journal_mode: str
    synchronous: str
    database_bytes: int
    wal_bytes: int
    health: str
    commit_ms: float


class Database:
    """One project's storage; make it with `Database.open`."""

    def __init__(
        self, place: Place, clock: Clock, ids: IdSource, synchronous: str, lock: FolderLock | None,
        engine: Engine,
    ) -> None:  # fmt: skip
        #: The project's `.pylon`, whichever of its databases this is.
        self.folder = place.data
        self.place = place
        self.path = place.path
        self.clock = clock
        self.ids = ids
        self.head = 0
        self.horizon = 0
        #: Cursors below it are of before a migration that wrote rows anew.
        self.rewritten = 0
        #: The memory of operations is complete after this time, Unix ms.
        self.forgotten_ms = 0
        self.schema = Schema(entities={})
        #: What changes of an entity show or hide of others; empty while no app is loaded.
        self.slice_rules: Mapping[str, tuple[SliceRule, ...]] = {}
        self._tables: dict[str, EntityTable] = {}
        self._synchronous = synchronous
        self._lock = lock
        self._engine = engine
        #: Which file was opened: device and inode.
        self._inode: tuple[int, int] | None = None
        self._lineage: Lineage
        self._witness: Witness
        self._connection: Connection
        self.writer: Writer
        self.readers = Readers(self.path, clock, engine)
        self.tail: LogTail
        self._keeper: asyncio.Task[None] | None = None

    # --- life

    @classmethod
    async def open(
        cls, folder: Path, *, clock: Clock, ids: IdSource, durability: str = "full",
        witness: Path | None = None, engine: Engine = THREADS, beside: Place | None = None,
    ) -> Database:  # fmt: skip
        """Open, or create, the database that is in use in a data folder.

        Args:
            folder: the project's `.pylon`.
            clock: tells the time.
            ids: mints ids and tokens.
            durability: full (each commit survives power loss) or normal (survives a crash of
                the process; the last commits may be lost with the power).
            witness: the user's folder of lineage witnesses; None keeps none.
            engine: opens the connections.
            beside: this one instead, which is not in use; whoever asks owns the folder already.

        Raises:
            FolderInUse: another runtime owns the folder.
            BranchUnknown: the branch that is in use is gone.
        """
        tighten(folder)
        lock = FolderLock(folder) if beside is None else None
        if lock is not None:
            lock.take()
        try:
            place = beside or place_in_use(folder)
            prepare_folder(place.folder)
            database = cls(place, clock, ids, durability.upper(), lock, engine)
            await database._open(witness, is_in_use=beside is None)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return database

    async def _open(self, witness: Path | None, *, is_in_use: bool) -> None:
        self._connection = await self._engine.open_writer(self.path, synchronous=self._synchronous)
        self._inode = _inode_of(self.path)
        try:
            raw = self._connection.raw
            _bring_up_system_tables(raw)
            self._read_bounds(raw)
            self._lineage, self._witness = settle_lineage(
                raw, self.ids, witness, self.head, self.place, is_in_use=is_in_use
            )
            await self.readers.open(self.schema, self._tables)
        except BaseException:
            await self.readers.close()
            await self._connection.close()
            raise
        self.tail = LogTail(self.head)
        self.writer = Writer(self, self._connection, self.clock)
        self.writer.on_commit(self._note_commit)
        self.writer.start()
        self._keeper = asyncio.get_running_loop().create_task(
            self._keep_witness(), name="pylon-witness"
        )

    async def close(self) -> None:
        """Finish queued operations, close every connection and give the folder up."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        try:
            await self.writer.close()
        finally:
            # Whatever happened to the writer: threads must end, or the process never does.
            await self.readers.close()
            with suppress(Error, ValueError):  # the next start reads what lies in the WAL
                await self._connection.run(_checkpoint_fully)
            with suppress(Error, ValueError):
                await self._connection.close()
            if self._lock is not None:
                self._lock.release()
        self._write_witness()

    # --- what others ask

    @property
    def epoch(self) -> str:
        """Return the name of this lineage of the log."""
        return self._lineage.epoch

    def cursor(self, seq: int | None = None) -> Cursor:
        """Return the cursor at a seq, by default at the head."""
        return Cursor(Epoch(self.epoch), Seq(self.head if seq is None else seq))

    def new_transaction(self) -> Transaction:
        """Return a transaction over the current schema."""
        return Transaction(self._connection.raw, self.schema, self._tables, self.slice_rules)

    @property
    def status(self) -> DatabaseStatus:
        """Return versions, modes and sizes."""
        return DatabaseStatus(
            sqlite=LIBRARY_VERSION,
            has_wal_reset_fault=has_wal_reset_fault(),
            journal_mode="wal",
            synchronous=self._synchronous.lower(),
            database_bytes=_size(self.path),
            wal_bytes=_size(self.path.with_name(f"{self.path.name}-wal")),
            health=self.writer.health,
            commit_ms=round(self.writer.commit_ms, 2),
        )

    def use_schema(self, schema: Schema) -> None:
        """Read and write by this schema from now on; its tables must exist, and the log fit."""
        if schema != self.schema:
            self._read_bounds(self._connection.raw)
            self.tail.reset(self.head)  # what it holds has the fields of before
        self.schema = schema
        self._tables = dict(tables_of(schema))
        self.readers.use(schema, self._tables)

    async def run_on_writer(self, function: Any) -> Any:
        """Run a function with the writer's raw connection while no batch runs."""
        async with self.writer.pause():
            return function(self._connection.raw)

    async def run_on_each(self, function: Callable[[RawConnection], T]) -> list[T]:
        """Run a function with every connection, when it has nothing else to do."""
        return [await self.run_on_writer(function), *await self.readers.run_on_each(function)]

    def note_rewritten(self) -> None:
        """Read anew from where on cursors are served: a transaction moved it."""
        self._read_bounds(self._connection.raw)

    async def checkpoint_fully(self) -> None:
        """Have the write-ahead log be emptied into the file, as far as readers let it."""
        async with self.writer.pause():
            await self._connection.run(_checkpoint_fully)

    # --- trouble

    def new_id(self) -> str:
        """Return a new id, for what is logged under it."""
        return self.ids.uuid7()

    def has_room(self) -> bool:
        """Tell whether the disk has room enough to try again."""
        return shutil.disk_usage(self.folder).free >= _ROOM_BYTES

    async def recover(self) -> Connection:
        """Close every connection, open them again, verify, and read head and epoch anew."""
        await self.readers.close()
        with suppress(ValueError):  # closed already, by a recovery that failed
            await self._connection.close()
        self._demand_in_place()
        connection = await self._engine.open_writer(self.path, synchronous=self._synchronous)
        check = await connection.run(lambda raw: raw.execute("PRAGMA quick_check(1)").fetchone()[0])
        if check != "ok":
            await connection.close()
            raise Unavailable(f"the database is damaged: {check}", reason="corrupt")
        self._connection = connection
        before = self.head
        if read_head(connection.raw)[0] < before:
            # Another file, or an older state of this one: only a start may settle its lineage.
            raise Unavailable("the database went back in its history", reason="displaced")
        self._read_bounds(connection.raw)
        await self.readers.open(self.schema, self._tables)
        self.tail.reset(self.head)
        if self.head != before:
            # What the failed commit did is in the log after all: have it delivered from there.
            self._note_commit_elsewhere()
        return connection

    def _demand_in_place(self) -> None:
        """Raise Unavailable where the file that was opened is not the one at its path any more."""
        if _inode_of(self.path) != self._inode:
            raise Unavailable(
                "the database file was replaced or removed while it was in use",
                hint="stop the app first, then put files in place; start it again now",
                reason="displaced",
            )

    def _note_commit_elsewhere(self) -> None:
        for listener in self.writer._listeners:
            listener([], self.head)

    def _note_commit(self, records: list[LogRecord], head: int) -> None:
        self.tail.extend(records)

    def _read_bounds(self, raw: RawConnection) -> None:
        self.head, self.horizon = read_head(raw)
        self.rewritten = read_rewritten(raw)
        self.forgotten_ms = read_forgotten(raw)

    async def _keep_witness(self) -> None:
        written = self.head
        while True:
            await self.clock.sleep(_WITNESS_SECONDS)
            try:
                self._demand_in_place()
            except Unavailable as displaced:
                _log.error("storage.displaced %s; nothing more is written", displaced.message)
                self.writer.abandon(displaced)
                return
            if self.head != written:
                head = self.head
                written = head if self._write_witness() else written

    def _write_witness(self) -> bool:
        try:
            self._witness.write(self.head)
        except OSError as error:  # a full disk, say: a head that is too low only notices less
            _log.warning("storage.witness_failed %s", error)
            return False
        return True


def _bring_up_system_tables(raw: Any) -> None:
    """Make our own tables, or what an older release did not have of them."""
    found = raw.execute("SELECT 1 FROM sqlite_master WHERE name = '_pylon_meta'").fetchone()
    stored = int(meta(raw, "format") or 0) if found is not None else 0
    if stored > system_tables.FORMAT:
        raise Unavailable(
            f"the database has format {stored}; this Pylon knows {system_tables.FORMAT}",
            hint="install a newer Pylon",
            reason="newer_format",
        )
    # Also at our own format: between two releases a table joins without another number.
    raw.execute("BEGIN IMMEDIATE")
    for table, column, declaration in system_tables.ADDED_COLUMNS:
        names = raw.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        if names and (column,) not in names:
            raw.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declaration}")
    for statement in system_tables.STATEMENTS:
        raw.execute(statement)
    if stored != system_tables.FORMAT:
        set_meta(raw, "format", system_tables.FORMAT)
    raw.execute("COMMIT")


def _checkpoint_fully(raw: Any) -> None:
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _inode_of(path: Path) -> tuple[int, int] | None:
    """Return which file is at a path; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
