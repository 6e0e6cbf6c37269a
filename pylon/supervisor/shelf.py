"""All projects of the user, and how each is doing, whether it runs or not.

It is read from files alone, and runs no code of any project: state and last error as supervisors
wrote them down, sizes and times from the folders, proven backups from the records beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue
from pylon.errors import InvalidJson
from pylon.supervisor.claim import last_record, supervised
from pylon.supervisor.ports import known_ports
from pylon.supervisor.registry import KnownProject, known_projects, running_runtime

#: Of a folder so many entries are looked at; a larger one says `at least`.
ENTRIES_MAX: Final = 50_000
#: Of sources, for the time of the last change.
_SOURCES_MAX: Final = 2_000
_BACKUPS_MAX: Final = 1_000
_NO_SOURCES: Final = frozenset(
    {".git", ".venv", "venv", "node_modules", "__pycache__", ".pylon", "dist", "build"}
)
_DAY_MS: Final = 86_400_000
_MAIN: Final = "main"


@dataclass(frozen=True, slots=True)
class Shelved:
    """One project of the list. Times are Unix ms."""

    path: str
    name: str
    #: running, asleep, starting, stopping, backing off, hung, failed, stopped, or missing.
    state: str
    why: str
    #: dev or serve, while it is supervised or runs.
    mode: str | None
    #: Where it listens; where nothing listens, the port that it will have, if one is remembered.
    host: str | None
    port: int | None
    url: str | None
    #: The branch in use: whose data counts.
    branch: str
    #: The process that supervises it, or the runtime where nobody does.
    pid: int | None
    is_supervised: bool
    wake_at_ms: int | None
    disk_bytes: int
    #: There is more than was counted.
    disk_is_more: bool
    error: str
    error_at_ms: int | None
    #: The moment that the newest proven backup holds.
    backup_at_ms: int | None
    last_used_ms: int
    #: When somebody last used it, changed its sources, or its data changed.
    touched_ms: int

    def days_untouched(self, now_ms: int) -> int:
        """Return for how many whole days nothing happened to it."""
        return max(0, now_ms - self.touched_ms) // _DAY_MS

    def to_json(self, now_ms: int) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "days_untouched": self.days_untouched(now_ms)}


def shelf() -> list[Shelved]:
    """Return every known project, the last used first. Takes as long as its folders are large."""
    ports = known_ports()
    return [shelved(one, ports.get(one.path)) for one in known_projects()]


def shelved(known: KnownProject, port: int | None) -> Shelved:
    """Return how one project is doing; `port` is the one that is remembered for it."""
    project = Path(known.path)
    record, before, running = supervised(project), last_record(project), running_runtime(project)
    state, why, mode, host, url, pid = "stopped", "", None, None, None, None
    if record is not None:
        state, why, mode, pid = record.state, record.why, record.mode, record.pid
        if record.port and state != "stopped":
            host, port, url = record.host, record.port, record.url
    elif running is not None:
        state, mode, pid = "running", running.mode, running.pid
        host, port, url = running.host, running.port, running.url
    if not project.is_dir():
        state, why = "missing", "its folder is gone"
    data = project / ".pylon"
    branch = _branch_in_use(data)
    size, is_more = _size_of(data)
    touched = max(
        known.last_used_ms, _newest_ms(_data_files(data, branch)), _newest_ms(_sources(project))
    )
    return Shelved(
        path=known.path, name=known.name, state=state, why=why, mode=mode, host=host, port=port,
        url=url, branch=branch, pid=pid, is_supervised=record is not None,
        wake_at_ms=None if record is None else record.wake_at_ms,
        disk_bytes=size, disk_is_more=is_more,
        error="" if before is None else before.error,
        error_at_ms=None if before is None else before.error_at_ms,
        backup_at_ms=_proven_ms(data / "backups"), last_used_ms=known.last_used_ms,
        touched_ms=touched,
    )  # fmt: skip


def _walk(folder: Path, without: frozenset[str]) -> Iterator[os.DirEntry[str]]:
    """Yield the files below a folder, following no link, out of no folder of these names."""
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in without:
                        waiting.append(entry.path)
                else:
                    yield entry


def _size_of(folder: Path) -> tuple[int, bool]:
    """Return the bytes that the files below a folder take, and whether there are more."""
    total = 0
    for count, entry in enumerate(_walk(folder, frozenset())):
        if count >= ENTRIES_MAX:
            return total, True
        with suppress(OSError):
            total += entry.stat(follow_symlinks=False).st_size
    return total, False


def _branch_in_use(data: Path) -> str:
    """Return the branch that a project's runtime opens, by the pointer that it keeps."""
    try:
        return str(jsonvalue.parse((data / "branch.json").read_bytes())["branch"])
    except (OSError, InvalidJson, KeyError, TypeError):
        return _MAIN


def _data_files(data: Path, branch: str) -> Iterator[Path]:
    folder = data if branch == _MAIN else data / "branches" / branch
    yield from (folder / name for name in ("app.db", "app.db-wal"))


def _sources(project: Path) -> Iterator[Path]:
    for count, entry in enumerate(_walk(project, _NO_SOURCES)):
        if count >= _SOURCES_MAX:
            return
        yield Path(entry.path)


def _newest_ms(files: Iterator[Path]) -> int:
    """Return when the newest of these files was changed; 0 where there is none."""
    newest = 0
    for one in files:
        with suppress(OSError):
            newest = max(newest, int(one.lstat().st_mtime * 1000))
    return newest


def _proven_ms(folder: Path) -> int | None:
    """Return the moment of the newest backup that was proven and is still there, whole."""
    newest: int | None = None
    with suppress(OSError):
        # A copy of before something final is none of what came of that.
        made = [one for one in folder.glob("*.json") if not one.name.startswith("before-")]
        for path in sorted(made, reverse=True)[:_BACKUPS_MAX]:
            at_ms = _proven_at(path)
            if at_ms is not None and (newest is None or at_ms > newest):
                newest = at_ms
    return newest


def _proven_at(path: Path) -> int | None:
    try:
        record = jsonvalue.parse(path.read_bytes())
        is_whole = path.with_suffix(".db").stat().st_size == record["bytes"]
        return int(record["at_ms"]) if record["state"] == "proven" and is_whole else None
    except (OSError, InvalidJson, KeyError, TypeError, ValueError):
        return None
