"""Putting a copy in the place of a database: a new lineage, and the old file kept aside (I91).

At every moment the folder holds the old database whole or the new one whole. The copy loses its
epoch and its id, so that the next start begins another lineage, and every session and code, so
that what was revoked since stays so.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pylon import paths
from pylon.clock import Clock, iso_ms
from pylon.server.storage import backup
from pylon.server.storage.backup import Contents, DatabaseUnusable
from pylon.server.storage.folder import FolderLock, prepare_folder
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.place import place_in_use
from pylon.sqlite import RawConnection, open_alone, open_writer

_LINEAGE = ("database_id", "epoch", "token", "token_before", "switch")
#: By table, what does not come back: it may have been revoked, or used up, after the backup. An
#: upload in pieces has left its pieces behind. A
#: secret job mails a code or a link that is among it.
ENDED = {
    "_pylon_sessions": "true",
    "_pylon_codes": "true",
    "_pylon_departures": "true",
    "_pylon_uploads": "true",
    "_pylon_jobs": "is_secret = 1",
}


@dataclass(frozen=True, slots=True)
class Restored:
    """What is in place now, and where what was there before lies."""

    contents: Contents
    kept: Path | None


async def restore(file: Path, folder: Path, clock: Clock) -> Restored:
    """Put the database of `file` into the data folder of a stopped project.

    Raises DatabaseUnusable and BackupFailed before anything changed, FolderInUse where a runtime
    owns the folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(folder)
    lock.take()
    try:
        backup.sweep(folder, clock)
        copy, held = await prepare(file, folder)
        kept = await _put(copy, folder, clock)
    finally:
        lock.release()
    return Restored(held, kept)


async def prepare(file: Path, folder: Path) -> tuple[Path, Contents]:
    """Make of a backup what can take the place of a database, under a temporary name in a folder.

    A runtime may own the folder meanwhile. Raises DatabaseUnusable and BackupFailed.
    """
    copy, held = await backup.make_copy(file, folder, is_live=False)
    try:
        open_alone(copy, begin_anew)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return copy, held


async def put_in_place(copy: Path, folder: Path, clock: Clock) -> Path | None:
    """Give what was prepared the database's name; returns where what was there is kept.

    Raises FolderInUse where a runtime owns the folder. The prepared copy is gone afterwards.
    """
    lock = FolderLock(folder)
    lock.take()
    try:
        return await _put(copy, folder, clock)
    finally:
        lock.release()


async def _put(copy: Path, folder: Path, clock: Clock) -> Path | None:
    try:
        kept = await _keep_aside(folder, clock)
        backup.publish(copy, place_in_use(folder).path)
    finally:
        copy.unlink(missing_ok=True)
    prepare_folder(place_in_use(folder).folder)
    return kept


async def reset(folder: Path, clock: Clock) -> Path | None:
    """Put the database of a stopped project aside: the next start makes one, with a new epoch.

    Returns where it is kept; None where there is none. Raises FolderInUse where a runtime owns the
    folder.
    """
    if not folder.is_dir():
        return None
    lock = FolderLock(folder)
    lock.take()
    try:
        kept = await _keep_aside(folder, clock, "before-reset")
        if kept is not None:
            path = place_in_use(folder).path
            path.unlink()
            paths.sync_folder(path.parent)
    finally:
        lock.release()
    return kept


def begin_anew(raw: RawConnection) -> None:
    """Have a copy begin a lineage of its own, without what was revoked or used up since."""
    backup.demand_no_code(raw)
    stored_schema(raw)  # what no start could read does not take the place of what it can
    raw.execute("BEGIN IMMEDIATE")
    for key in _LINEAGE:
        raw.execute("DELETE FROM _pylon_meta WHERE key = ?", (key,))
    names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master").fetchall()}
    for table, ended in ENDED.items():
        if table in names:  # a backup of an older release lacks some
            raw.execute(f"DELETE FROM {table} WHERE {ended}")
    raw.execute("COMMIT")


async def _keep_aside(folder: Path, clock: Clock, name: str = "before-restore") -> Path | None:
    """Give the database in place a second name; returns it, None where there is no database.

    Its journal is copied back first, so that it is one file. A database that is too damaged for
    that keeps its journal, which must not meet the new file.
    """
    path = place_in_use(folder).path
    if not path.is_file() or path.stat().st_size == 0:
        return None
    journal = path.with_name(f"{path.name}-wal")
    if journal.exists():
        await _copy_back(path)
    kept_in = folder / "backups"
    kept_in.mkdir(mode=0o700, exist_ok=True)
    stamp = iso_ms(clock.machine_ms()).replace(":", "").replace(".", "")
    kept = kept_in / f"{name}-{stamp}.db"
    _second_name(path, kept)
    if journal.exists():
        _second_name(journal, kept.with_name(f"{kept.name}-wal"))
    paths.sync_folder(kept_in)
    journal.unlink(missing_ok=True)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return kept


async def _copy_back(path: Path) -> None:
    """Have a database be one file, unless it is too damaged for that."""
    with suppress(DatabaseUnusable):
        await backup.check(path)  # read-only: what is damaged is not touched
        connection = await open_writer(path, synchronous="FULL")
        try:
            await connection.run(_checkpoint)
        finally:
            await connection.close()  # the last one to close removes the journal


def _checkpoint(raw: RawConnection) -> None:
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _second_name(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file system without second names
        shutil.copy2(path, name)
        backup.sync_file(name)
