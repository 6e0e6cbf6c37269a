"""How `pylon backups` reaches the backups of a project: by its running runtime, or by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pylon.cli.output import CommandFailed, say
from pylon.cli.reach import ask_runtime, local_admin
from pylon.client.admin import AdminClient, AdminError
from pylon.clock import SystemClock
from pylon.supervisor.registry import running_runtime

_LOOK_SECONDS = 0.25
#: How long a runtime may be silent while it restarts.
_BACK_SECONDS = 60.0


def ask_backups(
    project: Path, method: str, path: str, offline: Callable[[Any], Awaitable[dict[str, Any]]],
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return what a route of the owner's says, or what the same is of a project that stands."""
    if running_runtime(project) is None:
        found: dict[str, Any] = with_keeper(project, offline)
        return found
    return ask_runtime(
        project, lambda admin: admin.get(path) if method == "GET" else admin.post(path, body or {})
    )


def with_keeper(project: Path, what: Callable[[Any], Awaitable[Any]]) -> Any:
    """Do something with the backups of a project that does not run."""
    return asyncio.run(_kept(project, what))


async def _kept(project: Path, what: Callable[[Any], Awaitable[Any]]) -> Any:
    return await what(keeper_of(project))


def keeper_of(project: Path) -> Any:
    """Return what keeps the backups of a project, by its settings."""
    from pylon.server.backups.keeper import BackupKeeper
    from pylon.server.backups.settings import settings_of
    from pylon.server.config import load_config, load_dotenv

    environment = {**os.environ, **load_dotenv(project, os.environ)}
    config = load_config(project, is_dev=False, flags={}, environment=environment)
    return BackupKeeper(project / ".pylon", SystemClock(), settings_of(config))


async def described(keeper: Any) -> dict[str, Any]:
    """Return everything about the backups."""
    return keeper.describe()  # type: ignore[no-any-return]


def shown_by(name: str) -> Callable[[Any], Awaitable[dict[str, Any]]]:
    """Return what shows one backup."""

    async def shown(keeper: Any) -> dict[str, Any]:
        found: dict[str, Any] = keeper.folder.find(name).to_json(SystemClock().machine_ms())
        return found

    return shown


def work_on(
    project: Path, path: str, body: dict[str, Any], offline: Callable[[Any], Awaitable[Any]]
) -> dict[str, Any]:
    """Have something long be done and say how far it is; returns the record."""
    if running_runtime(project) is not None:
        return asyncio.run(_watched(project, path, body))

    async def done(keeper: Any) -> dict[str, Any]:
        from pylon.server.offline import database_path

        database_path(project)  # says what to do where there is none
        watching = asyncio.create_task(_tell_phases(lambda: keeper.doing))
        try:
            record = await offline(keeper)
        finally:
            watching.cancel()
        found: dict[str, Any] = record.to_json(SystemClock().machine_ms())
        return found

    made: dict[str, Any] = with_keeper(project, done)
    return made


async def _tell_phases(doing: Callable[[], dict[str, Any] | None]) -> None:
    said = ""
    while True:
        now = doing()
        if now is not None and now["what"] != said:
            said = now["what"]
            say(f"{said} …")
        await asyncio.sleep(_LOOK_SECONDS)


async def _watched(project: Path, path: str, body: dict[str, Any]) -> dict[str, Any]:
    admin = local_admin(project)
    try:
        begun = await admin.post(path, body)
        name, said = str(begun["name"]), ""
        while True:
            now = await admin.get(f"admin/backups/{AdminClient.quoted(name)}")
            if now["state"] != "doing":
                return now
            if now["doing"]["what"] != said:
                said = now["doing"]["what"]
                say(f"{said} …")
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await admin.close()


async def restarted(project: Path, path: str, name: str) -> dict[str, Any]:
    """Have the running app put a backup in place; returns once it answers in a new epoch."""
    admin = local_admin(project)
    clock = SystemClock()
    silent_since: float | None = None
    try:
        epoch = (await admin.get("admin/status"))["epoch"]
        await admin.post(path, {"confirm": name})
        while silent_since is None or clock.monotonic() - silent_since < _BACK_SECONDS:
            try:
                status = await admin.get("admin/status")
                found = await admin.get("admin/backups")
            except AdminError:  # it stops, and starts
                silent_since = silent_since or clock.monotonic()
            else:
                silent_since = None
                if status["epoch"] != epoch:
                    kept = (one for one in found["backups"] if one["kind"] == "before-restore")
                    return {
                        "name": name, "head": status["head"], "epoch": status["epoch"],
                        "kept": next((one["name"] for one in kept), None),
                    }  # fmt: skip
                if found["restore_failed"] is not None:
                    raise CommandFailed(f"nothing was changed: {found['restore_failed']['why']}")
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await admin.close()
    raise CommandFailed("the app does not come back", "look at its log: pylon, key 0")


async def restored_by(project: Path, keeper: Any, name: str) -> dict[str, Any]:
    """Put a backup in place in a project that does not run."""
    from pylon.server.backups.restoring import restore_stopped

    record = keeper.folder.find(name)
    done = await restore_stopped(
        keeper.folder.file(record.name), project / ".pylon", SystemClock(),
        has_own_files=keeper.settings.has_own_files, is_without=False,
    )  # fmt: skip
    return {
        "name": name,
        "head": done.contents.head,
        "epoch": None,
        "kept": None if done.kept is None else done.kept.stem,
    }
