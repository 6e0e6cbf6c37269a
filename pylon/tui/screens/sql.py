"""The SQL line: one statement that reads, its rows, its plan and its time."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static
from textual.worker import Worker

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean, clean_block
from pylon.tui.columns import Column, placed
from pylon.tui.data_state import DataState
from pylon.tui.dialogs import Details, titled
from pylon.tui.enduring import Patient, shown
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import Line, LineList
from pylon.tui.working import begin

_LIMIT: Final = 500
_CELL_MAX: Final = 40
#: Characters of a value that are drawn at most: what is beyond is cut before it is measured.
_DRAWN_MAX: Final = 200
_KEPT: Final = 100
_HINT: Final = "enter asks · tab rows · up down what was asked before · esc back"


class SqlScreen(Patient, ModalScreen[None]):
    """One line, and what it found."""

    DEFAULT_CSS = """
    SqlScreen { align: center middle; }
    SqlScreen > .box { width: 100%; height: 100%; background: $surface; border: round $primary;
        padding: 0 1; }
    SqlScreen Input { background: $panel; }
    SqlScreen #sql-told { height: auto; max-height: 6; color: $text-muted; }
    SqlScreen #sql-told.bad { color: $text-error; }
    SqlScreen #sql-plan { height: auto; max-height: 8; color: $text-muted; display: none; }
    SqlScreen #sql-plan.shown { display: block; }
    SqlScreen LineList { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Stop, or back", priority=True, id="sql.leave"),
        Binding("y", "copy", "Copy the row as JSON", id="copy"),
        Binding("left,h", "sideways(-1)", "Columns to the left", id="move.left"),
        Binding("right,l", "sideways(1)", "Columns to the right", id="move.right"),
    ]

    def __init__(self, admin: AdminClient, state: DataState) -> None:
        super().__init__()
        self._admin = admin
        self._state = state
        self._columns: list[str] = []
        self._widths: list[int] = []
        self._left = 0
        self._place = len(state.asked_sql)
        self._asking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Lay out line, news, rows and plan."""
        with Vertical() as box:
            titled(box, self._title(), _HINT)
            yield Input(placeholder="SELECT …", id="sql-line", compact=True, select_on_focus=False)
            yield Static(id="sql-told", markup=False)
            yield LineList(self._line, head=self._head, id="sql-rows", empty="")
            yield Static(id="sql-plan", markup=False)

    def _title(self) -> str:
        """Say what the window does, and first where it reads otherwise than the rows behind it."""
        whose = f" as the owner, not as {self._state.viewer}" if self._state.viewer else ""
        when = " of now" if self._state.as_of is not None else ""
        return f"SQL{whose}{when}: one SELECT, WITH or EXPLAIN; nothing is changed"

    def on_mount(self) -> None:
        """Begin with the line."""
        self.query_one(Input).focus()

    # --- asking

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ask the statement."""
        event.stop()
        sql = event.value.strip()
        if not sql:
            return
        asked = self._state.asked_sql
        if not asked or asked[-1] != sql:
            asked.append(sql)
            del asked[:-_KEPT]
        self._place = len(asked)
        self._tell("◔ asking …  esc stops it")
        self._asking = begin(self, partial(self._ask, sql), name="sql", group="sql")

    async def _ask(self, sql: str) -> None:
        try:
            found = await self._admin.post("admin/sql", {"sql": sql, "limit": _LIMIT, "plan": True})
            with shown(self.app, "the answer"):
                self._show(found)
        except AdminError as error:
            hint = f"\n  {error.hint}" if error.hint else ""
            self._tell(f"✗ {error.message}{hint}", is_bad=True)

    def _show(self, found: dict[str, Any]) -> None:
        if not self.query("#sql-told"):  # it is closed by now
            return
        self._columns, self._left = list(found["columns"]), 0
        texts = [[_text(one)[0] for one in row] for row in found["rows"][:60]]
        heads = [cell_len(clean(one)) for one in self._columns]
        self._widths = [
            max(3, min(_CELL_MAX, max([head, *(cell_len(row[at]) for row in texts)])))
            for at, head in enumerate(heads)
        ]
        rows = self.query_one("#sql-rows", LineList)
        rows.show(list(found["rows"]), total=len(found["rows"]))
        count = len(found["rows"])
        more = " and more" if found["more"] else ""
        cut = f" · {found['cut']:,} long cells cut" if found["cut"] else ""
        self._tell(f"{count:,} row{'' if count == 1 else 's'}{more} · {found['ms']:g} ms{cut}")
        lines = [f"{'  ' * depth}{text}" for depth, text in found["plan"] or ()]
        plan = self.query_one("#sql-plan", Static)
        plan.set_class(bool(lines), "shown")
        plan.update(clean_block("\n".join(["plan", *(f"  {one}" for one in lines)])))

    def _tell(self, text: str, *, is_bad: bool = False) -> None:
        for line in self.query("#sql-told").results(Static):  # none where it is closed by now
            line.set_class(is_bad, "bad")
            line.update(clean_block(text))

    # --- drawing

    def _seen(self, width: int) -> list[tuple[int, int]]:
        seen, free = [], width
        for at in range(self._left, len(self._columns)):
            size = min(self._widths[at], free - 2)
            if size < 2:
                break
            seen.append((at, size))
            free -= size + 2
        return seen

    def _head(self, width: int) -> Line:
        """Return the line of heads."""
        return [
            (f" {placed(clean(self._columns[at]), size, Column('', size))} ", "head")
            for at, size in self._seen(width)
        ]

    def _line(self, row: list[Any], width: int) -> Line:
        """Return the line of a row."""
        line = []
        for at, size in self._seen(width):
            text, style = _text(row[at])
            is_number = isinstance(row[at], int | float)
            line.append((f" {placed(text, size, Column('', size, right=is_number))} ", style))
        return line

    # --- keys

    def on_key(self, event: Any) -> None:
        """Bring back what was asked before, where the line has the focus."""
        line = self.query_one(Input)
        if event.key not in ("up", "down") or not line.has_focus:
            return
        event.stop()
        asked = self._state.asked_sql
        self._place = max(0, min(len(asked), self._place + (1 if event.key == "down" else -1)))
        line.value = asked[self._place] if self._place < len(asked) else ""
        line.cursor_position = len(line.value)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show a row whole."""
        event.stop()
        width = max([len(one) for one in self._columns], default=0)
        pairs = zip(self._columns, event.row, strict=True)
        text = "\n".join(
            f"{name:<{width}}  {value if isinstance(value, str) else jsonvalue.encode_text(value)}"
            for name, value in pairs
        )
        self.app.push_screen(Details("Row", text))

    def action_copy(self) -> None:
        """Copy the row under the cursor."""
        row = self.query_one("#sql-rows", LineList).current
        if row is None:
            say(self.app, "there is no row to copy")
            return
        value = dict(zip(self._columns, row, strict=True))
        self.app.copy_to_clipboard(jsonvalue.encode_text(value))
        say(self.app, "copied (if your terminal allows it)", seconds=2)

    def action_sideways(self, by: int) -> None:
        """Show other columns."""
        self._left = max(0, min(self._left + by, len(self._columns) - 1))
        self.query_one("#sql-rows", LineList).refresh()

    def action_leave(self) -> None:
        """Stop what is asked; go back where nothing is."""
        if self._asking is not None and not self._asking.is_finished:
            self._asking.cancel()
            self._asking = None
            self._tell("stopped")
        else:
            self.dismiss()


def _text(value: Any) -> tuple[str, str]:
    """Return (text, style) of a value."""
    if value is None:
        return "null", "quiet"
    text = value if isinstance(value, str) else jsonvalue.encode_text(value)
    return clean(text[:_DRAWN_MAX]), "plain"
