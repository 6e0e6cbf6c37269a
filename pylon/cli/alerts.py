"""`pylon alerts`: where alerts of an app go, and one to see that they arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_option
from pylon.clock import SystemClock


@click.group(short_help="Send a test alert.")
def alerts() -> None:
    """See that alerts arrive. `pylon serve` sends them by what [alerts] in pylon.toml says."""


@alerts.command("test", short_help="Send one, every way that is set.")
@project_option
@json_option
def test(project_path: str | None, as_json: bool) -> None:
    """Send a test alert every way that [alerts] sets. Exits 1 where one did not leave."""
    sender = _sender(project_path)
    if not sender.ways:
        raise CommandFailed(
            "alerts go nowhere",
            '[alerts] mail = ["you@your.example"], or webhook = "env:URL"',
        )

    from pylon.supervisor.alerts import Alert

    name = find_project(project_path).name
    alert = Alert("test", "test", f"{name}: a test", "This is a test: alerts arrive here.")
    asyncio.run(sender.send(alert))
    if as_json:
        print_json({"sent": sender.ways})
    else:
        for one in sender.ways:
            print_line(f"sent: {one}")


def _sender(project_path: str | None) -> Any:
    from pylon.cli.address import production_settings_of
    from pylon.cli.alerting import Sender

    return Sender(production_settings_of(find_project(project_path)), SystemClock())
