"""The row lens: one row on the server, for a user, at a client; its history, and back in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Static

from pylon.client.admin import AdminClient, AdminError
from pylon.client.past_text import held_words, retained_words
from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.printable import clean
from pylon.tui import past_tables
from pylon.tui.copying import pretty
from pylon.tui.data_actions import DataActions
from pylon.tui.dialogs import Details, Menu, Prompt
from pylon.tui.saying import say
from pylon.tui.screens.above import CloseUp
from pylon.tui.verbs import Verb, in_footer
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: What can be done with a row under the lens.
LENS_VERBS: Final = (
    Verb("v", "look_as", "As a user reads it", brief="As user", id="lens.as", cli="lens"),
    Verb("c", "client", "As a client holds it", brief="Client", id="lens.client", cli="lens"),
    Verb("b", "blame", "Who set each field", brief="Blame", id="lens.blame", cli="history"),
    Verb("r", "restore", "Restore the row to the change under the cursor", brief="Restore",
         id="lens.restore", cli="restore-row"),
    Verb("w", "why", "Why may a user read the row, or not", id="lens.why", cli="explain"),
)  # fmt: skip
_WIDE = 120
_PAGE: Final = 100
#: A history is read no longer than this here; `pylon history` pages through all of it.
_CHANGES_MAX: Final = 500


class LensScreen(CloseUp):
    """One row side by side, asked anew twice a second."""

    CSS = """
    LensScreen #lens { layout: vertical; height: 1fr; }
    LensScreen #forms { height: 1fr; min-height: 4; }
    LensScreen #history { height: 1fr; min-height: 4; border-top: solid $primary; }
    LensScreen #history:focus { border-top: heavy $primary; }
    LensScreen.wide #lens { layout: horizontal; }
    LensScreen.wide #forms { width: 3fr; height: 100%; }
    LensScreen.wide #history { width: 2fr; height: 100%; border-top: none;
        border-left: solid $primary; }
    LensScreen.wide #history:focus { border-top: none; border-left: heavy $primary; }
    LensScreen #about-lens { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *in_footer(LENS_VERBS),
        Binding(
            "tab,shift+tab", "other_list", "Fields, or history", show=False, id="lens.other-list"
        ),
        Binding("m", "more", "Older changes", show=False, id="lens.more"),
        Binding("y", "copy", "Copy", show=False, id="copy"),
    ]
    title_text, pane = "Row lens", "data"
    lead, verbs = "Row lens", LENS_VERBS
    gone = "the runtime knows no such row"

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, entity: str, row_id: str, *,
        viewer: str = "", shows_blame: bool = False,
    ) -> None:  # fmt: skip
        """Make the lens of a row; as `viewer` reads it, where that is not empty."""
        super().__init__(dashboard, admin)
        self._entity = entity
        self._row_id = row_id
        self._viewer = viewer
        self._client = ""
        self._shows_blame = shows_blame
        self._limit = _PAGE
        self._history: dict[str, Any] = {}
        self._columns = past_tables.LensColumns(["server"], shows_blame=False, width=80)
        pane = dashboard.panes["data"]
        # The hand of the Data screen, so that `u` there undoes what is done here.
        self.actions: DataActions = pane.actions  # type: ignore[attr-defined]

    @property
    def path(self) -> str:
        """Return where the runtime is asked about the row."""
        return f"admin/lens/{self._rest}"

    @property
    def _rest(self) -> str:
        return f"{self._admin.quoted(self._entity)}/{self._admin.quoted(self._row_id)}"

    @property
    def news(self) -> str:
        """Return what is under way, or which row it is."""
        if self.actions.doing:
            return self.actions.doing
        assert self.found is not None
        server = self.found["server"]
        state = "is not there now" if server is None else f"last changed by {server['_seq']:,}"
        return f"{self._entity} {self._row_id} · {state}"

    def body(self) -> Iterator[Widget]:
        """Lay out news, the row's forms, its history, and what is to be said of a client."""
        yield Static(id="news", markup=False)
        with Container(id="lens"):
            yield LineList(
                lambda row, width: self._columns.line(row, width),
                head=lambda width: self._columns.head(width), id="forms",
                empty="There is no such row now; its history may be there.",
            )  # fmt: skip
            yield LineList(
                past_tables.history_line, head=past_tables.history_head, id="history",
                empty="The log has no change of it.",
            )  # fmt: skip
        yield Static(id="about-lens", markup=False)

    def on_mount(self) -> None:
        """Be ready to choose a field."""
        self._forms.focus()

    def on_resize(self) -> None:
        """Put the history beside the forms where there is room."""
        self.set_class(self.size.width >= _WIDE, "wide")
        super().on_resize()

    @property
    def _forms(self) -> LineList:
        return self.query_one("#forms", LineList)

    @property
    def _changes(self) -> LineList:
        return self.query_one("#history", LineList)

    async def _ask(self) -> None:
        asked = {"as": self._viewer or None, "client": self._client or None}
        try:
            found = await self._admin.get(self.path, **asked)
            history = await self._admin.get(f"admin/history/{self._rest}", limit=self._limit)
            with self._dashboard.enduring.understood("the row's forms"):
                self._take_both(found, history)
        except AdminError as error:
            self._trouble = error.message
            return
        self._trouble, self._read_at = "", self._dashboard.clock.monotonic()

    def _take_both(self, found: dict[str, Any], history: dict[str, Any]) -> None:
        before, self._history = self._history, history
        try:
            self._take(found)
        except MISUNDERSTANDINGS:
            self._history = before
            raise

    def show(self) -> None:
        """Show forms and history."""
        found = self.found
        assert found is not None
        heads = [head for head, _ in past_tables.forms_of(found)]
        width = self._forms.size.width or self.size.width
        self._columns = past_tables.LensColumns(heads, shows_blame=self._shows_blame, width=width)
        rows = past_tables.lens_rows(found, self._history["blame"])
        self._forms.show(rows, key=lambda row: row["field"])
        self._changes.show(self._history["changes"], key=lambda row: row["seq"])
        self._forms.refresh()
        self.query_one("#about-lens", Static).update(clean(f" {self._about()}"), layout=False)

    def _about(self) -> str:
        assert self.found is not None
        client = self.found["client"]
        if client is not None:
            words = f"{client['client_id']} {held_words(client)}"
            waiting = client["pending"]
            return f"{words}; {waiting} writes wait there" if waiting else words
        if self._history["more"]:
            return "m: older changes"
        if self._history["dropped_at"]:
            return f"the table was made anew after change {self._history['dropped_at']}"
        return retained_words(self._history["retained"])

    # --- what the keys do

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show all about a field, or about a change."""
        event.stop()
        if event.list is self._changes:
            change = event.row
            self.app.push_screen(
                Details(f"change {change['seq']}", past_tables.history_words(change))
            )
            return
        if self.found is None:  # rows of an answer that was not understood to its end
            return
        row = event.row
        heads = [head for head, _ in past_tables.forms_of(self.found)]
        lines = [f"{head}: {value}" for head, value in zip(heads, row["values"], strict=True)]
        self.app.push_screen(
            Details(row["field"], "\n".join([*lines, "", past_tables.blame_words(row)]))
        )

    def action_other_list(self) -> None:
        """Go over to the history, or back."""
        (self._forms if self._changes.has_focus else self._changes).focus()

    def action_more(self) -> None:
        """Read older changes, too."""
        if not self._history.get("more", True):
            say(self.app, "no older change of it is kept")
        elif self._limit < _CHANGES_MAX:
            self._limit = min(_CHANGES_MAX, self._limit + _PAGE)
            self.ask_again()
        else:
            say(self.app, f"more: pylon history {self._entity}/{self._row_id} --before …")

    def action_blame(self) -> None:
        """Show who set each field, or the forms side by side again."""
        self._shows_blame = not self._shows_blame
        self._show()

    def action_look_as(self) -> None:
        """Ask as whom to read the row, and do it."""

        def named(user: str | None) -> None:
            if user is not None:
                self._viewer, self._shows_blame = user, False
                self.ask_again()

        self.app.push_screen(
            Prompt(
                "As a user reads it (empty: nobody)", "an e-mail address, a user id, or anonymous",
                value=self._viewer, takes_nothing=True,
            ),
            named,
        )  # fmt: skip

    def action_client(self) -> None:
        """Choose a client, and show what it holds."""
        known = self._dashboard.state.clients
        if not known:
            say(self.app, "no client was ever here")
            return

        def chosen(name: str | None) -> None:
            if name is not None:
                self._client, self._shows_blame = name, False
                self.ask_again()

        options = [
            (str(one["client_id"]), f"{one['email'] or 'anonymous'} {one['client_id']}"
                                    f" ({one['state']})")
            for one in {each["client_id"]: each for each in known}.values()
        ]  # fmt: skip
        self.app.push_screen(Menu("As this client holds it", [*options, ("", "none")]), chosen)

    def action_restore(self) -> None:
        """Bring the row back to the change under the cursor of its history, after a question."""
        change = self._changes.current
        if not self._changes.has_focus or change is None:
            say(self.app, "choose a change of its history first (tab)")
            self._changes.focus()
            return
        server = None if self.found is None else self.found["server"]
        self.actions.restore(self._entity, self._row_id, change["seq"], server, self.ask_again)

    def action_why(self) -> None:
        """Ask why a user may read the row, or not."""
        self._dashboard.asking_why.about_row(self._entity, self._row_id, self._viewer or None)

    def action_copy(self) -> None:
        """Offer what can be copied."""
        if self.found is not None:
            self._dashboard.offer_copies([
                ("row as JSON", pretty(self.found["server"])),
                ("history as JSON", pretty(self._history["changes"])),
                ("command", f"pylon history {self._entity}/{self._row_id}"),
            ])  # fmt: skip
