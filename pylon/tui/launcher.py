"""The launcher: the user's projects with state, port and last use; start, stop, open, forget."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static

from pylon import paths
from pylon.clock import Clock
from pylon.supervisor import registry
from pylon.tui.apps_pane import AppsPane
from pylon.tui.browser import open_page
from pylon.tui.dialogs import Menu, Prompt, Question
from pylon.tui.keymap import read_keymap
from pylon.tui.model import DashboardState
from pylon.tui.preferences import keep_theme
from pylon.tui.projects import project_rows
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person wants: open a project, or create one."""

    open: Path | None = None
    create: str | None = None
    template: str = "blank"


class Launcher(App[Choice]):
    """All projects of the user."""

    TITLE = "pylon"
    CSS = "#title { height: 1; background: $panel; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start", id="projects.start"),
        Binding("x", "stop", "Stop", id="projects.stop"),
        Binding("o", "open", "Browser", id="projects.open"),
        Binding("c", "create", "Create", id="projects.create"),
        Binding("f", "forget", "Forget", id="projects.forget"),
        Binding("q,ctrl+q,ctrl+c", "leave", "Quit", key_display="q", id="quit"),
    ]

    def __init__(self, clock: Clock, objection: Callable[[str], str] = lambda _: "") -> None:
        """Make a launcher; `objection(name)` says what is wrong with a new project's name."""
        super().__init__()
        self._objection = objection
        self._clock = clock

    def compose(self) -> ComposeResult:
        """Lay out title, list and keys."""
        yield Static(" pylon  your projects", id="title", markup=False)
        yield AppsPane(DashboardState(), lambda: project_rows(self._clock.now_ms()), choose="Open")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Show the list, and keep it right."""
        keep_theme(self)
        self.set_keymap(read_keymap(paths.keys_file()).keys)
        self._show()
        self.set_interval(1.0, self._show)
        self.query_one(LineList).focus()

    def _show(self) -> None:
        self.screen_stack[0].query_one(AppsPane).refresh_from(force=True)

    @property
    def _current(self) -> dict[str, Any] | None:
        return self.query_one(LineList).current

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open a project's dashboard."""
        if event.row["is_missing"]:
            say(self, "its folder is gone; f takes it off the list", is_bad=True)
        else:
            self.exit(Choice(open=Path(event.row["path"])))

    def action_start(self) -> None:
        """Start a project in the background; it runs on when this list is left."""
        row = self._current
        if row is None:
            return
        if row["is_missing"]:
            say(self, "its folder is gone; f takes it off the list", is_bad=True)
            return
        if row["pid"] is not None:
            say(self, f"{row['name']} runs already; enter attaches to it", seconds=3)
            return
        say(self, f"starting {row['name']} …", seconds=3)
        self.run_worker(self._start(row["name"], row["path"]), name=f"start {row['path']}")

    async def _start(self, name: str, path: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", "dev", path, "--no-tui", "--detach",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        _, said = await process.communicate()
        if process.returncode != 0:
            text = said.decode("utf-8", "replace").strip()
            say(self, text, title=f"{name} did not start", seconds=10, is_bad=True)
        self._show()

    def action_stop(self) -> None:
        """Stop a running runtime."""
        row = self._current
        if row is None or row["pid"] is None:
            say(self, "it is not running", seconds=2)
            return
        with suppress(ProcessLookupError):
            os.kill(row["pid"], signal.SIGTERM)
        say(self, f"stopping {row['name']} …", seconds=3)

    def action_open(self) -> None:
        """Open a running app in the browser."""
        row = self._current
        if row is None or row["url"] is None:
            say(self, "it is not running; enter starts it", seconds=3)
            return
        self.run_worker(self._open_page(row["url"]), name="open", group="open")

    async def _open_page(self, url: str) -> None:
        if not await open_page(url):
            say(self, f"no browser here; open {url}", seconds=6)

    def action_create(self) -> None:
        """Create a project in this folder."""

        def chosen(template: str | None) -> None:
            if template is None:
                return
            self.push_screen(
                Prompt(f"New project in {Path.cwd()}", "its name", self._objection),
                lambda name: self.exit(Choice(create=name, template=template)) if name else None,
            )

        self.push_screen(
            Menu(
                "Start from",
                [("blank", "blank: one entity, one page"), ("chat", "chat: the whole example")],
            ),
            chosen,
        )

    def action_forget(self) -> None:
        """Take a project off the list."""
        row = self._current
        if row is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                registry.forget_project(row["path"])
                self._show()

        self.push_screen(Question(f"Forget {row['name']}? Its folder stays as it is."), answered)

    def action_leave(self) -> None:
        """Leave."""
        self.exit(Choice())
