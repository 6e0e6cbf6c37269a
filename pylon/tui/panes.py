"""What all panes of the dashboard are: each shows one part of the state, and only when it is seen.

A pane makes whatever reads and acts for it, and knows what enter, y, w and o do with its rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from pylon.tui.copying import Copies, copies, readable
from pylon.tui.dialogs import Details
from pylon.tui.enduring import Patient, shown
from pylon.tui.filtering import Filter, unnamed
from pylon.tui.model import DashboardState
from pylon.tui.saying import say
from pylon.tui.verbs import Place
from pylon.tui.widgets.filter_line import NOTHING, Help
from pylon.tui.widgets.line_list import LineList

#: Lines of a pane below which it does not say its keys.
_LOW: Final = 12
ONE_LIST: Final = "there is one list here"
#: What is said where `w` finds nobody and no row to ask about.
WHERE_WHY: Final = "w asks about a row of the Log, or as a user of Clients or Users"


class Pane(Patient, Vertical, Place):
    """One pane; `refresh_from` shows the state if it changed since the last time."""

    #: What stands in the empty filter line; empty: the names of the columns do.
    filter_hint = ""
    #: What filters its list, and another one below it; none where the runtime searches.
    filters: ClassVar[tuple[Filter, ...]] = ()
    #: The columns that a word of the filter line can name.
    fields: ClassVar[tuple[str, ...]] = ()
    #: What is said where `o` finds nothing to open.
    no_page = "there is nothing to open here"
    #: The parts of the state that it shows.
    parts: tuple[str, ...] = ()
    #: Whether it is drawn while the rest stands still.
    shows_when_paused = False
    #: The keys that do something there and are not in the footer; empty: the pane says them itself.
    own_keys: ClassVar[str] = ""
    DEFAULT_CSS = """
    Pane .zoomed-away { display: none; }
    Pane > .own-keys { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    Pane.low > .own-keys { display: none; }
    """

    def __init_subclass__(cls, **given: Any) -> None:
        """Have the columns of the filters be those that can be named."""
        super().__init_subclass__(**given)
        if cls.filters:
            cls.fields = tuple(dict.fromkeys(name for one in cls.filters for name in one.names))

    def __init__(self, state: DashboardState) -> None:
        super().__init__(id=type(self).__name__.removesuffix("Pane").lower())
        self.state = state
        self._seen: tuple[object, ...] = ()
        self.terms = ""
        #: What has the room of all, for the time being.
        self.zoomed: Widget | None = None

    def keys_line(self) -> Static:
        """Return a line that says its own keys."""
        return Static(f" {self.own_keys}", classes="own-keys", markup=False)

    def on_resize(self) -> None:
        """Leave a low terminal to the rows."""
        self.set_class(self.size.height < _LOW, "low")

    def refresh_from(self, *, force: bool = False) -> None:
        """Show the state if one of the pane's parts changed."""
        at_rest = self.state.at_rest
        versions = (*(self.state.version_of(part) for part in self.parts), at_rest)
        if force or versions != self._seen:
            self._seen = versions
            for one in self.query(LineList):
                one.at_rest = at_rest
            with shown(self.app, str(self.id)):
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
        say(self.app, ONE_LIST)

    @property
    def is_troubled(self) -> bool:
        """Tell whether something is wrong here, seen or not, as far as it was told or read."""
        return any(one.bad_places() for one in self.query(LineList))

    def into_trouble(self) -> bool:
        """Go into a text that says what is wrong; False where there is none, or one is in it."""
        return False

    def filter(self, terms: str) -> None:
        """Show only what passes a filter line."""
        self.terms = terms
        self.refresh_from(force=True)

    def filter_entered(self) -> None:
        """Take it that the filter line is typed to its end."""

    @property
    def given_terms(self) -> str:
        """Return the filter that came with where one is: it goes by leaving."""
        return ""

    def step_out(self) -> None:
        """Go back to where one came from, where there is more than one place here."""

    @property
    def hint(self) -> str:
        """Return what stands in the empty filter line."""
        return self.filter_hint or f"filter: words, !not, {': '.join(self.fields)}:"

    def passing(self, rows: Iterable[Any]) -> list[Any]:
        """Return the rows that pass the filter line."""
        return [one for one in rows if self.filters[0].passes(one, self.terms)]

    def help_of(self, line: str, cursor: int) -> Help:
        """Return what may come next in the filter line, and what is wrong with it."""
        mistake = unnamed(line, self.fields)
        return NOTHING if mistake is None else Help(mistake=mistake)

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
        say(self.app, WHERE_WHY)

    def page(self) -> str | None:
        """Return what `o` opens here in place of the app's page; empty: there is nothing."""
        return None
