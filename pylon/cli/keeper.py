"""The keeper: a supervisor in a process of its own, for what runs with no terminal.

`pylon dev --detach` and `pylon projects start` begin one. It restarts a runtime that crashes or
hangs, keeps its port, lets it sleep when nobody comes, and ends with it. Until the runtime answers
it prints what happens to whoever started it; after that, into nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pylon import limits
from pylon.cli.address import web_setting
from pylon.cli.kept_saves import KeptSaves
from pylon.cli.output import EXIT_FAILED
from pylon.cli.plain import Lines
from pylon.clock import SystemClock
from pylon.errors import PylonError
from pylon.server.offline import until_free
from pylon.supervisor import registry
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import Supervisor

_START_SECONDS = 60.0
_LISTENING = "listening on "


def start_keeper(
    project: Path, address: tuple[str, int, bool], *, extra: tuple[str, ...], sleep_after_s: float,
    take_line: Callable[[str], None],
) -> str | None:  # fmt: skip
    """Start a project for good, and return where it listens; None where it did not start.

    Args:
        project: the project's folder.
        address: host, port, and whether the project's own port will do.
        extra: further words for the runtime.
        sleep_after_s: it sleeps when nobody came for so long; 0: never.
        take_line: gets what is to be said, line by line.
    """
    host, port, may_move = address
    command = [
        sys.executable, "-P", "-m", "pylon.cli.keeper", "--host", host, "--port", str(port),
        "--sleep-after", str(sleep_after_s), *(["--may-move"] if may_move else []),
        "--", str(project), *extra,
    ]  # fmt: skip
    url = None
    with subprocess.Popen(  # noqa: S603 -- our own program
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        for raw in child.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line.startswith(_LISTENING):
                url = line.removeprefix(_LISTENING)
            else:
                take_line(line)
        if url is not None:
            # It lives on: not waited for, and no zombie of ours, since we end before it.
            child.returncode = 0
    return url


def main(arguments: list[str] | None = None) -> int:
    """Keep one project until its runtime was stopped, or a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m pylon.cli.keeper", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sleep-after", type=float, default=0.0)
    parser.add_argument("--may-move", action="store_true")
    parser.add_argument("project", type=Path)
    parser.add_argument("extra", nargs="*")
    given = parser.parse_args(arguments)
    try:
        return asyncio.run(_keep(given))
    except PylonError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        sys.stdout.write(f"pylon: {error.message} [{error.code}]{hint}\n")
        return EXIT_FAILED


async def _keep(given: argparse.Namespace) -> int:
    clock, stopped = SystemClock(), asyncio.Event()
    supervisor = Supervisor(
        given.project, clock, mode="dev", host=given.host, port=given.port,
        may_move=given.may_move, extra=tuple(given.extra), sleep_after_s=given.sleep_after,
        is_keeper=True, watches=True, web_command=lambda: web_setting(given.project, "web.dev"),
    )  # fmt: skip
    lines = Lines(supervisor, stopped, waits=False)
    supervisor.listen(lines.take)
    saves = KeptSaves(supervisor)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    supervisor.claim()
    try:
        registry.remember_project(given.project, clock.now_ms())
        await until_free(given.project, within_s=limits.ORPHAN_SECONDS)
        await supervisor.start()
        state = await supervisor.until(
            ProcessState.RUNNING, ProcessState.FAILED, ProcessState.STOPPED,
            timeout_s=_START_SECONDS,
        )  # fmt: skip
        if state is not ProcessState.RUNNING:
            return EXIT_FAILED
        # From here on it fails for nobody's eyes: it stays, says why in the list, and can be woken.
        lines.stays_when_failed = True
        _let_go()
        saves.begin()
        await stopped.wait()
    finally:
        await saves.end()
        await supervisor.stop()
    return 0


def _let_go() -> None:
    """Say that all is well, and print nowhere any more: who started us may go."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
