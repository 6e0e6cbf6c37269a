"""Rows as the app's code sees them: read-only objects with attributes, converted when read."""

from __future__ import annotations

from typing import Any

from pylon.schema.fieldtypes import to_app
from pylon.schema.model import Entity, Row
from pylon.schema.wire import wire_row


class AppRow:
    """One row; its fields are attributes (datetime, Decimal and enum members where declared)."""

    __slots__ = ("_entity", "_row")

    def __init__(self, entity: Entity, row: Row) -> None:
        object.__setattr__(self, "_entity", entity)
        object.__setattr__(self, "_row", row)

    def __getattr__(self, name: str) -> Any:
        row: Row = self._row
        if name in ("id", "_seq"):
            return row.get(name)
        field = self._entity.by_name.get(name)
        if field is None:
            raise AttributeError(f"{self._entity.name} has no field {name}")
        return to_app(field, row[name])

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("rows are read-only; use ctx.db.update")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AppRow) and other._row == self._row

    def __hash__(self) -> int:
        return hash((self._entity.name, self._row["id"], self._row.get("_seq")))

    def __repr__(self) -> str:
        return f"{self._entity.name}({self._row!r})"


def app_row(entity: Entity, row: Row) -> AppRow:
    """Return a row for the app's code."""
    return AppRow(entity, row)


def row_to_wire(row: AppRow) -> dict[str, Any]:
    """Return the JSON object of a row that a function returns; never its private fields."""
    return wire_row(row._entity, row._row)
