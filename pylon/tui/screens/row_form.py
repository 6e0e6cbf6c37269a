"""A form made from the schema: a line for each field, what is wrong beside the field it is of.

What is typed is JSON's own for numbers, booleans, lists and objects, and plain text for texts; an
empty line of a field that may be absent is null, of one with a default the default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from pylon import jsonvalue
from pylon.errors import PylonError
from pylon.printable import clean
from pylon.tui.dialogs import Question, titled
from pylon.tui.enduring import Patient
from pylon.tui.saying import say
from pylon.tui.screens.long_text import FORM_TEXT_CHARS, LongText

#: Kinds whose value is JSON, as it is typed; all others are texts.
_JSON: Final = frozenset({"int", "float", "bool", "list", "object", "json"})
#: Nothing is sent for the field: it stays, or takes its default.
NOT_GIVEN: Final = object()
Save = Callable[[dict[str, Any], Callable[[dict[str, str]], None]], None]


def text_of(field: dict[str, Any], value: Any) -> str:
    """Return a value as it stands in its line."""
    if value is None:
        return ""
    if value == "" and field["nullable"]:
        return '""'  # an empty line is null there
    if field["kind"] in _JSON:
        return jsonvalue.encode_text(value)
    if isinstance(value, dict):
        return str(value.get("id"))  # a file is named by its id
    return str(value)


def value_of(field: dict[str, Any], text: str, *, is_new: bool, of_many: bool = False) -> Any:
    """Return what a line means; raises ValueError with what is wrong.

    An empty text is written `""`. In a form of many rows an empty line leaves them as they are, and
    `null` is null.
    """
    kind, stripped = field["kind"], text.strip()
    if of_many and not stripped:
        return NOT_GIVEN
    if of_many and stripped == "null" and field["nullable"]:
        return None
    if not stripped and field["nullable"]:
        return NOT_GIVEN if is_new and field["default"] else None
    if not stripped and is_new and field["default"]:
        return NOT_GIVEN
    if kind not in _JSON:
        if text == '""':
            return ""
        return text if kind in ("str", "text") else stripped
    if not stripped:
        if is_new:
            return NOT_GIVEN  # the runtime says what is required
        raise ValueError("must not be empty")
    try:
        return jsonvalue.parse(stripped.encode())
    except PylonError as error:
        wanted = {"bool": "true or false", "int": "a whole number", "float": "a number"}
        raise ValueError(f"must be {wanted.get(kind, 'JSON')}") from error


def kind_words(field: dict[str, Any]) -> str:
    """Return what a field takes, in a few words."""
    kind = f"→ {field['ref']}" if field["ref"] else field["kind"]
    words = [" | ".join(field["choices"]) or kind]
    if field["nullable"]:
        words.append("empty: null")
    if field["default"]:
        names = {"now": "the time", "actor": "the caller"}
        words.append(f"default: {names.get(field['default'], 'yes')}")
    words += ["required"] if field["required"] else []
    words += ["private"] if field["private"] else []
    words += ["set on insert only"] if field["immutable"] else []
    return ", ".join(words)


class RowForm(Patient, ModalScreen[None]):
    """A row to be written: a new one, or one with other values."""

    DEFAULT_CSS = """
    RowForm { align: center middle; }
    RowForm > .box { width: 90%; max-width: 110; height: auto; max-height: 95%;
        background: $surface; border: round $primary; padding: 0 1; scrollbar-size-vertical: 1; }
    RowForm > .loud { border: heavy $error; }
    RowForm .name { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    RowForm .wrong { height: auto; color: $text-error; display: none; }
    RowForm .wrong.shown { display: block; }
    RowForm TextArea, RowForm TextArea:focus {
        height: 4; border: none; padding: 0; background: $panel;
    }
    RowForm Input { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="form.leave"),
        Binding("ctrl+s", "save", "Save", priority=True, id="form.save"),
    ]

    def __init__(
        self, title: str, fields: list[dict[str, Any]], row: dict[str, Any] | None, save: Save, *,
        is_new: bool, is_loud: bool = False, of_many: bool = False,
    ) -> None:  # fmt: skip
        """Make a form.

        Args:
            title: what is written.
            fields: the entity's fields, as the runtime describes them.
            row: the values that stand in it at first.
            save: writes values, and takes who shows what is wrong, by field.
            is_new: the row is inserted: immutable fields can be set, defaults taken.
            is_loud: real people are behind it.
            of_many: many rows get the values; lines that stay empty leave them as they are.
        """
        super().__init__()
        self._title = title
        self._row = row or {}
        self._is_new = is_new
        self._is_loud = is_loud
        self._of_many = of_many
        self._save = save
        self._fields = [one for one in fields if is_new or not one["immutable"]]
        self._first = [text_of(one, self._row.get(one["name"])) for one in self._fields]
        #: What the fields made of it: an area of text has one kind of line end, whatever came.
        self._shown = self._first
        self._is_saving = False

    def compose(self) -> ComposeResult:
        """Lay out a line for each field."""
        with VerticalScroll(can_focus=False) as box:
            place = "PRODUCTION · " if self._is_loud else ""
            titled(box, f"{place}{self._title}", "ctrl+s save · tab next field · esc back")
            box.set_class(self._is_loud, "loud")
            yield Static(id="wrong-row", classes="wrong", markup=False)
            for at, field in enumerate(self._fields):
                name = clean(f"{field['name']}  ({self._words(field)})")
                yield Static(name, classes="name", markup=False)
                if len(self._first[at]) > FORM_TEXT_CHARS:
                    yield LongText(self._first[at], id=f"field-{at}")
                elif field["kind"] in ("text", "json", "object", "list"):
                    area = TextArea(self._first[at], id=f"field-{at}", tab_behavior="focus")
                    # At its end, as in the other fields: who edits goes on writing.
                    area.move_cursor(area.document.end)
                    yield area
                else:
                    yield Input(
                        self._first[at], id=f"field-{at}", compact=True, select_on_focus=False
                    )
                yield Static(id=f"wrong-{at}", classes="wrong", markup=False)

    def _words(self, field: dict[str, Any]) -> str:
        if not self._of_many:
            return kind_words(field)
        can_be_null = ", null: null" if field["nullable"] else ""
        kind = " | ".join(field["choices"]) or (
            f"→ {field['ref']}" if field["ref"] else field["kind"]
        )
        return f"{kind}, empty: as it is{can_be_null}"

    def on_mount(self) -> None:
        """Begin with the first field."""
        self._shown = [self._held(at) for at in range(len(self._fields))]
        if self._fields:
            self.query_one("#field-0").focus()

    def _text(self, at: int) -> str:
        """Return what a field means: where nobody touched it, what came, to the last character."""
        held = self._held(at)
        return self._first[at] if held == self._shown[at] else held

    def _held(self, at: int) -> str:
        found = self.query_one(f"#field-{at}")
        if isinstance(found, TextArea | LongText):
            return found.text
        return found.value  # type: ignore[attr-defined, no-any-return]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the next field."""
        event.stop()
        self.focus_next()

    def action_save(self) -> None:
        """Write what was changed, with the keys that the field has not taken in yet."""
        # The key comes straight here, those before it stand in the queue of their field.
        (self.focused or self).call_later(self._take)

    def _take(self) -> None:
        """Write what was changed, unless something is wrong with it, or it is being written."""
        if self._is_saving:  # the key was pressed twice: a new row would be there twice
            say(self.app, "◔ it is being saved …")
            return
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for at, field in enumerate(self._fields):
            text, came = self._text(at), self._row.get(field["name"])
            if text == self._first[at] and not self._is_new:
                continue
            if text == self._first[at] and came is not None:  # of the row that it is like
                values[field["name"]] = came["id"] if field["kind"] == "file" else came
                continue
            try:
                value = value_of(field, text, is_new=self._is_new, of_many=self._of_many)
            except ValueError as error:
                wrong[field["name"]] = f"{field['name']} {error}"
                continue
            if value is not NOT_GIVEN:
                values[field["name"]] = value
        self.show_mistakes(wrong)
        if not wrong and not values and not self._is_new:
            self.dismiss()
        elif not wrong:
            self._is_saving = True
            self._save(values, self._refused)

    def _refused(self, wrong: dict[str, str]) -> None:
        self._is_saving = False
        self.show_mistakes(wrong)

    def show_mistakes(self, wrong: dict[str, str]) -> None:
        """Show what is wrong beside the fields, and what is of none on top."""
        if not self.query("#wrong-row"):
            return
        rest, first = dict(wrong), None
        for at, field in enumerate(self._fields):
            text = rest.pop(field["name"], "")
            self._show_mistake(f"#wrong-{at}", text)
            if text and first is None:
                first = at
        self._show_mistake("#wrong-row", "; ".join(rest.values()))
        if first is not None:
            self.query_one(f"#field-{first}").focus()

    def _show_mistake(self, where: str, text: str) -> None:
        line = self.query_one(where, Static)
        line.set_class(bool(text), "shown")
        line.update(f"✗ {clean(text)}" if text else "")

    def action_leave(self) -> None:
        """Go back; what was typed is not thrown away unasked."""
        if all(self._text(at) == text for at, text in enumerate(self._first)):
            self.dismiss()
            return

        def leave(yes: bool | None) -> None:
            if yes:
                self.dismiss()

        self.app.push_screen(Question("Leave without saving what you typed?"), leave)
