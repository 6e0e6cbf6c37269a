"""`pylon migrate`: what the app's schema asks of the database, shown or carried out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.project import find_project, json_option, project_argument
from pylon.supervisor.registry import running_runtime


@click.command(short_help="Show or apply the pending migration.")
@project_argument
@click.option("--plan", "only_plan", is_flag=True, help="Show the plan and stop (the default).")
@click.option(
    "--apply", "apply_it", is_flag=True, help="Carry it out: your consent, where one is needed."
)
@click.option("--status", "only_status", is_flag=True, help="List the data migrations.")
@json_option
def migrate(
    path: str | None, only_plan: bool, apply_it: bool, only_status: bool, as_json: bool
) -> None:
    """Show what the app's schema asks of the database, with counts of the rows concerned.

    --apply carries it out in one transaction. Where data would be lost, or rows break a tighter
    bound and stay, that is your consent, and the database of before is kept as a branch. What live
    rows do not allow is refused. Then the files of migrations/ run that the database has not had,
    in order, after a trial on a copy; --status lists them.
    """
    if only_plan + apply_it + only_status > 1:
        raise click.UsageError("one of --plan, --apply and --status")
    project = find_project(path)
    if running_runtime(project) is not None and apply_it:
        raise CommandFailed(
            f"the runtime of {project.name} is running",
            "stop it first; under `pylon dev` a save applies what is safe at once",
        )
    if only_status:
        _print_status(_status(project), as_json=as_json)
        return
    report = asyncio.run(_migrate(project, apply_it=apply_it))
    if as_json:
        print_json(report)
        return
    _warn(report["data"])
    waiting = [one for one in report["data"] if one["state"] in ("pending", "begun", "late")]
    if not report["steps"] and not report["migrated"] and not waiting:
        print_line("the database has the app's schema; nothing to do")
        return
    if report["steps"]:
        print_line(report["text"])
    for one in waiting:
        print_line(f"  run {one['name']} (data{_so_far(one)})")
    for name in report["migrated"]:
        print_line(f"  ran {name} (data)")
    if report["applied"]:
        say("applied")
    elif report["blockers"]:
        raise CommandFailed(
            "live rows stand against this migration", "mend those rows, or change the schema"
        )
    else:
        say("apply it with: pylon migrate --apply")


async def _migrate(project: Path, *, apply_it: bool) -> dict[str, Any]:
    from pylon.app.loader import load_app
    from pylon.server.offline import pending_migration

    definition = load_app(project, generation=0)
    plan, data, applied = await pending_migration(project, definition, apply_it=apply_it)
    return {
        "steps": [{"what": step.description, "safety": str(step.safety)} for step in plan.steps],
        "blockers": list(plan.blockers), "losses": list(plan.losses),
        "breaches": list(plan.breaches),
        "data": [one.to_json() for one in data], "migrated": applied or [],
        "applied": applied is not None, "text": plan.render(),
    }  # fmt: skip


def _status(project: Path) -> list[dict[str, Any]]:
    """Return the data migrations of a project; no code of it runs."""
    from contextlib import closing

    from pylon.app.migrationfiles import find_migrations
    from pylon.server.functions.data_migrations import states_of
    from pylon.server.storage.place import place_in_use
    from pylon.sqlite import read_alone

    files, path = find_migrations(project), place_in_use(project / ".pylon").path
    if not path.is_file():
        return [one.to_json() for one in states_of(None, files)]
    with closing(read_alone(path)) as raw:
        return [one.to_json() for one in states_of(raw, files)]


def _print_status(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if not found:
        print_line("there are no data migrations: they would be migrations/0001_name.py")
        return
    print_table(
        ["MIGRATION", "STATE", "APPLIED", "PARTS", "CHANGES"],
        [[one["name"], one["state"], one["applied_at"], one["parts"], one["changes"]]
         for one in found],
    )  # fmt: skip
    _warn(found)


def _warn(found: list[dict[str, Any]]) -> None:
    for one in found:
        if one["state"] == "edited":
            say(f"{one['name']} was edited after it was applied; it is not run again")
        elif one["state"] == "late":
            say(f"{one['name']} comes before one that was applied: give it the next free number")


def _so_far(one: dict[str, Any]) -> str:
    return f", {one['parts']} parts done" if one["state"] == "begun" else ""
