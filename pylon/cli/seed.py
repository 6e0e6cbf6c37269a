"""`pylon seed` and `pylon reset`: rows to begin with, and beginning anew."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from pylon.cli.app_output import on_stderr
from pylon.cli.copies import ask_for_name
from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.progress import Waiting
from pylon.cli.project import find_project, json_option, project_argument, project_option
from pylon.cli.reach import local_admin
from pylon.client.admin import AdminError
from pylon.printable import shell_line
from pylon.supervisor.registry import running_runtime

#: A function of the app that does not await anything can't be interrupted.
_STOPPING: Final = "stopping; the seed is let come to its end (ctrl+c ends it at once)"


@click.command(short_help="Run the project's seed.py, once.")
@click.option("--again", is_flag=True, help="Also where it ran before.")
@project_option
@json_option
def seed(again: bool, project_path: str | None, as_json: bool) -> None:
    """Run `seed(ctx)` of seed.py as the system, once per database.

    Under `pylon dev` the runtime runs it; where nothing runs, the app is started without listening.
    """
    project = find_project(project_path)
    ask = _ask if running_runtime(project) is not None else _start
    ran = asyncio.run(ask(project, again=again))
    if as_json:
        print_json({"ran": ran})
    elif ran:
        print_line(f"{project.name} is seeded")
    else:
        print_line(f"{project.name} was seeded before: --again does it once more")


async def _ask(project: Path, *, again: bool) -> bool:
    admin = local_admin(project)
    try:
        answer = await admin.post("admin/seed", {"again": again}, is_patient=True)
    except AdminError as error:
        if error.message.startswith("there is no /api/admin/seed"):
            raise CommandFailed(
                f"{project.name} runs in production", "stop it first; or pylon call a function"
            ) from error
        raise
    finally:
        await admin.close()
    return bool(answer["ran"])


async def _start(project: Path, *, again: bool) -> bool:
    return (await seeded(project, None, again=again))[0]


async def seeded(project: Path, data: Path | None, *, again: bool) -> tuple[bool, int]:
    """Start the app where nobody can reach it and run its seed.

    Args:
        project: the project's folder.
        data: stands in for its `.pylon`; None: that.
        again: also where it ran before.

    Returns whether it ran, and the head of the database.
    """
    from pylon.app.seedfile import seed_path
    from pylon.server.assembly import Runtime
    from pylon.server.config import load_config, load_dotenv
    from pylon.server.functions.seeding import run_seed

    class Unheard(Runtime):
        """A runtime that nobody can reach."""

        @property
        def _data_folder(self) -> Path:
            return data or super()._data_folder

        def _witness_folder(self) -> Path | None:
            return super()._witness_folder() if data is None else None

        def _set_up_logging(self) -> None:
            """Leave the terminal to the command."""

        def _admin_tokens(self) -> tuple[str, ...]:
            return ()

        async def _listen(self, listen_fd: int | None) -> int:
            return 0

    seed_path(project)  # before a database is made for nothing
    environment = {**os.environ, **load_dotenv(project, os.environ)}
    runtime = Unheard(load_config(project, is_dev=True, flags={}, environment=environment))
    with on_stderr(), Waiting(f"seed.py of {project.name} runs")():
        await runtime.start(may_migrate=True)
        try:
            services = runtime.services
            ran = await run_seed(
                services.database, services.executor, services.definitions.current, again=again
            )
            return ran, services.database.head
        except asyncio.CancelledError:
            say(_STOPPING)
            # The next one ends the process: of a database nothing is lost by that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise
        finally:
            await runtime.stop()


@click.command(short_help="Begin anew: an empty database, the old one kept.")
@project_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def reset(path: str | None, yes: bool, as_json: bool) -> None:
    """Put the project's database aside, so that the next start makes a new one.

    The app must be stopped. It asks you to type the project's name. Everything goes: rows,
    accounts, the log, jobs. The old database is kept in .pylon/backups, for `pylon restore`.
    """
    project = find_project(path)
    if running_runtime(project) is not None:
        raise CommandFailed(
            f"the runtime of {project.name} is running",
            f"stop it first: {shell_line('projects', 'stop', project)}",
        )
    if not yes:
        say(f"this empties {project.name}: rows, accounts, jobs; the database is kept as a backup")
        ask_for_name(project)
    kept = asyncio.run(_reset(project))
    told: dict[str, Any] = {"kept": None if kept is None else str(kept)}
    if as_json:
        print_json(told)
        return
    print_line(f"{project.name} begins anew with the next start")
    say(f"what was there before: {kept}" if kept else "there was no database")


async def _reset(project: Path) -> Path | None:
    from pylon.clock import SystemClock
    from pylon.server.files import copying
    from pylon.server.offline import database_path
    from pylon.server.storage import backup
    from pylon.server.storage import restore as restoring

    data = project / ".pylon"
    held: dict[str, int] = {}
    with suppress(backup.DatabaseUnusable):  # there is none yet, or it is damaged
        held = await copying.hashes_in(database_path(project))
    kept = await restoring.reset(data, SystemClock())
    if kept is not None:
        # The files go with the database that is kept: in their place they would be swept.
        blobs = copying.blobs_of(data)
        there = {one: size for one, size in held.items() if (blobs / one[:2] / one).is_file()}
        copying.copy_blobs([blobs], copying.beside(kept), there)
    return kept
