"""A line of a form: what it is called, its field, and below what is wrong with it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Select, Static, TextArea

from pylon.printable import clean
from pylon.tui.saying import say
from pylon.tui.try_form import Form, FormField, harmless_json

#: What the line of whom to call as is called; no argument is: it is a word of Python.
WHOM = "as"
#: The choice of nothing: the argument is left out.
_NOTHING = ""


class LineInput(Input):
    """One line of text; what is lost of a pasted text is said."""

    def _on_paste(self, event: events.Paste) -> None:
        line = (event.text.splitlines() or [""])[0]
        kept = "".join(one for one in line if clean(one) == one)
        if kept != event.text:
            say(self.app, "a line takes one line, without control characters: pylon call takes"
                          " any text", seconds=5)  # fmt: skip
        event.prevent_default()  # else the base class takes it, too
        event.stop()
        super()._on_paste(events.Paste(kept))


class JsonArea(TextArea):
    """JSON of several lines; what a terminal would obey is escaped as it is pasted."""

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        await super()._on_paste(events.Paste(harmless_json(event.text)))


class Row(Vertical):
    """One line of a form."""

    DEFAULT_CSS = """
    Row { height: auto; padding: 0 1; }
    Row Horizontal { height: auto; }
    Row .label { width: 22; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    Row Input, Row Select { width: 1fr; }
    Row TextArea { width: 1fr; height: auto; min-height: 1; max-height: 6; }
    Row .complaint { display: none; height: auto; color: $text-error; padding: 0 0 0 22; }
    Row .complaint.shown { display: block; }
    Row Input:focus, Row TextArea:focus { background: $primary 30%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, name: str, label: str) -> None:
        super().__init__()
        self.name_ = name
        self._label = label

    def compose(self) -> ComposeResult:
        """Lay out label, field and complaint."""
        with Horizontal():
            yield Static(clean(self._label), classes="label", markup=False)
            yield self.make_field()
        yield Static(classes="complaint", markup=False)

    def make_field(self) -> Widget:
        """Return the field."""
        raise NotImplementedError

    @property
    def field_widget(self) -> Widget:
        """Return the field."""
        return self.query_one("Input, Select, TextArea", Widget)

    @property
    def text(self) -> str:
        """Return what stands in the field."""
        found = self.field_widget
        if isinstance(found, Select):
            return str(found.value)
        return found.text if isinstance(found, TextArea) else getattr(found, "value", "")

    def complain(self, text: str) -> None:
        """Show what is wrong, or nothing."""
        place = self.query_one(".complaint", Static)
        place.set_class(bool(text), "shown")
        place.update(clean(f"✗ {text}" if text else ""))

    def focus_field(self) -> None:
        """Put the cursor into the field."""
        self.field_widget.focus()


class UserRow(Row):
    """Whom a function is called as."""

    def __init__(self, user: str, known: list[str]) -> None:
        super().__init__(WHOM, f"{WHOM} *")
        self._user = user
        # What would steer the terminal is not offered: a completion is drawn as it is.
        self._known = [one for one in known if clean(one) == one]

    def make_field(self) -> Widget:
        """Return a line that completes."""
        return LineInput(
            self._user, "an address, an id, anonymous, or system: past all policies", compact=True,
            suggester=SuggestFromList(self._known, case_sensitive=False),
        )  # fmt: skip


class FormRow(Row):
    """One argument."""

    def __init__(self, field: FormField, text: str) -> None:
        super().__init__(field.name, f"{field.name}{' *' if field.is_required else ''}")
        self.field = field
        self._text = text

    def make_field(self) -> Widget:
        """Return the field that fits its type."""
        field, hint = self.field, clean(self.field.hint)
        if field.form is Form.CHOICE:
            nothing = f"nothing ({hint})" if field.is_required else "left out"
            options = [(Text(nothing), _NOTHING)]
            options += [(Text(field.label(one)), one) for one in field.choices]
            known = self._text if self._text in field.choices else _NOTHING
            return Select(options, allow_blank=False, value=known, compact=True)
        if field.form is Form.JSON:
            return JsonArea(self._text, compact=True, placeholder=Content(f"JSON: {hint}"),
                            highlight_cursor_line=False)  # fmt: skip
        return LineInput(self._text, hint, compact=True, select_on_focus=False)
