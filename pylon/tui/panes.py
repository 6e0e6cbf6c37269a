"""What all panes of the dashboard are: each shows one part of the state, and only when it is seen.

A pane makes whatever reads and acts for it, and knows what enter, y, w and o do with its rows.
"""

from __future__ import annotations

from typing import Any

from textual.containers import Vertical
from textual.widget import Widget

from pylon.tui.copying import Copies, copies, readable
from pylon.tui.dialogs import Details
from pylon.tui.model import DashboardState
from pylon.tui.saying import say
from pylon.tui.verbs import Place
from pylon.tui.widgets.filter_line import NOTHING, Help
from pylon.tui.widgets.line_list import LineList


class Pane(Vertical, Place):
    """One pane; `refresh_from` shows the state if it changed since the last time."""

    #: What stands in the empty filter line.
    filter_hint = "filter: words; a ! before them turns it round"
    #: The parts of the state that it shows.
    parts: tuple[str, ...] = ()
    #: Whether it is drawn while the rest stands still.
    shows_when_paused = False
    DEFAULT_CSS = "Pane .zoomed-away { display: none; }"

    def __init__(self, state: DashboardState) -> None:
        super().__init__(id=type(self).__name__.removesuffix("Pane").lower())
        self.state = state
        self._seen: tuple[int, ...] = ()
        self.terms = ""
        #: What has the room of all, for the time being.
        self.zoomed: Widget | None = None

    def refresh_from(self, *, force: bool = False) -> None:
        """Show the state if one of the pane's parts changed."""
        versions = tuple(self.state.version_of(part) for part in self.parts)
        if force or versions != self._seen:
            self._seen = versions
            self.show()

    def show(self) -> None:
        """Show the state."""

    def keep_current(self) -> None:
        """Do what is to be done at each frame while the pane is seen."""

    def ask_again(self) -> None:
        """Have what is in sight read again at once."""

    def take(self, message: dict[str, Any]) -> None:
        """Take a message of the stream, seen or not."""

    def fit(self) -> None:
        """Share the room between the parts, where that is not for the style sheet to do."""

    def action_other_list(self) -> None:
        """Go over to another list, where there is one."""
        say(self.app, "there is one list here")

    def filter(self, terms: str) -> None:
        """Show only what passes a filter line."""
        self.terms = terms
        self.refresh_from(force=True)

    def help_of(self, line: str, cursor: int) -> Help:
        """Return what may come next in the filter line, and what is wrong with it."""
        return NOTHING

    @property
    def list(self) -> LineList | None:
        """Return the pane's list, where it has one."""
        found = self.query(LineList)
        return found.first() if found else None

    # --- the row under the cursor

    async def open_row(self, row: Any) -> None:
        """Show everything about a row."""
        self.app.push_screen(Details(str(self.id), readable(row)))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return (name, text) of everything that can be copied of a row; the app is at `url`."""
        return copies(str(self.id), row, url)

    def ask_why(self, row: Any) -> None:
        """Ask why a user may do something with a row (None where there is none), or may not."""
        say(self.app, "w asks about a row of the Log, or as a user of Clients or Users")

    def page(self) -> str | None:
        """Return what `o` opens here in place of the app's page; empty: there is nothing."""
        return None


def passes(row: dict[str, Any], terms: str) -> bool:
    """Tell whether a row has the words of a filter line, in any of its values."""
    line = terms.strip().lower()
    is_inverse = line.startswith("!")
    words = line.removeprefix("!").split()
    if not words:
        return True
    whole = " ".join(str(value) for value in row.values()).lower()
    return all(word in whole for word in words) is not is_inverse
