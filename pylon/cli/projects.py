"""`pylon projects`: all projects of the user; start, stop, start anew, let sleep, wake, forget."""

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
from pylon.cli.reach import ask_for_it
from pylon.clock import SystemClock, iso_ms
from pylon.printable import shell_line
from pylon.supervisor import registry
from pylon.supervisor.claim import supervised
from pylon.supervisor.ports import forget_port, known_ports
from pylon.supervisor.shelf import Shelved, shelf, shelved
from pylon.tui.projects import ago, size_words


@click.group(
    cls=ListGroup,
    invoke_without_command=True,
    short_help="Show all your projects; start, stop, restart, sleep, wake.",
)
@json_option
@click.pass_context
def projects(ctx: click.Context, as_json: bool) -> None:
    """Show all your projects; start, stop, restart, let sleep, wake and forget them.

    `pylon projects` alone is `pylon projects list`. A PROJECT is its folder, or its name in the
    list. None of these runs code of a project but `start`, `restart` and `wake`.
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
    from pylon.cli.starting import start_kept, until_stopped

    folder = _folder_of(project)
    record = supervised(folder)
    if record is not None and record.is_keeper and record.state in ("stopped", "stopping"):
        asyncio.run(until_stopped(folder, SystemClock()))  # it is just ending
        record = None
    if record is not None:
        _demand_started(folder, ask_for_it(folder, "wake"), "start")
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
    from pylon.cli.starting import until_stopped

    folder = _folder_of(project)
    if supervised(folder) is not None:
        ask_for_it(folder, "stop")
    running = registry.running_runtime(folder)
    if running is not None:  # nobody supervises it
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
    asyncio.run(until_stopped(folder, SystemClock()))
    _show(folder, as_json=as_json)


@projects.command(short_help="Stop the runtime of one, and start it anew.")
@click.argument("project")
@json_option
def restart(project: str, as_json: bool) -> None:
    """Stop PROJECT's runtime and start it anew, on the same port; one that sleeps is woken.

    Whoever supervises it does that: its keeper, a dashboard, `pylon dev` or `pylon serve`.
    """
    folder = _folder_of(project)
    if supervised(folder) is None:
        raise _unsupervised(folder)
    say(f"restarting {folder.name} …")
    answer = ask_for_it(folder, "restart", why="asked for in a shell")
    _demand_started(folder, answer, "restart")
    _show(folder, as_json=as_json)


def _demand_started(folder: Path, answer: dict[str, Any], verb: str) -> None:
    """Raise CommandFailed, with what to do, where a runtime that was asked for did not start."""
    if answer["state"] != "failed":
        return
    hint = f"mend it, then: {shell_line('projects', verb, str(folder))}"
    if answer.get("is_held"):  # a keeper of an older Pylon does not tell
        hint = f"its plan, and whether it can be applied: {shell_line('migrate', str(folder))}"
    raise CommandFailed(f"{folder.name} did not start: {answer['why']}", hint)


def _unsupervised(folder: Path) -> CommandFailed:
    """Return what says that there is nobody to ask for a new start, and what to do instead."""
    running = registry.running_runtime(folder)
    start = shell_line("projects", "start", str(folder))
    if running is None:
        return CommandFailed(f"{folder.name} is not running", start)
    return CommandFailed(
        f"nobody supervises {folder.name}: process {running.pid} runs by itself",
        "start it anew where it was started, or:"
        f" {shell_line('projects', 'stop', str(folder))}, then {start}",
    )


@projects.command(short_help="Let one sleep until somebody comes.")
@click.argument("project")
@json_option
def sleep(project: str, as_json: bool) -> None:
    """Let PROJECT sleep: its port stays open, and the first connection wakes it.

    Refused while somebody is there or something runs: it would be woken at once.
    """
    _ask(project, "sleep", as_json=as_json)


@projects.command(short_help="Wake one that sleeps.")
@click.argument("project")
@json_option
def wake(project: str, as_json: bool) -> None:
    """Wake PROJECT."""
    _ask(project, "wake", as_json=as_json)


@projects.command(short_help="Take one off the list; its folder stays.")
@click.argument("project")
@json_option
def forget(project: str, as_json: bool) -> None:
    """Take PROJECT off the list, and give its port back; nothing of its folder is touched."""
    folder = _folder_of(project)
    if supervised(folder) is not None or registry.running_runtime(folder) is not None:
        raise CommandFailed(
            f"{folder.name} runs", f"first: {shell_line('projects', 'stop', str(folder))}"
        )
    path = str(folder)
    if path not in known_ports() and all(one.path != path for one in registry.known_projects()):
        raise CommandFailed(f"{folder} is not on the list", "`pylon projects` shows what is")
    registry.forget_project(path)
    forget_port(path)
    if as_json:
        print_json({"path": path, "forgotten": True})
    else:
        print_line(f"{folder.name} is off the list; {folder} stays as it is")


def _ask(project: str, verb: str, *, as_json: bool) -> None:
    """Ask who supervises a project for something, and show how the project is then."""
    folder = _folder_of(project)
    answer = ask_for_it(folder, verb)
    if verb == "wake":
        _demand_started(folder, answer, verb)
    _show(folder, as_json=as_json)


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
