"""Rows of one schema as rows of the next: what each value becomes, and what fills new fields.

What does not live here: which steps there are (`schema.diff`), tables (`migrate`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylon import jsonvalue
from pylon.errors import PylonError
from pylon.schema.diff import is_same_form
from pylon.schema.fieldtypes import from_app, to_app, to_wire
from pylon.schema.model import DefaultKind, Entity, Field, FieldKind, Row

Fill = Callable[[Row], Row]
#: Kinds that hold every value of another kind with the same stored form.
_AS_IT_IS = (FieldKind.STR, FieldKind.TEXT, FieldKind.BIGINT)


def filler(old: Entity, new: Entity, now: str) -> Fill:
    """Return what turns a row of the old fields into one of the new."""
    sources = {
        field.name: field.name if field.name in old.by_name else field.renamed_from
        for field in new.fields
    }

    #: What factories made for a row: in the table as in each image of the log.
    made: dict[tuple[str, str], Any] = {}

    def default(field: Field, row_id: str) -> Any:
        if field.default is None or field.default.kind is not DefaultKind.FACTORY:
            return default_of(field, now)
        if (row_id, field.name) not in made:
            made[row_id, field.name] = default_of(field, now)
        return made[row_id, field.name]

    def fill(row: Row) -> Row:
        filled: Row = {"id": row["id"]}
        for field in new.fields:
            source = sources[field.name]
            if source is None or source not in row:
                filled[field.name] = default(field, row["id"])
                continue
            try:
                filled[field.name] = carried(old.by_name[source], field, row[source])
            except PylonError:  # the plan has counted these
                filled[field.name] = None if field.nullable else default(field, row["id"])
        if "_seq" in row:
            filled["_seq"] = row["_seq"]
        return filled

    return fill


def carried(old: Field, new: Field, value: Any) -> Any:
    """Return a value in a field's new form; raises PylonError where it has none."""
    is_kept = old.kind is new.kind or new.kind in _AS_IT_IS
    if value is None or (is_kept and is_same_form(old, new)):
        return value  # also one that breaks a bound: the plan says that it stays
    if new.kind in (FieldKind.STR, FieldKind.TEXT):
        wire = to_wire(old, value)
        return from_app(new, wire if isinstance(wire, str) else jsonvalue.encode_text(wire))
    return from_app(new, to_app(old, value))


def default_of(field: Field, now: str) -> Any:
    """Return what fills a field of a row that was there before it; None where nothing does."""
    if field.default is None:
        return None
    match field.default.kind:
        case DefaultKind.LITERAL:
            return field.default.value
        case DefaultKind.NOW:
            return now
        case DefaultKind.FACTORY:
            return from_app(field, field.default.value())
        case DefaultKind.ACTOR:
            return None
