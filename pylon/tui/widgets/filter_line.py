"""The line that filters, with what may come next above it, and what is wrong where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.text import Text
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from pylon.policy.completion import Offer
from pylon.printable import clean

_SHOWN: Final = 6
_TEXT_WIDTH: Final = 24


@dataclass(frozen=True, slots=True)
class Help:
    """What is known about a line that is being typed."""

    offers: Sequence[Offer] = ()
    #: Where something is wrong (a column of the line), and what; None while nothing is known.
    mistake: tuple[int, str] | None = None


NOTHING: Final = Help()


class OfferLines(Static):
    """Above the line: a mark below which something is wrong, and what may come next."""

    DEFAULT_CSS = """
    OfferLines { display: none; height: auto; background: $panel; padding: 0 1;
        text-wrap: nowrap; text-overflow: ellipsis; }
    OfferLines.shown { display: block; }
    """

    def show(self, found: Help, chosen: int, left: int) -> None:
        """Show them; `left` is the first column of the line that is seen."""
        lines = []
        first = max(0, min(chosen - _SHOWN + 2, len(found.offers) - _SHOWN))
        for at, one in list(enumerate(found.offers))[first : first + _SHOWN]:
            more = f"  … {len(found.offers) - at - 1} more" if at == first + _SHOWN - 1 else ""
            more = "" if at == len(found.offers) - 1 else more
            keys = "  (tab takes it, ↑ ↓)" if at == chosen else ""
            text = clean(one.text.strip())
            lines.append(f"{'›' if at == chosen else ' '} {text:<{_TEXT_WIDTH}} {clean(one.note)}"
                         f"{keys}{more}")  # fmt: skip
        if found.mistake is not None:
            column, words = found.mistake
            lines.append(f"{' ' * max(0, column - left)}▼ {clean(words)}")
        self.set_class(bool(lines), "shown")
        self.update(Text("\n".join(lines)))


class FilterLine(Input):
    """The line itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete", show=False, id="complete"),
        Binding("down", "offer(1)", "Next offer", show=False, id="offer.next"),
        Binding("up", "offer(-1)", "Offer before", show=False, id="offer.before"),
        Binding("f1", "app.help", "Help", key_display="f1", id="help"),  # ? is a letter here
    ]

    def __init__(self, help_of: Callable[[str, int], Help], *, id: str) -> None:
        """Make a line; `help_of` knows what may come next after a text, at a cursor."""
        super().__init__(id=id)
        self._help_of = help_of
        self._found = NOTHING
        self._chosen = 0

    def on_mount(self) -> None:
        """Look again whenever the text, the cursor or the focus changes."""
        self.watch(self, "has_focus", self._typed, init=False)
        self.watch(self, "value", self._typed, init=False)
        self.watch(self, "selection", self._typed, init=False)

    def open(self, line: str, hint: str) -> None:
        """Have it typed in: it is seen, and takes keys, at once."""
        self.placeholder = hint
        self.add_class("shown")
        self.display = True  # at once: what is not displayed yet takes no key
        self.value = line
        # At once, not with the next message: a key may wait behind this one.
        self.screen.set_focus(self)

    def hold(self, line: str) -> None:
        """Show the filter of what is in sight now, which nobody types; an empty one is hidden."""
        with self.prevent(Input.Changed):
            self.value = line
        self.close(is_kept=bool(line))

    def close(self, *, is_kept: bool) -> None:
        """Take it that nothing more is typed; it is seen on where it is kept."""
        self.set_class(is_kept, "shown")
        self.styles.clear_rule("display")  # panes show it by its class alone

    def _typed(self) -> None:
        self._chosen = 0
        self.look_again()

    def look_again(self) -> None:
        """Show what is known by now; nothing where nothing is typed."""
        found = self._help_of(self.value, self.cursor_position) if self.has_focus else NOTHING
        self._show(found)

    def _show(self, found: Help) -> None:
        if found == self._found == NOTHING:
            return
        self._found = found
        self._chosen = max(0, min(self._chosen, len(found.offers) - 1))
        left = int(self.scroll_offset.x)
        for lines in self.screen.query(OfferLines):
            lines.show(found, self._chosen, left)

    def action_complete(self) -> None:
        """Take the offer; where there is none tab goes on as everywhere."""
        if not self._found.offers:
            raise SkipAction
        offer = self._found.offers[self._chosen]
        self.value, self.cursor_position = offer.put_into(self.value, self.cursor_position)

    def action_offer(self, by: int) -> None:
        """Go to another offer."""
        if not self._found.offers:
            raise SkipAction
        self._chosen = (self._chosen + by) % len(self._found.offers)
        self._show(self._found)
