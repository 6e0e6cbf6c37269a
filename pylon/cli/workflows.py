"""`pylon workflows`: runs of the running app and their journals; start, signal, cancel, retry."""

from __future__ import annotations

from typing import Any

import click

from pylon import jsonvalue
from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import (
    CommandFailed,
    print_done,
    print_json,
    print_line,
    print_pair,
    print_table,
    say,
)
from pylon.cli.project import json_option, project_option
from pylon.cli.reach import ask_path
from pylon.client.admin import AdminClient, AdminError
from pylon.errors import InvalidJson

_STATES = ("running", "parked", "diverged", "completed", "failed", "cancelled")
#: What is said of a run that does not go on by itself.
_WHAT_TO_DO = {
    "diverged": (
        "put the code back, or keep both ways by ctx.version(…): then it goes on by itself;\n"
        "or under `pylon dev` do the rest anew: pylon workflows rerun {run} --from STEP"
    ),
    "failed": "go on at the step that failed: pylon workflows retry {run}",
}


@click.group(
    cls=ListGroup,
    invoke_without_command=True,
    short_help="Show workflow runs; start, signal, mend.",
)
@project_option
@json_option
@click.pass_context
def workflows(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """Show workflow runs; start, signal, mend.

    `pylon workflows` alone is `pylon workflows list`.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


def _path(run: str, verb: str = "") -> str:
    return f"admin/workflows/{AdminClient.quoted(run)}{verb}"


def _parsed(text: str) -> Any:
    try:
        return jsonvalue.parse(text.encode())
    except InvalidJson as error:
        raise click.UsageError(f"{text:.40} is {error.message}") from error


@workflows.command("list", short_help="List workflows and the newest runs.")
@click.option("--name", help="Of this workflow only.")
@click.option("--state", type=click.Choice(_STATES), help="In this state only.")
@click.option(
    "--search", metavar="LINE", help="As in the dashboard: words, state:x, name:x, key:x, !not."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@project_option
@json_option
def list_runs(
    name: str | None = None, state: str | None = None, search: str | None = None, limit: int = 50,
    project_path: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """List workflows with the states of their runs, and the newest runs."""
    given = {"name": name, "state": state, "search": search, "limit": limit}
    found = ask_path(project_path, "GET", "admin/workflows", given)
    if as_json:
        print_json(found)
        return
    if not found["workflows"]:
        say("there are no workflows; one is declared with @app.workflow")
        return
    print_table(
        ["WORKFLOW", *(one.upper() for one in _STATES)],
        [
            [one["name"] if one["is_declared"] else f"{one['name']} (gone)",
             *(one[it] for it in _STATES)]
            for one in found["workflows"]
        ],
    )  # fmt: skip
    if found["runs"]:
        print_line("")
        print_table(
            ["RUN", "WORKFLOW", "STATE", "STEPS", "STARTED", "WAKES", "ERROR"],
            [
                [one["id"], one["name"], one["state"], one["steps"], one["created_at"],
                 one["wake_at"], one["error"]]
                for one in found["runs"]
            ],
        )  # fmt: skip
    elif name or state or search:
        say("no run is like that")


@workflows.command("show", short_help="Show one run: its journal, and what it waits for.")
@click.argument("run", metavar="RUN")
@project_option
@json_option
def show(run: str, project_path: str | None, as_json: bool) -> None:
    """Show one run: its journal, and what it waits for."""
    found = ask_path(project_path, "GET", _path(run), {})
    if as_json:
        print_json(found)
        return
    for key in ("id", "name", "state", "key", "user", "created_at", "ended_at", "args", "result",
                "error", "parent", "origin", "cause"):  # fmt: skip
        if found[key] is not None:
            print_pair(key, found[key])
    for one in found["waits"]:
        until = f" until {one['until']}" if one["until"] else ""
        name = f" {one['name']}" if one["name"] != one["kind"] else ""
        print_line(f"{'waits':<14} step {one['step']}: {one['kind']}{name}{until}")
    for one in found["signals"]:
        print_line(f"{'signal':<14} {one['event']} at {one['at']}, not waited for yet")
    if found["journal"]:
        print_line("")
        print_table(
            ["STEP", "KIND", "NAME", "TRY", "BEGUN", "ENDED", "PLACE", "OUTCOME"],
            [
                [one["step"], one["kind"], one["name"], one["attempt"] or None, one["begun_at"],
                 one["ended_at"], one["place"], _outcome(one)]
                for one in found["journal"]
            ],
        )  # fmt: skip
    if found["traceback"]:
        print_line(found["traceback"].rstrip())
    if found["state"] in _WHAT_TO_DO:
        say(_WHAT_TO_DO[found["state"]].format(run=found["id"]))


def _outcome(step: dict[str, Any]) -> str | None:
    if step["error"] is not None:
        return f"{step['error']['code']}: {step['error']['message']}"
    return None if step["seq"] is None else jsonvalue.encode_text(step["result"])


@workflows.command("start", short_help="Start a run, as the system.")
@click.argument("name")
@click.argument("arguments", required=False, default="{}", metavar="[JSON]")
@click.option("--key", help="While a run with this key has not ended, none is started.")
@project_option
@json_option
def start(
    name: str, arguments: str, key: str | None, project_path: str | None, as_json: bool
) -> None:
    """Start a run of the workflow NAME with the arguments in JSON, as the system."""
    args = _parsed(arguments)
    if not isinstance(args, dict):
        raise click.UsageError('the arguments are one JSON object, such as {"item":"tea"}')
    given = {"name": name, "args": args, "key": key}
    _say_done(ask_path(project_path, "POST", "admin/workflows", given), as_json=as_json)


@workflows.command("signal", short_help="Hand a run what it waits for.")
@click.argument("run", metavar="RUN")
@click.argument("event")
@click.argument("data", required=False, default="null", metavar="[JSON]")
@project_option
@json_option
def signal(run: str, event: str, data: str, project_path: str | None, as_json: bool) -> None:
    """Hand RUN the signal EVENT with data in JSON; kept until the run waits for it."""
    given = {"event": event, "data": _parsed(data)}
    _say_done(ask_path(project_path, "POST", _path(run, "/signal"), given), as_json=as_json)


@workflows.command("cancel", short_help="End a run for good, with its children.")
@click.argument("run", metavar="RUN")
@project_option
@json_option
def cancel(run: str, project_path: str | None, as_json: bool) -> None:
    """End RUN for good, with its children: no later step is run or recorded."""
    _say_done(ask_path(project_path, "POST", _path(run, "/cancel"), {}), as_json=as_json)


@workflows.command("retry", short_help="Have a run try now what failed, or did not fit.")
@click.argument("run", metavar="RUN")
@project_option
@json_option
def retry(run: str, project_path: str | None, as_json: bool) -> None:
    """Have RUN try now: a failed or diverged one, or a step between two tries."""
    _say_done(ask_path(project_path, "POST", _path(run, "/retry"), {}), as_json=as_json)


@workflows.command("rerun", short_help="Start a run anew from a step, in development.")
@click.argument("run", metavar="RUN")
@click.option("--from", "step", help="Keep what was recorded before this step, such as 3 or 2.1.1.")
@project_option
@json_option
def rerun(run: str, step: str | None, project_path: str | None, as_json: bool) -> None:
    """Start a new run with what RUN recorded before a step; under `pylon dev` only."""
    path = _path(run, "/rerun")
    try:
        done = ask_path(project_path, "POST", path, {"from": step})
    except AdminError as error:
        if error.code == "NOT_FOUND" and path in error.message:  # the route itself is missing
            raise CommandFailed(
                "this runtime reruns nothing", "that is a power of `pylon dev`"
            ) from error
        raise
    _say_done(done, as_json=as_json)


def _say_done(done: Any, *, as_json: bool) -> None:
    print_done(done, f"{done['name']} {done['id']} is {done['state']}", as_json=as_json)
