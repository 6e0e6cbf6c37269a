"""Dialogs: details of a row, the copy menu, help, a question, and one line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from pylon.printable import beginning, clean, clean_block
from pylon.tui.enduring import Patient
from pylon.tui.paging import page
from pylon.tui.saying import say
from pylon.tui.verbs import SCROLLING

#: What stands between the keys of a box, and keys by what they are called there.
_BETWEEN: Final = " · "
_CALLED: Final = {"esc": "escape", "/": "slash", "?": "question_mark"}
_NAMED: Final = frozenset({"escape", "enter", "space", "tab", "slash", "question_mark", "ctrl+s"})
_CSS = """
    {name} { align: center middle; }
    {name} > .box { width: 90%; max-width: 110; height: auto; max-height: 95%;
        background: $surface; border: round $primary; padding: 0 1; }
"""


def titled(box: Widget, title: str, keys: str) -> None:
    """Write title and keys into a box's border, as text and never as markup; keys are clicked."""
    box.add_class("box")
    box.border_title = Text(clean(title))
    box.border_subtitle = clickable(keys)


def clickable(keys: str) -> Text:
    """Return `esc back · y copy` with each part as what is clicked instead of its key."""
    text = Text()
    for at, part in enumerate(keys.split(_BETWEEN)):
        key = part.partition(" ")[0]
        name = _CALLED.get(key, key)
        click = Style(meta={"@click": f"app.simulate_key({name!r})"})
        text.append(_BETWEEN if at else "")
        text.append(part, click if len(name) == 1 or name in _NAMED else "")
    return text


class Details(Patient, ModalScreen[None]):
    """Text to read and scroll."""

    DEFAULT_CSS = _CSS.replace("{name}", "Details")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Back", id="close"),
        Binding("y", "copy", "Copy", id="copy"),
        Binding("P", "page", "Pager", id="text.page"),
        *SCROLLING,
    ]

    def __init__(self, title: str, text: str, *, copied: str | None = None) -> None:
        """Show a text; `copied` is what y copies, None: the text."""
        super().__init__()
        self._title = title
        self._text = text
        self._copied = text if copied is None else copied

    def compose(self) -> ComposeResult:
        """Lay out title, text and keys."""
        with VerticalScroll() as box:
            titled(box, self._title, "esc back · y copy · P pager")
            shown = beginning(self._text, ": P shows all in the pager")
            yield Static(clean_block(shown), markup=False)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_copy(self) -> None:
        """Copy the text."""
        self.app.copy_to_clipboard(self._copied)
        say(self.app, "copied (if your terminal allows it)", seconds=2)

    def action_page(self) -> None:
        """Show the text in the pager."""
        page(self.app, self._text)


class Menu(Patient, ModalScreen[str | None]):
    """A choice of few."""

    DEFAULT_CSS = _CSS.replace("{name}", "Menu")
    #: What stands in the border.
    keys: ClassVar[str] = "enter choose · esc back"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Back", id="close")
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._options = options

    def compose(self) -> ComposeResult:
        """Lay out the options."""
        with Vertical() as box:
            titled(box, self._title, self.keys)
            yield OptionList(
                *[Option(clean(label), id=key) for key, label in self._options],
                markup=False, compact=True,
            )  # fmt: skip

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the choice."""
        self.dismiss(event.option.id)


class CopyMenu(Menu):
    """A choice of what is copied, or looked at in the pager."""

    DEFAULT_CSS = _CSS.replace("{name}", "CopyMenu")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("P", "page", "Pager", id="text.page")]
    keys = "enter copy · P pager · esc back"

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        """Offer (name, text) of each."""
        super().__init__("Copy", [(name, f"{name}: {text[:70]}") for name, text in texts])
        self._texts = texts

    def action_page(self) -> None:
        """Show the text under the cursor in the pager."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            page(self.app, self._texts[at][1])


class Question(Patient, ModalScreen[bool]):
    """Yes or no."""

    DEFAULT_CSS = _CSS.replace("{name}", "Question")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes", id="dialog.yes"),
        Binding("n,escape,q", "dismiss(False)", "No", id="dialog.no"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical() as box:
            titled(box, "", "y yes · n no")
            yield Static(clean_block(self._text), markup=False)


class Prompt(Patient, ModalScreen[str | None]):
    """One line of text."""

    DEFAULT_CSS = _CSS.replace("{name}", "Prompt") + "#complaint { color: $text-error; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="dialog.leave")
    ]

    def __init__(
        self, title: str, placeholder: str, objection: Callable[[str], str] = lambda _: "",
        suggestions: Sequence[str] = (), *, value: str = "", takes_nothing: bool = False,
    ) -> None:  # fmt: skip
        """Make a prompt.

        Args:
            title: what is asked.
            placeholder: what stands in the empty line.
            objection: says what is wrong with a text, or nothing.
            suggestions: what completes.
            value: what stands in the line at first.
            takes_nothing: an empty line is an answer, too.
        """
        super().__init__()
        self._title = title
        self._placeholder = clean(placeholder)
        self._objection = objection
        self._value = value
        self._takes_nothing = takes_nothing
        # What would steer the terminal is not offered: a completion is drawn as it is.
        harmless = [one for one in suggestions if clean(one) == one]
        self._suggester = SuggestFromList(harmless, case_sensitive=False)

    def compose(self) -> ComposeResult:
        """Lay out the line."""
        with Vertical() as box:
            titled(box, self._title, "enter go · esc back")
            yield Input(
                self._value, self._placeholder, compact=True, suggester=self._suggester,
                select_on_focus=False,
            )  # fmt: skip
            yield Static(id="complaint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the text, unless there is something against it."""
        text = event.value.strip()
        complaint = self._objection(text) if text else ""
        if complaint:
            self.query_one("#complaint", Static).update(clean_block(complaint))
        else:
            self.dismiss(text if text or self._takes_nothing else None)
