"""`pylon rows edit|delete|undo|export|complete`: many rows at once, looked at first, in parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from pylon.cli.asking import is_confirmed
from pylon.cli.files import size_text
from pylon.cli.output import CommandFailed, DataOut, print_done, print_json, print_line, say
from pylon.cli.past import point_of
from pylon.cli.progress import Progress
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_path, ask_runtime
from pylon.cli.rowfiles import FORMATS, format_of
from pylon.cli.rownames import ROWS_HELP, RowNames, rows_argument
from pylon.cli.rows import as_option, object_of, rows, where_option
from pylon.client import bulk
from pylon.client.admin import AdminClient
from pylon.client.bulk_text import dependent_lines, look_lines
from pylon.clock import SystemClock
from pylon.ids import IdSource
from pylon.policy.completing import known_of
from pylon.policy.completion import complete as offers_of
from pylon.printable import changes_in, counted
from pylon.tui.export import OwnFile

_look_option = click.option("--look", is_flag=True, help="Only say what it would do.")
_yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
_ANYWAY: Final = ("refuse", "skip", "force")


def _group() -> str:
    return IdSource(SystemClock(), os.urandom).uuid7()


@rows.command("edit", epilog=ROWS_HELP, short_help="Change rows: by id, or all that match.")
@rows_argument
@click.option("--set", "values", metavar="JSON", required=True, help="The new values.")
@where_option
@_look_option
@_yes_option
@project_option
@json_option
def edit(
    named: RowNames, values: str, where: str | None, look: bool, yes: bool,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Set fields of some rows, or of all of ENTITY that match --where.

    Up to 1,000 rows are one transaction, all or none; more go in parts of 200, and the first part
    that is refused ends it.
    """
    what = {"values": object_of(values, "--set")}
    _change(named, where, what, look=look, yes=yes, project_path=project_path,
            as_json=as_json)  # fmt: skip


@rows.command("delete", epilog=ROWS_HELP, short_help="Delete rows: by id, or all that match.")
@rows_argument
@where_option
@_look_option
@_yes_option
@project_option
@json_option
def delete(
    named: RowNames, where: str | None, look: bool, yes: bool,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Delete some rows, or all of ENTITY that match --where, with what refers to them."""
    _change(named, where, {"delete": True}, look=look, yes=yes, project_path=project_path,
            as_json=as_json)  # fmt: skip


def _change(
    named: RowNames, where: str | None, what: dict[str, Any], *, look: bool,
    yes: bool, project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    entity, ids = named
    if bool(ids) == (where is not None):
        raise click.UsageError("name rows, each as Entity/id, or give the entity and --where")
    project = find_project(project_path)

    async def seen(admin: AdminClient) -> tuple[list[str], dict[str, Any]]:
        found = list(ids) or [one async for one in bulk.ids_of(admin, entity, where)]
        return found, await bulk.look_at_change(admin, entity, found, what) if found else {}

    found, told = ask_runtime(project, seen)
    if not found:
        raise CommandFailed(f"no {entity} matches", "nothing was changed")
    if not told["rows"]:
        raise CommandFailed(f"none of these {entity} is there", "nothing was changed")
    if look and as_json:
        print_json(told)
        return
    if look or not (yes or as_json):
        for line in look_lines(entity, told):
            (print_line if look else say)(line)
    if look:
        return
    is_one = len(found) == 1 and "values" in what
    if not yes and not is_one and not is_confirmed("do it?"):
        raise CommandFailed("nothing was changed")
    with Progress("rows") as progress:
        done = ask_runtime(
            project, lambda admin: bulk.change_rows(
                admin, entity, found, what, _group(), _steps(progress)
            ),
        )  # fmt: skip
    _report(done, len(found), as_json=as_json)


def _steps(progress: Progress) -> Callable[[int], None]:
    return lambda count: progress.step(count - progress.count)


def _report(
    done: bulk.Done, wanted: int, *, as_json: bool, none: str = "nothing was changed"
) -> None:  # fmt: skip
    """Say what was done, or `none`; raises CommandFailed where it ended early."""
    if as_json:
        print_json(done.to_json())
    else:
        print_line(f"{counted(done.rows, 'row')}: {_changes(done)}" if done.seqs else none)
        if done.seqs:
            say(f"take it back: pylon rows undo {done.seqs[-1]}")
    if done.error is None:
        return
    for one in done.failed:
        say(f"{one['id']}: {one['message']} [{one['code']}]")
    rest = f"{wanted - done.rows:,} of {wanted:,} rows are as they were" if done.rows else None
    raise CommandFailed(f"{done.error.message} [{done.error.code}]", rest)


def _changes(done: bulk.Done) -> str:
    return (
        counted(len(done.seqs), "transaction") if len(done.seqs) > 1 else f"change {done.seqs[-1]}"
    )


@rows.command("undo", short_help="Take a change of yours back, with its group.")
@click.argument("seq", type=int)
@click.option(
    "--anyway", type=click.Choice(_ANYWAY), default=_ANYWAY[0], show_default=True,
    help="Where something depends on it: take back nothing, the rest, or write over.",
)  # fmt: skip
@_look_option
@project_option
@json_option
def undo(seq: int, anyway: str, look: bool, project_path: str | None, as_json: bool) -> None:
    """Take back the change SEQ, which the owner made, by new changes; with all of its group."""
    project = find_project(project_path)
    found = ask_runtime(project, lambda admin: bulk.look_at_undo(admin, seq))
    if look and as_json:
        print_json(found)
        return
    if look or (found["depends"] and anyway == _ANYWAY[0]):
        print_line(changes_in(found["changes"], len(found["parts"])))
        for line in dependent_lines(found):
            print_line(line)
        if look:
            return
        raise CommandFailed(
            "something depends on it: nothing was undone",
            "--anyway skip takes back the rest, --anyway force writes over",
        )
    with Progress("rows") as progress:
        done = ask_runtime(
            project,
            lambda admin: bulk.undo(admin, found["parts"], anyway, _group(), _steps(progress)),
        )
    # Of what is skipped each row may be one that something depends on.
    none = "nothing was left to undo" if done.error is None else "nothing was undone"
    _report(done, found["changes"], as_json=as_json, none=none)
    if done.left and not as_json:
        say(f"left as they are: {len(done.left)}")


@rows.command("export", short_help="Write the rows of a filter into a file.")
@click.argument("entity")
@click.argument("file")
@where_option
@click.option("--order", multiple=True, help="A field, or -field; may be given again.")
@click.option("--fields", help="Only these columns, with commas between.")
@click.option("--format", "given", type=click.Choice(FORMATS), help="Default: by FILE.")
@click.option("--at", "place", metavar="SEQ|TIME", help="The rows as they were after a change.")
@as_option
@project_option
@json_option
def export(
    entity: str, file: str, where: str | None, order: tuple[str, ...], fields: str | None,
    given: str | None, place: str | None, viewer: str | None, project_path: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Write all rows of ENTITY that match, in their order, into FILE (- is stdout).

    As they are at one moment, or with --at as they were. JSON lines, one JSON array (.json) or CSV.
    """
    form = format_of(file, given)
    question = {"filter": where, "order": ",".join(order), "fields": fields, "as": viewer}

    async def download(admin: AdminClient, target: Any) -> None:
        as_of = (await point_of(admin, place))["seq"] if place else None
        path = bulk.export_path(entity, {**question, "as_of": as_of}, form)
        await admin.download(path, target)

    if file == "-":
        if as_json:
            raise click.UsageError("--json reports about a FILE; stdout has the rows here")
        out: Any = DataOut()
        ask_runtime(find_project(project_path), lambda admin: download(admin, out))
        return
    if complaint := OwnFile.objection(file):
        raise CommandFailed(complaint, "choose another name, or move it away")
    told_rows = 0
    with Progress("rows") as progress:

        async def write(admin: AdminClient) -> int:
            nonlocal told_rows

            async def fill(target: Any) -> None:
                nonlocal told_rows
                rows_of = bulk.CountedRows(target, form, _steps(progress))
                await download(admin, rows_of)
                told_rows = rows_of.rows

            return await OwnFile(Path(file)).write(fill)

        size = ask_runtime(find_project(project_path), write)
    told = {"file": file, "rows": told_rows, "bytes": size}
    print_done(told, f"{file}: {told_rows:,} {entity}, {size_text(size)}", as_json=as_json)


@rows.command("complete", short_help="Say what may come next in an expression.")
@click.argument("entity")
@click.argument("expression", default="")
@project_option
@json_option
def complete(entity: str, expression: str, project_path: str | None, as_json: bool) -> None:
    """Print what may come next in EXPRESSION over ENTITY: names, operators, values."""
    entities = ask_path(project_path, "GET", "admin/data", {})["entities"]
    if entity not in [one["name"] for one in entities]:
        raise CommandFailed(f"there is no entity {entity}", "pylon rows lists them")
    found = offers_of(expression, len(expression), known_of(entities, entity))
    if as_json:
        print_json({"offers": [
            {"at": one.start, "text": one.text, "note": one.note} for one in found
        ]})  # fmt: skip
        return
    for one in found:
        print_line(f"{one.text.strip():<24} {one.note}".rstrip())
