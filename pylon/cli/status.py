"""`pylon status`: whether the project runs, on which branch, and how it is."""

from __future__ import annotations

from typing import Any

import click

from pylon.cli.output import print_json, print_pair
from pylon.cli.project import find_project, json_option, project_argument
from pylon.cli.reach import ask_runtime
from pylon.supervisor.registry import running_runtime

_SHOWN = (
    "app", "branch", "environment", "host", "port", "pid", "head", "epoch", "clients", "errors",
    "uptime_s", "health", "database_bytes",
)  # fmt: skip


@click.command(short_help="Say whether the project runs, and on which branch.")
@project_argument
@json_option
def status(path: str | None, as_json: bool) -> None:
    """Say whether the project runs, on which branch of its database, and how it is."""
    project = find_project(path)
    found: dict[str, Any]
    if running_runtime(project) is not None:
        found = ask_runtime(project, lambda admin: admin.get("admin/status"))
        found = {"is_running": True, **found}
    else:
        from pylon.server.storage.place import place_in_use

        branch = place_in_use(project / ".pylon").branch
        found = {"is_running": False, "project": str(project), "branch": branch}
    if as_json:
        print_json(found)
        return
    print_pair("state", "running" if found["is_running"] else "stopped")
    for name in _SHOWN:
        if name in found:
            print_pair(name, found[name])
