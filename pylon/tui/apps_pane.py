"""The pane of projects: the launcher, and within a dashboard the way over to another project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from pylon.client.admin import AdminClient
from pylon.tui import tables
from pylon.tui.entry import Entry
from pylon.tui.model import DashboardState
from pylon.tui.panes import Pane, passes
from pylon.tui.projects import project_rows
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class AppsPane(Pane):
    """The launcher: known projects."""

    parts = ("projects",)

    def __init__(
        self, state: DashboardState, projects: Callable[[], list[dict[str, Any]]], *,
        choose: str | None = None, go: Callable[[Path], None] | None = None,
    ) -> None:  # fmt: skip
        """Make the pane.

        Args:
            state: what the dashboard knows.
            projects: gives the rows.
            choose: what the footer calls enter; None for nothing.
            go: takes the folder of the project that was chosen.
        """
        super().__init__(state)
        self._go = go
        self._choose = choose
        self._projects = projects

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            tables.project_line, head=tables.HEADS["projects"],
            empty="No project yet. Press c to create one, or run pylon in a project's folder.",
            choose=self._choose,
        )  # fmt: skip

    def show(self) -> None:
        """Show the projects."""
        projects = self._projects()
        rows = [one for one in projects if passes(one, self.terms)]
        assert self.list is not None
        self.list.show(rows, key=lambda row: row["path"], total=len(projects))

    async def open_row(self, row: Any) -> None:
        """Go over to a project."""
        if row["is_missing"]:
            say(self.app, "its folder is gone; the launcher takes it off the list", is_bad=True)
        elif self._go is not None:
            self._go(Path(row["path"]))


def _build(app: Dashboard, admin: AdminClient) -> AppsPane:
    return AppsPane(app.state, lambda: project_rows(app.clock.now_ms()), go=app.go_over)


SCREEN = Entry("apps", "Apps", "your projects; enter goes over to one", _build, key="1")
