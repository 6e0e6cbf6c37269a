"""`pylon mail`: what the running app sent, and how its templates look with sample data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click

from pylon import jsonvalue
from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient, AdminError
from pylon.errors import InvalidJson

_ONLY_DEV: Final = "previews are a power of `pylon dev`"


@click.group(
    cls=ListGroup,
    invoke_without_command=True,
    short_help="Show what was sent, and preview templates.",
)
@project_option
@json_option
@click.pass_context
def mail(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """Show what the running app sent, and preview its templates.

    `pylon mail` alone is `pylon mail list`.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


@mail.command("list", short_help="List the mails that were sent, and the templates.")
@project_option
@json_option
def list_mail(project_path: str | None = None, as_json: bool = False) -> None:
    """List the mails that were sent since the runtime started, and the templates."""

    async def ask(admin: AdminClient) -> dict[str, Any]:
        found = await admin.get("admin/mail")
        try:
            found |= await admin.get("admin/mail/templates")
        except AdminError as error:
            if error.code != "NOT_FOUND":
                raise
            found["templates"] = []  # in production
        return found

    found = ask_runtime(find_project(project_path), ask)
    if as_json:
        print_json(found)
        return
    if found["templates"]:
        print_table(
            ["TEMPLATE", "FROM", "HTML", "SAMPLE"],
            [
                [one["name"], one["from"], _mark(one["has_html"]), _mark(one["has_sample"])]
                for one in found["templates"]
            ],
        )
        print_line("")
    if found["mails"]:
        print_table(
            ["ID", "AT", "TO", "SUBJECT"],
            [[one["id"], one["at"], one["to"], one["subject"]] for one in found["mails"]],
        )
    else:
        say("no mail was sent since the runtime started")


def _mark(is_there: bool) -> str:
    return "yes" if is_there else "-"


@mail.command("show", short_help="Show one mail that was sent.")
@click.argument("mail_id", metavar="ID")
@project_option
@json_option
def show(mail_id: str, project_path: str | None, as_json: bool) -> None:
    """Show one mail that was sent."""

    async def ask(admin: AdminClient) -> dict[str, Any]:
        return await admin.get("admin/mail")

    mails = ask_runtime(find_project(project_path), ask)["mails"]
    found = next((one for one in mails if one["id"] == mail_id), None)
    if found is None:
        raise CommandFailed(f"there is no mail {mail_id} (any more)", "pylon mail lists them")
    if as_json:
        print_json(found)
        return
    print_line(f"To: {found['to']}\nSubject: {found['subject']}\nDate: {found['at']}\n")
    print_line(found["text"] or "(what it says is not shown)")


@mail.command("preview", short_help="Show what a template makes of sample data.")
@click.argument("name")
@click.option("--data", "text", metavar="JSON", help="Instead of mail/NAME.sample.json (@FILE).")
@click.option("--html", "is_html", is_flag=True, help="Print the HTML instead of the text.")
@project_option
@json_option
def preview(
    name: str, text: str | None, is_html: bool, project_path: str | None, as_json: bool
) -> None:
    """Show what template NAME makes of its sample data; exits 1 for a mistake in it."""
    data = None if text is None else _data_of(text)

    async def ask(admin: AdminClient) -> dict[str, Any]:
        return await admin.post("admin/mail/preview", {"template": name, "data": data})

    try:
        found = ask_runtime(find_project(project_path), ask)
    except AdminError as error:
        if error.code in ("NOT_FOUND", "METHOD_NOT_ALLOWED"):
            raise CommandFailed("this runtime shows no templates", _ONLY_DEV) from error
        raise
    if as_json:
        print_json(found)
    if found["error"] is not None:
        raise CommandFailed(found["error"]["message"], hint_for(found))
    if as_json:
        return
    if is_html:
        if found["html"] is None:
            raise CommandFailed(f"there is no mail/{name}.html")
        print_line(found["html"].rstrip())
        return
    print_line(f"Subject: {found['subject']}\n")
    print_line(found["text"].rstrip())
    say(f"in a browser: open the Mail screen of `pylon`, v; path {found['page']}")


def hint_for(found: dict[str, Any]) -> str | None:
    """Return what to do about a mistake: most often, a value is missing in the sample."""
    missing = re.search(r"'(\w+)' is undefined", found["error"]["message"])
    if missing is None:
        return None
    return f'put it into mail/{found["name"]}.sample.json: {{"{missing[1]}": …}}'


def _data_of(text: str) -> dict[str, Any]:
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        value = jsonvalue.parse(raw)
    except OSError as error:
        raise CommandFailed(f"{text[1:]}: {error.strerror}") from error
    except InvalidJson as error:
        raise click.UsageError(f"--data: {error.message}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--data is a JSON object")
    return value
