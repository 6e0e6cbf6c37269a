"""The pane of the runtime's own log: what it printed, the newest last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from pylon.client.admin import AdminClient
from pylon.tui import tables
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.panes import Pane, passes
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class RuntimePane(Pane):
    """Lines of the runtime's log, and of what happened to its process."""

    shows_when_paused = True
    parts = ("lines",)

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)

    def compose(self) -> ComposeResult:
        """Lay out the log."""
        yield LineList(tables.line_line, follows=True, empty="The runtime has printed nothing.")

    def show(self) -> None:
        """Show the lines that pass the filter."""
        rows = [one for one in self.state.lines if passes({"text": one[1]}, self.terms)]
        assert self.list is not None
        self.list.show(rows)

    async def open_row(self, row: Any) -> None:
        """Show a line of the log whole."""
        self.app.push_screen(Details("line", row[1]))


SCREEN = Entry("runtime", "Runtime log", "what the runtime and its process said", RuntimePane)
