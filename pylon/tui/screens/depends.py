"""What depends on a change that is to be undone, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from pylon.printable import clean_block
from pylon.tui.dialogs import titled
from pylon.tui.enduring import Patient


class DependsScreen(Patient, ModalScreen[str | None]):
    """A text to read, and a choice; answers the key of what was chosen."""

    DEFAULT_CSS = """
    DependsScreen { align: center middle; }
    DependsScreen > .box { width: 90%; max-width: 110; height: auto; max-height: 95%;
        background: $surface; border: round $primary; padding: 0 1; }
    DependsScreen VerticalScroll { height: auto; max-height: 12; margin-bottom: 1; }
    DependsScreen OptionList { height: auto; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Back", id="close"),
        # Before the choices, which would take them for their own: to the last one, or the first.
        Binding("pagedown,ctrl+d", "scroll(10)", "Page down", priority=True, id="move.page-down"),
        Binding("pageup,ctrl+u", "scroll(-10)", "Page up", priority=True, id="move.page-up"),
    ]

    def __init__(self, title: str, text: str, choices: Sequence[tuple[str, str]]) -> None:
        """Show a text; `choices` are (key, words), the first one is under the cursor."""
        super().__init__()
        self._title = title
        self._text = text
        self._choices = choices

    def compose(self) -> ComposeResult:
        """Lay out the text and the choices."""
        with Vertical() as box:
            titled(box, self._title, "enter choose · page keys scroll · esc back")
            with VerticalScroll(can_focus=False):
                yield Static(clean_block(self._text), markup=False)
            yield OptionList(
                *[Option(words, id=key) for key, words in self._choices], markup=False, compact=True
            )

    def on_mount(self) -> None:
        """Choose at once."""
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the choice."""
        self.dismiss(event.option.id)

    def action_scroll(self, by: int) -> None:
        """Scroll the text."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
