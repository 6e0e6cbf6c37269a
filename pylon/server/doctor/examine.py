"""A doctor's round: the machine and a project, of a running runtime or of one that stands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.server.backups.keeper import BackupKeeper
from pylon.server.backups.settings import settings_of
from pylon.server.config import ServerConfig
from pylon.server.doctor import project as looks
from pylon.server.doctor.findings import ERROR, Finding, sorted_by_level
from pylon.server.doctor.machine import Machine, machine_findings
from pylon.server.doctor.project import Project
from pylon.server.storage import backup
from pylon.server.storage.change_log import newest_ms
from pylon.server.storage.log_stats import client_stats
from pylon.server.storage.place import place_in_use
from pylon.sqlite import RawConnection


async def examine(
    path: Path, clock: Clock, *, is_production: bool, is_running: bool,
    policies: list[dict[str, Any]] | None = None, environment: Mapping[str, str] | None = None,
) -> list[Finding]:  # fmt: skip
    """Return what deserves a look, the worst first; no code of the project runs.

    Args:
        path: the project's folder.
        clock: tells the time; findings go by the machine's.
        is_production: it serves others.
        is_running: a runtime owns its data.
        policies: rows of the app's matrix, where somebody has it loaded.
        environment: the process environment, by default this one's.
    """
    now_ms = clock.machine_ms()
    project = Project(
        path=path, environment=os.environ if environment is None else environment, now_ms=now_ms,
        is_production=is_production, is_running=is_running,
    )  # fmt: skip
    config, found = looks.settings_findings(project)
    found += looks.code_findings(project)
    found += looks.file_findings(project)
    newest, figures, damaged = await _of_database(project)
    found += damaged
    found += machine_findings(Machine.look(project.data, now_ms), project.data, newest)
    if config is not None:
        found += _by_settings(project, clock, config, figures)
    if policies is not None:
        found += looks.policy_findings(policies)
    return sorted_by_level(found)


def _by_settings(
    project: Project, clock: Clock, config: ServerConfig, figures: dict[str, Any] | None
) -> list[Finding]:
    keeper = BackupKeeper(project.data, clock, settings_of(config))
    found = list(looks.backup_findings(project, keeper.status()))
    if figures is not None:
        found += looks.log_findings(config, figures)
    return found


async def _of_database(project: Project) -> tuple[int | None, dict[str, Any] | None, list[Finding]]:
    """Return when the newest change was made, figures of the log, and whether it can be read."""
    path = project.data / "branch.json"
    try:
        path = place_in_use(project.data).path
    except PylonError as error:
        return None, None, [_unusable(error, path)]
    if not path.is_file():
        return None, None, []

    def read(raw: RawConnection) -> tuple[int | None, dict[str, Any]]:
        # In development the app's time may be warped: it says nothing about the machine's.
        return newest_ms(raw) if project.is_production else None, client_stats(raw)

    try:
        async with backup.opened(path, is_live=True) as reader:
            newest, figures = await reader.run(read)
    except PylonError as error:
        return None, None, [_unusable(error, path)]
    return newest, figures, []


def _unusable(error: PylonError, path: Path) -> Finding:
    return Finding(
        kind="database-unusable", level=ERROR, what=error.message, where=str(path),
        why="the app does not start with it",
        fix=error.hint or "pylon verify says more; a proven backup: pylon backups restore NAME",
    )  # fmt: skip
