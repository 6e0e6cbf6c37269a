"""The pane of the schema: entities, fields, indexes with their uses, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import beginning, clean_block
from pylon.tui.asked import AskedPane
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.filtering import listed
from pylon.tui.held import held_advice, held_words
from pylon.tui.reloading import plan_words
from pylon.tui.verbs import Verb
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

SCHEMA_VERBS: Final = (
    Verb("a", "apply", "Apply the migration that waits, after a look at its plan",
         id="schema.apply", cli="migrate"),
)  # fmt: skip
_COLUMNS: Final = (
    Column("ENTITY", 10, most=24), Column("NAME", 20, most=36), Column("WHAT", 12, most=32),
    Column("MORE", 60),
)  # fmt: skip


def schema_line(one: dict[str, Any], width: int) -> list[tuple[str, str]]:
    """Return the line of a field or an index."""
    return data_line(
        _COLUMNS,
        (
            (one["entity"], "quiet"), (one["name"], "strong"), (one["what"], "plain"),
            (one["more"], "warn" if one["uses"] == "UNUSED" else "quiet"),
        ),
        width,
    )  # fmt: skip


def rows_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a schema: the fields of each entity, then its indexes."""
    rows = []
    for entity in found["entities"]:
        for field in entity["fields"]:
            words = ["null"] if field["nullable"] else []
            words += [f"default {field['default']}"] if field["default"] else []
            rows.append({
                "entity": entity["name"], "name": field["name"], "what": field["kind"],
                "uses": "", "more": ", ".join([*words, *field["words"]]),
            })  # fmt: skip
        for index in entity["indexes"]:
            uses = index["uses"]
            told = "uses: ?" if uses is None else f"{uses:,} uses" if uses else "UNUSED"
            words = [told, *(["unique"] if index["unique"] else [])]
            words += [] if index["is_declared"] else ["of the Ref"]
            rows.append({
                "entity": entity["name"], "name": f"index {index['name']}",
                "what": ", ".join(index["fields"]), "more": ", ".join(words),
                "uses": "?" if uses is None else f"{uses:,}" if uses else "UNUSED",
            })  # fmt: skip
    return rows


class SchemaPane(AskedPane):
    """Entities, fields, indexes and how often they are used; the migration that waits."""

    lead = "Schema"
    verbs = SCHEMA_VERBS
    parts = ("schema", "held")
    filters = (listed(_COLUMNS, schema_line),)
    path = "admin/schema"
    DEFAULT_CSS = """
    SchemaPane #schema-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    SchemaPane #schema-note.bad { color: $text-error; }
    SchemaPane #schema-plan { height: auto; max-height: 40%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*SCHEMA_VERBS]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        self._dashboard = app
        #: What the text of the plan shows.
        self._told = ""

    def compose(self) -> ComposeResult:
        """Lay out a line of news, the plan, and the schema."""
        yield Static(id="schema-note", markup=False)
        with VerticalScroll(id="schema-plan"):
            yield Static(id="schema-plan-text", markup=False)
        yield LineList(
            schema_line, head=lambda width: head_line(_COLUMNS, width), id="schemalist",
            empty="The app has no entity yet.",
        )  # fmt: skip

    def show(self) -> None:
        """Show fields and indexes that pass the filter, and what waits above them."""
        found = self._asked.answer
        rows = [] if found is None else rows_of(found)
        shown = self.passing(rows)
        assert self.list is not None
        self.list.show(shown, key=lambda row: (row["entity"], row["name"]), total=len(rows),
                       is_read=found is not None)  # fmt: skip
        words = "" if found is None else plan_words(found)
        if self.state.is_held:
            words = f"A migration waits:\n{held_words(self.state)}\n\n{held_advice(self.state)}"
        self.query_one("#schema-plan").display = bool(words)
        if words != self._told:  # laid out anew each second, a long one would take the keys
            self._told = words
            self.query_one("#schema-plan-text", Static).update(clean_block(beginning(words)))
        line = self.query_one("#schema-note", Static)
        note = self._asked.note
        line.set_class(bool(note), "bad")
        line.update(clean_block(f" {note or self._quiet(found)}"), layout=False)

    def _quiet(self, found: dict[str, Any] | None) -> str:
        if found is None:
            return ""
        if not found["counts_uses"]:
            return "this SQLite does not count statements: uses are unknown"
        unused = sum(one["uses"] == "UNUSED" for one in rows_of(found))
        one = "1 index" if unused == 1 else f"{unused} indexes"
        words = f"{one} unused since the start" if unused else "every index was used"
        return f"{words} · a applies what waits" if found["plan"] is not None else words

    async def open_row(self, row: Any) -> None:
        """Show a line whole."""
        text = "\n".join(f"{name}: {value}" for name, value in row.items() if value)
        self.app.push_screen(Details(f"{row['entity']} {row['name']}", text))

    def action_apply(self) -> None:
        """Apply the migration that waits: this plan, and no other."""
        if self.state.is_held:
            self._dashboard.held.ask()
            return
        self._dashboard.reloading.ask_to_apply(self._asked.answer, self._asked.ask_again)


SCREEN = Entry(
    "schema", "Schema", "entities, fields, indexes with their uses, and what waits", SchemaPane,
    verbs=SCHEMA_VERBS,
)  # fmt: skip
