"""Which project a command means, and how it reaches that project's running runtime."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

import click

from pylon.cli.output import CommandFailed

#: Entries of a folder that are looked at for projects, and projects that are named.
_LOOKED_AT: Final = 1_000
_NAMED: Final = 5


def is_project(folder: Path) -> bool:
    """Tell whether a folder holds an app definition."""
    return (folder / "app.py").is_file() or (folder / "app" / "__init__.py").is_file()


def find_project(path: str | None) -> Path:
    """Return the project's folder, absolute; the current one (or one above it) by default.

    Raises click.UsageError for a path that is no folder, CommandFailed where no app is found.
    """
    start = Path(path) if path is not None else Path.cwd()
    if not start.is_dir():
        raise click.UsageError(f"{start} is no folder")
    start = start.resolve()
    candidates = [start] if path is not None else [start, *start.parents]
    for folder in candidates:
        if is_project(folder):
            return folder
    raise CommandFailed(f"there is no app.py in {start}", _where_else(start))


def _where_else(folder: Path) -> str:
    """Return what to do in a folder that is no project: often the project is a step below."""
    try:
        below = sorted(one.name for one in islice(folder.iterdir(), _LOOKED_AT) if is_project(one))
    except OSError:  # not ours to read
        below = []
    if not below:
        return "`pylon new NAME` creates a project; or name the folder of one"
    more = ", …" if len(below) > _NAMED else ""
    return f"below it are projects: cd into {', '.join(below[:_NAMED])}{more}"


project_argument = click.argument("path", required=False, metavar="[PATH]")
project_option = click.option(
    "--project", "project_path", metavar="PATH", help="The project's folder (default: this one)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
