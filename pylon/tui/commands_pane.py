"""The pane of the session's commands: what was done here, as lines for a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from textual.app import ComposeResult

from pylon.client.admin import AdminClient
from pylon.printable import clean
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.copying import Copies
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.filtering import listed
from pylon.tui.panes import Pane
from pylon.tui.widgets.line_list import Line, LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_COLUMNS: Final = (Column("TIME", 8, 72), Column("DONE", 26, most=40), Column("COMMAND", 40))


def command_line(row: dict[str, Any], width: int) -> Line:
    """Return a command as a line."""
    cells = [(row["at"][11:19], "quiet"), (row["what"], "plain"), (row["line"], "plain")]
    return data_line(_COLUMNS, cells, width)


class CommandsPane(Pane):
    """What was done in this session."""

    parts = ("commands",)
    filters = (listed(_COLUMNS, command_line),)

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._log = app.command_log

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            command_line, follows=True, head=lambda width: head_line(_COLUMNS, width),
            empty="Nothing was done yet. Retry a job, say: its command stands here then.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the commands that pass the filter."""
        rows = [
            {"at": one.at, "what": clean(one.what), "line": clean(one.line)}
            for one in self._log.done
        ]
        assert self.list is not None
        self.list.show(self.passing(rows), total=len(rows))

    async def open_row(self, row: Any) -> None:
        """Show a command whole."""
        self.app.push_screen(Details(row["what"], row["line"]))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return the command."""
        return [("command", row["line"])]


SCREEN = Entry(
    "commands", "Command log", "what was done in this session, as lines for a shell", CommandsPane,
    last=(("y", "Copy the command"),),
)  # fmt: skip
