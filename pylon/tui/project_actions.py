"""What can be done to the user's projects, in the launcher and from within any dashboard."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from textual.app import App

from pylon.supervisor import registry
from pylon.supervisor.door import SupervisorRefused, ask_supervisor
from pylon.supervisor.ports import forget_port
from pylon.tui.dialogs import Question
from pylon.tui.saying import say
from pylon.tui.verbs import Verb

PROJECT_VERBS: Final = (
    Verb("s", "project('start')", "Start it in the background, or wake it", brief="Start",
         id="projects.start", cli="projects start"),
    Verb("x", "project('stop')", "Stop it", brief="Stop", id="projects.stop", cli="projects stop"),
    Verb("z", "project('sleep')", "Let it sleep until somebody comes", brief="Sleep",
         id="projects.sleep", cli="projects sleep"),
    Verb("i", "about", "All about it", brief="About", id="projects.about"),
    Verb("F", "project('forget')", "Take it off the list; its folder stays", brief="Forget",
         id="projects.forget", cli="projects forget"),
)  # fmt: skip
_SAID_SECONDS: Final = 10
Project = dict[str, Any]


class ProjectActions:
    """The owner's hand on all projects; `done()` is called when the list is another."""

    def __init__(self, app: App[Any], done: Callable[[], None]) -> None:
        self._app = app
        self._done = done

    def do(self, what: str, row: Project) -> None:
        """Do one of the verbs to the project of a row."""
        if row["is_missing"] and what != "forget":
            say(self._app, "its folder is gone; F takes it off the list", is_bad=True)
            return
        match what:
            case "start":
                self._start(row)
            case "stop":
                self._stop(row)
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
            sys.executable, "-m", "pylon", "projects", "start", row["path"],
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        _, said = await process.communicate()
        if process.returncode != 0:
            text = said.decode("utf-8", "replace").strip()
            say(self._app, text, title=f"✗ {row['name']} did not start", seconds=_SAID_SECONDS,
                is_bad=True)  # fmt: skip
        self._done()

    def _stop(self, row: Project) -> None:
        if row["is_supervised"] and row["state"] != "stopped":
            self._ask(row, "stop", "stopping")
        elif row["pid"] is not None and not row["is_supervised"]:
            with suppress(ProcessLookupError):
                os.kill(row["pid"], signal.SIGTERM)
            say(self._app, f"stopping {row['name']} …", seconds=3)
        else:
            say(self._app, f"{row['name']} is not running", seconds=3)

    def _sleep(self, row: Project) -> None:
        if row["state"] == "asleep":
            say(self._app, f"{row['name']} sleeps already", seconds=3)
        elif not row["is_supervised"]:
            say(self._app, f"{row['name']} is {row['state']}, and nobody supervises it", seconds=3)
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

    def _forget(self, row: Project) -> None:
        if row["pid"] is not None:
            say(self._app, f"{row['name']} is {row['state']}: x stops it first", is_bad=True)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                registry.forget_project(row["path"])
                forget_port(row["path"])
                self._done()

        question = Question(f"Forget {row['name']}? Its folder stays as it is.")
        self._app.push_screen(question, answered)
