"""`pylon token`, `roles` and `login-link`: accounts, with or without a running runtime."""

from __future__ import annotations

from typing import Any

import click

from pylon.cli.output import print_json, print_line, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_people


@click.command(short_help="Make an API token for a user.")
@click.argument("user")
@click.option("--days", default=90.0, show_default=True, help="How long it is valid.")
@click.option("--name", help="What it is for, shown in the list of sessions.")
@click.option("--read-only", is_flag=True, help="It writes nothing and calls queries only.")
@click.option("--entity", "entities", multiple=True, help="Only rows of this one; repeatable.")
@click.option("--function", "functions", multiple=True, help="Only this one; repeatable.")
@project_option
@json_option
def token(
    user: str, days: float, name: str | None, read_only: bool, entities: tuple[str, ...],
    functions: tuple[str, ...], project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make an API token for USER, an e-mail address or a user id, and print it once.

    Send it as `Authorization: Bearer TOKEN`. An unknown address gets an account.
    """
    scope: dict[str, Any] = {"read_only": True} if read_only else {}
    scope |= {"entities": list(entities)} if entities else {}
    scope |= {"functions": list(functions)} if functions else {}
    project = find_project(project_path)
    made = ask_people(
        project,
        lambda admin: admin.post(
            "admin/token", {"user": user, "days": days, "name": name, "scope": scope or None}
        ),
        lambda people: people.make_token(user, days=days, name=name, scope=scope or None),
    )
    if as_json:
        print_json(made)
        return
    say(f"token of {made['email']}, valid until {made['expires_at']}; it is shown only now")
    print_line(made["token"])


@click.group(short_help="Grant a role to a user, or take it back.")
def roles() -> None:
    """Grant a role to a user, or take it back; live connections are told at once.

    The role `admin` makes `auth.isAdmin` true in policies.
    """


def _change_role(
    user: str, role: str, project_path: str | None, *, grant: bool, as_json: bool
) -> None:
    changed = ask_people(
        find_project(project_path),
        lambda admin: admin.post("admin/roles", {"user": user, "role": role, "grant": grant}),
        lambda people: people.change_role(user, role, grant=grant),
    )
    if as_json:
        print_json(changed)
    else:
        print_line(f"{changed['email']}: {', '.join(changed['roles']) or 'no roles'}")


@roles.command("grant")
@click.argument("user")
@click.argument("role")
@project_option
@json_option
def grant(user: str, role: str, project_path: str | None, as_json: bool) -> None:
    """Grant ROLE to USER; an unknown address gets an account."""
    _change_role(user, role, project_path, grant=True, as_json=as_json)


@roles.command("revoke")
@click.argument("user")
@click.argument("role")
@project_option
@json_option
def revoke(user: str, role: str, project_path: str | None, as_json: bool) -> None:
    """Take ROLE back from USER."""
    _change_role(user, role, project_path, grant=False, as_json=as_json)


@click.command(name="login-link", short_help="Make a one-time sign-in link for a user.")
@click.argument("user")
@project_option
@json_option
def login_link(user: str, project_path: str | None, as_json: bool) -> None:
    """Make a one-time sign-in link for USER, for when mail does not work."""
    project = find_project(project_path)
    made = ask_people(
        project,
        lambda admin: admin.post("admin/login-link", {"user": user}),
        lambda people: people.make_login_link(user, origin_of_project(project)),
    )
    if as_json:
        print_json(made)
        return
    say(f"signs {made['email']} in, once, within ten minutes")
    print_line(made["url"])


def origin_of_project(project: Any) -> str:
    """Return where people reach a project, by its settings and its `.env`."""
    import os

    from pylon.server.config import load_config, load_dotenv, origin_of

    environment = {**os.environ, **load_dotenv(project, os.environ)}
    return origin_of(load_config(project, is_dev=True, flags={}, environment=environment))
