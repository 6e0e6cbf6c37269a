"""The pane of projects: the launcher, and within a dashboard the way over to another project."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.clock import Clock
from pylon.printable import clean_block
from pylon.tui import tables
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry, Offer
from pylon.tui.filtering import listed
from pylon.tui.model import DashboardState
from pylon.tui.panes import Pane
from pylon.tui.project_actions import INTO_MENU, PROJECT_VERBS, ProjectActions
from pylon.tui.projects import project_rows
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_EVERY_SECONDS: Final = 1.0
_OLD_SECONDS: Final = 2.0
_DETAILS: Final = (
    ("path", "folder"), ("state", "state"), ("why", "why"), ("mode", "mode"), ("url", "address"),
    ("port", "port"), ("pid", "process"), ("disk", "disk"), ("backup", "last proven backup"),
    ("last_use", "last opened"), ("untouched", "untouched"), ("error", "last error"),
)  # fmt: skip
Rows = list[dict[str, Any]]


class ProjectsPane(Pane):
    """All projects of the user: which runs, sleeps or has failed, and where."""

    lead = "Project"
    verbs = PROJECT_VERBS
    no_page = "nothing answers there; s starts it"
    parts = ("projects",)
    filters = (listed(tables.PROJECTS, tables.project_line),)
    DEFAULT_CSS = """
    ProjectsPane #projects-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*verbs]

    def __init__(
        self, state: DashboardState, clock: Clock, *, choose: str | None = None,
        go: Callable[[Path], None] | None = None,
        read: Callable[[int], Rows] = project_rows,
        note: Callable[[str, str], None] = lambda what, command: None,
    ) -> None:  # fmt: skip
        """Make the pane.

        Args:
            state: what the dashboard knows.
            clock: tells the time.
            choose: what the footer calls enter; None for nothing.
            go: takes the folder of the project that was chosen.
            read: gives the rows at a time (Unix ms); called on a thread.
            note: takes what was done, and the command that does the same.
        """
        super().__init__(state)
        self._clock = clock
        self._go = go
        self._choose = choose
        self._read = read
        self._take_command = note
        self._rows: Rows | None = None
        self._read_at = 0.0
        self._next_at = 0.0
        self._is_reading = False
        self._note = ""

    def compose(self) -> ComposeResult:
        """Lay out a line of news and the list."""
        yield Static(id="projects-note", markup=False)
        yield LineList(
            tables.project_line, is_bad=tables.is_bad_project, head=tables.HEADS["projects"],
            empty="No project yet. Press c to create one, or run pylon in a project's folder.",
            choose=self._choose,
        )  # fmt: skip

    def keep_current(self) -> None:
        """Have the list read again: the folders of all projects are looked at, beside the loop."""
        now = self._clock.monotonic()
        if not self._is_reading and now >= self._next_at:
            self._is_reading = True
            self.run_worker(self._look(), name="projects", group="projects")
        self._say(now)

    def ask_again(self) -> None:
        """Have it read again at once."""
        self._next_at = 0.0

    async def _look(self) -> None:
        started = self._clock.monotonic()
        try:
            self._rows = await asyncio.to_thread(self._read, self._clock.now_ms())
            self._read_at = started
            self.state.touch("projects")
        finally:
            took = self._clock.monotonic() - started
            self._next_at = self._clock.monotonic() + max(_EVERY_SECONDS, took)
            self._is_reading = False
        self.refresh_from()
        self._say(self._clock.monotonic())

    def _say(self, now: float) -> None:
        """Say how old the list is, where that is more than it should be, or what the row hides."""
        row = self.list.current if self.list is not None else None
        if self._rows is None:
            note = "◔ reading …"
        elif now - self._read_at > _OLD_SECONDS:
            note = f"STALE: the folders were looked at {now - self._read_at:.0f} s ago"
        elif row is not None and row["error"]:
            note = f"✗ {row['error']}"
        else:
            note = "enter opens · s start · x stop · z sleep · i all about it · F forget"
        if note != self._note:
            self._note = note
            self.query_one("#projects-note", Static).update(f" {clean_block(note)}")

    def show(self) -> None:
        """Show the projects."""
        assert self.list is not None
        if self._rows is not None:
            rows = self.passing(self._rows)
            self.list.show(rows, key=lambda row: row["path"], total=len(self._rows))

    async def open_row(self, row: Any) -> None:
        """Go over to a project."""
        if row["is_missing"]:
            say(self.app, "its folder is gone; F takes it off the list", is_bad=True)
        elif self._go is not None:
            self._go(Path(row["path"]))

    @property
    def _current(self) -> Any:
        """Return the project under the cursor; says so where there is none."""
        row = self.list.current if self.list is not None else None
        if row is None:
            say(self.app, "there is no project under the cursor")
        return row

    def action_project(self, what: str) -> None:
        """Do something to the project under the cursor."""
        row = self._current
        if row is not None:
            ProjectActions(self.app, self.ask_again, self._take_command).do(what, row)

    def action_into_menu(self) -> None:
        """Put Pylon into the menu of applications."""
        ProjectActions(self.app, self.ask_again, self._take_command).put_into_menu()

    def action_about(self) -> None:
        """Show all about the project under the cursor."""
        row = self._current
        if row is not None:
            text = "\n".join(f"{words:<20} {row[key]}" for key, words in _DETAILS if row[key])
            self.app.push_screen(Details(str(row["name"]), text))

    def page(self) -> str | None:
        """Return where the app of the project under the cursor is."""
        row = self.list.current if self.list is not None else None
        return None if row is None else row["url"] or ""


def _build(app: Dashboard, admin: AdminClient) -> ProjectsPane:
    return ProjectsPane(app.state, app.clock, go=app.go_over, note=app.command_log.note)


SCREEN = Entry(
    "projects", "Projects", "all of yours: state, port, disk, last error, backup; start, stop",
    _build, key="1", verbs=ProjectsPane.verbs,
    offers=(Offer(*INTO_MENU, "into_menu"),),
    first=(("enter", "go over to it, or attach to it"), ("o", "its page, in a browser")),
)  # fmt: skip
