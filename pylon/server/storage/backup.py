"""Copies of a database: the state of one seq, complete and checked under its name, or not there.

A copy is made over a read-only connection, so the one that writes goes on meanwhile (I90).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from pylon import jsonvalue, paths
from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.printable import refusal_words
from pylon.server.storage import search_index, system_tables
from pylon.server.storage.change_log import read_head
from pylon.server.storage.lineage import meta
from pylon.server.storage.migration_plan import SchemaUnreadable, stored_schema
from pylon.server.storage.verify import FOREIGN_CODE, verify
from pylon.sqlite import (
    SQLITE_ERROR,
    Connection,
    DamagedError,
    Error,
    OperationalError,
    RawConnection,
    copy_into,
    open_reader,
)

_PARTIAL = ".partial"
_SWEEP_SECONDS = 86_400


class DatabaseUnusable(PylonError):
    """A file is no database of Pylon's, is damaged, or is of a newer version."""

    code = "DATABASE_UNUSABLE"


class BackupFailed(PylonError):
    """A copy could not be written."""

    code = "BACKUP_FAILED"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds, counted in one transaction."""

    epoch: str
    head: int
    horizon: int
    #: Rows by table, our own tables included; what full-text search has of them follows.
    rows: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @property
    def hash(self) -> str:
        """Return a hash by which the two ends of a transfer compare what they have."""
        return jsonvalue.stable_hash(self.to_json())


def contents(connection: RawConnection) -> Contents:
    """Count what the connection's transaction sees; raises DatabaseUnusable."""
    names = [
        str(name)
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            " AND substr(name, 1, length(?)) <> ? ORDER BY name",
            (search_index.PREFIX, search_index.PREFIX),
        ).fetchall()
    ]
    if "_pylon_meta" not in names:
        raise DatabaseUnusable("the file is an SQLite database, but not one of Pylon's")
    stored = int(meta(connection, "format") or 0)
    if stored > system_tables.FORMAT:
        raise DatabaseUnusable(
            f"the database has format {stored}; this Pylon knows {system_tables.FORMAT}",
            hint="install a newer Pylon",
        )
    head, horizon = read_head(connection)
    rows = {
        name: int(connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0])
        for name in names
    }
    return Contents(meta(connection, "epoch") or "", head, horizon, rows)


def quoted(name: str) -> str:
    """Return a table's name, read from a file that anybody may have written, for a statement."""
    return '"' + name.replace('"', '""') + '"'


def demand_no_code(connection: RawConnection) -> None:
    """Raise DatabaseUnusable for a database that carries statements of its own.

    Pylon makes no trigger and no view; one in a foreign file would write, unlogged, whenever
    Pylon does.
    """
    for kind, name in connection.execute(FOREIGN_CODE).fetchall():
        raise DatabaseUnusable(f"the file holds a {kind} that is none of Pylon's: {name}")


@asynccontextmanager
async def opened(path: Path, *, is_live: bool) -> AsyncIterator[Connection]:
    """Open a database for reading; raises DatabaseUnusable.

    Args:
        path: the database file.
        is_live: a runtime may write it at any time. Any other file is read as it is where no
            journal lies beside it: then nothing is created beside it either.
    """
    if not path.is_file():
        raise DatabaseUnusable(f"there is no file {path}")
    is_alone = not is_live and not path.with_name(f"{path.name}-wal").exists()
    try:
        connection = await open_reader(path, is_alone=is_alone)
    except Error as error:
        hint = None if is_live else "name a file that `pylon backup` wrote"
        raise DatabaseUnusable(f"{path} cannot be opened: {error}", hint=hint) from error
    try:
        yield connection
    except DamagedError as error:
        if isinstance(error, OperationalError) and not _is_of_a_statement(error):
            raise  # the system's fault, not the file's
        raise DatabaseUnusable(f"{path} is damaged, or no database: {error}") from error
    except SchemaUnreadable as error:
        raise DatabaseUnusable(f"{path}: {error.message}", hint=error.hint) from error
    except _NOT_OURS as error:
        raise DatabaseUnusable(f"{path} holds what Pylon never wrote: {error}") from error
    finally:
        await connection.close()


#: What reading text that Pylon did not write may raise.
_NOT_OURS = (ValueError, TypeError, LookupError, AttributeError, msgspec.MsgspecError)


def _is_of_a_statement(error: Error) -> bool:
    """Tell whether SQLite says that a statement, ours, does not fit the tables."""
    return getattr(error, "sqlite_errorcode", None) == SQLITE_ERROR


async def make_copy(
    source: Path, folder: Path, *, is_live: bool,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, Contents]:  # fmt: skip
    """Copy a database into a folder, under a temporary name, checked and synced to the disk.

    `progress(done, total)` is told, from another thread, how many pages are copied.

    Returns the copy's path and what it holds. Raises DatabaseUnusable for the source, BackupFailed
    where the copy cannot be written. Nothing is left behind by a failure.
    """

    def fill(raw: RawConnection) -> Contents:
        raw.execute("BEGIN")
        try:
            held = contents(raw)  # from here on the transaction sees this state
            copy_into(raw, partial, progress)
        finally:
            raw.execute("ROLLBACK")
        return held

    copy: Path | None = None
    try:
        async with opened(source, is_live=is_live) as reader:
            descriptor, name = tempfile.mkstemp(prefix=".copy-", suffix=_PARTIAL, dir=folder)
            os.close(descriptor)  # it is there, and readable by its owner only
            partial = copy = Path(name)
            wanted = await reader.run(fill)
        demand_same(await check(copy), wanted)
        sync_file(copy)
    except BaseException as error:
        if copy is not None:
            copy.unlink(missing_ok=True)
        if isinstance(error, Error | OSError):
            raise BackupFailed(f"the copy could not be made: {refusal_words(error)}") from error
        raise
    return copy, wanted


def demand_same(found: Contents | str, wanted: Contents | str) -> None:
    """Raise DatabaseUnusable where a copy does not hold what was copied."""
    if found != wanted:
        raise DatabaseUnusable("the copy does not hold what was copied; it was removed")


def sync_file(path: Path) -> None:
    """Have a file's content survive a loss of power."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def check(path: Path) -> Contents:
    """Return what a file holds after an integrity check; raises DatabaseUnusable."""

    def checked(raw: RawConnection) -> Contents:
        found = raw.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise DatabaseUnusable(f"{path} is damaged: {found}")
        return contents(raw)

    async with opened(path, is_live=False) as reader:
        return await reader.run(checked)


async def verify_file(path: Path, *, is_live: bool) -> tuple[Contents, list[str]]:
    """Return what a database file holds and what in it does not fit; raises DatabaseUnusable."""

    def checked(raw: RawConnection) -> tuple[Contents, list[str]]:
        raw.execute("BEGIN")
        try:
            return contents(raw), verify(raw, stored_schema(raw))
        finally:
            raw.execute("ROLLBACK")

    async with opened(path, is_live=is_live) as reader:
        return await reader.run(checked)


def publish(copy: Path, target: Path) -> None:
    """Give a finished copy its name; there is none before, and only a whole one after."""
    copy.replace(target)
    paths.sync_folder(target.parent)


def sweep(folder: Path, clock: Clock) -> None:
    """Remove what copies left in a folder that were interrupted a day ago or longer."""
    before = clock.machine_ms() / 1000 - _SWEEP_SECONDS
    for one in folder.glob(f".copy-*{_PARTIAL}*"):
        with suppress(OSError):
            if one.stat().st_mtime < before:
                one.unlink()
