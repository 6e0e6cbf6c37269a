"""`pylon codegen`: the app's types in TypeScript, for `connect<App>()`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from pylon.cli.output import CommandFailed, say
from pylon.cli.project import find_project, project_argument
from pylon.errors import LoadFailed


@click.command(short_help="Write the app's types for TypeScript.")
@project_argument
@click.option("--out", "out", metavar="FILE", default="web/pylon.gen.ts", show_default=True,
              help="The file to write, below the project's folder.")  # fmt: skip
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 if it is stale.")
@click.option("--watch", "watches", is_flag=True, help="Write it again with every save.")
def codegen(path: str | None, out: str, only_check: bool, watches: bool) -> None:
    """Write the TypeScript types of the app at PATH: rows, writes, functions.

    Prints nothing on stdout. `pylon dev` writes the file again by itself once it is there.
    """
    if only_check and watches:
        raise click.UsageError("--check or --watch, not both")
    project = find_project(path)
    target = project / out
    if not target.resolve().is_relative_to(project):
        raise click.UsageError(f"{out} is not below {project}")
    if watches:
        asyncio.run(_watch(project, target))
    elif only_check:
        _check(project, target)
    else:
        _write(project, target)


def _types(project: Path) -> str:
    from pylon.app.loader import load_app
    from pylon.devtools.codegen.app import app_types

    try:
        return app_types(load_app(project, generation=0))
    except LoadFailed as failure:
        shown = "\n".join(one.render() for one in failure.mistakes)
        raise CommandFailed(
            f"the app has mistakes:\n{shown}", "mend them and run it again"
        ) from None


def _check(project: Path, target: Path) -> None:
    from pylon.devtools.codegen.files import CannotWrite, read_generated

    try:
        is_stale = read_generated(target) != _types(project)
    except CannotWrite as error:
        raise CommandFailed(str(error), "name another file with --out") from error
    if is_stale:
        name = target.relative_to(project)
        raise CommandFailed(f"{name} is not what the app says", "run: pylon codegen")


def _write(project: Path, target: Path) -> None:
    from pylon.devtools.codegen.files import CannotWrite, write_generated

    name = target.relative_to(project)
    try:
        is_new = write_generated(target, _types(project))
    except CannotWrite as error:
        raise CommandFailed(str(error), "name another file with --out") from error
    say(f"wrote {name}" if is_new else f"{name} is up to date")


async def _watch(project: Path, target: Path) -> None:
    from pylon.devtools.watch import watch

    _attempt(project, target)
    async for changed in watch(project, stop=asyncio.Event()):
        if any(one.suffix == ".py" for one in changed):
            _attempt(project, target)


def _attempt(project: Path, target: Path) -> None:
    try:
        _write(project, target)
    except CommandFailed as failure:
        failure.show()
