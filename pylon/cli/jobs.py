"""`pylon jobs`: what waits, runs and failed in the running app; run again, cancel, pause."""

from __future__ import annotations

import click

from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import print_done, print_json, print_line, print_pair, print_table, say
from pylon.cli.project import json_option, project_option
from pylon.cli.reach import ask_path
from pylon.client.admin import AdminClient

_STATES = ("scheduled", "available", "running", "completed", "cancelled", "dead")


@click.group(
    cls=ListGroup,
    invoke_without_command=True,
    short_help="Show jobs and queues; retry, cancel, pause.",
)
@project_option
@json_option
@click.pass_context
def jobs(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """Show jobs and queues of the running app; retry, cancel, pause.

    `pylon jobs` alone is `pylon jobs list`.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


@jobs.command("list", short_help="List queues, schedules and the newest jobs.")
@click.option("--queue", help="Of this queue only.")
@click.option("--state", type=click.Choice(_STATES), help="In this state only.")
@click.option("--name", help="Of this function only.")
@click.option(
    "--search", metavar="LINE", help="As in the dashboard: words, state:x, queue:x, !not."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@project_option
@json_option
def list_jobs(
    queue: str | None = None, state: str | None = None, name: str | None = None,
    search: str | None = None, limit: int = 50,
    project_path: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """List the queues, the schedules and the newest jobs."""
    found = ask_path(
        project_path, "GET", "admin/jobs",
        {"queue": queue, "state": state, "name": name, "search": search, "limit": limit},
    )  # fmt: skip
    if as_json:
        print_json(found)
        return
    if not found["queues"]:
        say("there are no jobs and no queues; a job is declared with @app.job")
        return
    print_table(
        ["QUEUE", "STATE", "SCHEDULED", "AVAILABLE", "RUNNING", "COMPLETED", "CANCELLED", "DEAD"],
        [
            [one["queue"], "paused" if one["paused_at"] else "open", *(one[it] for it in _STATES)]
            for one in found["queues"]
        ],
    )
    if found["schedules"]:
        print_line("")
        print_table(
            ["SCHEDULE", "SLOTS", "ZONE", "NEXT"],
            [[one["name"], one["schedule"], one["tz"], one["next"]] for one in found["schedules"]],
        )
    if found["jobs"]:
        print_line("")
        print_table(
            ["ID", "JOB", "QUEUE", "STATE", "ATTEMPT", "DUE", "ERROR"],
            [
                [one["id"], one["name"], one["queue"], one["state"],
                 f"{one['attempt']}/{one['attempts']}", one["due_at"], one["error"]]
                for one in found["jobs"]
            ],
        )  # fmt: skip
    elif queue or state or name or search:
        say("no job is like that")


@jobs.command("show", short_help="Show one job: arguments, result, error and traceback.")
@click.argument("job_id", metavar="ID")
@project_option
@json_option
def show(job_id: str, project_path: str | None, as_json: bool) -> None:
    """Show one job: arguments, result, error and traceback."""
    found = ask_path(project_path, "GET", f"admin/jobs/{AdminClient.quoted(job_id)}", {})
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        if key != "traceback" and value is not None:
            print_pair(key, value)
    if found["traceback"]:
        print_line(found["traceback"].rstrip())
    if found["state"] == "dead":
        say(f"run it again: pylon jobs retry {found['id']}")


@jobs.command("retry", short_help="Run a job again, or all dead ones.")
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--all", "is_all", is_flag=True, help="All dead jobs.")
@click.option("--queue", help="With --all: of this queue only.")
@click.option("--name", help="With --all: of this function only.")
@project_option
@json_option
def retry(
    job_id: str | None, is_all: bool, queue: str | None, name: str | None,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Run a dead, cancelled or waiting job now, with all its attempts; or all dead ones."""
    if is_all == (job_id is not None):
        raise click.UsageError("name a job, or give --all")
    if is_all:
        done = ask_path(project_path, "POST", "admin/jobs/retry", {"queue": queue, "name": name})
        text = f"{done['retried']} of {done['dead']} dead jobs are run again"
    else:
        path = f"admin/jobs/{AdminClient.quoted(job_id or '')}/retry"
        done = ask_path(project_path, "POST", path, {})
        text = f"{done['name']} {done['id']} is {done['state']}"
    print_done(done, text, as_json=as_json)


@jobs.command("cancel", short_help="Cancel a job that has not ended.")
@click.argument("job_id", metavar="ID")
@project_option
@json_option
def cancel(job_id: str, project_path: str | None, as_json: bool) -> None:
    """Cancel a job that has not ended; one that runs is stopped, and stores nothing more."""
    done = ask_path(project_path, "POST", f"admin/jobs/{AdminClient.quoted(job_id)}/cancel", {})
    print_done(done, f"{done['name']} {done['id']} is {done['state']}", as_json=as_json)


@jobs.command("pause", short_help="Have a queue start nothing.")
@click.argument("queue")
@project_option
@json_option
def pause(queue: str, project_path: str | None, as_json: bool) -> None:
    """Have QUEUE start nothing more, over restarts too; what runs there ends."""
    done = ask_path(project_path, "POST", f"admin/queues/{AdminClient.quoted(queue)}/pause", {})
    print_done(done, f"{queue} is paused", as_json=as_json)


@jobs.command("resume", short_help="Have a paused queue go on.")
@click.argument("queue")
@project_option
@json_option
def resume(queue: str, project_path: str | None, as_json: bool) -> None:
    """Have QUEUE go on."""
    done = ask_path(project_path, "POST", f"admin/queues/{AdminClient.quoted(queue)}/resume", {})
    print_done(done, f"{queue} is open", as_json=as_json)
