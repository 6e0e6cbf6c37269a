"""What can be done to the user's projects, in the launcher and from within any dashboard."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from textual.app import App

from pylon.desktop.here import install_here, told
from pylon.errors import PylonError
from pylon.supervisor import registry
from pylon.supervisor.door import SupervisorRefused, ask_supervisor
from pylon.supervisor.ports import forget_port
from pylon.tui.dialogs import Question
from pylon.tui.saying import say
from pylon.tui.verbs import Verb
from pylon.tui.working import begin

PROJECT_VERBS: Final = (
    Verb("s", "project('start')", "Start it in the background, or wake it", brief="Start",
         id="projects.start", cli="projects start"),
    Verb("x", "project('stop')", "Stop it", brief="Stop", id="projects.stop", cli="projects stop"),
    Verb("r", "project('restart')", "Restart it: stop it and start it anew", id="projects.restart",
         cli="projects restart"),
    Verb("z", "project('sleep')", "Let it sleep until somebody comes", brief="Sleep",
         id="projects.sleep", cli="projects sleep"),
    Verb("i", "about", "All about it", brief="About", id="projects.about"),
    Verb("F", "project('forget')", "Take it off the list; its folder stays", brief="Forget",
         id="projects.forget", cli="projects forget"),
)  # fmt: skip
#: What the palette offers beside the keys: its title, and its words.
INTO_MENU: Final = ("Put Pylon into the applications menu", "with its icon; mends it if need be")
_SAID_SECONDS: Final = 10
#: What ends or holds up a runtime: asked about first where it is one of production.
_CUTS_OFF: Final = ("stop", "restart", "sleep")
_SERVED: Final = "serve"
Project = dict[str, Any]


class ProjectActions:
    """The owner's hand on all projects."""

    def __init__(
        self, app: App[Any], done: Callable[[], None],
        note: Callable[[str, str], None] = lambda what, command: None,
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            app: says what came of it.
            done: is called when the list is another.
            note: takes what was done, and the command that does the same.
        """
        self._app = app
        self._done = done
        self._note = note

    def _noted(self, verb: str, row: Project) -> None:
        """Note what was done to a project, and have the list read again."""
        command = shlex.join(["pylon", "projects", verb, str(row["path"])])
        self._note(f"{verb} {row['name']}", command)
        self._done()

    def do(self, what: str, row: Project) -> None:
        """Do one of the verbs to the project of a row."""
        if row["is_missing"] and what != "forget":
            say(self._app, "its folder is gone; F takes it off the list", is_bad=True)
            return
        if what in _CUTS_OFF and row["mode"] == _SERVED and row["pid"] is not None:
            words = f"{what.capitalize()} {row['name']}? It is served: whoever uses it is cut off."
            self._app.push_screen(
                Question(f"This is PRODUCTION.\n\n{words}"),
                lambda yes: self._carry_out(what, row) if yes else None,
            )
            return
        self._carry_out(what, row)

    def _carry_out(self, what: str, row: Project) -> None:
        match what:
            case "start":
                self._start(row)
            case "stop":
                self._stop(row)
            case "restart":
                self._restart(row)
            case "sleep":
                self._sleep(row)
            case _:
                self._forget(row)

    def _start(self, row: Project) -> None:
        if row["state"] in ("running", "hung"):
            say(self._app, f"{row['name']} runs already; enter attaches to it", seconds=3)
            return
        if row["state"] == "asleep":
            self._ask(row, "wake", "waking")
            return
        say(self._app, f"starting {row['name']} …", seconds=3)
        self._app.run_worker(self._begin(row), name=f"start {row['path']}")

    async def _begin(self, row: Project) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pylon", "projects", "start", row["path"],
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        _, said = await process.communicate()
        if process.returncode != 0:
            text = said.decode("utf-8", "replace").strip()
            say(self._app, text, title=f"✗ {row['name']} did not start", seconds=_SAID_SECONDS,
                is_bad=True)  # fmt: skip
            self._done()
        else:
            self._noted("start", row)

    def _stop(self, row: Project) -> None:
        if row["is_supervised"] and row["state"] != "stopped":
            self._ask(row, "stop", "stopping")
        elif row["pid"] is not None and not row["is_supervised"]:
            self._end(row)
        else:
            say(self._app, f"{row['name']} is not running", seconds=3)

    def _end(self, row: Project) -> None:
        """End a runtime that nobody supervises, if its process is still the one of the list."""
        running = registry.running_runtime(Path(row["path"]))
        if running is None or running.pid != row["pid"]:
            say(self._app, f"{row['name']} has ended by now", seconds=3)
            self._done()
            return
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
        say(self._app, f"stopping {row['name']} …", seconds=3)
        self._noted("stop", row)

    def _restart(self, row: Project) -> None:
        if row["is_supervised"]:
            self._ask(row, "restart", "restarting")
        else:
            self._say_unsupervised(row)

    def _say_unsupervised(self, row: Project) -> None:
        say(self._app, f"{row['name']} is {row['state']}, and nobody supervises it", seconds=3)

    def _sleep(self, row: Project) -> None:
        if row["state"] == "asleep":
            say(self._app, f"{row['name']} sleeps already", seconds=3)
        elif not row["is_supervised"]:
            self._say_unsupervised(row)
        else:
            self._ask(row, "sleep", "")

    def _ask(self, row: Project, verb: str, words: str) -> None:
        if words:
            say(self._app, f"{words} {row['name']} …", seconds=3)

        async def asked() -> None:
            await ask_supervisor(Path(row["path"]), verb)

        self._app.run_worker(self._carried_out(row, verb, asked), name=f"{verb} {row['path']}")

    async def _carried_out(
        self, row: Project, verb: str, asked: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            await asked()
        except SupervisorRefused as error:
            say(self._app, error.message, title=f"✗ {verb} {row['name']}", seconds=_SAID_SECONDS,
                is_bad=True)  # fmt: skip
            self._done()
        else:
            self._noted(verb, row)

    def put_into_menu(self) -> None:
        """Put Pylon into the system's menu of applications; no project is asked about."""
        begin(self._app, self._into_menu, name="menu", group="menu")

    async def _into_menu(self) -> None:
        try:
            text = told(await asyncio.to_thread(install_here))
        except PylonError as error:
            text = f"{error.message} [{error.code}]\n{error.hint or ''}"
            say(self._app, text, title="✗ desktop install", seconds=_SAID_SECONDS, is_bad=True)
        else:
            self._note("desktop install", "pylon desktop install")
            say(self._app, text, title="$ pylon desktop install", seconds=_SAID_SECONDS)

    def _forget(self, row: Project) -> None:
        if row["pid"] is not None:
            say(self._app, f"{row['name']} is {row['state']}: x stops it first", is_bad=True)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                registry.forget_project(row["path"])
                forget_port(row["path"])
                self._noted("forget", row)

        question = Question(f"Forget {row['name']}? Its folder stays as it is.")
        self._app.push_screen(question, answered)
