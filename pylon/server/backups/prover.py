"""Proving a backup by restoring it: in a process of its own, so that nobody waits for it.

`python -m pylon.server.backups.prover FILE FOLDER WANTED` restores FILE into a folder of its own
below FOLDER, opens it as a start would, and compares. It prints one line of JSON and removes what
it made. WANTED is a file with what the backup is to hold, as JSON; `-` for nothing to compare with.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.clock import SystemClock
from pylon.errors import PylonError
from pylon.ids import IdSource
from pylon.server.backups.restoring import ENDED_TABLES
from pylon.server.files import copying
from pylon.server.storage import backup, restore
from pylon.server.storage.database import Database
from pylon.server.storage.folder import DATABASE_NAME

_FAULTS_MAX: Final = 20
_NICE: Final = 10
_CHUNK_BYTES: Final = 4 * limits.MIB


async def prove(file: Path, folder: Path, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    """Restore a backup into a temporary place and say what does not hold there.

    Args:
        file: the backup; the bytes of its files lie in `FILE.files`, unless they are elsewhere.
        folder: where the temporary place is made; on the same disk files cost nothing.
        wanted: what it held when it was made, as `Contents.to_json`; None to compare with nothing.

    Returns `faults` (none: it is proven), `contents`, `sha256` and `files`.
    """
    place = Path(tempfile.mkdtemp(prefix=".proof-", dir=folder))
    report: dict[str, Any] = {"faults": [], "contents": None, "sha256": "", "files": None}
    try:
        held = await backup.check(file)
        report["contents"] = held.to_json()
        report["sha256"] = sha256_of(file)
        if wanted is not None:
            report["faults"] += differences(wanted, held.to_json(), without=frozenset())
        report["files"], faults = await _restored_files(file, place)
        report["faults"] += faults
        await restore.restore(file, place, SystemClock())
        database = place / DATABASE_NAME
        found, faults = await backup.verify_file(database, is_live=False)
        report["faults"] += faults
        report["faults"] += differences(held.to_json(), found.to_json(), without=ENDED_TABLES)
        report["faults"] += await _foreign_keys(database)
        report["faults"] += await _started(place, held)
    except (PylonError, OSError) as error:
        report["faults"].append(str(getattr(error, "message", error)))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    report["faults"] = report["faults"][:_FAULTS_MAX]
    return report


async def _restored_files(file: Path, place: Path) -> tuple[dict[str, int] | None, list[str]]:
    """Put the files of a backup in place, too, and look at every byte of them."""
    beside = copying.beside(file)
    if not beside.is_dir():
        return None, []  # it has none, or they stay in their bucket
    wanted = await copying.hashes_in(file)
    blobs = copying.blobs_of(place)
    copied = copying.copy_blobs([beside], blobs, wanted)
    faults = list(copying.faults_of(blobs, wanted))
    return {"contents": copied.contents, "bytes": copied.bytes}, faults


async def _foreign_keys(database: Path) -> list[str]:
    async with backup.opened(database, is_live=False) as reader:
        broken = await reader.run(
            lambda raw: raw.execute("PRAGMA foreign_key_check").fetchmany(_FAULTS_MAX)
        )
    return [f"{table}: row {row} refers to nothing in {parent}" for table, row, parent, _ in broken]


async def _started(place: Path, held: backup.Contents) -> list[str]:
    """Open what was restored as a start does: a new epoch begins at the same head (I91)."""
    clock = SystemClock()
    database = await Database.open(place, clock=clock, ids=IdSource(clock, secrets.token_bytes))
    faults = []
    try:
        if database.epoch == held.epoch:
            faults.append(f"it goes on in the epoch of before, {held.epoch}")
        if database.head != held.head:
            faults.append(f"it starts at {database.head}, and was copied at {held.head}")
    finally:
        await database.close()
    return faults


def differences(
    wanted: Mapping[str, Any], found: Mapping[str, Any], *, without: frozenset[str]
) -> list[str]:
    """Say where two databases do not hold the same: head, horizon, and rows by table.

    Args:
        wanted: what there was.
        found: what there is.
        without: tables that a restore empties.
    """
    said = [
        f"{name} is {found[name]}, and was {wanted[name]}"
        for name in ("head", "horizon") if found[name] != wanted[name]
    ]  # fmt: skip
    tables = sorted({*wanted["rows"], *found["rows"]} - without)
    for table in tables:
        before, now = wanted["rows"].get(table), found["rows"].get(table)
        if before != now:
            said.append(f"{table} has {now} rows, and had {before}")
    return said


def sha256_of(path: Path) -> str:
    """Return the hash of a file's bytes."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


async def prove_apart(file: Path, folder: Path, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    """Prove a backup in a process of its own, which ends with whoever waits for it."""
    descriptor, name = tempfile.mkstemp(prefix=".proof-", suffix=".json", dir=folder)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(jsonvalue.encode(None if wanted is None else dict(wanted)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "pylon.server.backups.prover", str(file), str(folder), name,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        Path(name).unlink(missing_ok=True)
    try:
        report: dict[str, Any] = jsonvalue.parse(out)
    except PylonError:
        last = err.decode("utf-8", "replace").strip().rpartition("\n")[2]
        why = f"the proof ended with code {process.returncode}: {last or 'nothing was said'}"
        return {"faults": [why], "contents": None, "sha256": "", "files": None}
    return report


def main(arguments: list[str]) -> int:
    """Prove one backup and print what was found."""
    with suppress(OSError, AttributeError):  # Windows has no such thing
        os.nice(_NICE)
    file, folder, wanted = arguments
    given = None if wanted == "-" else jsonvalue.parse(Path(wanted).read_bytes())
    report = asyncio.run(prove(Path(file), Path(folder), given))
    sys.stdout.write(jsonvalue.encode_text(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
