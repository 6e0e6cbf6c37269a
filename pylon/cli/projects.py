"""`pylon projects`: all projects of the user; start, stop, let sleep, wake, take off the list."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from pylon.cli.listing import ListGroup
from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.project import is_project, json_option
from pylon.clock import Clock, SystemClock, iso_ms
from pylon.supervisor import registry
from pylon.supervisor.claim import supervised
from pylon.supervisor.door import ask_supervisor
from pylon.supervisor.ports import forget_port, known_ports
from pylon.supervisor.shelf import Shelved, shelf, shelved
from pylon.tui.projects import ago, size_words

_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.1


@click.group(
    cls=ListGroup,
    invoke_without_command=True,
    short_help="Show all your projects; start, stop, sleep, wake.",
)
@json_option
@click.pass_context
def projects(ctx: click.Context, as_json: bool) -> None:
    """Show all your projects; start, stop, let sleep, wake and forget them.

    `pylon projects` alone is `pylon projects list`. A PROJECT is its folder, or its name in the
    list. None of these runs code of a project but `start` and `wake`.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_projects, as_json=as_json)
    elif as_json:
        raise click.UsageError(f"options stand behind {ctx.invoked_subcommand}")


@projects.command("list", short_help="List them with state, port, disk, error, backup.")
@json_option
def list_projects(as_json: bool = False) -> None:
    """List your projects: state, port, disk, last error, last proven backup, days untouched."""
    now = SystemClock().now_ms()
    found = shelf()
    if as_json:
        print_json([one.to_json(now) for one in found])
        return
    if not found:
        say("no project was opened here yet; `pylon new NAME` makes one")
        return
    print_table(
        ["PROJECT", "STATE", "PORT", "DISK", "BACKUP", "UNTOUCHED", "LAST ERROR", "FOLDER"],
        [_cells(one, now) for one in found],
    )


def _cells(one: Shelved, now: int) -> list[Any]:
    error = None
    if one.error_at_ms is not None:
        error = f"{ago(now - one.error_at_ms)}: {one.error}"
    return [
        one.name, one.state, one.port, size_words(one),
        None if one.backup_at_ms is None else ago(now - one.backup_at_ms),
        f"{one.days_untouched(now)} d", error, one.path,
    ]  # fmt: skip


@projects.command(short_help="Start one in the background, under a keeper.")
@click.argument("project")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (default: its own).")
@click.option(
    "--sleep-after",
    type=click.FloatRange(0),
    metavar="MINUTES",
    help="It sleeps when nobody came for so long; 0: never (default: pylon.toml, else 30).",
)
@json_option
def start(project: str, port: int | None, sleep_after: float | None, as_json: bool) -> None:
    """Start PROJECT in the background; one that sleeps is woken."""
    from pylon.cli.starting import start_kept

    folder = _folder_of(project)
    record = supervised(folder)
    if record is not None and record.is_keeper and record.state in ("stopped", "stopping"):
        asyncio.run(_until_stopped(folder, SystemClock()))  # it is just ending
        record = None
    if record is not None:
        asyncio.run(ask_supervisor(folder, "wake"))
    elif registry.running_runtime(folder) is None:
        if not is_project(folder):
            raise CommandFailed(f"there is no app.py in {folder}", "pylon projects forget")
        if start_kept(folder, None, port, sleep_after=sleep_after) is None:
            raise CommandFailed(f"{folder.name} did not start", "see above")
    _show(folder, as_json=as_json)


@projects.command(short_help="Stop one.")
@click.argument("project")
@json_option
def stop(project: str, as_json: bool) -> None:
    """Stop PROJECT cleanly: its runtime, and the keeper with it."""
    folder = _folder_of(project)
    if supervised(folder) is not None:
        asyncio.run(ask_supervisor(folder, "stop"))
    running = registry.running_runtime(folder)
    if running is not None:  # nobody supervises it
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
    asyncio.run(_until_stopped(folder, SystemClock()))
    _show(folder, as_json=as_json)


async def _until_stopped(folder: Path, clock: Clock) -> None:
    end = clock.monotonic() + _STOP_SECONDS
    while registry.running_runtime(folder) is not None or _is_kept(folder):
        if clock.monotonic() > end:
            raise CommandFailed(f"{folder.name} does not stop", "pylon projects list")
        await clock.sleep(_LOOK_SECONDS)


def _is_kept(folder: Path) -> bool:
    """Tell whether a keeper is still there: unlike a dashboard it ends with its runtime."""
    record = supervised(folder)
    return record is not None and record.is_keeper


@projects.command(short_help="Let one sleep until somebody comes.")
@click.argument("project")
@json_option
def sleep(project: str, as_json: bool) -> None:
    """Let PROJECT sleep: its port stays open, and the first connection wakes it.

    Refused while somebody is there or something runs: it would be woken at once.
    """
    folder = _folder_of(project)
    asyncio.run(ask_supervisor(folder, "sleep"))
    _show(folder, as_json=as_json)


@projects.command(short_help="Wake one that sleeps.")
@click.argument("project")
@json_option
def wake(project: str, as_json: bool) -> None:
    """Wake PROJECT."""
    folder = _folder_of(project)
    asyncio.run(ask_supervisor(folder, "wake"))
    _show(folder, as_json=as_json)


@projects.command(short_help="Take one off the list; its folder stays.")
@click.argument("project")
@json_option
def forget(project: str, as_json: bool) -> None:
    """Take PROJECT off the list, and give its port back; nothing of its folder is touched."""
    folder = _folder_of(project)
    if supervised(folder) is not None or registry.running_runtime(folder) is not None:
        raise CommandFailed(f"{folder.name} runs", f"first: pylon projects stop {folder}")
    registry.forget_project(str(folder))
    forget_port(str(folder))
    if as_json:
        print_json({"path": str(folder), "forgotten": True})
    else:
        print_line(f"{folder.name} is off the list; {folder} stays as it is")


def _folder_of(named: str) -> Path:
    """Return the folder that a word means: a path, or a name in the list.

    Raises CommandFailed where there is none, or several have that name.
    """
    known = registry.known_projects()
    as_path = str(Path(named).resolve())
    if any(one.path == as_path for one in known):
        return Path(as_path)
    found = [one.path for one in known if one.name == named]
    if len(found) == 1:
        return Path(found[0])
    if found:
        raise CommandFailed(f"{len(found)} projects are called {named}", "\n  ".join(found))
    if is_project(Path(as_path)):
        return Path(as_path)
    raise CommandFailed(f"there is no project {named}", "`pylon projects` lists them")


def _show(folder: Path, *, as_json: bool) -> None:
    now = SystemClock().now_ms()
    known = next(
        (one for one in registry.known_projects() if one.path == str(folder)),
        registry.KnownProject(str(folder), now),
    )
    one = shelved(known, known_ports().get(str(folder)))
    if as_json:
        print_json(one.to_json(now))
        return
    where = f" on {one.url}" if one.url else ""
    due = f", until {iso_ms(one.wake_at_ms)} at the latest" if one.wake_at_ms else ""
    why = f": {one.why}" if one.why else ""
    print_line(f"{one.name} is {one.state}{where}{due}{why}")
