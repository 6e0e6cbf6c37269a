"""What the Data screen shows: lines of entities, cells of rows, and all about one row."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from textwrap import wrap
from types import MappingProxyType
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
#: So much of a text under the cursor is seen, if other columns have to go for it.
_READ: Final = 24
#: A reference is no wider where it shows a label, or the end of an id.
_REF_MAX: Final = 18
#: So many rows say how wide a column is.
_MEASURED: Final = 60
#: What stands where a user does not get a field, and where there is no value.
NOT_TOLD: Final = "▒ not told"
_NULL: Final = "null"
#: What stands before a marked row.
MARK: Final = "●"
_NO_LABELS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({})
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
        marked: Container[str] = (), labels: Mapping[str, Mapping[str, str]] = _NO_LABELS,
    ) -> None:  # fmt: skip
        """Lay out fields by their values in some rows.

        Args:
            fields: the fields that are shown.
            rows: the window of rows.
            order: what they are sorted by.
            marked: ids of marked rows.
            labels: what rows are called that these refer to, by entity and id.
        """
        self.fields = list(fields)
        self._labels = labels
        #: Ids of marked rows.
        self._marked = marked
        self._order = order
        self._columns = [Column("id", _ID_WIDTH, keeps_end=True)]
        #: How wide each would be if nothing of it were cut.
        self._wanted = [_ID_WIDTH]
        for one in fields:
            longest = max(
                (cell_len(clean(cell_text(one, row)[0])) for row in rows[:_MEASURED]), default=0
            )
            head = self._head(one)
            least = max(_CELL_MIN, cell_len(head))
            width = max(least, min(longest, _CELL_MAX))
            named = self._longest_label(one, rows[:_MEASURED])
            # A reference shows labels, or the ends of ids.
            short = max(_ID_WIDTH, min(_REF_MAX, max(least, named))) if one["ref"] else 0
            self._columns.append(Column(head, width, right=one["kind"] in _RIGHT, narrow=short))
            self._wanted.append(max(least, longest, named))
        self._left = 1
        #: (width, column under the cursor) of the last look, and what was seen then.
        self._of: tuple[int, int] | None = None
        self._found: list[tuple[int, Column, int]] = []

    def _longest_label(self, field: dict[str, Any], rows: Sequence[Row]) -> int:
        return max((cell_len(clean(self._label(field, row))) for row in rows), default=0)

    def _label(self, field: dict[str, Any], row: Row) -> str:
        """Return what the row is called that one refers to; empty: that is not told."""
        known = self._labels.get(field["ref"] or "", {})
        return known.get(str(row.get(field["name"])), "") if known else ""

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
        if self._of != (width, column):
            self._of = (width, column)
            self._found = self._find(width, column)
        return self._found

    def _find(self, width: int, column: int) -> list[tuple[int, Column, int]]:
        free = width - _ID_WIDTH - 2
        sizes = self._sizes(free, column)
        if column and column < self._left:
            self._left = column
        # A text can be read where some of it is seen; what stands before it need not go for more.
        least = sizes[column] if self._columns[column].narrow else min(sizes[column], _READ + 2)
        while column > self._left and sum(sizes[self._left : column]) + least > free:
            self._left += 1
        shown: dict[int, int] = {}
        for at in range(self._left, len(self._columns)):
            size = min(sizes[at], free) - 2
            if size < min(sizes[at] - 2, _CELL_MIN):
                break
            shown[at] = size
            free -= size + 2
        # What is left is for what is cut: the cursor's column first, references last.
        for at in sorted(shown, key=lambda at: (at != column, self._columns[at].narrow > 0)):
            more = max(0, min(free, self._wanted[at] - shown[at]))
            shown[at] += more
            free -= more
        first = (0, self._columns[0], _ID_WIDTH)
        return [first, *((at, self._columns[at], size) for at, size in shown.items())]

    def _sizes(self, free: int, column: int) -> list[int]:
        """Return the widths of all columns, with what stands between them.

        Where not all of them have room the ends of references do, but for the one under the cursor;
        so do labels anywhere.
        """
        is_tight = sum(one.width + 2 for one in self._columns[1:]) > free
        return [
            (one.narrow if one.narrow and at != column and (is_tight or self._is_told(at))
             else one.width) + 2
            for at, one in enumerate(self._columns)
        ]  # fmt: skip

    def _is_told(self, column: int) -> bool:
        """Tell whether rows that a column refers to are called something."""
        field = self.field(column)
        return field is not None and any(self._labels.get(field["ref"] or "", {}).values())

    def number_at(self, x: int) -> int | None:
        """Return which column was drawn last at a cell of the line; None beside them all."""
        end = 0
        for at, _, size in self._found:
            end += size + 2
            if x < end:
                return at
        return None

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
        for at, shown, size in self._seen(width, column):
            text, style, keeps_end = self._cell(self.field(at), row, is_whole=at == column)
            one = replace(shown, keeps_end=keeps_end)
            if is_cursor and at == column:
                style = "cell"
            mark = MARK if at == 0 and row["id"] in self._marked else " "
            line.append((f"{mark}{placed(clean(text), size, one)} ", style))
        return line

    def _cell(
        self, field: dict[str, Any] | None, row: Row, *, is_whole: bool
    ) -> tuple[str, str, bool]:
        """Return (text, style, whether its end is kept) of a cell.

        A reference is what it leads to, but for its id where that is wanted whole, or not told.
        """
        if field is None:
            return row["id"], "strong", True
        label = "" if is_whole or not field["ref"] else self._label(field, row)
        text, style = cell_text(field, {field["name"]: label} if label else row)
        return text, style, bool(field["ref"]) and not label


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
