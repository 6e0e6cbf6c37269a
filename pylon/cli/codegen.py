"""`pylon codegen`: the app's types in TypeScript, for `connect<App>()`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from pylon.app.definition import AppDefinition
from pylon.cli.address import settings_of
from pylon.cli.app_output import read_app
from pylon.cli.output import CommandFailed, say
from pylon.cli.project import find_project, project_argument
from pylon.devtools.codegen.app import app_types
from pylon.devtools.codegen.files import (
    DEFAULT_OUTPUT,
    CannotWrite,
    read_generated,
    write_generated,
)
from pylon.devtools.codegen.package import is_current, package_files, write_package
from pylon.devtools.codegen.refusals import refusal_codes
from pylon.errors import LoadFailed


@click.command(short_help="Write the app's types for TypeScript.")
@project_argument
@click.option("--out", "out", metavar="FILE", help="The file to write, below the project's folder "
              "(default: web/pylon.gen.ts).")  # fmt: skip
@click.option("--package", "package", metavar="FOLDER", help="Write client and types as a package "
              "for bundlers (default: [web] package in pylon.toml).")  # fmt: skip
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; exit 1 if it is stale or missing."
)
@click.option("--watch", "watches", is_flag=True, help="Write it again with every save.")
def codegen(
    path: str | None, out: str | None, package: str | None, only_check: bool, watches: bool
) -> None:
    """Write the TypeScript types of the app at PATH: rows, writes, functions.

    With --package also the browser client and the React hooks, typed, for a bundler to build in.
    Prints nothing on stdout. `pylon dev` writes it again by itself once it is there.
    """
    if only_check and watches:
        raise click.UsageError("--check or --watch, not both")
    if out is not None and package is not None:
        raise click.UsageError("--out or --package, not both")
    project = find_project(path)
    if out is None and package is None:
        package = settings_of(project)["web.package"] or None
    name = package or out or str(DEFAULT_OUTPUT)
    target = project / name
    if not target.resolve().is_relative_to(project) or target.resolve() == project:
        raise click.UsageError(f"{name} is not below {project}")
    output = _Package(project, target) if package is not None else _Types(project, target)
    if watches:
        asyncio.run(_watch(project, output))
    elif only_check:
        _check(output)
    else:
        _write(output)


class _Types:
    """One file of types."""

    command = "pylon codegen"

    def __init__(self, project: Path, target: Path) -> None:
        self.project, self.target = project, target

    def is_stale(self) -> bool:
        """Tell whether it is not what the app says."""
        return read_generated(self.target) != app_types(*_loaded(self.project))

    def write(self) -> bool:
        """Write it; tells whether it was another one before."""
        return write_generated(self.target, app_types(*_loaded(self.project)))


class _Package:
    """A folder with the client and the types."""

    command = "pylon codegen --package"

    def __init__(self, project: Path, target: Path) -> None:
        self.project, self.target = project, target

    def is_stale(self) -> bool:
        """Tell whether it is not what the app says."""
        return not is_current(self.target, package_files(*_loaded(self.project)))

    def write(self) -> bool:
        """Write it; tells whether it was another one before."""
        return write_package(self.target, package_files(*_loaded(self.project)))


def _loaded(project: Path) -> tuple[AppDefinition, tuple[str, ...]]:
    try:
        return read_app(project), refusal_codes(project)
    except LoadFailed as failure:
        shown = "\n".join(one.render() for one in failure.mistakes)
        raise CommandFailed(
            f"the app has mistakes:\n{shown}", "mend them and run it again"
        ) from None


def _check(output: _Types | _Package) -> None:
    try:
        is_stale = output.is_stale()
    except CannotWrite as error:
        raise CommandFailed(str(error), "name another place with --out or --package") from error
    if is_stale:
        name = output.target.relative_to(output.project)
        why = "is not what the app says" if output.target.exists() else "is missing"
        raise CommandFailed(f"{name} {why}", f"run: {output.command}")


def _write(output: _Types | _Package) -> None:
    name = output.target.relative_to(output.project)
    try:
        is_new = output.write()
    except CannotWrite as error:
        raise CommandFailed(str(error), "name another place with --out or --package") from error
    say(f"wrote {name}" if is_new else f"{name} is up to date")


async def _watch(project: Path, output: _Types | _Package) -> None:
    from pylon.devtools.watch import watch

    _attempt(output)
    say(f"watching {project.name} for saves; ctrl+c ends it")
    async for changed in watch(project, stop=asyncio.Event()):
        if any(one.suffix == ".py" for one in changed):
            _attempt(output)


def _attempt(output: _Types | _Package) -> None:
    try:
        _write(output)
    except CommandFailed as failure:
        failure.show()
