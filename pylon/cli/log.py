"""`pylon log`: a point of it, how large it is, making it shorter, and taking a stretch along."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import click

from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.past import point_of
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.cli.watching import change_line
from pylon.client.admin import AdminClient, AdminError
from pylon.client.past_text import retained_words
from pylon.printable import changes_in, counted, shell_line
from pylon.supervisor.registry import running_runtime

_NEWEST: Final = 20


@click.group(
    invoke_without_command=True, short_help="List the newest changes; look at a point, save, trim."
)
@click.option("--at", "place", metavar="SEQ|TIME", help="Show the app as it was after a change.")
@project_option
@json_option
@click.pass_context
def log(ctx: click.Context, place: str | None, project_path: str | None, as_json: bool) -> None:
    """List the newest changes, look at one point, show its size, trim it, save a stretch of it.

    `pylon log --at SEQ` says what that change was, what stood before and after it, and how many
    rows there were; `pylon query ENTITY --at SEQ` lists them. The log is trimmed by itself as the
    settings log.retain_changes and log.retain_days say.
    """
    if ctx.invoked_subcommand is not None:
        if place is not None or as_json or project_path is not None:
            raise click.UsageError(f"options stand behind {ctx.invoked_subcommand}")
        return
    if place is None:
        _newest(project_path, as_json=as_json)
        return
    wanted = place

    async def ask(admin: AdminClient) -> dict[str, Any]:
        point = await point_of(admin, wanted)
        rows: dict[str, Any] = {}
        for one in (await admin.get("admin/data"))["entities"]:
            path = f"admin/data/{AdminClient.quoted(one['name'])}"
            try:
                rows[one["name"]] = (await admin.get(path, count=1, as_of=point["seq"]))["count"]
            except AdminError as error:
                if error.code != "NOT_FOUND":
                    raise
                rows[one["name"]] = None  # its table of then was dropped
        return {**point, "rows": rows}

    found = ask_runtime(find_project(project_path), ask)
    if as_json:
        print_json(found)
        return
    change = found["change"]
    print_line(f"as of     {found['seq']}  {found['at'] or '-'}")
    if change is not None:
        print_line(
            f"change    {change['seq']}  {change['kind']} {change['entity']}/{change['row_id']}"
            f" by {change['user'] or 'system'} ({change['cause']})  {change['effect']}"
        )
    print_line(f"before    {_or_none(found['previous'])}")
    print_line(f"after     {_or_none(found['following'])}")
    if found["rewritten"]:
        print_line(f"schema    changed later ({found['rewritten']}): shown in the fields of now")
    print_table(["ENTITY", "ROWS"], [[name, count] for name, count in found["rows"].items()])
    say(retained_words(found["retained"]))


def _newest(project_path: str | None, *, as_json: bool) -> None:
    """List the newest changes, the newest last."""
    found = ask_runtime(
        find_project(project_path), lambda admin: admin.get("admin/log", limit=_NEWEST)
    )
    if as_json:
        print_json(found["changes"])
        return
    for one in found["changes"]:
        print_line(change_line(one))
    say("pylon tail follows them; --at SEQ tells about one")


def _or_none(seq: int | None) -> str:
    return "-" if seq is None else str(seq)


@log.command("stats", short_help="Show how large the log is and how far back it reaches.")
@project_option
@json_option
def stats(project_path: str | None, as_json: bool) -> None:
    """Show entries and bytes by entity, horizon, head, age, and who stands furthest back."""
    project = find_project(project_path)
    found: dict[str, Any]
    if running_runtime(project) is not None:
        found = ask_runtime(project, lambda admin: admin.get("admin/log-stats"))
    else:
        from pylon.server.offline import read_log_stats

        found = asyncio.run(read_log_stats(project))
    if as_json:
        print_json(found)
        return
    rows = [[one["entity"], one["entries"], one["bytes"]] for one in found["entities"]]
    print_table(["ENTITY", "ENTRIES", "BYTES"], [*rows, ["all", found["entries"], found["bytes"]]])
    age = found["oldest_age_s"]
    print_line(f"horizon   {found['horizon']}")
    print_line(f"head      {found['head']}")
    print_line(f"oldest    {'-' if age is None else _age(age)}")
    print_line(f"clients   {found['clients']} known, {found['clients_beyond']} must load anew")
    back = found["furthest_back"]
    if back is not None:
        behind = counted(back["behind"], "change")
        print_line(
            f"furthest  {back['client_id']} of {back['email'] or 'nobody signed in'}: "
            f"{back['cursor']}, {behind} behind, last seen {back['last_seen']}"
        )


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


@log.command("trim", short_help="Delete what is beyond both bounds, now.")
@click.option(
    "--keep-changes", type=click.IntRange(min=0), metavar="N",
    help="Keep the newest N changes (default: log.retain_changes).",
)  # fmt: skip
@click.option(
    "--keep-days", type=click.IntRange(min=0), metavar="N",
    help="Keep the changes of the last N days (default: log.retain_days).",
)  # fmt: skip
@project_option
@json_option
def trim(
    keep_changes: int | None, keep_days: int | None, project_path: str | None, as_json: bool
) -> None:
    """Delete the changes that are beyond both bounds, now; rows are not touched.

    Clients whose cursor is before the new horizon load everything anew when they come back.
    """
    project = find_project(project_path)
    if running_runtime(project) is not None:
        body = {"keep_changes": keep_changes, "keep_days": keep_days}
        done = ask_runtime(project, lambda admin: admin.post("admin/log-trim", body))
    else:
        from pylon.server.offline import database_path, trim_log

        database_path(project)
        done = asyncio.run(trim_log(project, keep_changes, keep_days))
    if as_json:
        print_json(done)
        return
    say(f"{counted(done['trimmed'], 'change')} went")
    print_line(f"horizon   {done['horizon']}")
    print_line(f"head      {done['head']}")


@log.command("save", short_help="Save a stretch of changes as a test.")
@click.argument("first", type=click.IntRange(min=1), metavar="FROM")
@click.argument("last", type=click.IntRange(min=1), metavar="TO")
@click.option(
    "--as-pytest", "target", required=True, type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE", help="The test to write; it must not be there yet.",
)  # fmt: skip
@project_option
@json_option
def save(first: int, last: int, target: Path, project_path: str | None, as_json: bool) -> None:
    """Save the changes FROM to TO, with the rows that they start from, as a test that pytest runs.

    Whole transactions are saved. The test makes those rows, goes through the changes and sees that
    each row ends as it did. It holds the values of your rows, private fields among them; files are
    left out.
    """
    if last < first:
        raise click.UsageError("FROM is before TO")
    project = find_project(project_path)
    found = ask_runtime(
        project, lambda admin: admin.get("admin/log-range", **{"from": first, "to": last})
    )
    from pylon.client.log_pytest import pytest_file

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(pytest_file(found, project.name))
    except FileExistsError as error:
        raise CommandFailed(f"{target} is there already", "choose another name") from error
    except OSError as error:
        raise CommandFailed(f"{target} can't be written: {error.strerror}") from error
    done = {
        "file": str(target), "from": found["from"], "to": found["to"],
        "changes": len(found["changes"]), "rows": len(found["before"]),
    }  # fmt: skip
    if as_json:
        print_json(done)
        return
    print_line(
        f"saved {counted(done['changes'], 'change')} ({done['from']} to {done['to']}) in {target}"
    )
    say(f"run it by: {shell_line('test', target)}")


@log.command("replay", short_help="Make a stretch of changes once more, on a branch.")
@click.argument("first", type=click.IntRange(min=1), metavar="FROM")
@click.argument("last", type=click.IntRange(min=1), metavar="TO")
@click.option("--into", required=True, metavar="BRANCH", help="A branch that is not in use.")
@project_option
@json_option
def replay(first: int, last: int, into: str, project_path: str | None, as_json: bool) -> None:
    """Make the changes FROM to TO once more on BRANCH, as writes into its own log.

    Whole transactions, one after the other; it ends at the first one that the branch refuses. No
    function, job or mail runs. `pylon branch diff` says what came of it.
    """
    if last < first:
        raise click.UsageError("FROM is before TO")
    body = {"from": first, "to": last, "into": into}
    done = ask_runtime(
        find_project(project_path), lambda admin: admin.post("admin/log-replay", body)
    )
    if as_json:
        print_json(done)
    else:
        print_line(f"{changes_in(done['changes'], done['transactions'])} on {into}")
    refused = done["refused"]
    if refused is not None:
        raise CommandFailed(
            f"change {refused['seq']} was refused there: {refused['error']['message']}",
            refused["error"].get("hint") or f"pylon branch diff {into} says how they differ",
        )
