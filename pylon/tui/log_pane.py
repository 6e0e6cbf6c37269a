"""The pane of the log: every committed change, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from pylon.client.admin import AdminClient, AdminError
from pylon.tui import tables
from pylon.tui.copying import differences, pretty
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.model import matches_change
from pylon.tui.panes import Pane
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class LogPane(Pane):
    """The tail of the change log."""

    filter_hint = "filter: words, entity:Message, user:ada, !not"
    parts = ("changes",)

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            tables.change_line, follows=True, head=tables.HEADS["changes"],
            empty="No change yet. Write something: it shows here the moment it is committed.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the changes that pass the filter."""
        rows = [one for one in self.state.changes if matches_change(one, self.terms)]
        assert self.list is not None
        self.list.show(rows, key=lambda row: row["seq"], total=len(self.state.changes))

    async def open_row(self, row: Any) -> None:
        """Show a change with its images."""
        try:
            row = await self._admin.get(f"admin/log/{row['seq']}")
        except AdminError as error:
            say(self.app, error.message, is_bad=True)
            return
        self.app.push_screen(Details(f"change {row['seq']}", differences(row) + pretty(row)))

    def ask_why(self, row: Any) -> None:
        """Ask about the row of a change."""
        if row is not None and row["row_id"]:
            self._dashboard.asking_why.about_row(str(row["entity"]), str(row["row_id"]))
        else:
            super().ask_why(row)


SCREEN = Entry("log", "Log", "every committed change", LogPane, key="2")
