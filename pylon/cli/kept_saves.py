"""Hot reload of a detached project: its keeper sees to saves while it is awake.

A project that sleeps is not watched: its next start loads what is there then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pylon.cli.address import check_settings, web_setting
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import Supervisor, SupervisorEvent

if TYPE_CHECKING:
    from pylon.devtools.session import ReloadReport

_AWAY = (ProcessState.ASLEEP, ProcessState.STOPPED)


class KeptSaves:
    """The saves of one project that runs without a terminal."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._session: asyncio.Task[None] | None = None
        supervisor.listen(self._take)

    def begin(self) -> None:
        """See to saves from now on."""
        if self._session is None:
            self._session = asyncio.get_running_loop().create_task(self._run(), name="pylon-saves")

    async def end(self) -> None:
        """See to nothing any more."""
        session, self._session = self._session, None
        if session is not None:
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)

    def _take(self, event: SupervisorEvent) -> None:
        if event.kind != "state":
            return
        if event.state is ProcessState.RUNNING:
            self.begin()
        elif event.state in _AWAY and self._session is not None:
            self._session.cancel()
            self._session = None

    async def _run(self) -> None:
        from pylon.devtools.session import DevSession

        project = self._supervisor.project
        await DevSession(
            project, self._supervisor, self._report, self._supervisor.clock,
            lambda: check_settings(project), lambda: web_setting(project, "web.package"),
        ).run()  # fmt: skip

    def _report(self, done: ReloadReport) -> None:
        """Have the runtime's log, and so the list of projects, say what was not loaded."""
        if done.mistakes:
            first = done.mistakes[0].partition("\n")[0]
            self._supervisor.log(f"reload.failed {done.summary}: {first}")
