"""`pylon rows list|get|create|duplicate`: the rows of the running app, as the owner."""

from __future__ import annotations

from typing import Any

import click

from pylon import jsonvalue
from pylon.cli.files import size_text
from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import print_done, print_json, print_line, print_pair, print_table, say
from pylon.cli.project import json_option, project_option
from pylon.cli.reach import ask_path
from pylon.cli.rownames import ROW_HELP, RowName, row_argument
from pylon.client.admin import AdminClient
from pylon.errors import InvalidJson

where_option = click.option(
    "--where", metavar="EXPR", help="Rows that match, in the policy language."
)
as_option = click.option("--as", "viewer", metavar="USER", help="As this user sees them.")


def path_of(*parts: str) -> str:
    """Return the path of an entity's rows, or of one."""
    return "/".join(["admin/data", *(AdminClient.quoted(one) for one in parts)])


def object_of(text: str, name: str) -> dict[str, Any]:
    """Return the JSON object of an argument; raises click.UsageError."""
    try:
        value = jsonvalue.parse(text.encode())
    except InvalidJson as error:
        raise click.UsageError(f"{name} is no JSON: {error.message}") from error
    if not isinstance(value, dict):
        raise click.UsageError(f'{name} is one JSON object, such as {{"title":"hi"}}')
    return value


class _Rows(ListGroup):
    """An entity's name is no command: its rows are listed; a row's is none, either: it is shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take `pylon rows Note` for `pylon rows list Note`; commands begin with a small letter."""
        if args[0][:1].isupper():
            args = ["get" if "/" in args[0] else "list", *args]
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Rows, invoke_without_command=True,
    short_help="Show rows; create, edit, delete, undo, export.",
)  # fmt: skip
@project_option
@json_option
@click.pass_context
def rows(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """Show rows of the running app; create, edit, delete, undo, export them.

    As the owner, past the policies; each change is in the log with the cause `studio`.
    `pylon rows` alone lists the entities, `pylon rows Note` the rows of one, and
    `pylon rows Note/n1` shows one row.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


@rows.command("list", short_help="List entities, or the rows of one.")
@click.argument("entity", required=False)
@where_option
@click.option("--order", multiple=True, help="A field, or -field; may be given again.")
@click.option("--fields", help="Only these columns, with commas between.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--after", metavar="KEY", help="Go on after this key of the page before.")
@click.option("--count", is_flag=True, help="Only how many there are.")
@as_option
@project_option
@json_option
def list_rows(
    entity: str | None = None, where: str | None = None, order: tuple[str, ...] = (),
    fields: str | None = None, limit: int = 50, after: str | None = None, count: bool = False,
    viewer: str | None = None, project_path: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """List the entities with rows and bytes, or the rows of ENTITY."""
    if entity is None:
        _list_entities(project_path, as_json=as_json)
        return
    question = {"filter": where, "as": viewer}
    if count:
        found = ask_path(project_path, "GET", path_of(entity), {**question, "count": 1})
        print_done(found, str(found["count"]), as_json=as_json)
        return
    given = {**question, "order": ",".join(order) or None, "limit": limit, "after": after}
    found = ask_path(project_path, "GET", path_of(entity), given)
    shown = found["rows"]
    names = None if fields is None else ["id", *fields.split(",")]
    if names is not None:
        shown = [{name: one[name] for name in names if name in one} for one in shown]
    following = found["keys"][-1][1] if found["more"] and found["keys"] else None
    if as_json:
        print_json({"rows": shown, "next": following})
        return
    if shown:
        heads = names or [name for name in shown[0] if name != "_seq"]
        print_table(heads, [[row.get(name) for name in heads] for row in shown])
    else:
        say("no row is found")
    if following is not None:
        say(f"there is more: --after {following}")


def _list_entities(project_path: str | None, *, as_json: bool) -> None:
    found = ask_path(project_path, "GET", "admin/data", {"sizes": 1})
    if as_json:
        print_json(found)
        return
    print_table(
        ["ENTITY", "ROWS", "SIZE", "FIELDS"],
        [[one["name"], one["rows"],
          None if one["bytes"] is None else size_text(one["bytes"]),
          ", ".join(each["name"] for each in one["fields"])]
         for one in found["entities"]],
    )  # fmt: skip


@rows.command("get", epilog=ROW_HELP, short_help="Show one row, and how many rows refer to it.")
@row_argument
@as_option
@project_option
@json_option
def get(row: RowName, viewer: str | None, project_path: str | None, as_json: bool) -> None:
    """Show one row whole, and how many rows refer to it by which fields."""
    found = ask_path(project_path, "GET", path_of(*row), {"as": viewer})
    if as_json:
        print_json(found)
        return
    for name, value in found["row"].items():
        print_pair(name, value)
    for one in found["referrers"]:
        more = "+" if one["more"] else ""
        print_line(f"{one['count']}{more} {one['entity']} by {one['field']} ({one['on_delete']})")


@rows.command("create", short_help="Make a row.")
@click.argument("entity")
@click.argument("values", metavar="JSON")
@click.option("--id", "row_id", help="The id of the row; made up without it.")
@project_option
@json_option
def create(
    entity: str, values: str, row_id: str | None, project_path: str | None, as_json: bool
) -> None:
    """Make a row of ENTITY with the values in JSON."""
    body = {"values": object_of(values, "JSON"), **({} if row_id is None else {"id": row_id})}
    _report(ask_path(project_path, "POST", path_of(entity), body), entity, "made", as_json=as_json)


@rows.command("duplicate", epilog=ROW_HELP, short_help="Make a row like another.")
@row_argument
@click.option("--set", "values", metavar="JSON", default="{}", help="What is different in it.")
@project_option
@json_option
def duplicate(row: RowName, values: str, project_path: str | None, as_json: bool) -> None:
    """Make a row with the values of another, but for those of --set."""
    other = object_of(values, "--set")
    found = ask_path(project_path, "GET", path_of(*row), {})["row"]
    kept = {name: value for name, value in found.items() if name not in ("id", "_seq")}
    made = ask_path(project_path, "POST", path_of(row.entity), {"values": {**kept, **other}})
    _report(made, row.entity, "made", as_json=as_json)


def _report(made: dict[str, Any], entity: str, verb: str, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    print_line(f"{entity} {made['row']['id']} is {verb}: change {made['seq']}")
    say(f"take it back: pylon rows undo {made['seq']}")
