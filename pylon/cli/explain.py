"""`pylon explain`: why a user may do something with a row, or may not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from pylon import jsonvalue
from pylon.cli.app_output import read_app
from pylon.cli.output import print_json
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.cli.rownames import ROW_HELP, RowName, row_argument
from pylon.errors import InvalidJson
from pylon.printable import clean
from pylon.schema.model import Access
from pylon.supervisor.registry import running_runtime

_COLOURS: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"}, "bad": {"fg": "red"}, "warn": {"fg": "yellow"},
    "accent": {"fg": "cyan"}, "quiet": {"dim": True}, "strong": {"bold": True}, "plain": {},
}  # fmt: skip


@click.command(epilog=ROW_HELP, short_help="Say why a user may do something, or not.")
@row_argument
@click.option(
    "--as", "user", required=True, metavar="USER",
    help="An e-mail address, a user id, or `anonymous`.",
)  # fmt: skip
@click.option(
    "--action", type=click.Choice([str(one) for one in Access]), default="read", show_default=True,
    help="What he wants to do.",
)  # fmt: skip
@click.option("--set", "values", metavar="JSON", help="Fields that an update or insert would set.")
@click.option("--field", "field_name", metavar="NAME", help="Why he reads this field, or not.")
@project_option
@json_option
def explain(
    row: RowName, user: str, action: str, values: str | None, field_name: str | None,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Say why USER may, or may not, do something with a row, by the app's policies.

    Shows the value of each part of the policy, which part decided, and the smallest single change
    that would make it pass. Exits 0 also when denied. Asks the running app, or loads the app and
    reads its database where none runs.
    """
    given = {
        "entity": row.entity, "id": row.id, "as": user, "access": action, "values": _values(values),
        "field": field_name,
    }  # fmt: skip
    found = _explained(find_project(project_path), given)
    if as_json:
        print_json(found)
        return
    from pylon.client.why_text import why_lines

    is_plain = bool(os.environ.get("NO_COLOR"))
    for line in why_lines(found, user):
        # Each part is cleaned by itself; click leaves the colours out where no terminal is.
        styled = "".join(click.style(clean(text), **_COLOURS[how]) for text, how in line)
        click.echo(styled, color=False if is_plain else None)


def _values(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        values = jsonvalue.parse(text.encode())
    except InvalidJson as error:
        raise click.UsageError(f"--set is not JSON: {error.message}") from error
    if not isinstance(values, dict):
        raise click.UsageError('--set is one JSON object, such as {"state":"sent"}')
    return values


def _explained(project: Path, given: dict[str, Any]) -> dict[str, Any]:
    if running_runtime(project) is not None:
        return ask_runtime(project, lambda admin: admin.post("admin/explain", given))
    from pylon.server.offline import explain_offline

    definition = read_app(project)
    return asyncio.run(explain_offline(project, definition, given))
