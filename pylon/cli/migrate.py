"""`pylon migrate`: what the app's schema asks of the database, shown or carried out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.project import find_project, json_option, project_argument
from pylon.supervisor.registry import running_runtime


@click.command(short_help="Show or apply the pending migration.")
@project_argument
@click.option("--plan", "only_plan", is_flag=True, help="Show the plan and stop (the default).")
@click.option(
    "--apply", "apply_it", is_flag=True, help="Carry it out: your consent, where one is needed."
)
@json_option
def migrate(path: str | None, only_plan: bool, apply_it: bool, as_json: bool) -> None:
    """Show what the app's schema asks of the database, with counts of the rows concerned.

    --apply carries it out in one transaction. Where data would be lost, or rows break a tighter
    bound and stay, that is your consent, and the database of before is kept as a branch. What live
    rows do not allow is refused.
    """
    if only_plan and apply_it:
        raise click.UsageError("--plan or --apply, not both")
    project = find_project(path)
    if running_runtime(project) is not None and apply_it:
        raise CommandFailed(
            f"the runtime of {project.name} is running",
            "stop it first; under `pylon dev` a save applies what is safe at once",
        )
    report = asyncio.run(_migrate(project, apply_it=apply_it))
    if as_json:
        print_json(report)
        return
    if not report["steps"]:
        print_line("the database has the app's schema; nothing to do")
        return
    print_line(report["text"])
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

    schema = load_app(project, generation=0).schema
    plan, applied = await pending_migration(project, schema, apply_it=apply_it)
    return {
        "steps": [{"what": step.description, "safety": str(step.safety)} for step in plan.steps],
        "blockers": list(plan.blockers), "losses": list(plan.losses),
        "breaches": list(plan.breaches),
        "applied": applied, "text": plan.render(),
    }  # fmt: skip
