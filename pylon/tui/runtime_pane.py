"""The pane of the runtime's own log: what it printed, the newest last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from pylon.client.admin import AdminClient
from pylon.tui import tables
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.filtering import Filter
from pylon.tui.panes import Pane
from pylon.tui.tailing import Tail
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class RuntimePane(Pane):
    """Lines of the runtime's log, and of what happened to its process."""

    shows_when_paused = True
    parts = ("lines",)
    #: (level, text, time) of a line: its columns have no heads.
    filters = (
        Filter(
            ("level", "time", "line"),
            lambda line, key: {"level": line[0], "line": line[1]}.get(key, line[2][11:19]),
            lambda line: str(line[1]),
        ),
    )

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._tail = Tail(self.filters[0].passes)

    def compose(self) -> ComposeResult:
        """Lay out the log."""
        yield LineList(
            tables.line_line, is_bad=tables.is_bad_line, follows=True, head=tables.HEADS["lines"],
            empty="The runtime has printed nothing.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the lines that pass the filter."""
        state = self.state
        rows = self._tail.rows(state.lines, state.lines_seen, self.terms)
        assert self.list is not None
        older, note = state.lines_seen - len(state.lines), ""
        if state.lines_dropped:
            note = f" · {state.lines_dropped:,} not shown"
        if older:
            note += f" · {older:,} older gone"
        # Those of a runtime of elsewhere come over the stream, before its functions.
        is_read = not state.is_attached or "functions" in state.told
        self.list.show(rows, key=id, total=len(state.lines), note=note, is_read=is_read)

    @property
    def is_troubled(self) -> bool:
        """Tell whether an error was printed."""
        return any(tables.is_bad_line(one) for one in self.state.lines)

    async def open_row(self, row: Any) -> None:
        """Show a line of the log whole."""
        self.app.push_screen(Details("line", row[1]))


SCREEN = Entry("runtime", "Runtime log", "what the runtime and its process said", RuntimePane)
