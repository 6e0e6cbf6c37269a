"""The part of the Data pane that is about many rows: marks, and what is done to what is marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.data import Data
from pylon.tui.data_actions import DataActions
from pylon.tui.data_state import MARKS_MAX
from pylon.tui.panes import Pane
from pylon.tui.saying import say
from pylon.tui.screens.lens import LensScreen
from pylon.tui.screens.sql import SqlScreen
from pylon.tui.widgets.row_grid import RowGrid

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class MarkingPane(Pane):
    """A pane with a grid of rows that can be marked."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin
        self._data = Data(app, admin)
        self._actions = DataActions(app, admin)

    @property
    def grid(self) -> RowGrid:
        """Return the rows."""
        return self.query_one("#grid", RowGrid)

    def take(self, message: dict[str, Any]) -> None:
        """Keep what can be undone to the lineage that it is of."""
        self._actions.follow_lineage()

    # --- marks

    def _marked(self) -> None:
        """Show the marks as they are now."""
        self.grid.refresh()
        self.refresh_from(force=True)

    @property
    def given_terms(self) -> str:
        """Return what a reference that was followed filters for."""
        return "" if (place := self.state.data.place) is None else place.given

    def has_no_rows(self) -> bool:
        """Tell whether one is at the entities, and not at the rows of one; says so."""
        if self.state.data.place is None:
            say(self.app, "open an entity first")
        return self.state.data.place is None

    def action_mark(self) -> None:
        """Mark the row under the cursor, or not any more, and go on to the next."""
        if self.has_no_rows():
            return
        self.state.data.toggle_mark(self.grid.cursor)
        self.grid.action_move(1)
        self._marked()

    def action_mark_on(self, by: int) -> None:
        """Mark the row under the cursor and the next one."""
        if self.has_no_rows():
            return
        self.state.data.mark([self.grid.cursor, self.grid.cursor + by])
        self.grid.action_move(by)
        self._marked()

    def action_range(self) -> None:
        """Have the cursor mark what it passes, or not any more."""
        state = self.state.data
        if self.has_no_rows():
            return
        state.is_ranging = not state.is_ranging
        if state.is_ranging:
            state.mark([self.grid.cursor])
        self._marked()

    def action_unmark(self) -> None:
        """Mark nothing any more."""
        if not self.state.data.marked:
            say(self.app, "no row is marked")
        self.state.data.clear_marks()
        self._marked()

    def on_row_grid_moved(self, event: RowGrid.Moved) -> None:
        """Mark what the cursor passed, while a range is marked."""
        event.stop()
        if self.state.data.is_ranging:
            low, high = sorted((event.came_from, event.to))
            self.state.data.mark(range(low, high + 1))
            self._marked()

    def mark_beyond(self, *, to_end: bool) -> None:
        """Mark the rows that a leap to the first or the last of all passes and nobody read yet."""
        state = self.state.data
        if not state.is_ranging or state.place is None:
            return
        pages = self._data.ids_beyond(state.place.entity, to_end=to_end)

        async def work() -> None:
            generation = state.generation
            try:
                async for ids in pages:
                    if state.generation == generation:
                        state.mark_ids(ids)
            except AdminError as error:
                say(self.app, error.message, title="✗ not all are marked", is_bad=True)
            else:
                if len(state.marked) >= MARKS_MAX:
                    say(self.app, f"{MARKS_MAX:,} rows are marked, and no more", is_bad=True)
            finally:
                self._marked()

        self._dashboard.ahead.open("the rows in between", work, group="row", opens=False)

    # --- what is done

    def action_write(self, name: str) -> None:
        """Open a form for a new row, for this one or for all marked ones, or delete them."""
        state = self.state.data
        entity = state.entity() if state.place is not None else None
        if entity is None:
            say(self.app, "open an entity first")
        elif not self._actions.may_write():
            return
        elif name == "create":
            self._actions.create(entity, self._data.ask_again)
        elif state.marked and name in ("edit", "delete"):
            many = self._actions.edit_many if name == "edit" else self._actions.delete_many
            many(entity, list(state.marked), self._changed)
        else:
            self._with_whole(lambda one, found: self._write(name, one, found))

    def _changed(self) -> None:
        self._data.ask_again()
        self._marked()

    def _write(self, name: str, entity: dict[str, Any], found: dict[str, Any]) -> None:
        if name == "edit":
            self._actions.edit(entity, found, self._data.ask_again)
        elif name == "duplicate":
            self._actions.duplicate(entity, found, self._data.ask_again)
        else:
            self._actions.delete(entity["name"], found, self._data.ask_again)

    def action_undo(self) -> None:
        """Take the last change that was made here back."""
        if self._actions.may_write():
            self._actions.undo(self._data.ask_again)

    def action_redo(self) -> None:
        """Have what was undone last once more."""
        if self._actions.may_write():
            self._actions.redo(self._data.ask_again)

    def action_export(self) -> None:
        """Write what is shown into a file."""
        state = self.state.data
        if state.place is None:
            self.has_no_rows()
            return
        self._actions.export(
            state.place.entity, state.question(), lambda: self.refresh_from(force=True)
        )

    # --- the past

    @property
    def actions(self) -> DataActions:
        """Return the hand on the rows: `u` here undoes whatever is done by it."""
        return self._actions

    def action_travel(self) -> None:
        """Open the slider over the log."""
        self._dashboard.past.travel(None)

    def action_lens(self, blame: bool = False) -> None:
        """Look at the row under the cursor from all sides."""
        row, place = self.grid.current, self.state.data.place
        if row is None or place is None:
            say(self.app, "there is no row under the cursor")
            return
        lens = LensScreen(
            self._dashboard, self._admin, place.entity, str(row["id"]),
            viewer=self.state.data.viewer, shows_blame=blame,
        )  # fmt: skip
        self.app.push_screen(lens)

    def action_sql(self) -> None:
        """Open the line for one statement that reads."""
        self.app.push_screen(SqlScreen(self._admin, self.state.data))

    def _with_whole(self, then: Any) -> None:
        """Read the whole row under the cursor, and go on with (entity, answer)."""
        raise NotImplementedError
