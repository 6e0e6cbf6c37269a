"""`pylon call` and `pylon query`: functions and rows of the running app, as the owner or a user."""

from __future__ import annotations

from typing import Any

import click

from pylon import jsonvalue
from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.past import point_of
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient, AdminError
from pylon.errors import InvalidJson

as_option = click.option(
    "--as", "as_user", metavar="USER", help="Ask as this user, through every policy."
)


@click.command(short_help="Call a function of the running app.")
@click.argument("fn")
@click.argument("arguments", required=False, default="{}", metavar="[JSON]")
@as_option
@click.option(
    "--stream", is_flag=True, help="Print each part of an action as it comes, one a line."
)
@project_option
@json_option
def call(
    fn: str, arguments: str, as_user: str | None, stream: bool, project_path: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Call the function FN with the arguments in JSON, and print what it answers as JSON.

    Without --as it runs as the system, past the policies: it is your own data. `--as anonymous`
    is who is not signed in. Leaving with ctrl+c cancels an action.
    """
    try:
        args = jsonvalue.parse(arguments.encode())
    except InvalidJson as error:
        raise click.UsageError(
            f'the arguments are not JSON: {error.message}; write them such as \'{{"text":"hi"}}\''
        ) from error
    if not isinstance(args, dict):
        raise click.UsageError('the arguments are one JSON object, such as {"text":"hi"}')
    parts = 0

    def print_part(value: Any) -> None:
        nonlocal parts
        parts += 1
        print_json(value if not as_json else {"part": value})

    async def ask(admin: AdminClient) -> Any:
        try:
            return await admin.call(fn, args, as_user, print_part if stream else None)
        except AdminError as error:
            if error.code in ("NOT_FOUND", "INVALID_ARGUMENT"):
                await _say_if_closed(admin, fn)
            raise

    value = ask_runtime(find_project(project_path), ask)
    if as_json:
        print_json({"value": value})
    elif not parts:
        print_json(value)


async def _say_if_closed(admin: AdminClient, fn: str) -> None:
    """Raise CommandFailed for a function that is not for callers, or AdminError for none.

    A built-in one is in no list; what was said of it stands.
    """
    try:
        found = await admin.get(f"admin/functions/{AdminClient.quoted(fn)}")
    except AdminError as error:
        if error.code == "NOT_FOUND" and not fn.startswith("pylon."):
            error.hint = error.hint or "`pylon functions` lists them"
            raise
        return
    kind = found["kind"]
    if kind == "workflow":
        raise CommandFailed(f"{fn} is a workflow", f"pylon workflows start {fn} JSON")
    if kind == "job":
        raise CommandFailed(
            f"{fn} is a job: its queue runs it",
            f"have a function enqueue it: ctx.jobs.enqueue({fn}, …)",
        )
    if found["internal"]:
        raise CommandFailed(
            f"{fn} is internal: only the app calls it",
            f"call a function that does it by ctx.run({fn}, …)",
        )


@click.command(short_help="List rows of an entity.")
@click.argument("entity")
@click.argument("expression", required=False)
@click.option("--order", multiple=True, help="A field, or -field; may be given again.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--after", help="Go on after this key of the page before.")
@click.option("--at", "place", metavar="SEQ|TIME", help="The rows as they were after a change.")
@as_option
@project_option
@json_option
def query(
    entity: str, expression: str | None, order: tuple[str, ...], limit: int, after: str | None,
    place: str | None, as_user: str | None, project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """List rows of ENTITY that match EXPRESSION, in the policy language with bare field names.

    Example: pylon query Message 'body != null && contains(body, "hi")' --order -sentAt
    """
    body = {
        "entity": entity, "expression": expression, "order": list(order) or None, "limit": limit,
        "after": after, "as": as_user,
    }  # fmt: skip

    async def ask(admin: AdminClient) -> dict[str, Any]:
        return await (_past(admin, body, place) if place else admin.post("admin/query", body))

    try:
        answer = ask_runtime(find_project(project_path), ask)
    except AdminError as error:
        error.hint = error.hint or _next_step(error, entity)
        raise
    if as_json:
        print_json(answer)
        return
    rows: list[dict[str, Any]] = answer["rows"]
    if rows:
        heads = [name for name in rows[0] if name != "_seq"]
        print_table(heads, [[row.get(name) for name in heads] for row in rows])
    else:
        print_line("no rows")
    if answer.get("next"):
        say(f"there is more: --after {answer['next']}")


def _next_step(error: AdminError, entity: str) -> str | None:
    """Return where to look after a question that named what is not there."""
    if error.code == "NOT_FOUND":
        return "`pylon rows` lists the entities"
    if error.code == "INVALID_ARGUMENT":
        return f"`pylon schema {entity}` lists the fields; `pylon query --help` has an example"
    return None


async def _past(admin: AdminClient, body: dict[str, Any], place: str) -> dict[str, Any]:
    """Return a page of rows as they were, in the form of `admin/query`."""
    seq = (await point_of(admin, place))["seq"]
    found = await admin.get(
        f"admin/data/{AdminClient.quoted(body['entity'])}",
        **{
            "filter": body["expression"], "order": ",".join(body["order"] or []) or None,
            "limit": body["limit"], "after": body["after"], "as": body["as"], "as_of": seq,
        },
    )  # fmt: skip
    following = found["keys"][-1][1] if found["more"] else None
    return {"rows": found["rows"], "next": following, "as_of": seq}
