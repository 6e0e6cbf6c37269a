"""Dialogs: details of a row, the copy menu, help, a question, and one line of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from pylon.printable import clean_block

_CSS = """
    {name} { align: center middle; }
    {name} > Vertical { width: 90%; max-width: 110; height: auto; max-height: 95%;
        background: $surface; border: round $primary; padding: 0 1; }
    {name} Static.hint { color: $text-muted; }
    {name} VerticalScroll { height: auto; max-height: 80vh; }
"""


class Details(ModalScreen[None]):
    """Text to read and scroll."""

    DEFAULT_CSS = _CSS.replace("{name}", "Details")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Back"),
        Binding("y", "copy", "Copy"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out title, text and keys."""
        with Vertical() as box:
            box.border_title = self._title
            with VerticalScroll():
                yield Static(clean_block(self._text), markup=False)
            yield Static("esc back · y copy", classes="hint", markup=False)

    def action_copy(self) -> None:
        """Copy the text."""
        self.app.copy_to_clipboard(self._text)
        self.app.notify("copied", timeout=2)


class Menu(ModalScreen[str | None]):
    """A choice of few."""

    DEFAULT_CSS = _CSS.replace("{name}", "Menu")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Back")]

    def __init__(self, title: str, options: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._options = options

    def compose(self) -> ComposeResult:
        """Lay out the options."""
        with Vertical() as box:
            box.border_title = self._title
            yield OptionList(*[Option(label, id=key) for key, label in self._options], markup=False)
            yield Static("enter choose · esc back", classes="hint", markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the choice."""
        self.dismiss(event.option.id)


class Question(ModalScreen[bool]):
    """Yes or no."""

    DEFAULT_CSS = _CSS.replace("{name}", "Question")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes"),
        Binding("n,escape,q", "dismiss(False)", "No"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical():
            yield Static(clean_block(self._text), markup=False)
            yield Static("y yes · n no", classes="hint", markup=False)


class Prompt(ModalScreen[str | None]):
    """One line of text."""

    DEFAULT_CSS = _CSS.replace("{name}", "Prompt")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, title: str, placeholder: str) -> None:
        super().__init__()
        self._title = title
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """Lay out the line."""
        with Vertical() as box:
            box.border_title = self._title
            yield Input(placeholder=self._placeholder)
            yield Static("enter go · esc back", classes="hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the text."""
        self.dismiss(event.value.strip() or None)
