"""`pylon serve`: a project in production, supervised."""

from __future__ import annotations

import asyncio

import click

from pylon.cli.project import find_project, project_argument


@click.command(short_help="Run a project in production, supervised.")
@project_argument
@click.option("--host", help="Address to listen on (default: pylon.toml, else 127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port (default: pylon.toml, else 4321)."
)
@click.option("--migrate", is_flag=True, help="Apply additive schema changes at start.")
@click.option(
    "--accept-policy-change",
    is_flag=True,
    help="Serve policies that let anonymous callers do more.",
)
def serve(
    path: str | None, host: str | None, port: int | None, migrate: bool, accept_policy_change: bool
) -> int:
    """Run the project at PATH in production: no watcher, no development logins, JSON log lines.

    The runtime is restarted when it crashes, at most 5 times a minute. Schema changes are
    refused at start unless --migrate is given; lossy ones want `pylon migrate --apply`. Policies
    that may let callers who are not signed in do more than those served last are refused unless
    --accept-policy-change is given.
    """
    from pylon.cli.address import address_of
    from pylon.cli.plain import run_plain

    project = find_project(path)
    given_host, given_port, _ = address_of(project, host, port, is_dev=False)
    extra: tuple[str, ...] = ("--migrate",) if migrate else ()
    if accept_policy_change:
        extra += ("--accept-policy-change",)
    return asyncio.run(
        run_plain(
            project, mode="serve", host=given_host, port=given_port, may_move=False,
            extra=extra,
        )
    )  # fmt: skip
