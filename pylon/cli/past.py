"""`pylon history`, `diff`, `restore-row` and `lens`: what rows were, by whom, and back to it."""

from __future__ import annotations

from typing import Any

import click

from pylon.cli.output import print_json, print_line, print_table, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_path, ask_runtime
from pylon.cli.rownames import ROW_HELP, RowName, row_argument
from pylon.client.admin import AdminClient
from pylon.client.past_text import (
    came_with_field,
    chain_words,
    differing,
    held_words,
    moved_words,
    retained_words,
    value_words,
    who_words,
)  # fmt: skip
from pylon.printable import counted


async def point_of(admin: AdminClient, text: str | None) -> dict[str, Any]:
    """Return the place in the log of a number or a time; None: its end."""
    if text is None:
        return await admin.get("admin/at")
    return await admin.get("admin/at", **{"seq" if text.isdigit() else "time": text})


@click.command(epilog=ROW_HELP, short_help="Show a row's changes, and who set each field.")
@row_argument
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500))
@click.option("--before", type=click.IntRange(1), metavar="SEQ", help="Only older changes.")
@click.option("--blame", is_flag=True, help="Only who gave each field the value it has.")
@project_option
@json_option
def history(
    row: RowName, limit: int, before: int | None, blame: bool, project_path: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what became of a row, newest first: what changed, by whom, and why.

    A row that was deleted has its history, too, as far back as the log reaches. Long values are
    cut; `pylon query` and `--at` show a row whole.
    """
    found = ask_path(
        project_path, "GET", f"admin/history/{row.path}", {"limit": limit, "before": before}
    )
    if as_json:
        print_json(found)
        return
    if blame:
        print_table(
            ["FIELD", "CHANGE", "WHEN", "WHO", "BY"],
            [
                [name, "-", "-", "-", "not told by the log"] if one is None
                else [name, "-", "-", "-", came_with_field(one)] if came_with_field(one)
                else [name, one["seq"], one["at"], who_words(one), chain_words(one["chain"])]
                for name, one in found["blame"].items()
            ],
        )  # fmt: skip
        return
    for one in found["changes"]:
        print_line(
            f"{one['seq']:>8}  {one['at']}  {one['kind']}  by {who_words(one)}"
            f"  {chain_words(one['chain'])}"
        )
        for line in moved_words(one):
            print_line(f"          {line}")
    if not found["changes"]:
        print_line("no changes")
    if found["more"]:
        say(f"there is more: --before {found['changes'][-1]['seq']}")
    elif found["dropped_at"]:
        say(f"the table was made anew after change {found['dropped_at']}")
    else:
        say(retained_words(found["retained"]))


@click.command(short_help="Show what differs between two points of the log.")
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="[TO]", required=False)
@click.option("--entity", help="The rows of this entity that differ.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@click.option("--after", metavar="ID", help="Go on after this id of the page before.")
@project_option
@json_option
def diff(
    start: str, end: str | None, entity: str | None, limit: int, after: str | None,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what differs between the state after change FROM and that after change TO (now).

    Each is the number of a change, or a time such as 2026-11-29T13:30:00Z. A row that changed and
    changed back differs in nothing.
    """

    async def ask(admin: AdminClient) -> dict[str, Any]:
        first, last = await point_of(admin, start), await point_of(admin, end)
        return await admin.get(
            "admin/diff",
            **{"from": first["seq"], "to": last["seq"], "entity": entity, "limit": limit,
               "after": after},
        )  # fmt: skip

    found = ask_runtime(find_project(project_path), ask)
    if as_json:
        print_json(found)
    elif entity is None:
        names = ("inserted", "updated", "deleted", "same", "changes")
        print_table(
            ["ENTITY", *(one.upper() for one in names)],
            [[one["entity"], *(one[name] for name in names)] for one in found["entities"]],
        )
        say(f"changes {found['from'] + 1} to {found['to']}; same: changed and changed back")
    else:
        for one in found["rows"]:
            print_line(f"{one['what']:<9} {one['id']}  {counted(one['changes'], 'change')}")
            for line in moved_words(one):
                print_line(f"          {line}")
        if not found["rows"]:
            print_line("no differences")
        if found["next"]:
            say(f"there is more: --after {found['next']}")


@click.command("restore-row", epilog=ROW_HELP, short_help="Bring a row back to what it was.")
@row_argument
@click.option("--to", required=True, metavar="SEQ|TIME", help="As it was after this change.")
@project_option
@json_option
def restore_row(row: RowName, to: str, project_path: str | None, as_json: bool) -> None:
    """Bring a row back to what it was after a change, also where it was deleted.

    That is a change like any other, with the cause `studio`: `pylon restore-row` with the number
    of the change before it takes it back, and so does `u` on the dashboard's Data screen.
    """

    async def ask(admin: AdminClient) -> dict[str, Any]:
        point = await point_of(admin, to)
        return await admin.post(f"admin/data/{row.path}/restore", {"to": point["seq"]})

    found = ask_runtime(find_project(project_path), ask)
    if as_json:
        print_json(found)
    else:
        print_line(f"change {found['seq']}: {row} is as it was")


@click.command(epilog=ROW_HELP, short_help="Show a row as the server, a user and a client have it.")
@row_argument
@click.option("--as", "as_user", metavar="USER", help="As this user reads it.")
@click.option("--client", metavar="ID", help="As this client holds it, by its cursor.")
@project_option
@json_option
def lens(
    row: RowName, as_user: str | None, client: str | None, project_path: str | None, as_json: bool
) -> None:
    """Show a row on the server, as USER reads it and as the client ID holds it.

    `pylon cursors` lists the clients. What a client holds is told by the cursor it has stored.
    """
    found = ask_path(
        project_path, "GET", f"admin/lens/{row.path}", {"as": as_user, "client": client}
    )
    if as_json:
        print_json(found)
        return
    columns = [("server", found["server"])]
    if found["user"] is not None:
        columns.append((as_user or "", found["user"]["row"]))
    if found["client"] is not None:
        columns.append((f"client {client}", found["client"]["row"]))
    names = list(dict.fromkeys(name for _, one in columns for name in one or {}))
    odd = {name for _, one in columns[1:] if one for name in differing(found["server"], one)}
    print_table(
        ["FIELD", *(head.upper() for head, _ in columns), ""],
        [
            [name, *(_cell(one, name) for _, one in columns), "≠" if name in odd else ""]
            for name in names
        ],
    )
    for head, one in columns:
        if one is None and not head.startswith("client "):
            print_line(f"{head}: no such row, or not to be read")
    if found["client"] is not None:
        print_line(f"client {client}: {held_words(found['client'])}")


def _cell(row: dict[str, Any] | None, name: str) -> str:
    if row is None:
        return "no row"
    return value_words(row[name]) if name in row else "not given"
