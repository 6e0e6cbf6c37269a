"""`pylon admin-door`: how the owner's tools reach a runtime here, as `attach ssh://` asks."""

from __future__ import annotations

from typing import Any

import click

from pylon import paths
from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option
from pylon.cli.starting import woken
from pylon.printable import shell_line
from pylon.supervisor import registry
from pylon.version import ADMIN_PROTOCOL, __version__


@click.command("admin-door", short_help="Say how the owner reaches the runtime here.")
@click.argument("path", required=False, metavar="[PATH]")
@json_option
def admin_door(path: str | None, as_json: bool) -> None:
    """Say where the admin surface of the runtime of the project at PATH is; one that sleeps wakes.

    With --json its socket, or address and run-time token where it has no socket: they open it to
    whoever has them and may use this account.
    """
    project = find_project(path)
    woken(project)
    running = registry.running_runtime(project)
    if running is None:
        raise CommandFailed(
            f"no runtime runs for {project}",
            f"start it there: {shell_line('projects', 'start', project)}",
        )
    socket = paths.admin_socket_path(project)
    found: dict[str, Any] = {
        "project": str(project), "pid": running.pid, "host": running.host, "port": running.port,
        "socket": None if socket is None else str(socket), "token": None, "pylon": __version__,
        "admin_protocol": ADMIN_PROTOCOL,
    }  # fmt: skip
    if socket is None:
        found["token"] = paths.admin_token_path(project).read_text().strip()
    if as_json:
        print_json(found)
    else:
        print_line(found["socket"] or f"http://{running.host}:{running.port}, with its token file")
