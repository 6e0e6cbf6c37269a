"""Restoring a backup with its files: over a stopped project, or of a running one by itself.

A running runtime prepares all that takes time while it serves, and stops only to change names
(`Prepared.put_in_place`); what was there before is kept as an automatic copy (I91).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pylon.clock import Clock
from pylon.errors import Conflict
from pylon.schema.model import Schema
from pylon.server.files import copying
from pylon.server.storage import restore
from pylon.server.storage.backup import Contents, DatabaseUnusable
from pylon.server.storage.migration_plan import make_plan
from pylon.server.storage.place import place_in_use
from pylon.server.storage.restore import Restored
from pylon.sqlite import RawConnection, open_alone

#: What has other rows after a restore: it ends sessions and codes, and begins another lineage.
ENDED_TABLES: Final = frozenset({*restore.ENDED, "_pylon_meta"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is ready to take the place of a database, under a temporary name."""

    copy: Path
    data: Path
    contents: Contents
    #: Files of the database that is in place now; they go with the copy that is kept of it.
    before: Mapping[str, int]

    async def put_in_place(self, clock: Clock) -> Restored:
        """Change the names, where nobody owns the folder; at every moment it is old or new."""
        kept = await restore.put_in_place(self.copy, self.data, clock)
        if kept is not None:
            await asyncio.to_thread(_keep_files, self.data, kept, self.before)
        return Restored(self.contents, kept)

    def discard(self) -> None:
        """Do without."""
        self.copy.unlink(missing_ok=True)


async def prepare(
    file: Path, data: Path, *, has_own_files: bool, schema: Schema, may_migrate: bool
) -> Prepared:
    """Make everything ready for a runtime that will stop for a moment.

    Args:
        file: the backup.
        data: the project's `.pylon`.
        has_own_files: the bytes of files lie in the project.
        schema: what the app wants of the database.
        may_migrate: additive changes of the schema are applied at a start.

    Raises DatabaseUnusable, BackupFailed, and Conflict where the app could not start with it.
    """
    before = await put_files(file, data, has_own_files=has_own_files)
    copy, held = await restore.prepare(file, data)

    def planned(raw: RawConnection) -> str:
        plan = make_plan(raw, schema)
        is_fine = plan.is_empty or (may_migrate and not plan.blockers and not plan.needs_consent)
        return "" if is_fine else plan.render()

    try:
        said = await asyncio.to_thread(open_alone, copy, planned)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    if said:
        copy.unlink(missing_ok=True)
        raise Conflict(
            f"the backup is of another schema, with which this app does not start:\n{said}",
            hint="stop the app, then: pylon restore FILE, pylon migrate --apply",
        )
    return Prepared(copy, data, held, before)


async def put_files(
    file: Path, data: Path, *, has_own_files: bool, is_without: bool = False
) -> dict[str, int]:
    """Put the files of a backup in place; returns those of the database that is there now.

    Raises BackupFailed where bytes are missing; `is_without` does without them.
    """
    blobs = copying.blobs_of(data)
    before: dict[str, int] = {}
    with suppress(DatabaseUnusable):  # there is none yet, or it is damaged
        before = await copying.hashes_in(place_in_use(data).path)
    wanted = await copying.hashes_in(file) if has_own_files and not is_without else {}
    if wanted:
        sources = [copying.beside(file), blobs]
        await asyncio.to_thread(copying.copy_blobs, sources, blobs, wanted)
    return before


async def restore_stopped(
    file: Path, data: Path, clock: Clock, *, has_own_files: bool, is_without: bool
) -> Restored:
    """Put a backup, with its files, into the data folder of a stopped project.

    Raises as `restore` of the storage does, and BackupFailed where bytes of files are missing.
    """
    before = await put_files(file, data, has_own_files=has_own_files, is_without=is_without)
    restored = await restore.restore(file, data, clock)
    if restored.kept is not None:
        _keep_files(data, restored.kept, before)
    return restored


def _keep_files(data: Path, kept: Path, before: Mapping[str, int]) -> None:
    """Have the files of the copy that is kept go with it: in their place they would be swept."""
    blobs = copying.blobs_of(data)
    there = {sha: size for sha, size in before.items() if (blobs / sha[:2] / sha).is_file()}
    copying.copy_blobs([blobs], copying.beside(kept), there)
