"""`pylon backup`, `restore` and `verify`: copies of the database, and whether they are sound."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from pylon.cli.files import size_text
from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.progress import Waiting
from pylon.cli.project import find_project, is_project, json_option, project_option
from pylon.cli.reach import local_admin
from pylon.printable import counted, shell_line
from pylon.supervisor.registry import running_runtime


@click.command(short_help="Copy the database into a file, running or not.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--to", metavar="URL", help="No FILE: make a proven backup and copy it off this machine."
)
@project_option
@json_option
def backup(file: Path | None, to: str | None, project_path: str | None, as_json: bool) -> None:
    """Copy the database into FILE: the state of one moment, while the app runs or not.

    The copy is checked before it gets its name; FILE is either whole or not there. It holds
    everything, sessions and accounts too, and only you can read it.

    With --to URL (file:///folder or s3://bucket/prefix) it is `pylon backups create --to URL`.
    """
    if (file is None) is (to is None):
        raise click.UsageError("either a FILE, or --to URL")
    project = find_project(project_path)
    if to is not None:
        from pylon.cli.backups import make_backup

        make_backup(project, to, as_json=as_json)
        return
    assert file is not None
    target = file.absolute()
    if target.exists():
        raise CommandFailed(f"{file} is there already", "choose another name, or remove it first")
    if not target.parent.is_dir():
        raise CommandFailed(f"there is no folder {target.parent}")
    held, copied = asyncio.run(_back_up(project, target))
    report = {
        "file": str(target), "bytes": target.stat().st_size, **held.to_json(),
        "files": {"contents": copied.contents, "bytes": copied.bytes},
    }  # fmt: skip
    if as_json:
        print_json(report)
    else:
        print_line(f"{file}: {size_text(report['bytes'])}, {_described(held)}")
        if copied.contents:
            print_line(f"{file}.files: {size_text(copied.bytes)} of files; keep the two together")


async def _back_up(project: Path, target: Path) -> tuple[Any, Any]:
    from pylon.server.files import copying
    from pylon.server.offline import database_path
    from pylon.server.storage import backup as copies

    beside = copying.beside(target)
    if beside.exists():
        raise CommandFailed(f"{beside} is there already", "choose another name, or remove it first")

    if running_runtime(project) is None:
        with Waiting("copying the database", ends="it")():
            copy, held = await copies.make_copy(database_path(project), target.parent, is_live=True)
    else:
        copy, held = await _fetched(project, target.parent)
    try:
        # What the copy knows is still there: files that go wait some minutes before they do.
        wanted = await _own_hashes(project, copy)
        copied = copying.copy_blobs([copying.blobs_of(project / ".pylon")], beside, wanted)
    except BaseException:
        copy.unlink(missing_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
        raise
    copies.publish(copy, target)
    return held, copied


async def _own_hashes(project: Path, database: Path) -> dict[str, int]:
    """Return the files of a database whose bytes lie in the project; elsewhere they stay there."""
    from pylon.server.config import load_config, load_dotenv
    from pylon.server.files.copying import hashes_in

    environment = {**os.environ, **load_dotenv(project, os.environ)}
    config = load_config(project, is_dev=True, flags={}, environment=environment)
    wanted = await hashes_in(database)
    if config["files.backend"] != "disk" and wanted:
        say(f"the bytes of {len(wanted)} files stay where they are: {_place(config)}")
        return {}
    return wanted


def _place(config: Any) -> str:
    return str(config["files.backend"]).partition("?")[0]


async def _fetched(project: Path, folder: Path) -> tuple[Path, Any]:
    """Have the running runtime make a copy, and take it over under a temporary name."""
    from pylon.server.storage import backup as copies

    admin = local_admin(project)
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
@click.option("--without-files", is_flag=True, help="Though FILE.files is lost, or not whole.")
@project_option
@json_option
def restore(
    file: Path, yes: bool, without_files: bool, project_path: str | None, as_json: bool
) -> None:
    """Put the backup FILE in the place of the project's database. The app must be stopped.

    FILE.files, if there is one, has the bytes of its files; they are put in place too.

    The database that is there now is kept in .pylon/backups. Everybody signs in again, API tokens
    end, and every client loads anew: what was written since the backup is gone for them too.
    """
    project = find_project(project_path)
    if running_runtime(project) is not None:
        raise CommandFailed(
            f"the runtime of {project.name} is running",
            f"stop it first: {shell_line('projects', 'stop', project)}",
        )
    held = asyncio.run(_checked(file))
    say(f"{file} holds {_described(held)}")
    if not yes:
        say(f"it replaces the database of {project.name}; everybody must sign in again")
        ask_for_name(project)
    restored = asyncio.run(_restore(file, project, without_files=without_files))
    kept = None if restored.kept is None else str(restored.kept)
    if as_json:
        print_json({"kept": kept, **restored.contents.to_json()})
        return
    print_line(f"{project.name} is as {file} was")
    say(f"what was there before: {kept}" if kept else "there was no database before")


def ask_for_name(project: Path) -> None:
    """Have the person type the project's name; raises CommandFailed where he does not."""
    ask_for(project.name)


def ask_for(name: str) -> None:
    """Have the person type a name; raises CommandFailed where he does not, or can't."""
    if not sys.stdin.isatty():
        raise CommandFailed("this wants your consent", "--yes gives it")
    if click.prompt(f"type {name} to go on", default="", err=True) != name:
        raise CommandFailed("nothing was changed")


async def _checked(file: Path) -> Any:
    from pylon.server.storage import backup as copies

    with Waiting(f"checking {file.name}", ends="it")():
        return await copies.check(file)


async def _restore(file: Path, project: Path, *, without_files: bool) -> Any:
    from pylon.clock import SystemClock
    from pylon.server.backups.restoring import restore_stopped

    wanted = await _own_hashes(project, file)
    with Waiting(f"putting {file.name} in place", ends="it")():
        return await restore_stopped(
            file, project / ".pylon", SystemClock(), has_own_files=bool(wanted),
            is_without=without_files,
        )  # fmt: skip


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
    from pylon.server.files import copying
    from pylon.server.offline import database_path
    from pylon.server.storage import backup as copies

    verifying = Waiting("verifying: folding the log", ends="it")
    if path is not None and not path.is_dir():
        with verifying():
            held, faults = await copies.verify_file(path, is_live=False)
        wanted = await copying.hashes_in(path)
        beside = copying.beside(path)
        if wanted and not beside.exists():
            say(f"{beside} is not there: the bytes of {len(wanted)} files are not looked at")
            return held, faults
        return held, faults + list(copying.faults_of(beside, wanted))
    if path is not None and not is_project(path):
        raise CommandFailed(f"there is no app.py in {path}", "name a project's folder, or a file")
    project = find_project(None if path is None else str(path))
    with verifying():
        held, faults = await copies.verify_file(database_path(project), is_live=True)
    wanted = await _own_hashes(project, database_path(project))
    return held, faults + list(copying.faults_of(copying.blobs_of(project / ".pylon"), wanted))


def _described(held: Any) -> str:
    rows = sum(count for name, count in held.rows.items() if not name.startswith("_pylon"))
    changes = held.rows.get("_pylon_log", 0)
    return f"{counted(rows, 'row')} at seq {held.head}, {counted(changes, 'change')} in the log"
