"""`pylon users`: accounts listed, looked at, locked out, let in, invited, deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import click

from pylon.cli.asking import is_confirmed
from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.people import origin_of_project
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_people, ask_runtime
from pylon.client.admin import AdminClient, AdminError
from pylon.client.erased_text import erased_words
from pylon.printable import clean


@click.group(
    cls=ListGroup, invoke_without_command=True, short_help="List the accounts, and manage them."
)
@project_option
@json_option
@click.pass_context
def users(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """List the accounts with their roles, or manage one: see the commands below.

    `pylon users` alone is `pylon users list`.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


@users.command("list")
@click.option(
    "--search", help="Words in address, id or roles; role:x, state:x; a ! before it turns it round."
)
@project_option
@json_option
def list_users(
    search: str | None = None, project_path: str | None = None, as_json: bool = False
) -> None:
    """List the accounts with their roles."""
    listed = ask_people(
        find_project(project_path),
        lambda admin: _every(lambda after: admin.get("admin/users", search=search, after=after)),
        lambda people: _every(lambda after: people.list_users(search=search, after=after)),
    )["users"]
    if as_json:
        print_json(listed)
        return
    if not listed:
        raise CommandFailed(
            "there are no accounts yet" if search is None else f"no account has {search}",
            "they come with the first sign-in, or: pylon users invite EMAIL"
            if search is None
            else "words, role:NAME, state:STATE (`pylon users` lists all), ! before the line",
        )
    print_table(
        ["EMAIL", "ROLES", "STATE", "ID"],
        [
            [one["email"] or "-", ", ".join(one["roles"]) or "-", one["state"], one["id"]]
            for one in listed
        ],
    )


async def _every(page: Callable[[str | None], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Return the accounts of all pages; `page` takes the key that the one before ended with."""
    users: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        found = await page(after)
        users += found["users"]
        before, after = after, found["next"]
        if after is None:
            return {"users": users}
        if after == before:  # of another version; asked again it would be the same without end
            raise AdminError("the runtime tells one page of its accounts again and again")


def _path(user: str, verb: str = "") -> str:
    return f"admin/users/{AdminClient.quoted(user)}" + (f"/{verb}" if verb else "")


def _ask(
    project_path: str | None, user: str, verb: str, body: dict[str, Any],
    offline: Callable[[Any], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:  # fmt: skip
    return ask_people(
        find_project(project_path), lambda admin: admin.post(_path(user, verb), body), offline
    )


@users.command("show")
@click.argument("user")
@project_option
@json_option
def show(user: str, project_path: str | None, as_json: bool) -> None:
    """Show what USER is, and what signs him in."""

    async def offline(people: Any) -> dict[str, Any]:
        shown: dict[str, Any] = people.show(user)
        return shown

    shown = ask_people(find_project(project_path), lambda admin: admin.get(_path(user)), offline)
    if as_json:
        print_json(shown)
        return
    ways = [name for name in ("password", "totp") if shown[name]]
    ways += [one["issuer"] for one in shown["identities"]]
    for name, value in (
        ("id", shown["user_id"]), ("email", shown["email"] or "-"),
        ("roles", ", ".join(shown["roles"]) or "-"), ("state", shown["state"]),
        ("since", shown["created_at"]), ("has", ", ".join(ways) or "codes only"),
        ("sessions", str(len(shown["sessions"]))),
    ):  # fmt: skip
        print_line(f"{name:<9}{value}")
    for one in shown["sessions"]:
        print_line(f"  {one['id']}  {one['kind']:<7}  {clean(one['name'] or one['device'] or '-')}")


@users.command("disable")
@click.argument("user")
@project_option
@json_option
def disable(user: str, project_path: str | None, as_json: bool) -> None:
    """Lock USER out: sockets close at once, no session or token works until he is enabled."""
    done = _ask(project_path, user, "disable", {},
                lambda people: people.set_disabled(user, disabled=True))  # fmt: skip
    _report(done, f"{_name(done)} is disabled", as_json=as_json)


@users.command("enable")
@click.argument("user")
@project_option
@json_option
def enable(user: str, project_path: str | None, as_json: bool) -> None:
    """Let USER in again."""
    done = _ask(project_path, user, "enable", {},
                lambda people: people.set_disabled(user, disabled=False))  # fmt: skip
    _report(done, f"{_name(done)} is enabled", as_json=as_json)


@users.command("revoke")
@click.argument("user")
@click.option("--session", help="Only this one, by its id.")
@project_option
@json_option
def revoke(user: str, session: str | None, project_path: str | None, as_json: bool) -> None:
    """End all sessions and tokens of USER."""
    done = _ask(project_path, user, "revoke", {"session": session},
                lambda people: people.revoke(user, session))  # fmt: skip
    _report(done, f"{_name(done)}: {done['ended']} ended", as_json=as_json)


@users.command("reset-factor")
@click.argument("user")
@project_option
@json_option
def reset_factor(user: str, project_path: str | None, as_json: bool) -> None:
    """Take the second factor of USER away, whose phone and recovery codes are lost."""
    done = _ask(project_path, user, "reset-factor", {},
                lambda people: people.reset_factor(user))  # fmt: skip
    had = "has no second factor any more" if done["removed"] else "had no second factor"
    _report(done, f"{_name(done)} {had}", as_json=as_json)


@users.command("invite")
@click.argument("email")
@click.option("--role", "roles", multiple=True, help="Grant it; repeatable.")
@project_option
@json_option
def invite(email: str, roles: tuple[str, ...], project_path: str | None, as_json: bool) -> None:
    """Make an account for EMAIL, and a link that signs it in once, within a week.

    A running runtime mails it, too.
    """
    project = find_project(project_path)
    made = ask_people(
        project,
        lambda admin: admin.post("admin/invite", {"email": email, "roles": list(roles)}),
        lambda people: people.invite(email, list(roles), origin_of_project(project)),
    )
    if as_json:
        print_json(made)
        return
    way = made.get("mail")
    sent = "no runtime runs, so no mail is sent; pass the link on yourself"
    if way is not None:
        sent = f"its mail goes to {way.get('host') or way['folder']}"
    say(f"signs {made['email']} in, once, within a week; {sent}")
    print_line(made["url"])


@users.command("delete")
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@project_option
@json_option
def delete(user: str, yes: bool, project_path: str | None, as_json: bool) -> None:
    """Delete USER: account, sessions, and the rows that the app's references say."""
    if not yes and not is_confirmed(f"delete {user} and what belongs to him?"):
        raise CommandFailed("nothing was deleted")
    done = _ask(project_path, user, "delete", {}, lambda people: people.delete(user))
    _report(done, f"{_name(done)} is deleted", as_json=as_json)


@users.command("erase")
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@project_option
@json_option
def erase(user: str, yes: bool, project_path: str | None, as_json: bool) -> None:
    """Erase USER: as delete, and also from the log, remembered answers, jobs, mails and files.

    Asks the running runtime. It cannot be undone, and backups made before still have him.
    """
    project = find_project(project_path)
    if not yes and not is_confirmed(f"erase {user} and all that is left of him, for good?"):
        raise CommandFailed("nothing was erased")
    done = ask_runtime(project, lambda admin: admin.post(_path(user, "erase"), {}, is_patient=True))
    _report(done, "\n".join(erased_words(done)), as_json=as_json)


@users.command("export")
@click.argument("user")
@project_option
@json_option
def export(user: str, project_path: str | None, as_json: bool) -> None:
    """Print what USER's own export says; asks the running runtime.

    It is JSON with and without `--json`.
    """
    project = find_project(project_path)
    print_json(ask_runtime(project, lambda admin: admin.get(_path(user, "export"))))


def _name(done: dict[str, Any]) -> str:
    return str(done["email"] or done["user_id"])


def _report(done: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
    else:
        print_line(text)
