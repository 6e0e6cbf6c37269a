"""What differs between two points of the log: by entity, and by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean, counted
from pylon.tui import past_tables
from pylon.tui.dialogs import Details
from pylon.tui.header import HeaderLine
from pylon.tui.saying import say
from pylon.tui.screens.above import Above
from pylon.tui.screens.lens import LensScreen
from pylon.tui.verbs import Verb, in_footer
from pylon.tui.widgets.keys_line import KeysLine
from pylon.tui.widgets.line_list import LineList
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: What can be done with a difference.
DIFF_VERBS: Final = (
    Verb("L", "lens", "Row lens: the row side by side, and its history", brief="Lens",
         id="diff.lens", cli="lens"),
    Verb("m", "more", "More rows", brief="More", id="diff.more", cli="diff"),
)  # fmt: skip
_PAGE: Final = 200


class DiffScreen(Above):
    """Two points that stand still: read once, a page of rows at a time."""

    CSS = """
    DiffScreen #about-diff { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    DiffScreen #about-diff.bad { color: $text-error; }
    DiffScreen #entities { height: 1fr; }
    DiffScreen #rows { height: 1fr; display: none; }
    DiffScreen.rows #rows { display: block; }
    DiffScreen.rows #entities { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,backspace", "return", "Back", key_display="esc", id="close"),
        *in_footer(DIFF_VERBS),
        Binding("y", "copy", "Copy", show=False, id="copy"),
    ]
    title_text, pane = "Differences", "log"
    lead, verbs = "Difference", DIFF_VERBS

    def __init__(self, dashboard: Dashboard, admin: AdminClient, start: int, end: int) -> None:
        """Compare the states after two changes, the earlier first."""
        super().__init__(dashboard)
        self._admin = admin
        self._start, self._end = start, end
        self._entity = ""
        self._rows: list[dict[str, Any]] = []
        self._next: str | None = None
        self._words = "◔ reading …"

    def compose(self) -> Iterator[Widget]:
        """Lay out header, entities or rows, and keys."""
        yield HeaderLine(markup=False)
        yield Static(id="about-diff", markup=False)
        yield LineList(
            past_tables.diff_line, head=past_tables.diffs_head, id="entities",
            empty="Nothing differs.",
        )  # fmt: skip
        yield LineList(
            past_tables.diff_row_line, head=past_tables.diff_rows_head, id="rows",
            empty="No row differs: what changed, changed back.",
        )  # fmt: skip
        yield KeysLine()

    def on_mount(self) -> None:
        """Read the entities."""
        self._show()
        self.set_interval(1 / 4, self.show_header)
        self._list.focus()
        begin(self, self._ask_entities, name="diff", group="diff")

    @property
    def _list(self) -> LineList:
        return self.query_one("#rows" if self._entity else "#entities", LineList)

    async def _ask(self, take: Callable[[dict[str, Any]], None], **more: Any) -> None:
        try:
            found = await self._admin.get(
                "admin/diff", **{"from": self._start, "to": self._end, **more}
            )
            with self._dashboard.enduring.understood("the difference"):
                take(found)
        except AdminError as error:
            self._words = f"✗ {error.message}"
            self._show()

    async def _ask_entities(self) -> None:
        await self._ask(self._take_entities)

    def _take_entities(self, found: dict[str, Any]) -> None:
        if not self._is_there:
            return
        self.query_one("#entities", LineList).show(list(found["entities"]))
        self._words = f"{len(found['entities'])} entities · enter: rows"
        self._show()

    async def _ask_rows(self, entity: str) -> None:
        await self._ask(
            lambda found: self._take_rows(entity, found),
            entity=entity, after=self._next, limit=_PAGE,
        )  # fmt: skip

    def _take_rows(self, entity: str, found: dict[str, Any]) -> None:
        if entity != self._entity or not self._is_there:
            return
        self._rows += found["rows"]
        self._next = found["next"]
        self.query_one("#rows", LineList).show(self._rows, key=lambda row: row["id"])
        more = " · m: more" if self._next else ""
        self._words = f"{entity}: {counted(len(self._rows), 'row')}{more} · enter: all of it"
        self._show()

    @property
    def _is_there(self) -> bool:
        """Tell whether it is open: an answer may come when it is closed."""
        return bool(self.query("#about-diff"))

    def _show(self) -> None:
        if not self._is_there:
            return
        self.set_class(bool(self._entity), "rows")
        line = self.query_one("#about-diff", Static)
        line.set_class(self._words.startswith("✗"), "bad")
        between = f"changes {self._start + 1:,} to {self._end:,}"
        line.update(clean(f" {between} · {self._words}"), layout=False)

    # --- what the keys do

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show the rows of an entity, or all about one."""
        event.stop()
        if self._entity:
            row = event.row
            title = f"{self._entity} {row['id']}"
            self.app.push_screen(Details(title, past_tables.diff_row_words(row)))
            return
        self._entity, self._rows, self._next = str(event.row["entity"]), [], None
        self._words = "◔ reading …"
        self.query_one("#rows", LineList).show([])
        self._show()
        self._list.focus()
        self._read_rows()

    def _read_rows(self) -> None:
        begin(self, partial(self._ask_rows, self._entity), name="diff", group="diff")

    def action_return(self) -> None:
        """Go back to the entities, or to where one came from."""
        if not self._entity:
            self.dismiss()
            return
        self._entity = ""
        self._words = "enter: rows"
        self._show()
        self._list.focus()

    def action_more(self) -> None:
        """Read more rows."""
        if self._entity and self._next is not None:
            self._read_rows()
        else:
            say(self.app, "no more rows differ" if self._entity else "enter opens an entity first")

    def action_lens(self) -> None:
        """Look at the row under the cursor."""
        row = self._list.current
        if not self._entity:
            say(self.app, "enter opens an entity first: a lens is of one row")
        elif row is None:
            say(self.app, "there is no row under the cursor")
        else:
            self.app.push_screen(
                LensScreen(self._dashboard, self._admin, self._entity, str(row["id"]))
            )

    def action_copy(self) -> None:
        """Offer what can be copied."""
        more = f" --entity {self._entity}" if self._entity else ""
        row = self._list.current
        options = [("command", f"pylon diff {self._start} {self._end}{more}")]
        if row is not None:
            options.append(("JSON", jsonvalue.encode_text(row)))
        self._dashboard.offer_copies(options)
