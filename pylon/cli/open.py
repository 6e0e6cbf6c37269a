"""`pylon open`: the running app in the browser, or its address."""

from __future__ import annotations

import asyncio

import click

from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_argument
from pylon.supervisor.registry import running_runtime


@click.command(name="open", short_help="Open the running app in the browser.")
@project_argument
@click.option("--print", "prints_only", is_flag=True, help="Print the address, and open nothing.")
@json_option
def open_(path: str | None, prints_only: bool, as_json: bool) -> None:
    """Open the app of the project at PATH, which runs, in the browser, and print its address."""
    project = find_project(path)
    running = running_runtime(project)
    if running is None:
        raise CommandFailed(
            f"no runtime runs for {project.name}", "`pylon dev --open` starts it and opens it"
        )
    if as_json:
        print_json({"url": running.url})
    else:
        print_line(running.url)
    if prints_only:
        return
    from pylon.tui.browser import open_page

    if not asyncio.run(open_page(running.url)):
        raise CommandFailed("there is no browser here", "open the address above yourself")
