"""The past on the screens: a slider, rows side by side, histories and differences, as lines."""

from __future__ import annotations

from typing import Any, Final

from pylon import jsonvalue
from pylon.client.past_text import came_with_field, chain_words, moved_words, who_words
from pylon.printable import counted
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.tables import KINDS, Line

HISTORY: Final = (
    Column("SEQ", 8, right=True), Column("WHEN", 19, 60), Column("KIND", 8),
    Column("WHO", 18, 70, most=32), Column("WHAT", 60),
)  # fmt: skip
DIFFS: Final = (
    Column("ENTITY", 18), Column("+ INSERTED", 10, right=True),
    Column("~ UPDATED", 10, right=True), Column("- DELETED", 10, right=True),
    Column("= SAME", 8, 78, right=True), Column("CHANGES", 9),
)  # fmt: skip
DIFF_ROWS: Final = (
    Column("WHAT", 10), Column("ROW", 16, keeps_end=True), Column("CHANGES", 7, 70, right=True),
    Column("FIELDS", 30),
)  # fmt: skip
_SIGNS: Final = {
    "inserted": ("+ inserted", "good"), "updated": ("~ updated", "accent"),
    "deleted": ("- deleted", "bad"),
}  # fmt: skip
#: What stands where a form of the row has no such field, or is not there.
NOT_GIVEN: Final = "(not given)"
NO_ROW: Final = "(no row)"


# --- the slider


def slider(floor: int, head: int, seq: int, width: int) -> str:
    """Return a line that shows where a change is between the ends of the log."""
    left, right = f" {floor:,} ", f" {head:,} "
    room = max(5, width - len(left) - len(right) - 2)
    share = 1.0 if head <= floor else (seq - floor) / (head - floor)
    place = min(room - 1, round(share * (room - 1)))
    return f"{left}[{'=' * place}#{'-' * (room - 1 - place)}]{right}"


def moved_by(place: int, floor: int, head: int, share: float) -> int:
    """Return the change that lies a share of the whole log away, within it."""
    step = max(1, round(abs(share) * (head - floor)))
    return max(floor, min(head, place + (step if share > 0 else -step)))


# --- the lens


def forms_of(found: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """Return (head, row) of each form of a row that the lens shows, the server's first."""
    forms: list[tuple[str, dict[str, Any] | None]] = [("server", found["server"])]
    if found["user"] is not None:
        forms.append((str(found["user"]["user"]), found["user"]["row"]))
    if found["client"] is not None:
        forms.append((f"client {found['client']['client_id']}", found["client"]["row"]))
    return forms


def lens_rows(found: dict[str, Any], blame: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a line for each field: its values side by side, whether they differ, and its blame."""
    forms = forms_of(found)
    names = list(dict.fromkeys(name for _, row in forms for name in row or {}))
    names += [name for name in blame if name not in names]
    absent = object()
    rows = []
    for name in names:
        values = [NO_ROW if row is None else _value(row, name) for _, row in forms]
        held = [absent if row is None else row.get(name, absent) for _, row in forms]
        rows.append({
            "field": name, "values": values, "differs": any(one != held[0] for one in held[1:]),
            "blame": blame.get(name), "is_blamed": name in blame,
        })  # fmt: skip
    return rows


def _value(row: dict[str, Any], name: str) -> str:
    return jsonvalue.encode_text(row[name]) if name in row else NOT_GIVEN


class LensColumns:
    """The columns of a lens: field, one for each form, or who set the field."""

    def __init__(self, heads: list[str], *, shows_blame: bool, width: int) -> None:
        shown = heads[:1] if shows_blame else heads
        fields = min(18, max(8, width // 5))
        each = max(6, (width - fields - 8) // max(1, len(shown) + int(shows_blame)) - 2)
        self._shows_blame = shows_blame
        self._count = len(shown)
        last = "SET BY" if shows_blame else ""
        self.columns = (
            Column("", 1), Column("FIELD", fields),
            *(Column(one.upper(), each) for one in shown),
            *([Column(last, each)] if shows_blame else []),
        )  # fmt: skip

    def head(self, width: int) -> Line:
        """Return the line of heads."""
        return list(head_line(self.columns, width))

    def line(self, row: dict[str, Any], width: int) -> Line:
        """Return the line of a field."""
        # Beside who set a field stands the server's form alone: there is nothing to differ from.
        differs = row["differs"] and self._count > 1
        cells = [("≠", "warn") if differs else ("", "plain"), (row["field"], "strong")]
        for place, value in enumerate(row["values"][: self._count]):
            style = "warn" if differs and place else "plain"
            cells.append((value, "quiet" if value in (NO_ROW, NOT_GIVEN) else style))
        if self._shows_blame:
            cells.append((blame_words(row), "plain"))
        return data_line(self.columns, cells, width)


def blame_words(row: dict[str, Any]) -> str:
    """Return who gave a field its value."""
    blame = row["blame"]
    if not row["is_blamed"]:
        return ""
    if blame is None:
        return "the log does not reach back to it"
    if with_field := came_with_field(blame):
        return with_field
    chain = chain_words(blame["chain"])
    return f"{blame['seq']} {who_words(blame)} {blame['at'][:16].replace('T', ' ')} · {chain}"


def history_head(width: int) -> Line:
    """Return the line of heads of a history."""
    return list(head_line(HISTORY, width))


def history_line(change: dict[str, Any], width: int) -> Line:
    """Return the line of a change of a row."""
    when = change["at"][:19].replace("T", " ")
    return data_line(
        HISTORY,
        (
            (change["seq"], "quiet"), (when, "quiet"),
            KINDS.get(change["kind"], (change["kind"], "plain")), (who_words(change), "plain"),
            (", ".join(moved_words(change)), "plain"),
        ),
        width,
    )  # fmt: skip


def history_words(change: dict[str, Any]) -> str:
    """Return all about one change of a row."""
    lines = [
        f"{change['kind']} at {change['at']} by {who_words(change)}",
        f"came of  {chain_words(change['chain'])}", "", *moved_words(change),
    ]  # fmt: skip
    return "\n".join(lines)


# --- differences


def diffs_head(width: int) -> Line:
    """Return the line of heads of differences by entity."""
    return list(head_line(DIFFS, width))


def diff_line(one: dict[str, Any], width: int) -> Line:
    """Return the line of an entity."""
    return data_line(
        DIFFS,
        (
            (one["entity"], "strong"), (one["inserted"], "good"), (one["updated"], "accent"),
            (one["deleted"], "bad"), (one["same"], "quiet"), (one["changes"], "quiet"),
        ),
        width,
    )  # fmt: skip


def diff_rows_head(width: int) -> Line:
    """Return the line of heads of rows that differ."""
    return list(head_line(DIFF_ROWS, width))


def diff_row_line(row: dict[str, Any], width: int) -> Line:
    """Return the line of a row that differs."""
    words = ", ".join(moved_words(row))
    return data_line(
        DIFF_ROWS,
        (
            _SIGNS.get(row["what"], (row["what"], "plain")), (row["id"], "strong"),
            (row["changes"], "quiet"), (words, "plain"),
        ),
        width,
    )  # fmt: skip


def diff_row_words(row: dict[str, Any]) -> str:
    """Return all about a row that differs."""
    before, after = row["before"] or {}, row["after"] or {}
    width = max((len(name) for name in row["fields"]), default=0)
    changes = counted(row["changes"], "change")
    lines = [
        f"{row['what']}, in {changes} ({row['first_seq']}–{row['last_seq']})",
        "",
    ]
    for name in row["fields"]:
        if name in before:
            lines.append(f"- {name:<{width}}  {jsonvalue.encode_text(before[name])}")
        if name in after:
            lines.append(f"+ {name:<{width}}  {jsonvalue.encode_text(after[name])}")
    return "\n".join(lines)


def point_words(point: dict[str, Any]) -> list[str]:
    """Return what stands at a point of the log: the change, who made it, and what it did."""
    change = point["change"]
    lines = [
        f"as of change {point['seq']:,}, {(point['at'] or 'before the first').replace('T', ' ')}"
    ]
    if change is not None:
        lines.append(
            f"{change['kind']} {change['entity']} {change['row_id']} by"
            f" {change['user'] or 'system'} ({change['cause']})"
        )
        lines.append(change["effect"] or "")
    if point.get("rewritten"):
        lines.append(f"the schema changed later ({point['rewritten']}): shown in the fields of now")
    return lines
