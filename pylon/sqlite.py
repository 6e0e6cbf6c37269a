"""The one home of the SQLite binding: opening connections, pragmas, the library's version.

Connections and their threads are aiosqlite's; statements that must not wait for a thread run on
the raw connection that it opened. One library per process: a second copy of SQLite in the same
process would drop the first one's POSIX locks.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import aiosqlite

T = TypeVar("T")

Error = sqlite3.Error
#: Also for a file that is no database; its subclasses are about statements and the system.
DamagedError = sqlite3.DatabaseError
IntegrityError = sqlite3.IntegrityError
OperationalError = sqlite3.OperationalError
ProgrammingError = sqlite3.ProgrammingError
RawConnection = sqlite3.Connection
Cursor = sqlite3.Cursor
#: Raised for more than one statement, beside `ProgrammingError`.
StatementWarning = sqlite3.Warning
LIBRARY_VERSION: Final = sqlite3.sqlite_version
#: From 3.7.0 up to this version two connections that write or checkpoint at the same moment can
#: corrupt a WAL database. One connection that does both, as here, closes it.
LAST_WAL_RESET_FAULT: Final = (3, 51, 2)
_STATEMENTS_CACHED = 512
#: Of a copy, between two tellings of how far it is.
_PAGES_AT_ONCE = 2_048
#: What the disk, or who may use it, refuses; anything else is a fault of a statement.
_OF_THE_DISK: Final = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
)  # fmt: skip
SQLITE_ERROR: Final = sqlite3.SQLITE_ERROR
SQLITE_FULL: Final = sqlite3.SQLITE_FULL
SQLITE_INTERRUPT: Final = sqlite3.SQLITE_INTERRUPT
#: What an authorizer is asked about, and what it answers.
SQLITE_READ: Final = sqlite3.SQLITE_READ
SQLITE_SELECT: Final = sqlite3.SQLITE_SELECT
SQLITE_RECURSIVE: Final = sqlite3.SQLITE_RECURSIVE
SQLITE_FUNCTION: Final = sqlite3.SQLITE_FUNCTION
SQLITE_OK: Final = sqlite3.SQLITE_OK
SQLITE_DENY: Final = sqlite3.SQLITE_DENY
#: The bytes of one value, for `setlimit`.
SQLITE_LIMIT_LENGTH: Final = sqlite3.SQLITE_LIMIT_LENGTH


def is_of_the_disk(error: Error) -> bool:
    """Tell whether the disk refused, and no statement was wrong."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_DISK


def open_memory() -> RawConnection:
    """Return a connection to an empty database of its own, which goes with it."""
    return sqlite3.connect(":memory:")


def has_wal_reset_fault() -> bool:
    """Tell whether the library lies in the range of the WAL-reset fault."""
    return (3, 7, 0) <= sqlite3.sqlite_version_info <= LAST_WAL_RESET_FAULT


@dataclass(frozen=True, slots=True)
class Fault:
    """A known fault of SQLite: versions from `first` up to `last` have it."""

    name: str
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    what: str
    #: Why it does not strike here; empty where it may.
    but: str

    def to_json(self) -> dict[str, str]:
        """Return it as plain values."""
        return {
            "name": self.name, "first": _dotted(self.first), "last": _dotted(self.last),
            "what": self.what, "but": self.but,
        }  # fmt: skip


#: Faults that concern what Pylon does with a database. Sources: sqlite.org/releaselog.
FAULTS: Final = (
    Fault(
        "wal-reset", (3, 7, 0), LAST_WAL_RESET_FAULT,
        "two connections that write or checkpoint at the same moment can corrupt a WAL database",
        "Pylon writes and checkpoints by one connection; open the file writable with nothing else",
    ),
)  # fmt: skip


def known_faults(version: tuple[int, int, int] | None = None) -> list[Fault]:
    """Return the known faults of a version, by default of this library."""
    have = sqlite3.sqlite_version_info if version is None else version
    return [one for one in FAULTS if one.first <= have <= one.last]


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


class _Work(str, Generic[T]):
    """A unit of work dressed as a script, so that one hop to the thread runs all of it."""

    __slots__ = ("function", "result")
    function: Callable[[sqlite3.Connection], T]
    result: T


class _UnitConnection(sqlite3.Connection):
    # Scripts commit on their own, so nobody runs one: the way to the thread is free for work,
    # and `execute`, which runs a hundred thousand times a second, stays SQLite's own.
    def executescript(self, script: str) -> sqlite3.Cursor:
        assert isinstance(script, _Work), "a script would commit the open transaction"
        script.result = script.function(self)
        return self.cursor()


class Connection:
    """One connection with its thread: `raw` for the loop, `run` and `commit` for the thread."""

    def __init__(self, raw: sqlite3.Connection, threaded: aiosqlite.Connection) -> None:
        self.raw = raw
        self._threaded = threaded

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function with the raw connection on the connection's thread, in one hop."""
        work: _Work[T] = _Work("work")
        work.function = function
        cursor = await self._threaded.executescript(work)
        del cursor
        return work.result

    async def close(self) -> None:
        """Close the connection and end its thread."""
        await self._threaded.close()


class InlineConnection(Connection):
    """A connection without a thread, for simulated time: work runs on the loop, after a pause."""

    def __init__(self, raw: sqlite3.Connection, pause: Pause) -> None:
        self.raw = raw
        self._pause = pause
        self._is_busy = asyncio.Lock()

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function where others had turns before and after it, as beside a thread."""
        async with self._is_busy:
            await self._pause()
            result = function(self.raw)
            await self._pause()
            return result

    async def close(self) -> None:
        """Close the connection."""
        self.raw.close()


#: Waits as long as a hop to a thread and back may take.
Pause = Callable[[], Awaitable[None]]


class Engine:
    """How connections are opened: each with a thread of its own."""

    async def open_writer(self, path: Path, *, synchronous: str) -> Connection:
        """Open the one connection that writes and checkpoints.

        Args:
            path: the database file; created where missing.
            synchronous: FULL (durable at power loss) or NORMAL.
        """
        connection = await self._open(str(path), uri=False)
        return await _with_pragmas(
            connection, "journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON",
            "wal_autocheckpoint=0", "temp_store=MEMORY", "cache_size=-65536",
        )  # fmt: skip

    async def open_reader(self, path: Path, *, is_alone: bool = False) -> Connection:
        """Open a connection that can't write.

        Args:
            path: the database file.
            is_alone: nobody writes the file and it has no journal: nothing is created beside it.
        """
        flags = "mode=ro&immutable=1" if is_alone else "mode=ro"
        connection = await self._open(f"{path.absolute().as_uri()}?{flags}", uri=True)
        return await _with_pragmas(connection, "query_only=ON", "cache_size=-16384")

    async def _open(self, target: str, *, uri: bool) -> Connection:
        threaded = await aiosqlite.connect(
            target, factory=_UnitConnection, isolation_level=None, check_same_thread=False,
            cached_statements=_STATEMENTS_CACHED, uri=uri,
        )  # fmt: skip
        work: _Work[sqlite3.Connection] = _Work("connection")
        work.function = lambda raw: raw
        await threaded.executescript(work)
        return Connection(work.result, threaded)


async def _with_pragmas(connection: Connection, *pragmas: str) -> Connection:
    try:
        for pragma in pragmas:
            connection.raw.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        await connection.close()
        raise
    return connection


class InlineEngine(Engine):
    """Connections without threads: everything happens in the loop's own order."""

    def __init__(self, pause: Pause) -> None:
        self._pause = pause

    async def _open(self, target: str, *, uri: bool) -> Connection:
        await self._pause()
        raw = sqlite3.connect(
            target, isolation_level=None, cached_statements=_STATEMENTS_CACHED, uri=uri
        )
        return InlineConnection(raw, self._pause)


THREADS: Final = Engine()
open_writer = THREADS.open_writer
open_reader = THREADS.open_reader


def copy_into(
    source: RawConnection, path: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Copy what the source's open transaction sees into an empty file, without a journal.

    `progress(done, total)` is told in pages, from this thread.
    """
    target = sqlite3.connect(path, isolation_level=None)
    tell = None if progress is None else lambda _, left, total: progress(total - left, total)
    try:
        source.backup(target, pages=_PAGES_AT_ONCE, progress=tell)
        target.execute("PRAGMA journal_mode=DELETE").fetchall()
    finally:
        target.close()


def read_alone(path: Path) -> RawConnection:
    """Open a database file for reading, on this thread; the caller closes it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.execute("PRAGMA query_only=ON").fetchall()
    return connection


def open_alone(path: Path, function: Callable[[RawConnection], T]) -> T:
    """Run a function over a file that nobody else knows of yet, synced and without a journal."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL").fetchall()
        return function(connection)
    finally:
        connection.close()
