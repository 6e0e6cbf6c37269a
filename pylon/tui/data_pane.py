"""The pane of data: entities with counts and sizes, and the rows of one, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from pylon.client.admin import AdminClient, AdminError
from pylon.policy.completing import known_of
from pylon.policy.completion import complete
from pylon.printable import clean
from pylon.tui import data_tables
from pylon.tui.copying import Copies, pretty, row_path
from pylon.tui.data_actions import ROW_VERBS
from pylon.tui.data_copies import as_pytest, typescript
from pylon.tui.data_marking import MarkingPane
from pylon.tui.data_state import Place, Row
from pylon.tui.dialogs import Details, Menu
from pylon.tui.entry import Entry
from pylon.tui.meaning import ask_whom
from pylon.tui.saying import say
from pylon.tui.screens.columns import ColumnsScreen
from pylon.tui.widgets.filter_line import FilterLine, Help
from pylon.tui.widgets.line_list import LineList
from pylon.tui.widgets.row_grid import RowGrid

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: From this width on entities stand beside the rows.
_WIDE = 120
_HINT = "enter opens · e edit · a new · D delete · u undo · s sort · space marks · ?"
_PAST_HINT = "enter opens · esc back to now · t another change · L lens · x export · s sort · ?"
_VIEWER_HINT = "enter opens · v as somebody else, empty: as the owner · L lens · s sort · ?"
_MARKED_HINT = "e edits them all · D deletes them all · V range · C clears the marks"
_NO_ENTITY = "No entity yet: one is declared with @app.entity."
_ENTITIES_HINT = "enter opens an entity"


class DataPane(MarkingPane):
    """Every entity's rows."""

    lead = "Row"
    verbs = ROW_VERBS
    parts = ("data",)
    filter_hint = "filter: done == false && rank > 3; startsWith(title, 'a'); ownerId in ['…']"
    DEFAULT_CSS = """
    DataPane #data-trail { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    DataPane #data-trail.bad { color: $text-error; text-style: bold; }
    DataPane #data-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    DataPane #data-note.bad { color: $text-error; }
    DataPane #entities { width: 1fr; }
    DataPane #grid { width: 1fr; display: none; }
    DataPane.rows #entities { display: none; }
    DataPane.rows #grid { display: block; }
    DataPane.wide.rows #entities { display: block; width: 46; margin-right: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *ROW_VERBS,
        Binding("y", "copy_row", "Copy", show=False, id="copy"),
        Binding("w", "why_row", "Why", show=False, id="why"),
    ]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        self._layout = data_tables.Layout((), (), "")
        #: (generation, columns) that the layout was measured for; the generation that was shown.
        self._laid_out: object = None
        self._shown = -1

    def compose(self) -> ComposeResult:
        """Lay out the way here, a line of news, entities and rows."""
        yield Static(id="data-trail", markup=False)
        yield Static(id="data-note", markup=False)
        with Horizontal():
            yield LineList(
                data_tables.entity_line, head=data_tables.entities_head, id="entities",
                empty="◔ reading …",
            )  # fmt: skip
            yield RowGrid(
                lambda *given: self._layout.line(*given), lambda *given: self._layout.head(*given),
                lambda x: self._layout.number_at(x), empty="No row is found.", id="grid",
            )  # fmt: skip

    @property
    def entities(self) -> LineList:
        """Return the list of entities."""
        return self.query_one("#entities", LineList)

    @property
    def list(self) -> LineList:
        """Return the list that the keys move in."""
        if self.state.data.place is None or self.entities.has_focus:
            return self.entities
        return self.grid

    def keep_current(self) -> None:
        """Ask for what is missing or old where one is."""
        self._data.keep_current(self.terms, self.grid.cursor)

    def ask_again(self) -> None:
        """Have what is in sight read again."""
        self._data.ask_again()

    def filter_entered(self) -> None:
        """Ask at once: nothing more is typed."""
        self._data.ask_typed(self.terms)

    def help_of(self, line: str, cursor: int) -> Help:
        """Return what may come next in the filter: fields, operators, values of enums."""
        state = self.state.data
        if state.place is None:
            return Help()
        mistake = state.mistake
        before = len(line) - len(line.lstrip())
        is_its = mistake is not None and mistake[0] == line.strip()
        return Help(
            complete(line, cursor, known_of(state.entities, state.place.entity)),
            (cell_len(line[: mistake[1] + before]), mistake[2]) if mistake and is_its else None,
        )

    def on_resize(self) -> None:
        """Put entities beside the rows where there is room."""
        self.set_class(self.size.width >= _WIDE, "wide")

    def show(self) -> None:
        """Show entities and rows as they are held."""
        state = self.state.data
        self.set_class(state.place is not None, "rows")
        self.entities.say_empty(
            _NO_ENTITY
            if self._data.is_listed
            else self.state.at_rest or self.state.data_note or "◔ reading …"
        )
        self.entities.show(state.entities, key=lambda row: row["name"], total=len(state.entities))
        if state.place is not None:
            self._show_rows()
        said = self.state.data_note
        line = self.query_one("#data-note", Static)
        line.set_class(said.startswith(("STALE", "✗")), "bad")
        line.update(clean(f" {said or self._actions.doing or self._hint()}"), layout=False)
        trail = data_tables.trail_line(state)
        is_locked = bool(self.state.status) and self._actions.is_read_only
        above = self.query_one("#data-trail", Static)
        above.set_class(bool(self.state.status) and not self._actions.is_dev, "bad")
        above.update(clean(f" {'READ-ONLY (W) · ' if is_locked else ''}{trail}"), layout=False)

        self._dashboard.look_at_filter()

    def _hint(self) -> str:
        """Return the keys that do something where one is."""
        state = self.state.data
        if state.place is None:
            return _ENTITIES_HINT
        if state.as_of is not None:
            return _PAST_HINT
        if state.viewer:
            return _VIEWER_HINT
        return _MARKED_HINT if state.marked else _HINT

    def _show_rows(self) -> None:
        state, grid = self.state.data, self.grid
        assert state.place is not None
        fields = state.fields()
        wanted = (state.generation, state.is_answered, state.readings, fields, state.labels)
        if wanted != self._laid_out:
            self._laid_out = wanted
            self._layout = data_tables.Layout(
                fields, state.rows, state.place.order, state.marked, state.labels
            )  # fmt: skip
        reading = self.state.at_rest or "◔ reading …"
        is_all = not (state.place.filter or state.viewer or state.as_of is not None)
        none = "No row yet: a makes one." if is_all else "No row is found."
        grid.say_empty(reading if state.is_answered is None else none)
        grid.show_window(
            state.rows, offset=state.offset, total=state.total, columns=len(self._layout),
            is_open=(state.is_open_above, state.is_open_below), is_total_old=state.is_total_old,
        )  # fmt: skip
        if state.is_answered and self._shown != state.generation:
            self._shown = state.generation
            grid.put_cursor(state.first_cursor)

    # --- where one goes

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open an entity; follow a reference, or show the row."""
        event.stop()
        if event.list is self.entities:
            self.open(event.row["name"])
        elif (field := self._layout.field(self.grid.column)) is not None and field["ref"]:
            self._follow(field, event.row)
        else:
            self.action_row()

    def on_row_grid_beyond(self, event: RowGrid.Beyond) -> None:
        """Read the first rows of all, or the last."""
        event.stop()
        self.mark_beyond(to_end=event.to_end)
        self.state.data.jump(to_end=event.to_end)
        self._data.keep_current(self.terms, self.grid.cursor)

    def on_row_grid_head_chosen(self, event: RowGrid.HeadChosen) -> None:
        """Sort by the column whose head was clicked."""
        event.stop()
        self.action_sort()

    def _follow(self, field: dict[str, Any], row: Row) -> None:
        target = row.get(field["name"])
        if target is None:
            say(self.app, f"{field['name']} refers to nothing here")
            return
        self._go(field["ref"], f"id == '{target}'")

    def _go(self, entity: str, terms: str) -> None:
        grid, place = self.grid, Place(entity, terms, terms)
        self.state.data.go(place, cursor=grid.cursor, column=grid.column)
        self._arrive(0)

    def _arrive(self, column: int) -> None:
        """Show what is there, and ask for the rest at once."""
        place = self.state.data.place
        self.terms = place.filter if place is not None else ""
        self.app.query_one(FilterLine).hold(self.terms)
        self.grid.column = column
        self._data.keep_current(self.terms, 0)
        self.refresh_from(force=True)
        (self.grid if place is not None else self.entities).focus()

    def open(self, entity: str) -> None:
        """Open an entity."""
        self.state.data.enter(entity)
        self._arrive(0)

    def action_return(self) -> None:
        """Go back to where one came from, at last to the entities."""
        if self.has_no_rows():
            return
        place = self.state.data.back()
        self._arrive(0 if place is None else place.column)

    def step_out(self) -> None:
        """Leave the rows for where one came from."""
        if self.state.data.place is not None:
            self.action_return()

    def action_other_list(self) -> None:
        """Go over to the entities, or back to the rows."""
        if self.state.data.place is None or not self.has_class("wide"):
            self.action_return()
        else:
            (self.grid if self.entities.has_focus else self.entities).focus()

    # --- what the keys do

    @property
    def _row(self) -> Row | None:
        """Return the row under the cursor; says so where there is none."""
        row = self.grid.current if self.state.data.place is not None else None
        if row is None:
            say(self.app, "there is no row under the cursor")
        return row

    def action_sort(self) -> None:
        """Sort by the column under the cursor: ascending, descending, not."""
        place, field = self.state.data.place, self._layout.field(self.grid.column)
        if place is None:
            self.has_no_rows()
            return
        name = "id" if field is None else field["name"]
        order = {name: f"-{name}", f"-{name}": ""}.get(place.order, name)
        self.state.data.ask(order=order)
        self._data.keep_current(self.terms, 0)

    def action_columns(self) -> None:
        """Choose which columns are shown."""
        state = self.state.data
        entity = state.entity()
        if self.has_no_rows() or entity is None:
            return

        def chosen(hidden: frozenset[str] | None) -> None:
            if hidden is not None:
                state.hidden[entity["name"]] = hidden
                self.refresh_from(force=True)

        self.app.push_screen(ColumnsScreen(entity["fields"], state.hidden_fields()), chosen)

    def action_row(self) -> None:
        """Show all about the row."""
        self._with_whole(self._show_whole)

    def _show_whole(self, entity: dict[str, Any], found: dict[str, Any]) -> None:
        words = data_tables.row_words(entity, found, min(104, self.app.size.width - 12))
        title = f"{entity['name']} {found['row']['id']}"
        self.app.push_screen(Details(title, words, copied=pretty(found["row"])))

    def action_look_as(self) -> None:
        """Ask as whom to look, and do it."""

        def look(user: str) -> None:
            self.state.data.look_as(user)
            self._arrive(self.grid.column)

        ask_whom(self._dashboard, self._admin, self.state.data.viewer, look)

    def action_referrers(self) -> None:
        """Offer the rows that refer to this one, with their counts."""
        self._with_whole(self._offer_referrers)

    def _offer_referrers(self, entity: dict[str, Any], found: dict[str, Any]) -> None:
        row_id, referrers = found["row"]["id"], found["referrers"]
        if not referrers:
            say(self.app, f"no entity refers to {entity['name']}")
            return

        def chosen(key: str | None) -> None:
            if key is not None:
                one = referrers[int(key)]
                self._go(one["entity"], f"{one['field']} == '{row_id}'")

        options = [
            (str(at), f"{one['count']:,}{'+' if one['more'] else ''} {one['entity']}"
                      f" by {one['field']}")
            for at, one in enumerate(referrers)
        ]  # fmt: skip
        self.app.push_screen(Menu(f"Refer to {entity['name']} {row_id}", options), chosen)

    def action_copy_row(self) -> None:
        """Offer what can be copied of the row."""
        if self.list is self.entities and self.entities.current is not None:
            self._offer([("name", str(self.entities.current["name"]))])
            return
        self._with_whole(self._offer_copies)

    def _offer_copies(self, entity: dict[str, Any], found: dict[str, Any]) -> None:
        row, field = found["row"], self._layout.field(self.grid.column)
        is_told = field is not None and field["name"] in row
        cell = (field["name"], row[field["name"]]) if field is not None and is_told else None
        state = self.state.data
        as_of = None if state.as_of is None else str(state.as_of)
        asked = {"as": state.viewer or None, "as_of": as_of}
        curl = self._admin.curl(row_path(entity["name"], row["id"]), **asked)
        first = data_tables.row_copies(row, curl, cell)

        async def work() -> None:
            rows = await self._data.with_needs(entity, row)
            code = [*typescript(entity, row), ("as pytest", as_pytest(rows))]
            self._offer([*first, *code])

        self._dashboard.ahead.open("what can be copied", work, group="row")

    def _offer(self, options: Copies) -> None:
        self._dashboard.offer_copies(options)

    def action_why_row(self) -> None:
        """Ask why a user may do something with the row, or may not."""
        row, place = self._row, self.state.data.place
        if row is not None and place is not None:
            likely = self.state.data.viewer
            self._dashboard.asking_why.about_row(place.entity, row["id"], likely=likely)

    def _with_whole(self, then: Any) -> None:
        """Read the whole row under the cursor, and go on with (entity, answer)."""
        row, entity = self._row, self.state.data.entity()
        if row is None or entity is None:
            return
        path = row_path(entity["name"], row["id"])
        viewer, as_of = self.state.data.viewer or None, self.state.data.as_of

        async def work() -> None:
            try:
                found = await self._admin.get(path, **{"as": viewer, "as_of": as_of})
            except AdminError as error:
                say(self.app, error.message, is_bad=True)
            else:
                then(entity, found)

        self._dashboard.ahead.open("the row", work, group="row")


SCREEN = Entry(
    "data", "Data", "every entity's rows; filter, follow, edit, undo, look as anybody", DataPane,
    key="3", verbs=ROW_VERBS,
    first=(
        ("enter", "on an entity: its rows; on a reference: follow it to its row; else: the row"),
        ("left right", "h l: the column under the cursor"),
        ("g G", "the first and the last row of all"),
    ),
    last=(
        ("w", "Why may a user read the row, or not"),
        ("y", "Copy: id, cell, row as JSON, as curl, TypeScript, pytest"),
        ("/", "Filter in the policy language: rank > 3 && startsWith(title, 'a')"),
    ),
)  # fmt: skip
