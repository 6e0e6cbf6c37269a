"""`pylon log stats` and `pylon log trim`: how large the change log is, and making it shorter."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from pylon.cli.output import print_json, print_line, print_table, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.supervisor.registry import running_runtime


@click.group(short_help="Show the size of the change log, or trim it.")
def log() -> None:
    """Show the size of the change log, or trim it.

    The log is trimmed by itself as the settings log.retain_changes and log.retain_days say.
    """


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
        print_line(
            f"furthest  {back['client_id']} of {back['email'] or 'nobody signed in'}: "
            f"{back['cursor']}, {back['behind']} changes behind, last seen {back['last_seen']}"
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
    say(f"{done['trimmed']} changes went")
    print_line(f"horizon   {done['horizon']}")
    print_line(f"head      {done['head']}")
