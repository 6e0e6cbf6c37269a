"""Rows as the app's code sees them: read-only objects with attributes, converted when read."""

from __future__ import annotations

from typing import Any

from pylon.errors import PolicyDenied
from pylon.schema.fieldtypes import to_app
from pylon.schema.model import Entity, Row
from pylon.schema.wire import wire_row


class HiddenField(PolicyDenied, AttributeError):
    """The caller does not get this field: `getattr` with a default gives that, else it is a 403."""


class AppRow:
    """One row; its fields are attributes (datetime, Decimal and enum members where declared)."""

    __slots__ = ("_entity", "_hidden", "_row")

    def __init__(self, entity: Entity, row: Row, hidden: frozenset[str] = frozenset()) -> None:
        object.__setattr__(self, "_entity", entity)
        object.__setattr__(self, "_row", row)
        object.__setattr__(self, "_hidden", hidden)

    def __getattr__(self, name: str) -> Any:
        row: Row = self._row
        if name in ("id", "_seq"):
            return row.get(name)
        field = self._entity.by_name.get(name)
        if field is None:
            raise AttributeError(f"{self._entity.name} has no field {name}")
        if name in self._hidden:
            raise HiddenField(
                f"the policy does not allow to read {name} of this {self._entity.name}"
            )
        return to_app(field, row[name])

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("rows are read-only; use ctx.db.update")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AppRow) and other._row == self._row

    def __hash__(self) -> int:
        return hash((self._entity.name, self._row["id"], self._row.get("_seq")))

    def __repr__(self) -> str:
        # It may end up in a log or a message, so it tells no more than the caller may read.
        kept = {one.name for one in self._entity.public_fields} | {"id", "_seq"}
        shown = {name: self._row[name] for name in self._row if name in kept - self._hidden}
        return f"{self._entity.name}({shown!r})"


def app_row(entity: Entity, row: Row, hidden: frozenset[str] = frozenset()) -> AppRow:
    """Return a row for the app's code, without the hidden fields."""
    return AppRow(entity, row, hidden)


def row_to_wire(row: AppRow) -> dict[str, Any]:
    """Return the JSON object of a row that a function returns; never its private fields."""
    wire = wire_row(row._entity, row._row)
    return {name: wire[name] for name in wire if name not in row._hidden} if row._hidden else wire
