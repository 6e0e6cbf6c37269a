"""The keys, to read and to search."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.css.query import NoMatches
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from pylon.tui.dialogs import titled
from pylon.tui.helping import folded
from pylon.tui.saying import say
from pylon.tui.verbs import SCROLLING


class HelpScreen(ModalScreen[None]):
    """All keys; what is typed after `/` leaves only the lines that have it."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > .box { width: 90%; max-width: 110; height: 95%; background: $surface;
        border: round $primary; padding: 0 1; }
    HelpScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    HelpScreen Input { display: none; height: 1; border: none; padding: 0; }
    HelpScreen Input.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Back", id="close"),
        Binding("slash", "search", "Search", id="filter"),
        Binding("y", "copy", "Copy", id="copy"),
        *SCROLLING,
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        #: What of it is shown: the lines that were looked for.
        self._shown = text

    def compose(self) -> ComposeResult:
        """Lay out the keys and the line to search in."""
        with Vertical() as box:
            titled(box, "Help", "/ search · esc back · y copy")
            yield Input(placeholder="words of the line that is looked for", compact=True)
            with VerticalScroll():
                yield Static(self._text, markup=False)

    def on_mount(self) -> None:
        """Be ready to scroll."""
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        """Fold the lines for the width, once it is known."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        # A window that was closed meanwhile loses its parts one by one: there is nothing to fold.
        with suppress(NoMatches):
            width = self.query_one(VerticalScroll).scrollable_content_region.width
            self.query_one(Static).update(folded(self._shown, width))

    def action_search(self) -> None:
        """Open the line to search in."""
        line = self.query_one(Input)
        line.add_class("shown")
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Leave the lines that have all words; where there are none, say so."""
        words = event.value.lower().split()
        lines = [
            one for one in self._text.split("\n") if all(word in one.lower() for word in words)
        ]
        said = "\n".join(lines) if lines else "No line has this."
        self._shown = said if words else self._text
        self._draw()

    def on_input_submitted(self) -> None:
        """Go over to the lines that were found."""
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        """Copy the keys."""
        self.app.copy_to_clipboard(self._text)
        say(self.app, "copied (if your terminal allows it)", seconds=2)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
