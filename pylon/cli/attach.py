"""`pylon attach`: the dashboard against a runtime elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from pylon.cli.output import CommandFailed


@click.command(short_help="Open the dashboard on a runtime elsewhere.")
@click.argument("url")
def attach(url: str) -> int:
    """Open the dashboard on the runtime at URL.

    Its admin token (PYLON_ADMIN_TOKEN of that runtime) is taken from the environment, or asked
    for. What the dashboard can do here it can do there.
    """
    from pylon.cli.dashboard import demand_terminal, show_remote

    if not url.startswith(("http://", "https://")):
        raise click.UsageError("URL begins with http:// or https://")
    demand_terminal()
    token = os.environ.get("PYLON_ADMIN_TOKEN")
    if not token:
        if not sys.stdin.isatty():
            raise CommandFailed("there is no admin token", "set PYLON_ADMIN_TOKEN")
        token = click.prompt("admin token", hide_input=True, err=True)
    return asyncio.run(show_remote(url.rstrip("/"), token))
