"""The pane of functions: how each is doing above, the last calls of all below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui import functions_tables, tables
from pylon.tui.copying import Copies, copies, readable
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.filtering import Filter, listed, passes_any
from pylon.tui.functions_state import ORDERS
from pylon.tui.panes import Pane
from pylon.tui.saying import say
from pylon.tui.screens.function import FunctionScreen
from pylon.tui.trying import FUNCTION_VERBS, Trying
from pylon.tui.verbs import Verb
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_ORDER: Final = Verb("s", "order", "Order: name, calls/min, errors, p99", id="functions.order")
#: Of the height the calls have this share, and so many lines at least.
_CALLS_SHARE = 3
_CALLS_LEAST = 4
CALL_FILTER: Final = listed(tables.CALLS, tables.call_line)


class FunctionsPane(Pane):
    """What can be called, how it does, and what was called last."""

    lead = "Function"
    verbs = (*FUNCTION_VERBS, _ORDER)
    parts = ("functions", "calls")
    filters = (functions_tables.FUNCTION_FILTER, CALL_FILTER)
    filter_hint = "filter: words in signature, error, who may call; kind:action name: place:; !not"
    DEFAULT_CSS = """
    FunctionsPane #functions-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    FunctionsPane #functions-note.bad { color: $text-error; }
    FunctionsPane #functionlist { height: 1fr; }
    FunctionsPane #calllist { height: 4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *verbs,
        Binding("tab,shift+tab", "other_list", "Functions, or calls", show=False, id="other-list"),
    ]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin
        self._trying = Trying(app, admin)
        self._clock = app.clock
        self._order = "name"
        self._note = ""

    def compose(self) -> ComposeResult:
        """Lay out a line of news, functions, and the last calls."""
        yield Static(id="functions-note", markup=False)
        yield LineList(
            functions_tables.function_line, head=functions_tables.functions_head,
            id="functionlist", is_bad=functions_tables.is_bad_function,
            empty="No function is found. One is declared with @app.query, @app.mutation, …",
        )  # fmt: skip
        yield LineList(
            tables.call_line, follows=True, head=tables.HEADS["calls"], id="calllist",
            is_bad=tables.is_bad_call,
            empty="No function was called yet.",
        )  # fmt: skip

    @property
    def list(self) -> LineList:
        """Return the list of functions."""
        return self.query_one("#functionlist", LineList)

    @property
    def calls(self) -> LineList:
        """Return the list of calls."""
        return self.query_one("#calllist", LineList)

    def on_resize(self) -> None:
        """Give the calls their share."""
        self.fit()

    def fit(self) -> None:
        """Give the calls their share."""
        if self.zoomed is None:
            self.calls.styles.height = max(_CALLS_LEAST, self.size.height // _CALLS_SHARE)

    def keep_current(self) -> None:
        """Say how old what is shown is, where it is."""
        state, now = self.state, self._clock.monotonic()
        note = f"enter opens · t tries it · s order: {self._order} · tab calls · / filters"
        if not state.functions.is_told:
            note = "" if self.state.at_rest else "◔ reading …"
        elif state.status_at is not None and state.is_stale(now):
            note = f"STALE: counts are {now - state.status_at:.0f} s old"
        if note != self._note:
            self._note = note
            line = self.query_one("#functions-note", Static)
            line.set_class(note.startswith("STALE"), "bad")
            line.update(clean_block(f" {note}"), layout=False)

    def show(self) -> None:
        """Show functions and calls that pass the filter."""
        state = self.state
        rows = state.functions.rows(self.terms, self._order)
        # Where the order moves, the top stays with what is first there.
        key = None if self._order != "name" and self.list.cursor == 0 else _name_of
        is_read = state.functions.is_told
        self.list.show(rows, key=key, total=len(state.functions.by_name), is_read=is_read)
        calls = [one for one in state.calls if self._passes_call(one)]
        self.calls.show(
            calls, key=lambda row: row["id"], total=len(state.calls), is_read=is_read
        )  # fmt: skip

    def _passes_call(self, call: dict[str, Any]) -> bool:
        """Tell whether a call has what is looked for, by itself or with its function."""
        ways: list[tuple[Filter, Any]] = [(CALL_FILTER, call)]
        if (function := self.state.functions.by_name.get(call["name"])) is not None:
            ways.append((functions_tables.FUNCTION_FILTER, function))
        return passes_any(ways, self.terms)

    @property
    def is_troubled(self) -> bool:
        """Tell whether a call was refused or has failed."""
        counted = self.state.functions.by_name.values()
        return any(map(tables.is_bad_call, self.state.calls)) or any(
            map(functions_tables.is_bad_function, counted)
        )

    # --- what the keys do

    async def open_row(self, row: Any) -> None:
        """Show a function on a screen of its own, or all about a call."""
        if "signature" in row:
            self.app.push_screen(FunctionScreen(self._dashboard, self._admin, self._trying, row))
        else:
            self.app.push_screen(Details(f"call {row['id']} of {row['name']}", readable(row)))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return what can be copied: of the call where its list has the focus."""
        if self.calls.has_focus and self.calls.current is not None:
            return copies("functions", self.calls.current, url)
        return functions_tables.function_copies(row)

    def action_other_list(self) -> None:
        """Go over to the calls, or back to the functions."""
        (self.list if self.calls.has_focus else self.calls).focus()

    @property
    def current(self) -> dict[str, Any] | None:
        """Return the function that is meant: under its cursor, or of the call under its own."""
        if self.calls.has_focus and self.calls.current is not None:
            return self.state.functions.by_name.get(self.calls.current["name"])
        return self.list.current

    def action_try(self) -> None:
        """Try the function that is meant."""
        if self.current is None:
            say(self.app, "there is no function under the cursor")
        else:
            self._trying.begin(self.current)

    def action_order(self) -> None:
        """Order the list by the next figure."""
        names = list(ORDERS)
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self.refresh_from(force=True)
        self.keep_current()


def _name_of(row: dict[str, Any]) -> str:
    return str(row["name"])


SCREEN = Entry(
    "functions", "Functions", "how each does, last calls, slow ones with plans; try one",
    FunctionsPane, key="5", verbs=FunctionsPane.verbs,
    first=(
        ("enter", "all about it: signature, who may call, last calls, slow ones with plans"),
        ("tab", "over to the last calls, and back; t tries the function of a call, too"),
    ),
    last=(
        ("f5", "On the form: run it (also enter in a line); esc cancels, then leaves"),
        ("y", "Copy: name, signature, command, last error; of a call: JSON, curl, command"),
        ("/", "Filter: words, kind:action, name: place: allow:, !not"),
    ),
)  # fmt: skip
