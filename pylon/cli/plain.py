"""A supervised runtime without the dashboard: plain lines on stdout and stderr, until a signal.

`pylon dev --no-tui`, `pylon dev` without a terminal, and `pylon serve`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pylon import limits
from pylon.cli.address import check_settings, web_setting
from pylon.cli.output import EXIT_FAILED, say, write_through
from pylon.cli.saves import watched
from pylon.clock import SystemClock
from pylon.printable import clean_block, shell_line
from pylon.server.offline import until_free
from pylon.supervisor import registry
from pylon.supervisor.lifecycle import EXIT_APP_MISTAKES, ProcessState
from pylon.supervisor.supervisor import Supervisor, SupervisorEvent
from pylon.tui.browser import open_page

if TYPE_CHECKING:
    from pylon.cli.alerting import Alerter

_START_SECONDS = 60.0
#: A start that takes longer is told of.
_LONG_SECONDS = 5.0


class Lines:
    """Prints what happens; runtimes' own lines as they are, ours with a mark."""

    def __init__(self, supervisor: Supervisor, stopped: asyncio.Event, *, waits: bool) -> None:
        self._supervisor = supervisor
        self._stopped = stopped
        self._waits = waits
        self._long_start: asyncio.TimerHandle | None = None
        #: A runtime that has failed for good is no reason to end.
        self.stays_when_failed = False

    def take(self, event: SupervisorEvent) -> None:
        """Print one event of the supervisor."""
        if event.kind == "line":
            texts: dict[TextIO, str] = {}
            for text in event.text.split("\n"):
                stream = sys.stdout if text.startswith("listening on ") else sys.stderr
                texts[stream] = f"{texts.get(stream, '')}{clean_block(text)}\n"
            for stream, text in texts.items():
                write_through(stream, text)
        elif event.kind == "stack":
            say(f"pylon: the loop does not answer; it hangs here:\n{event.text}")
        elif event.kind == "note" or event.state in (ProcessState.HUNG, ProcessState.BACKING_OFF):
            say(f"pylon: {event.text}")
        if event.kind == "state":
            self._time_the_start(event.state)
        if event.kind == "state" and event.state is ProcessState.STOPPED:
            self._stopped.set()
        if event.kind == "state" and event.state is ProcessState.FAILED:
            life = self._supervisor.lifecycle
            if life.is_held and self._waits:
                say(
                    "pylon: waiting for a save that mends it, or for your decision; its plan:"
                    f"\n  {shell_line('migrate', str(self._supervisor.project))}"
                )
            elif life.is_mendable and self._waits:
                if life.exit_code != EXIT_APP_MISTAKES:  # it has said nothing itself
                    say(f"pylon: {life.why}")
                say("pylon: waiting for a save that mends it")
            elif not self.stays_when_failed:
                say("pylon: the runtime has failed; see above")
                self._stopped.set()

    def _time_the_start(self, state: ProcessState) -> None:
        """Have a start that takes long told of, once."""
        if self._long_start is not None:
            self._long_start.cancel()
            self._long_start = None
        if state is ProcessState.STARTING:
            more = "; a save starts it anew" if self._waits else ""
            self._long_start = asyncio.get_running_loop().call_later(
                _LONG_SECONDS, say,
                "pylon: still starting: app.py has not loaded yet, or a migration runs" + more,
            )  # fmt: skip


async def run_plain(
    project: Path, *, mode: str, host: str, port: int, may_move: bool, is_opening: bool = False,
    extra: tuple[str, ...] = (), sleep_after_s: float = 0.0,
) -> int:  # fmt: skip
    """Run a project until SIGINT or SIGTERM; returns the exit code.

    Raises PylonError where the port is taken, or another process supervises the project.
    """
    clock = SystemClock()
    stopped = asyncio.Event()
    supervisor = Supervisor(
        project, clock, mode=mode, host=host, port=port, may_move=may_move, extra=extra,
        sleep_after_s=sleep_after_s, watches=mode == "dev",
        web_command=(lambda: web_setting(project, "web.dev")) if mode == "dev" else None,
    )  # fmt: skip
    supervisor.listen(Lines(supervisor, stopped, waits=mode == "dev").take)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    supervisor.claim()
    session: asyncio.Task[None] | None = None
    telling: asyncio.Task[None] | None = None
    try:
        registry.remember_project(project, clock.now_ms())
        await until_free(project, within_s=limits.ORPHAN_SECONDS)
        await supervisor.start()
        if mode == "dev":
            session = watched(_reload_on_save(supervisor), lambda text: say(f"pylon: {text}"))
        alerter = _alerter(supervisor) if mode == "serve" else None
        if alerter is not None:
            telling = asyncio.create_task(alerter.run())
        if is_opening:
            state = await supervisor.until(
                ProcessState.RUNNING, ProcessState.FAILED, timeout_s=_START_SECONDS
            )
            if state is ProcessState.RUNNING:
                await open_page(supervisor.url)
        await stopped.wait()
        has_failed = supervisor.state is ProcessState.FAILED
        if has_failed and alerter is not None:
            await _end(telling)
            await alerter.step()  # the last that this process can say
        return EXIT_FAILED if has_failed else 0
    finally:
        await _end(session)
        await _end(telling)
        await supervisor.stop()


def _alerter(supervisor: Supervisor) -> Alerter | None:
    """Return what tells somebody when the app is unwell, where anybody is to be told."""
    from pylon.cli.address import production_settings_of

    config = production_settings_of(supervisor.project)
    if not (config["alerts.mail"] or config["alerts.webhook"]):
        return None
    from pylon.cli.alerting import Alerter

    return Alerter(supervisor, config, supervisor.clock)


async def _end(session: asyncio.Task[None] | None) -> None:
    if session is not None:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)


async def _reload_on_save(supervisor: Supervisor) -> None:
    from pylon.devtools.session import DevSession, ReloadReport

    project = supervisor.project

    def report(done: ReloadReport) -> None:
        if done.mistakes:
            serves = supervisor.state is not ProcessState.FAILED
            first = (
                "the old version serves on; the new one" if serves else "nothing serves; the save"
            )
            say(f"pylon: {first} has mistakes:")
            for mistake in done.mistakes:
                say(mistake)
        else:
            say(f"pylon: {done.summary}")
        if done.plan:
            say(done.plan)
        if done.plan and done.mistakes:
            said = shell_line("reload", "--migrate", "--project", str(project))
            say(f"pylon: a save that takes the change back goes on, or: {said}")

    await DevSession(
        project,
        supervisor,
        report,
        supervisor.clock,
        lambda: check_settings(project),
        lambda: web_setting(project, "web.package"),
    ).run()
