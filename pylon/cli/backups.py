"""`pylon backups`: which there are; make, prove, restore, send and drop them.

Beside a running app the runtime does the work, and the command shows how far it is; of a stopped
one the command does it itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import click

from pylon.cli.backup_reach import (
    ask_backups,
    described,
    keeper_of,
    restarted,
    restored_by,
    shown_by,
    with_keeper,
    work_on,
)
from pylon.cli.copies import ask_for
from pylon.cli.files import size_text
from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import CommandFailed, print_json, print_line, print_pair, print_table, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor.registry import running_runtime

_GLYPHS = {"proven": "✓", "failed": "✗", "unproven": "?"}


@click.group(
    cls=ListGroup, invoke_without_command=True,
    short_help="List the backups; create, verify, restore, drop.",
)  # fmt: skip
@project_option
@json_option
@click.pass_context
def backups(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """List the backups of a project; create, verify, restore and drop them.

    `pylon backups` alone is `pylon backups list`. A backup is *proven* once it was restored into a
    temporary place and holds there what was copied.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


@backups.command("list", short_help="List the backups, and when the next is due.")
@click.option("--from", "place", metavar="URL", help="Those that were sent there: file:///… s3://…")
@project_option
@json_option
def list_backups(
    place: str | None = None, project_path: str | None = None, as_json: bool = False
) -> None:
    """List the backups of a project, the newest first, and when the next is due."""
    project = find_project(project_path)
    if place is not None:
        _list_away(project, place, as_json=as_json)
        return
    found = ask_backups(project, "GET", "admin/backups", described)
    if as_json:
        print_json(found)
        return
    if not found["backups"]:
        say("there are no backups; one is made with: pylon backups create")
    else:
        print_table(
            ["NAME", "KIND", "STATE", "AGE", "SIZE", "ROWS", "FILES", "SEQ", "ELSEWHERE"],
            [
                [one["name"], one["kind"], f"{_GLYPHS[one['state']]} {one['state']}",
                 age_text(one["age_s"]), size_text(one["bytes"]), one["rows"],
                 one["files"].get("contents", 0), one["head"], away_text(one["away"])]
                for one in found["backups"]
            ],
        )  # fmt: skip
        for one in found["backups"]:
            if one["why"]:
                say(f"{one['name']}: {one['why']}")
    age = found["proven_age_s"]
    say("never proven" if age is None else f"proven {age_text(age)} ago")
    schedule = found["schedule"] or "none; [backup] in pylon.toml sets one"
    say(f"schedule: {schedule}" + (f", next {found['next_at']}" if found["next_at"] else ""))


def age_text(seconds: int) -> str:
    """Return an age for people: `3 h`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def away_text(away: list[dict[str, str]]) -> str:
    """Return where else a backup is, in a word each."""
    return ", ".join(
        f"{_GLYPHS.get(one['state'], '?')} {one['to'].partition(':')[0]}" for one in away
    )


@backups.command("create", short_help="Make a backup, and prove it.")
@click.option(
    "--to", metavar="URL", help="Copy it there as well: file:///folder or s3://bucket/prefix."
)
@project_option
@json_option
def create(to: str | None, project_path: str | None, as_json: bool) -> None:
    """Make a backup into the project's folder of backups and prove it, while the app runs or not.

    Exits 1 where it could not be made, proven, or sent.
    """
    make_backup(find_project(project_path), to, as_json=as_json)


def make_backup(project: Path, to: str | None, *, as_json: bool) -> None:
    """Make a backup, prove it, copy it elsewhere as well, and print what became of it.

    Raises click.UsageError for an address that says no place, CommandFailed unless all is well.
    """
    _demand_place("--to", to)
    made = work_on(
        project, "admin/backups", {"to": to}, lambda keeper: keeper.make("hand", to or "")
    )
    _report(made, as_json=as_json)


@backups.command("verify", short_help="Prove a backup anew, by restoring it apart.")
@click.argument("name")
@project_option
@json_option
def verify(name: str, project_path: str | None, as_json: bool) -> None:
    """Restore the backup NAME into a temporary place and compare; nothing else is touched."""
    project = find_project(project_path)
    path = f"admin/backups/{AdminClient.quoted(name)}/verify"
    _report(work_on(project, path, {}, lambda keeper: keeper.verify(name)), as_json=as_json)


@backups.command("send", short_help="Copy a backup off this machine.")
@click.argument("name")
@click.option("--to", metavar="URL", help="Where to (default: backup.to of pylon.toml).")
@project_option
@json_option
def send(name: str, to: str | None, project_path: str | None, as_json: bool) -> None:
    """Copy the backup NAME to a folder or bucket elsewhere, read it back, and compare."""
    project = find_project(project_path)
    path = f"admin/backups/{AdminClient.quoted(name)}/send"
    _demand_place("--to", to)

    def sent(keeper: Any) -> Awaitable[Any]:
        where = to or keeper.settings.to
        if not where:
            raise CommandFailed("nothing says where to", "--to URL, or backup.to in pylon.toml")
        return keeper.send(name, where)  # type: ignore[no-any-return]

    _report(work_on(project, path, {"to": to}, sent), as_json=as_json)


@backups.command("fetch", short_help="Bring a backup back from elsewhere.")
@click.argument("name")
@click.option("--from", "place", metavar="URL", required=True, help="Where it was sent.")
@project_option
@json_option
def fetch(name: str, place: str, project_path: str | None, as_json: bool) -> None:
    """Bring the backup NAME back into the project's folder of backups, checked by its hash."""
    project = find_project(project_path)
    _demand_place("--from", place)

    async def fetched(keeper: Any) -> str:
        from pylon.server.backups import places

        keeper.folder.prepare()
        there = places.open_place(place, keeper.settings.keys)
        return str(await places.fetch(there, name, keeper.folder.path))

    file = with_keeper(project, fetched)
    if as_json:
        print_json({"name": name, "file": file})
    else:
        print_line(file)
        say(f"prove it before you need it: pylon backups verify {name}")


@backups.command("restore", short_help="Put a backup in the place of the database.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@project_option
@json_option
def restore(name: str, yes: bool, project_path: str | None, as_json: bool) -> None:
    """Put the backup NAME in the place of the project's database, while the app runs or not.

    What is there now is kept as an automatic backup first. Everybody signs in again, and every
    client loads anew: what was written since the backup is gone for them too. A running app stops
    for a moment.
    """
    project = find_project(project_path)
    found = ask_backups(project, "GET", f"admin/backups/{AdminClient.quoted(name)}", shown_by(name))
    if not yes:
        say(f"{name} is of {found['at']} ({found['state']}), at seq {found['head']}")
        say(f"it replaces the database of {project.name}; everybody must sign in again")
        ask_for(name)
    if running_runtime(project) is not None:
        say("restoring … the app stops for a moment")
        path = f"admin/backups/{AdminClient.quoted(name)}/restore"
        done = asyncio.run(restarted(project, path, name))
    else:
        done = with_keeper(project, lambda keeper: restored_by(project, keeper, name))
    if as_json:
        print_json(done)
    else:
        print_line(f"{project.name} is as {name} was, at seq {done['head']}")
        say(f"what was there before: {done['kept'] or 'nothing'}")


@backups.command("drop", short_help="Remove a backup for good.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@project_option
@json_option
def drop(name: str, yes: bool, project_path: str | None, as_json: bool) -> None:
    """Remove the backup NAME with its files. Copies elsewhere stay."""
    project = find_project(project_path)
    ask_backups(project, "GET", f"admin/backups/{AdminClient.quoted(name)}", shown_by(name))
    if not yes:
        ask_for(name)

    async def dropped(keeper: Any) -> dict[str, Any]:
        return keeper.drop(name).to_json(SystemClock().machine_ms())  # type: ignore[no-any-return]

    path = f"admin/backups/{AdminClient.quoted(name)}/drop"
    gone = ask_backups(project, "POST", path, dropped, {"confirm": name})
    if as_json:
        print_json(gone)
    else:
        print_line(f"{gone['name']} is gone")


def _report(made: dict[str, Any], *, as_json: bool) -> None:
    """Say what became of a backup; raises CommandFailed unless all is well."""
    bad = [one for one in made["away"] if one["state"] == "failed"]
    if as_json:
        print_json(made)
    else:
        for key in ("name", "state", "at", "head", "rows", "sha256", "took_ms"):
            print_pair(key, made[key])
        print_pair("size", size_text(made["bytes"]))
        for one in made["away"]:
            print_pair("elsewhere", f"{one['state']}: {one['to']}")
    if made["state"] != "proven":
        raise CommandFailed(f"{made['name']} is not proven: {made['why']}", "`pylon verify` looks"
                            " at the database itself")  # fmt: skip
    if bad:
        raise CommandFailed(f"{made['name']}: {bad[-1]['why']}")


def _demand_place(option: str, url: str | None) -> None:
    """Raise click.UsageError for an address that says no place, before anything is done."""
    from pylon.server.backups.places import parse_place

    try:
        parse_place(url or "")
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


async def _away(project: Path, place: str) -> list[dict[str, Any]]:
    from pylon.server.backups import places

    return await places.listed(places.open_place(place, keeper_of(project).settings.keys))


def _list_away(project: Path, place: str, *, as_json: bool) -> None:
    _demand_place("--from", place)
    found = asyncio.run(_away(project, place))
    if as_json:
        print_json({"backups": found, "from": place})
        return
    print_table(
        ["NAME", "KIND", "AT", "SIZE", "ROWS", "SEQ"],
        [
            [one["name"], str(one.get("kind")), str(one.get("at")), size_text(int(one["bytes"])),
             one.get("rows"), one.get("head")]
            for one in found
        ],
    )  # fmt: skip
