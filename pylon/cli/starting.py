"""Projects that run with no terminal: started by a keeper, woken, and asked of through its door."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pylon.cli.address import address_of, sleep_minutes_of
from pylon.cli.output import EXIT_FAILED, CommandFailed, print_line, say
from pylon.cli.progress import Waiting
from pylon.cli.reach import ask_for_it
from pylon.clock import Clock
from pylon.printable import shell_line
from pylon.supervisor import registry
from pylon.supervisor.claim import Record, supervised
from pylon.tui.browser import open_page

_MINUTE_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.1
#: States in which a supervisor waits for somebody to come or to ask.
AT_REST = ("asleep", "stopped", "failed")


def start_kept(
    project: Path, host: str | None = None, port: int | None = None, *,
    extra: tuple[str, ...] = (), sleep_after: float | None = None,
) -> str | None:  # fmt: skip
    """Start a project under a keeper of its own; returns where it listens, None if it did not.

    What it says meanwhile goes to stderr. Raises ConfigError for wrong settings.

    Args:
        project: the project's folder.
        host: the address, where one was given.
        port: the port, where one was given.
        extra: further words for the runtime.
        sleep_after: minutes; None: as the settings say.
    """
    from pylon.cli.keeper import start_keeper

    address = address_of(project, host, port, is_dev=True, allow_remote="--allow-remote" in extra)
    minutes = sleep_minutes_of(project) if sleep_after is None else sleep_after
    say(f"starting {project.name} …")
    return start_keeper(
        project, address, extra=extra, sleep_after_s=minutes * _MINUTE_SECONDS, take_line=say
    )


def keep(
    project: Path, host: str | None, port: int | None, *, extra: tuple[str, ...],
    sleep_after: float | None, is_plain: bool, is_opening: bool,
) -> int:  # fmt: skip
    """`pylon dev --detach`: start it for good, and show the dashboard where there is a terminal."""
    has_screen = not is_plain
    if has_screen and supervised(project) is not None:
        return _shown(project, is_opening=is_opening)
    url = start_kept(project, host, port, extra=extra, sleep_after=sleep_after)
    if url is None:
        return EXIT_FAILED
    if has_screen:
        return _shown(project, is_opening=is_opening)
    print_line(f"listening on {url}")
    say(
        f"it runs on; `{shell_line(project)}` attaches to it,"
        f" `{shell_line('projects', 'stop', project)}` ends it"
    )
    if is_opening:
        asyncio.run(open_page(url))
    return 0


def _shown(project: Path, *, is_opening: bool) -> int:
    from pylon.cli.dashboard import open_project

    return open_project(project, is_opening=is_opening)


def woken(project: Path) -> Record | None:
    """Return what a project's supervisor says, its runtime woken if it slept; None: there is none.

    Raises SupervisorRefused where it does not wake.
    """
    record = supervised(project)
    if record is None or record.state not in AT_REST:
        return record
    say(f"{project.name} is {record.state}: waking it …")
    return Record(**ask_for_it(project, "wake"))


async def until_stopped(project: Path, clock: Clock) -> None:
    """Return when neither a runtime nor a keeper of a project is left that was asked to stop.

    A keeper answers before it ends, and unlike a dashboard it ends with its runtime. Raises
    CommandFailed where it does not end.
    """
    end = clock.monotonic() + _STOP_SECONDS
    with Waiting(f"{project.name} is stopping")():
        while registry.running_runtime(project) is not None or _is_kept(project):
            if clock.monotonic() > end:
                raise CommandFailed(f"{project.name} does not stop", "pylon projects list")
            await clock.sleep(_LOOK_SECONDS)


def _is_kept(project: Path) -> bool:
    record = supervised(project)
    return record is not None and record.is_keeper
