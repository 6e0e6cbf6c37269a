"""How the dashboard is left: what becomes of the runtime, and what is asked before."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pylon.client.admin import AdminClient, AdminError
from pylon.supervisor.door import SupervisorRefused
from pylon.supervisor.supervisor import Supervisor
from pylon.tui.dialogs import Question
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.elsewhere import Whereabouts


class Leaving:
    """The way out of one dashboard."""

    def __init__(
        self, app: Dashboard, admin: AdminClient, supervisor: Supervisor | None,
        elsewhere: Whereabouts | None = None,
    ) -> None:  # fmt: skip
        self._app = app
        self._admin = admin
        self._supervisor = supervisor
        self._elsewhere = elsewhere
        self.is_under_way = False

    def ask_surely(self) -> None:
        """Leave, after a question in any case."""
        if self.is_in_use or self.is_under_way:
            self.ask()
        else:
            name = self._app.state.app_name
            words = "Quit?" if self._is_elsewhere else f"Stop {name} and quit?"
            self._app.push_screen(Question(words), lambda yes: self.ask() if yes else None)

    @property
    def _is_elsewhere(self) -> bool:
        return self._supervisor is None

    @property
    def is_in_use(self) -> bool:
        """Tell whether leaving stops a runtime that somebody is connected to."""
        return not self._is_elsewhere and bool(self._app.state.status.get("clients", 0))

    def ask(self) -> None:
        """Leave; a runtime of our own is stopped first, after a question where it is in use."""
        app = self._app
        if self.is_under_way:
            return
        if self._is_elsewhere:
            self.is_under_way = True
            app.exit(0)
            return
        clients = app.state.status.get("clients", 0)
        if not clients:
            self._begin(yes=True)
            return
        noun = "client is" if clients == 1 else "clients are"
        app.push_screen(
            Question(f"Stop {app.state.app_name} and quit? {clients} {noun} connected."),
            lambda yes: self._begin(yes=bool(yes)),
        )

    def _begin(self, *, yes: bool) -> None:
        if yes:
            self._app.run_worker(self._stop_and_leave(), name="leave")
        else:
            self._app.next_project = None

    async def _stop_and_leave(self) -> None:
        self.is_under_way = True
        say(self._app, "stopping the runtime …", seconds=10)
        assert self._supervisor is not None
        await self._supervisor.stop()
        self._app.exit(0)

    def ask_to_stop_elsewhere(self) -> None:
        """Stop a runtime that was started elsewhere, after a question, and leave."""
        app = self._app
        if self._supervisor is not None:
            self._begin(yes=True)
            return
        if app.production.objects():  # its supervisor is asked past all requests
            return

        def answered(yes: bool | None) -> None:
            if yes:
                app.run_worker(self._stop_elsewhere(), name="stop")

        place = "This is PRODUCTION.\n\n" if app.state.is_production else ""
        question = f"{place}Stop the runtime of {app.state.app_name} and quit?"
        app.push_screen(Question(question), answered)

    async def _stop_elsewhere(self) -> None:
        try:
            if self._elsewhere is not None and self._elsewhere.is_supervised:
                await self._elsewhere.stop()
            else:
                await self._admin.post("admin/shutdown", {})
        except (AdminError, SupervisorRefused) as error:
            say(self._app, error.message, is_bad=True)
            return
        self._app.exit(0)

    async def restart(self) -> None:
        """Stop the runtime and start it anew, by whoever supervises it."""
        app = self._app
        if self._supervisor is None and self._elsewhere is None:
            say(app, "this runtime was started elsewhere; restart it there", seconds=5)
            return
        app.state.clear_trouble()
        if self._supervisor is None:
            app.run_worker(self._restart_elsewhere(), name="restart", group="restart")
            return
        await self._supervisor.restart("asked for in the dashboard")
        self._note_restart()

    async def _restart_elsewhere(self) -> None:
        assert self._elsewhere is not None
        say(self._app, "asking its supervisor to start it anew …", seconds=3)
        try:
            await self._elsewhere.restart()
        except SupervisorRefused as error:
            say(self._app, error.message, title="✗ restart", seconds=8, is_bad=True)
        else:
            self._note_restart()

    def _note_restart(self) -> None:
        """Note the command that does the same, where the project lies on this machine."""
        log = self._app.command_log
        if log.project is not None:
            log.note("restart", shlex.join(["pylon", "projects", "restart", str(log.project)]))
