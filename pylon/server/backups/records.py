"""What is known of each backup in a folder: a file `NAME.json` beside `NAME.db`.

Times are the machine's: a warped clock makes no backup older, and none younger. A copy without a
record (one that was made before a restore or a migration, or that a person put there) is listed
as well, unproven. What does not live here: making and proving backups (`keeper`, `prover`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue, limits, limits_keeping, paths
from pylon.clock import Clock, iso_ms
from pylon.errors import InvalidJson, NotFound
from pylon.server.files.copying import beside

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z", re.ASCII)
#: How names of copies begin that Pylon makes before it does something final.
AUTOMATIC: Final = ("before-restore", "before-migration", "before-reset", "before-branch")
_SWEEP_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A copy of a backup off this machine."""

    to: str
    at_ms: int
    #: proven (read back, and the same) or failed.
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One backup, or one that could not be made."""

    name: str
    #: scheduled, hand, or what it was made before.
    kind: str
    at_ms: int
    #: unproven, proven, or failed.
    state: str
    why: str = ""
    bytes: int = 0
    sha256: str = ""
    #: What it holds, as `storage.backup.Contents`; None where nobody has looked.
    contents: Mapping[str, Any] | None = None
    #: How many contents of files lie beside it, and their bytes; None where nobody has looked.
    files: Mapping[str, int] | None = None
    #: Milliseconds that copying and proving took.
    took_ms: int = 0
    proven_ms: int | None = None
    away: tuple[Away, ...] = ()

    def to_json(self, now_ms: int) -> dict[str, Any]:
        """Return it as the admin surface shows it."""
        held = self.contents or {}
        rows = held.get("rows", {})
        return {
            "name": self.name, "kind": self.kind, "at": iso_ms(self.at_ms),
            "age_s": max(0, now_ms - self.at_ms) // 1000, "state": self.state, "why": self.why,
            "bytes": self.bytes, "sha256": self.sha256, "epoch": held.get("epoch"),
            "head": held.get("head"),
            "rows": sum(n for name, n in rows.items() if not name.startswith("_pylon")),
            "tables": dict(rows), "files": dict(self.files or {}), "took_ms": self.took_ms,
            "proven_at": None if self.proven_ms is None else iso_ms(self.proven_ms),
            "away": [
                {"to": one.to, "at": iso_ms(one.at_ms), "state": one.state, "why": one.why}
                for one in self.away
            ],
        }  # fmt: skip


class BackupFolder:
    """The backups of one project."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: What could not be written down, by name: it is true all the same.
        self._held: dict[str, Record] = {}

    def prepare(self) -> None:
        """Have the folder be there, and its owner's alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def file(self, name: str) -> Path:
        """Return where a backup's database is."""
        assert _NAME.match(name), "names of backups are looked up before they become paths"
        return self.path / f"{name}.db"

    def all(self) -> list[Record]:
        """Return every backup and every failed try, the newest first."""
        names = set(self._held)
        names |= {one.stem for one in self.path.glob("*.db") if _NAME.match(one.stem)}
        names |= {one.stem for one in self.path.glob("*.json") if _NAME.match(one.stem)}
        found = (self._read(name) for name in names)
        return sorted(
            (one for one in found if one is not None), key=lambda one: (-one.at_ms, one.name)
        )

    def find(self, name: str) -> Record:
        """Return one of them; raises NotFound."""
        for one in self.all():
            if one.name == name:
                return one
        raise NotFound(f"there is no backup {name[:100]!r}", hint="`pylon backups` lists them")

    def _read(self, name: str) -> Record | None:
        record, why = self._held.get(name), ""
        if record is None:
            try:
                record = self._written(name)
            except OSError as error:
                why = f"its record can't be read: {error.strerror}"
        try:
            found = self.file(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return record if record is not None and record.bytes == 0 else None
        except OSError as error:
            why = f"it can't be looked at: {error.strerror}"
            known = record or Record(name=name, kind=_kind_of(name), at_ms=0, state="failed")
            return replace(known, state="failed", why=why)
        if record is None:
            return Record(
                name=name, kind=_kind_of(name), at_ms=int(found.st_mtime * 1000),
                state="unproven", why=why, bytes=found.st_size,
            )  # fmt: skip
        if record.bytes != found.st_size:
            why = f"the file has {found.st_size} bytes, and had {record.bytes}"
            return replace(record, state="failed", why=why)
        return record

    def _written(self, name: str) -> Record | None:
        path = self.path / f"{name}.json"
        if not path.is_file():
            return None
        content = path.read_bytes()
        try:
            return _record_of(name, jsonvalue.parse(content))
        except (InvalidJson, KeyError, TypeError, ValueError, AttributeError):
            return None  # damaged, or none of ours: the copy itself counts

    def write(self, record: Record) -> None:
        """Keep what is known of a backup; the file is replaced whole."""
        values = {name: value for name, value in asdict(record).items() if name != "name"}
        paths.write_private(self.path / f"{record.name}.json", jsonvalue.encode(values))
        paths.sync_folder(self.path)

    def keep(self, record: Record) -> None:
        """Keep what is known of a backup, here where it can't be written; raises OSError then."""
        if not record.bytes:  # of what failed and can't be written, the last one says why
            self._held = {name: one for name, one in self._held.items() if one.bytes}
        self._held[record.name] = record
        self.write(record)
        del self._held[record.name]

    def write_held(self) -> None:
        """Write down what could not be before; raises OSError where it still can't."""
        for one in list(self._held.values()):
            if self._read(one.name) is not None:  # else its copy went by another hand
                self.write(one)
            del self._held[one.name]

    def drop(self, name: str) -> None:
        """Remove a backup whole; its database goes first, so that no half one is listed."""
        self._held.pop(name, None)
        file = self.file(name)
        for one in (file, file.with_name(f"{file.name}-wal"), self.path / f"{name}.json"):
            one.unlink(missing_ok=True)
        shutil.rmtree(beside(file), ignore_errors=True)
        paths.sync_folder(self.path)

    def sweep(self, clock: Clock) -> None:
        """Remove what proofs and copies left that were cut off a day ago or longer."""
        before = clock.machine_ms() / 1000 - _SWEEP_SECONDS
        for one in (*self.path.glob(".proof-*"), *self.path.glob("*.db.files")):
            is_left = one.name.startswith(".proof-") or not one.with_suffix("").exists()
            if is_left and one.is_dir() and one.stat().st_mtime < before:
                shutil.rmtree(one, ignore_errors=True)

    def room_for(self, size: int) -> str:
        """Return why there is no room for a copy of so many bytes and its proof; empty if there is.

        A backup must not be what fills the disk.
        """
        free = shutil.disk_usage(self.path).free
        wanted = 3 * size + limits_keeping.BACKUP_ROOM_BYTES
        if free >= wanted:
            return ""
        return f"the disk has {free // limits.MIB} MiB free; it wants {wanted // limits.MIB} MiB"


def new_name(clock: Clock) -> str:
    """Return a name for a backup of this moment."""
    return f"backup-{iso_ms(clock.machine_ms()).replace(':', '').replace('.', '')}"


def _kind_of(name: str) -> str:
    return next((one for one in AUTOMATIC if name.startswith(one)), "hand")


def _record_of(name: str, given: dict[str, Any]) -> Record:
    away = tuple(
        Away(to=str(one["to"]), at_ms=int(one["at_ms"]), state=str(one["state"]),
             why=str(one["why"]))
        for one in given["away"]
    )  # fmt: skip
    contents, files, proven = given["contents"], given["files"], given["proven_ms"]
    if contents is not None:
        contents = {**contents, "rows": {str(k): int(n) for k, n in contents["rows"].items()}}
    return Record(
        name=name, kind=str(given["kind"]), at_ms=int(given["at_ms"]), state=str(given["state"]),
        why=str(given["why"]), bytes=int(given["bytes"]), sha256=str(given["sha256"]),
        contents=contents, files=files, took_ms=int(given["took_ms"]),
        proven_ms=None if proven is None else int(proven), away=away,
    )  # fmt: skip
