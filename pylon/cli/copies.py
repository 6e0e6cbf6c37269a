"""`pylon backup`, `restore` and `verify`: copies of the database, and whether they are sound."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.project import find_project, is_project, json_option, project_option
from pylon.client.admin import AdminClient
from pylon.supervisor.registry import running_runtime


@click.command(short_help="Copy the database into a file, running or not.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@project_option
@json_option
def backup(file: Path, project_path: str | None, as_json: bool) -> None:
    """Copy the database into FILE: the state of one moment, while the app runs or not.

    The copy is checked before it gets its name; FILE is either whole or not there. It holds
    everything, sessions and accounts too, and only you can read it.
    """
    project = find_project(project_path)
    target = file.absolute()
    if target.exists():
        raise CommandFailed(f"{file} is there already", "choose another name, or remove it first")
    if not target.parent.is_dir():
        raise CommandFailed(f"there is no folder {target.parent}")
    held = asyncio.run(_back_up(project, target))
    report = {"file": str(target), "bytes": target.stat().st_size, **held.to_json()}
    if as_json:
        print_json(report)
    else:
        print_line(f"{file}: {report['bytes']} bytes, {_described(held)}")


async def _back_up(project: Path, target: Path) -> Any:
    from pylon.server.offline import database_path
    from pylon.server.storage import backup as copies

    if running_runtime(project) is None:
        copy, held = await copies.make_copy(database_path(project), target.parent, is_live=True)
    else:
        copy, held = await _fetched(project, target.parent)
    copies.publish(copy, target)
    return held


async def _fetched(project: Path, folder: Path) -> tuple[Path, Any]:
    """Have the running runtime make a copy, and take it over under a temporary name."""
    from pylon.server.storage import backup as copies

    admin = AdminClient.local(project)
    descriptor, name = tempfile.mkstemp(prefix=".copy-", suffix=".partial", dir=folder)
    copy = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            wanted = await admin.download("admin/backup", stream)
        held = await copies.check(copy)
        copies.demand_same(held.hash, wanted)
        copies.sync_file(copy)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    finally:
        await admin.close()
    return copy, held


@click.command(short_help="Put a backup in the place of the database.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@project_option
@json_option
def restore(file: Path, yes: bool, project_path: str | None, as_json: bool) -> None:
    """Put the backup FILE in the place of the project's database. The app must be stopped.

    The database that is there now is kept in .pylon/backups. Everybody signs in again, API tokens
    end, and every client loads anew: what was written since the backup is gone for them too.
    """
    project = find_project(project_path)
    if running_runtime(project) is not None:
        raise CommandFailed(f"the runtime of {project.name} is running", "stop it first")
    held = asyncio.run(_checked(file))
    say(f"{file} holds {_described(held)}")
    if not yes:
        _ask(project)
    restored = asyncio.run(_restore(file, project))
    kept = None if restored.kept is None else str(restored.kept)
    if as_json:
        print_json({"kept": kept, **restored.contents.to_json()})
        return
    print_line(f"{project.name} is as {file} was")
    say(f"what was there before: {kept}" if kept else "there was no database before")


def _ask(project: Path) -> None:
    say(f"it replaces the database of {project.name}; everybody must sign in again")
    if not sys.stdin.isatty():
        raise CommandFailed("this wants your consent", "--yes gives it")
    if click.prompt(f"type {project.name} to go on", default="", err=True) != project.name:
        raise CommandFailed("nothing was changed")


async def _checked(file: Path) -> Any:
    from pylon.server.storage import backup as copies

    return await copies.check(file)


async def _restore(file: Path, project: Path) -> Any:
    from pylon.clock import SystemClock
    from pylon.server.storage import restore as restoring

    return await restoring.restore(file, project / ".pylon", SystemClock())


@click.command(short_help="Check a database against its change log.")
@click.argument("path", required=False, metavar="[FILE|PATH]", type=click.Path(path_type=Path))
@json_option
def verify(path: Path | None, as_json: bool) -> None:
    """Check a backup, or a project's database: whether its tables are what its log says.

    The log is folded from its oldest change and compared with every row. Nothing is written, and
    the app may run meanwhile. Exits 1 where something does not fit.
    """
    held, faults = asyncio.run(_verify(path))
    if as_json:
        print_json({"ok": not faults, "faults": faults, **held.to_json()})
    else:
        for fault in faults:
            print_line(fault)
    if faults:
        raise CommandFailed(
            f"{len(faults)} things do not fit", "restore a backup that passes: pylon restore FILE"
        )
    if not as_json:
        print_line(f"ok: {_described(held)}")


async def _verify(path: Path | None) -> tuple[Any, list[str]]:
    from pylon.server.offline import database_path
    from pylon.server.storage import backup as copies

    if path is not None and not path.is_dir():
        return await copies.verify_file(path, is_live=False)
    if path is not None and not is_project(path):
        raise CommandFailed(f"there is no app.py in {path}", "name a project's folder, or a file")
    project = find_project(None if path is None else str(path))
    return await copies.verify_file(database_path(project), is_live=True)


def _described(held: Any) -> str:
    rows = sum(count for name, count in held.rows.items() if not name.startswith("_pylon"))
    changes = held.rows.get("_pylon_log", 0)
    return f"{rows} rows at seq {held.head}, {changes} changes in the log"
