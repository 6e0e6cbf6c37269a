"""`pylon migrate`: what the app's schema asks of the database, shown or carried out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import click

from pylon.cli.app_output import on_stderr, read_app
from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.progress import Waiting
from pylon.cli.project import find_project, json_option, project_argument
from pylon.cli.reach import ask_for_it, ask_runtime
from pylon.client.admin import ANSWER_SECONDS, AdminClient, AdminError
from pylon.client.plan_text import effect_lines
from pylon.printable import shell_line
from pylon.supervisor.claim import supervised
from pylon.supervisor.registry import running_runtime

_CLIENTS_UNKNOWN: Final = "what it does to connected clients is not known"
#: A runtime that took so long is said to be waited for.
_LATE_SECONDS: Final = 1.0
#: What only a runtime knows of a plan, and its code by what its functions were seen to read.
_OF_RUNTIME: Final = ("code", "unread", "calls", "clients", "resync")


@click.command(short_help="Show or apply the pending migration.")
@project_argument
@click.option("--plan", "only_plan", is_flag=True, help="Show the plan and stop (the default).")
@click.option(
    "--apply", "apply_it", is_flag=True, help="Carry it out: your consent, where one is needed."
)
@click.option(
    "--agreed", metavar="HASH", help="With --apply: carry out the plan of that hash, or none."
)
@click.option("--status", "only_status", is_flag=True, help="List the data migrations.")
@json_option
def migrate(
    path: str | None, only_plan: bool, apply_it: bool, agreed: str | None, only_status: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what the app's schema asks of the database, with counts of the rows concerned.

    --apply carries it out in one transaction. Where data would be lost, or rows break a tighter
    bound and stay, that is your consent, and the database of before is kept as a branch. What live
    rows do not allow is refused. Then the files of migrations/ run that the database has not had,
    in order, after a trial on a copy; --status lists them. A supervised runtime that could not
    start before is started then.
    """
    if only_plan + apply_it + only_status > 1:
        raise click.UsageError("one of --plan, --apply and --status")
    if agreed is not None and not apply_it:
        raise click.UsageError("--agreed goes with --apply")
    project = find_project(path)
    if running_runtime(project) is not None and apply_it:
        raise CommandFailed(
            f"the runtime of {project.name} is running",
            f"apply it there with: {_reload_line(path)}",
        )
    if only_status:
        _print_status(_status(project), as_json=as_json)
        return
    report = asyncio.run(_migrate(project, apply_it=apply_it, agreed=agreed))
    _ask_of_clients(project, report)
    if as_json:
        print_json(report)
        _go_on(project, report)
        return
    _warn(report["data"])
    waiting = [one for one in report["data"] if one["state"] in ("pending", "begun", "late")]
    if not report["steps"] and not report["migrated"] and not waiting:
        print_line("the database has the app's schema; nothing to do")
        return
    if report["steps"]:
        print_line(report["text"])
        if not report["applied"]:
            for line in effect_lines(report):
                print_line(line)
    for one in waiting:
        print_line(f"  run {one['name']} (data{_so_far(one)})")
    for name in report["migrated"]:
        print_line(f"  ran {name} (data)")
    if report["applied"]:
        say("applied")
        _go_on(project, report)
    elif report["blockers"]:
        raise CommandFailed(
            "live rows stand against this migration", "mend those rows, or change the schema"
        )
    else:
        is_up = running_runtime(project) is not None
        say(f"apply it with: {_reload_line(path) if is_up else _apply_line(path)}")


def _apply_line(path: str | None) -> str:
    return shell_line("migrate", "--apply", *(() if path is None else (path,)))


def _reload_line(path: str | None) -> str:
    """Return what applies it in a running runtime, from the folder that this was typed in."""
    return shell_line("reload", "--migrate", *(() if path is None else ("--project", path)))


def _go_on(project: Path, report: dict[str, Any]) -> None:
    """Have the runtime started that waited for this, by whoever supervises it."""
    record = supervised(project)
    if not report["applied"] or record is None or not record.is_held:
        return
    say(f"starting {project.name} …")
    why = "its migration was applied"
    answer = ask_for_it(project, "restart", why=why)
    if answer["state"] == "failed":
        raise CommandFailed(f"{project.name} did not start: {answer['why']}", "mend it, and save")


async def _migrate(project: Path, *, apply_it: bool, agreed: str | None) -> dict[str, Any]:
    from pylon.server.offline import pending_migration

    definition = read_app(project)
    # Data migrations run, and print.
    with on_stderr(), Waiting(f"the plan of {project.name} is made, or carried out", ends="it")():
        plan, data, applied, code = await pending_migration(
            project, definition, apply_it=apply_it, agreed=agreed
        )
    return {
        **code, "hash": plan.hash,
        "steps": [{"what": step.description, "safety": str(step.safety)} for step in plan.steps],
        "blockers": list(plan.blockers), "losses": list(plan.losses),
        "breaches": list(plan.breaches),
        "data": [one.to_json() for one in data], "migrated": applied or [],
        "applied": applied is not None, "text": plan.render(),
    }  # fmt: skip


def _ask_of_clients(project: Path, report: dict[str, Any]) -> None:
    """Take into the report who is connected, where the runtime has the same plan waiting."""
    if running_runtime(project) is None or not report["steps"]:
        return
    try:
        found = ask_runtime(project, lambda admin: _schema_of(project, admin))
    except KeyboardInterrupt:  # the wait was given up, and nothing else: all is read by now
        say(f"{_CLIENTS_UNKNOWN}: its answer was not waited for")
        return
    except (AdminError, CommandFailed) as error:  # it hangs, or ended just now: the plan stands
        say(f"{_CLIENTS_UNKNOWN}: {error.message}")
        return
    plan = found.get("plan", {"hash": report["hash"]})  # an older runtime tells of none
    if plan is None or plan.get("hash") != report["hash"]:
        return
    report |= {name: plan[name] for name in _OF_RUNTIME if name in plan}
    if "clients" not in plan:
        say(f"{_CLIENTS_UNKNOWN}: the runtime does not tell; is it an older Pylon?")


async def _schema_of(project: Path, admin: AdminClient) -> dict[str, Any]:
    """Ask the runtime what it has; where that takes long, say what is waited for."""
    words = (
        f"the runtime of {project.name} has not answered yet who is connected: waiting up to"
        f" {ANSWER_SECONDS} s; ctrl+c shows the plan without that"
    )
    late = asyncio.get_running_loop().call_later(_LATE_SECONDS, say, words)
    try:
        return await admin.get("admin/schema")
    finally:
        late.cancel()


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
