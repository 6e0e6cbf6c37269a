"""The user's projects, and which of them has a running runtime."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from pylon import jsonvalue, paths
from pylon.errors import InvalidJson

_PROJECTS_MAX = 500


@dataclass(frozen=True, slots=True)
class RunningRuntime:
    """A runtime that is alive: checked by pid and start time."""

    pid: int
    port: int
    host: str
    started_ms: int
    app: str
    mode: str

    @property
    def url(self) -> str:
        """Return where its pages are."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class KnownProject:
    """A project that was opened here before."""

    path: str
    last_used_ms: int

    @property
    def name(self) -> str:
        """Return the folder's name."""
        return Path(self.path).name


def running_runtime(project: Path) -> RunningRuntime | None:
    """Return the project's runtime if it is alive; a stale file of a dead one does not count."""
    path = paths.runtime_file(project)
    if not path.is_file():
        return None
    try:
        stored: dict[str, Any] = jsonvalue.parse(path.read_bytes())
        started_ms = int(stored["started_ms"])
        if not is_alive(int(stored["pid"]), started_ms):
            return None
        return RunningRuntime(
            int(stored["pid"]), int(stored["port"]), str(stored["host"]), started_ms,
            str(stored["app"]), str(stored["mode"]),
        )  # fmt: skip
    except (InvalidJson, KeyError, TypeError, ValueError):
        return None


def is_alive(pid: int, started_ms: int) -> bool:
    """Tell whether a process that wrote down its number and a time after its start still lives."""
    try:
        process = psutil.Process(pid)
        # The pid may have been given to another program since: that one started later.
        is_another = process.create_time() * 1000 > started_ms + 2_000
        return not is_another and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def known_projects() -> list[KnownProject]:
    """Return the known projects, last used first."""
    path = paths.projects_file()
    if not path.is_file():
        return []
    try:
        stored = jsonvalue.parse(path.read_bytes())
        found = [KnownProject(str(one["path"]), int(one["last_used_ms"])) for one in stored]
    except (InvalidJson, KeyError, TypeError, ValueError):
        return []
    return sorted(found, key=lambda one: -one.last_used_ms)


def remember_project(project: Path, now_ms: int) -> None:
    """Put a project on top of the list."""
    folder = str(project.resolve())
    with paths.locked(paths.projects_file()):
        others = [one for one in known_projects() if one.path != folder]
        _store([KnownProject(folder, now_ms), *others][:_PROJECTS_MAX])


def forget_project(path: str) -> None:
    """Take a project off the list; nothing of it is deleted."""
    with paths.locked(paths.projects_file()):
        _store([one for one in known_projects() if one.path != path])


def _store(projects: list[KnownProject]) -> None:
    paths.write_private(paths.projects_file(), jsonvalue.encode([asdict(one) for one in projects]))
