"""`pylon dev`: a project with hot reload, in the dashboard or in plain lines."""

from __future__ import annotations

import asyncio
import sys

import click

from pylon.cli.project import find_project, project_argument


@click.command(short_help="Run a project with hot reload.")
@project_argument
@click.option("--host", help="Address to listen on (default: pylon.toml, else 127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port (default: pylon.toml, else from 4321 on)."
)
@click.option("--no-tui", is_flag=True, help="Plain lines instead of the dashboard.")
@click.option("--open", "is_opening", is_flag=True, help="Open the app in the browser.")
@click.option(
    "--policy-coverage", is_flag=True, help="Count which branches of the policies are taken."
)
@click.option(
    "--allow-remote", is_flag=True, help="Let --host or pylon.toml name an address others reach."
)
@click.option("--detach", is_flag=True, help="Let the runtime run on when this ends.")
@click.option(
    "--sleep-after",
    type=click.FloatRange(0),
    metavar="MINUTES",
    help="With --detach: it sleeps when nobody came for so long; 0: never (default: pylon.toml,"
    " else 30).",
)
def dev(
    path: str | None, host: str | None, port: int | None, no_tui: bool, is_opening: bool,
    policy_coverage: bool, allow_remote: bool, detach: bool, sleep_after: float | None,
) -> int:  # fmt: skip
    """Run the project at PATH with hot reload; plain lines where there is no terminal.

    Prints `listening on URL` when it answers. Stops cleanly on Ctrl+C and SIGTERM.
    """
    project = find_project(path)
    extra: tuple[str, ...] = ("--policy-coverage",) if policy_coverage else ()
    extra += ("--allow-remote",) if allow_remote else ()
    if sleep_after is not None and not detach:
        raise click.UsageError("--sleep-after goes with --detach")
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    is_plain = no_tui or not has_terminal
    if detach:
        from pylon.cli.starting import keep

        return keep(
            project, host, port, extra=extra, sleep_after=sleep_after, is_plain=is_plain,
            is_opening=is_opening,
        )  # fmt: skip
    if is_plain:
        from pylon.cli.address import address_of
        from pylon.cli.plain import run_plain

        given_host, given_port, may_move = address_of(
            project, host, port, is_dev=True, allow_remote=allow_remote
        )
        return asyncio.run(
            run_plain(
                project, mode="dev", host=given_host, port=given_port, may_move=may_move,
                is_opening=is_opening, extra=extra,
            )
        )  # fmt: skip
    from pylon.cli.dashboard import open_project

    return open_project(project, host=host, port=port, is_opening=is_opening, extra=extra)
