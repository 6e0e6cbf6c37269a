"""`pylon export`: all rows, or some, as JSON or CSV, while the app runs or not."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from pylon import paths
from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.progress import Progress
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.rowfiles import CSV, FORMATS, JSON, csv_cells, csv_heads, format_of, json_line
from pylon.printable import clean_block
from pylon.schema.cells import csv_lines
from pylon.schema.model import Entity, FieldKind

_STDOUT: Final = "-"


@click.command(short_help="Write rows as JSON or CSV.")
@click.argument("file", default=_STDOUT)
@click.option("--entity", "entities", multiple=True, help="Only rows of this one; repeatable.")
@click.option("--where", metavar="EXPR", help="Only rows that match, in the policy language.")
@click.option("--format", "given", type=click.Choice(FORMATS), help="Default: by the name of FILE.")
@project_option
@json_option
def export(
    file: str, entities: tuple[str, ...], where: str | None, given: str | None,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write the rows of the project into FILE, or to stdout, as they are at one moment.

    As JSON lines, as one JSON array (.json) or as CSV (.csv).

    Every field, private ones too, and the ids. Not the change log, accounts, or the bytes of
    files: `pylon backup` takes everything. The app may run meanwhile.
    """
    form = format_of(file, given)
    if (form == CSV or where is not None) and len(entities) != 1:
        what = "--where" if where is not None else "a CSV file"
        raise click.UsageError(f"{what} is of one entity: give one --entity")
    if as_json and file == _STDOUT:
        raise click.UsageError("--json reports about a FILE; stdout has the rows here")
    project = find_project(project_path)
    told = asyncio.run(_export(project, file, entities, where, form))
    if as_json:
        print_json({"file": file, **told})
    elif file != _STDOUT:
        counts = ", ".join(f"{count} {name}" for name, count in told["rows"].items())
        print_line(f"{file}: {counts or 'no rows'}")
    if told["files"]:
        say(f"{told['files']} files are named in it, without their bytes: pylon backup has them")


async def _export(
    project: Path, file: str, entities: Sequence[str], where: str | None, form: str
) -> dict[str, Any]:
    from pylon.server.offline_rows import export_rows

    def use(found: Sequence[Entity], rows: Iterator[Any]) -> dict[str, Any]:
        if file == _STDOUT:
            return _write(_printed, found, rows, form)
        return _write_file(Path(file), found, rows, form)

    return await export_rows(project, entities, where, use)


def _printed(text: str) -> None:
    # On a terminal, what could steer it becomes marks; anywhere else the data stays as it is.
    sys.stdout.write(clean_block(text) if sys.stdout.isatty() else text)


def _write_file(
    target: Path, entities: Sequence[Entity], rows: Iterator[Any], form: str
) -> dict[str, Any]:
    """Write a file that is whole, and only the user's to read, when it gets its name."""
    if target.exists() or target.is_symlink():
        raise CommandFailed(f"{target} is there already", "choose another name, or move it away")
    if not target.parent.is_dir():
        raise CommandFailed(f"there is no folder {target.parent}")
    descriptor, name = tempfile.mkstemp(prefix=".export-", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            told = _write(stream.write, entities, rows, form)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).rename(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    paths.sync_folder(target.parent)
    return told


def _write(
    write: Callable[[str], Any], entities: Sequence[Entity], rows: Iterator[Any], form: str
) -> dict[str, Any]:
    counts = {one.name: 0 for one in entities}
    held = 0
    to_line = {CSV: _csv_line, JSON: json_line}.get(form, _json_line)
    files = {one.name: [field.name for field in one.fields if field.kind is FieldKind.FILE]
             for one in entities}  # fmt: skip
    if form == CSV:
        write(csv_lines([csv_heads(entities[0])]))
    before, between = ("[\n", ",\n") if form == JSON else ("", "")
    with Progress("rows") as progress:
        for entity, values in rows:
            write(before + to_line(entity, values))
            before = between
            counts[entity.name] += 1
            held += sum(values[name] is not None for name in files[entity.name])
            progress.step()
    if form == JSON:
        write("\n]\n" if before == between else "[]\n")
    return {"rows": {name: count for name, count in counts.items() if count}, "files": held}


def _json_line(entity: Entity, values: dict[str, Any]) -> str:
    return json_line(entity, values) + "\n"


def _csv_line(entity: Entity, values: dict[str, Any]) -> str:
    return csv_lines([csv_cells(entity, values)])
