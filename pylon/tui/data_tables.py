"""What the Data screen shows: lines of entities, cells of rows, and all about one row."""

from __future__ import annotations

from collections.abc import Container, Sequence
from textwrap import wrap
from typing import Any, Final

from rich.cells import cell_len

from pylon import jsonvalue
from pylon.printable import clean, clean_block
from pylon.tui.columns import Column, data_line, head_line, placed
from pylon.tui.data_state import DataState, Place, Row
from pylon.tui.tables import size_text

Line = list[tuple[str, str]]

ENTITIES: Final = (
    Column("ENTITY", 16, most=32), Column("ROWS", 10, right=True),
    Column("SIZE", 10, 46, right=True),
    Column("FIELDS", 100, 60),
)  # fmt: skip
NARROW_ENTITIES: Final = ENTITIES[:2]
_RIGHT: Final = frozenset({"int", "bigint", "float", "decimal"})
_ID_WIDTH: Final = 10
_CELL_MIN, _CELL_MAX = 6, 40
#: So many rows say how wide a column is.
_MEASURED: Final = 60
#: What stands where a user does not get a field, and where there is no value.
NOT_TOLD: Final = "▒ not told"
_NULL: Final = "null"
#: What stands before a marked row.
MARK: Final = "●"
_STEPS_SHOWN: Final = 3
#: Characters of one value among all about a row. More is not laid out.
_VALUE_MAX: Final = 8_000
#: Cells of a value beside a name that leaves it no room.
_VALUE_LEAST: Final = 12


def entity_line(entity: dict[str, Any], width: int) -> Line:
    """Return the line of an entity."""
    size = entity.get("bytes")
    cells = [
        (entity["name"], "strong"), (count_text(entity["rows"]), "plain"),
        ("?" if size is None else size_text(size), "quiet"),
        (", ".join(one["name"] for one in entity["fields"]), "quiet"),
    ]  # fmt: skip
    columns = NARROW_ENTITIES if width < ENTITIES[2].from_width else ENTITIES
    return data_line(columns, cells[: len(columns)], width)


def entities_head(width: int) -> Line:
    """Return the heads of entities."""
    columns = NARROW_ENTITIES if width < ENTITIES[2].from_width else ENTITIES
    return head_line(columns, width)


def count_text(count: int | None) -> str:
    """Return a count for people."""
    return "?" if count is None else f"{count:,}"


def cell_text(field: dict[str, Any], row: Row) -> tuple[str, str]:
    """Return (text, style) of a value: what is absent is told from an empty text."""
    name = field["name"]
    if name not in row:
        return NOT_TOLD, "quiet"
    value = row[name]
    if value is None:
        return _NULL, "quiet"
    if isinstance(value, bool):
        return ("✓ true", "good") if value else ("- false", "quiet")
    if field["kind"] == "file" and isinstance(value, dict):
        return f"{value.get('name')} {size_text(int(value.get('size') or 0))}", "plain"
    if isinstance(value, str):
        # An empty text, and one that begins like a sign of ours, are told from those signs.
        is_odd = value == "" or value in (_NULL, NOT_TOLD)
        return (f'"{value}"' if is_odd else value), ("accent" if field["ref"] else "plain")
    if isinstance(value, int | float):
        return str(value), "plain"
    return jsonvalue.encode_text(value), "plain"


class Layout:
    """The columns of a grid: widths by what stands in them, and from which one on they are seen."""

    def __init__(
        self, fields: Sequence[dict[str, Any]], rows: Sequence[Row], order: str,
        marked: Container[str] = (),
    ) -> None:  # fmt: skip
        self.fields = list(fields)
        #: Ids of marked rows.
        self._marked = marked
        self._order = order
        self._columns = [Column("id", _ID_WIDTH, keeps_end=True)]
        for one in fields:
            longest = max(
                (cell_len(clean(cell_text(one, row)[0])) for row in rows[:_MEASURED]), default=0
            )
            head = self._head(one)
            width = max(_CELL_MIN, cell_len(head), min(longest, _CELL_MAX))
            self._columns.append(Column(head, width, right=one["kind"] in _RIGHT))
        self._left = 1

    def _head(self, field: dict[str, Any]) -> str:
        name = field["name"]
        sign = {name: " ▲", f"-{name}": " ▼"}.get(self._order, "")
        mark = " (private)" if field["private"] else " →" if field["ref"] else ""
        return f"{name}{mark}{sign}"

    def __len__(self) -> int:
        """Return how many columns there are, `id` among them."""
        return len(self._columns)

    def field(self, column: int) -> dict[str, Any] | None:
        """Return the field of a column; None for `id`."""
        return self.fields[column - 1] if 0 < column <= len(self.fields) else None

    def _seen(self, width: int, column: int) -> list[tuple[int, Column, int]]:
        """Return (number, column, width) of those that are seen; the one under the cursor is."""
        free = width - _ID_WIDTH - 2
        if column and column < self._left:
            self._left = column
        while column > self._left and self._used(self._left, column) > free:
            self._left += 1
        seen = [(0, self._columns[0], _ID_WIDTH)]
        for at in range(self._left, len(self._columns)):
            one = self._columns[at]
            size = min(one.width, free - 2)
            if size < min(one.width, _CELL_MIN):
                break
            seen.append((at, one, size))
            free -= size + 2
        return seen

    def _used(self, first: int, last: int) -> int:
        return sum(one.width + 2 for one in self._columns[first : last + 1])

    def head(self, width: int, column: int) -> Line:
        """Return the line of heads; the column under the cursor stands in angles."""
        line = []
        for at, one, size in self._seen(width, column):
            sides = "‹›" if at == column else "  "
            line.append((f"{sides[0]}{placed(clean(one.head), size, one)}{sides[1]}", "head"))
        return line

    def line(self, row: Row, width: int, column: int, is_cursor: bool) -> Line:
        """Return the line of a row."""
        line = []
        for at, one, size in self._seen(width, column):
            field = self.field(at)
            text, style = (row["id"], "strong") if field is None else cell_text(field, row)
            if is_cursor and at == column:
                style = "cell"
            mark = MARK if at == 0 and row["id"] in self._marked else " "
            line.append((f"{mark}{placed(clean(text), size, one)} ", style))
        return line


def trail_line(state: DataState) -> str:
    """Return where one is, and as whom one looks."""
    if state.place is None:
        return "entities"
    steps = [_step(one) for one in (*state.trail, state.place)]
    if len(steps) > _STEPS_SHOWN:
        steps = ["…", *steps[-_STEPS_SHOWN:]]
    order = state.place.order
    words = " › ".join(steps)
    if order:
        words += f" · by {order.removeprefix('-')}{' descending' if order[0] == '-' else ''}"
    if state.marked:
        words = (
            f"{len(state.marked):,} marked{' (V ends it)' if state.is_ranging else ''} · {words}"
        )
    return f"as {state.viewer} · {words}" if state.viewer else words


def _step(place: Place) -> str:
    return f"{place.entity}[{place.filter}]" if place.filter else place.entity


def row_words(entity: dict[str, Any], found: dict[str, Any], width: int) -> str:
    """Return all about a row: its fields with what they are, and who refers to it."""
    row, room = found["row"], max(30, width)
    names = max([len("id"), *(len(one["name"]) for one in entity["fields"])])
    lines = [f"{'id':<{names}}  {row['id']}"]
    for field in entity["fields"]:
        notes = _notes(field)
        if field["name"] not in row:
            lines.append(f"{field['name']:<{names}}  {NOT_TOLD}{notes}")
            continue
        value = row[field["name"]]
        text = value if isinstance(value, str) and value else jsonvalue.encode_text(value)
        if len(text) > _VALUE_MAX:
            text = f"{text[:_VALUE_MAX]}… {len(text) - _VALUE_MAX:,} characters more: y copies all"
        width_of_values = max(_VALUE_LEAST, room - names - 4)
        parts = [part for line in text.split("\n") for part in wrap(line, width_of_values) or [""]]
        lines.append(f"{field['name']:<{names}}  {parts[0]}{notes}")
        lines += [f"{'':<{names}}  {one}" for one in parts[1:]]
    lines += [f"{'_seq':<{names}}  {row['_seq']}", ""]
    for one in found["referrers"]:
        more = "+" if one["more"] else ""
        lines.append(f"{one['count']:,}{more} {one['entity']} by {one['field']}"
                     f" ({_ON_DELETE[one['on_delete']]})")  # fmt: skip
    return clean_block("\n".join(lines))


_ON_DELETE: Final = {
    "cascade": "they go with it", "restrict": "they keep it from being deleted",
    "set_null": "they lose the reference",
}  # fmt: skip


def _notes(field: dict[str, Any]) -> str:
    notes = [f"→ {field['ref']}"] if field["ref"] else []
    notes += ["private"] if field["private"] else []
    notes += ["by a policy of its own"] if field["guarded"] else []
    return f"   ({', '.join(notes)})" if notes else ""


def row_copies(
    found: Row, curl: str, cell: tuple[str, Any] | None
) -> list[tuple[str, str]]:  # fmt: skip
    """Return (name, text) of what can be copied of a row, the cell under the cursor first."""
    copies = [("id", str(found["id"]))]
    if cell is not None:
        name, value = cell
        copies.append((name, value if isinstance(value, str) else jsonvalue.encode_text(value)))
    return [
        *copies, ("row as JSON", jsonvalue.encode_text(found)), ("as curl", curl),
    ]  # fmt: skip
