"""The pane of the log: every committed change, as it comes."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType

from pylon.client.admin import AdminClient, AdminError
from pylon.tui import tables
from pylon.tui.copying import Copies, change_copies, differences, pretty
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.filtering import Filter, listed
from pylon.tui.log_actions import LOG_VERBS, LogActions
from pylon.tui.panes import Pane
from pylon.tui.saying import say
from pylon.tui.screens.diff import DiffScreen
from pylon.tui.screens.lens import LensScreen
from pylon.tui.tailing import Tail
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_LOOKED_AT: Final = ("entity", "row_id", "kind", "user", "cause", "effect")
CHANGE_FILTER: Final[Filter] = listed(
    tables.CHANGES, tables.change_line,
    more={
        "entity": itemgetter("entity"), "user": lambda change: change["user"] or "system",
        "kind": itemgetter("kind"), "cause": itemgetter("cause"), "id": itemgetter("row_id"),
    },
    text=lambda change: " ".join(str(change.get(name) or "") for name in _LOOKED_AT),
)  # fmt: skip


class LogPane(Pane):
    """The tail of the change log."""

    own_keys = "enter opens · t time travel · L lens · d differs · space marks · w why · ?"
    filters = (CHANGE_FILTER,)
    parts = ("changes",)
    lead, verbs = "Log", LOG_VERBS
    BINDINGS: ClassVar[list[BindingType]] = [*LOG_VERBS]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin
        self._actions = LogActions(app, admin)
        self._tail = Tail(CHANGE_FILTER.passes)

    def take(self, message: dict[str, Any]) -> None:
        """Keep marks to the lineage that they are of."""
        self._actions.follow_lineage()

    def compose(self) -> ComposeResult:
        """Lay out the keys and the list."""
        yield self.keys_line()
        yield LineList(
            self._line, follows=True, head=tables.HEADS["changes"],
            empty="No change yet. Write something: it shows here the moment it is committed.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the changes that pass the filter."""
        state = self.state
        rows = self._tail.rows(state.changes, state.changes_seen, self.terms)
        assert self.list is not None
        note = f" · {state.dropped:,} not shown" if state.dropped else ""
        self.list.show(
            rows, key=lambda row: row["seq"], total=len(state.changes), note=note,
            is_read="changes" in state.told,
        )  # fmt: skip

    async def open_row(self, row: Any) -> None:
        """Show a change with its images."""
        try:
            row = await self._admin.get(f"admin/log/{row['seq']}")
        except AdminError as error:
            say(self.app, error.message, is_bad=True)
            return
        self.app.push_screen(Details(f"change {row['seq']}", differences(row) + pretty(row)))

    def _line(self, change: Any, width: int) -> tables.Line:
        """Return the line of a change, with a sign where it is marked."""
        line = tables.change_line(change, width)
        if change["seq"] not in self._actions.marks:
            return line
        text, style = line[0]
        return [(f"*{text[1:]}", style), *line[1:]]

    # --- what the keys do

    @property
    def _change(self) -> Any:
        """Return the change under the cursor, or None."""
        return None if self.list is None else self.list.current

    def action_travel(self) -> None:
        """Open the slider over the log, at the change under the cursor unless one travels."""
        change = self._change
        is_there = change is None or self.state.data.as_of is not None
        self._dashboard.past.travel(None if is_there else int(change["seq"]))

    def action_lens(self) -> None:
        """Look at the row of the change from all sides."""
        change = self._change
        if change is None or not change["row_id"]:
            say(self.app, "there is no row under the cursor")
            return
        if str(change["entity"]).startswith("_pylon"):
            say(self.app, f"{change['entity']} is of Pylon's own: enter shows the change")
            return
        self.app.push_screen(
            LensScreen(self._dashboard, self._admin, str(change["entity"]), str(change["row_id"]))
        )

    def action_mark(self) -> None:
        """Mark the change, or not any more."""
        if self._change is not None:
            self._actions.mark(int(self._change["seq"]))
            if self.list is not None:
                self.list.refresh()

    def _range(self) -> tuple[int, int] | None:
        found = self._actions.range_of(None if self._change is None else int(self._change["seq"]))
        if found is None:
            self._actions.nothing_meant()
        return found

    def action_diff(self) -> None:
        """Show what the changes between the marks did, or those since the one under the cursor."""
        found = self._range()
        if found is None:
            return
        first, last = found
        end = last if self._actions.marks else self.state.head
        self.app.push_screen(DiffScreen(self._dashboard, self._admin, first - 1, end))

    def action_save(self) -> None:
        """Save the marked changes as a test."""
        found = self._range()
        if found is not None:
            self._actions.save(*found)

    def action_replay(self) -> None:
        """Make the marked changes once more on a branch."""
        found = self._range()
        if found is not None:
            self._actions.replay(*found)

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return what can be copied of a change."""
        return change_copies(row, self._admin.curl)

    def ask_why(self, row: Any) -> None:
        """Ask about the row of a change."""
        if row is not None and row["row_id"]:
            self._dashboard.asking_why.about_row(str(row["entity"]), str(row["row_id"]))
        else:
            super().ask_why(row)


SCREEN = Entry("log", "Log", "every committed change", LogPane, key="2", verbs=LOG_VERBS)
