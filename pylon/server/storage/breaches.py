"""Live rows that break a bound which is tighter than the one they were written under.

They are counted, and stay: bounds are asked of what is written, so a row is none the worse for it
until somebody writes that field again. Counted by SQL where SQL compares as the check does, else
by the check itself, a page of values at a time.
"""

from __future__ import annotations

from typing import Any

from pylon.schema.constraints import bound_value, constraint_of
from pylon.schema.diff import SchemaStep, shown
from pylon.schema.fieldtypes import from_stored
from pylon.schema.model import Field, FieldKind
from pylon.sqlite import RawConnection

_VALUES_AT_ONCE = 1_000
_INT64_MAX = 2**63 - 1


def breach(connection: RawConnection, step: SchemaStep) -> list[str]:
    """Return what to say of the rows that break a step's bound; nothing where none does."""
    assert step.old is not None
    assert step.new is not None
    assert step.bound is not None
    count = _count(connection, step.entity, step.old, step.new, step.bound)
    if not count:
        return []
    name = step.new.name
    return [
        f"{step.entity}: {'1 row has' if count == 1 else f'{count} rows have'} a {name}"
        f" {_words(step.new, step.bound)};"
        f" {'it stays as it is' if count == 1 else 'they stay as they are'},"
        f" and {name} is checked at its next write"
    ]


def _words(field: Field, bound: str) -> str:
    value = getattr(field, bound)
    noun = {FieldKind.LIST: "item", FieldKind.BYTES: "byte"}.get(field.kind, "character")
    length = f"{value} {noun}{'' if value == 1 else 's'}"
    return {
        "min": f"below {value}", "max": f"above {value}",
        "min_length": f"shorter than {length}", "max_length": f"longer than {length}",
        "pattern": f"that does not match {shown(value)}",
    }[bound]  # fmt: skip


def _count(connection: RawConnection, entity: str, old: Field, new: Field, bound: str) -> int:
    value = getattr(new, bound)
    if bound in ("min", "max"):
        value = bound_value(new, value)
    if bound == "pattern" or not _is_bindable(value):
        return _count_in_pages(connection, entity, old, new, bound)
    measured = f'"{old.name}"'
    if bound in ("min_length", "max_length"):
        # A text's length() counts code points as len() does, up to a NUL, which no text holds.
        function = "json_array_length" if new.kind is FieldKind.LIST else "length"
        measured = f"{function}({measured})"
    sign = "<" if bound in ("min", "min_length") else ">"
    ((count,),) = connection.execute(
        f'SELECT count(*) FROM "{entity}" WHERE {measured} {sign} ?', (value,)
    ).fetchall()
    return int(count)


def _is_bindable(value: Any) -> bool:
    """Tell whether SQLite can hold a number as it is."""
    return isinstance(value, float) or -_INT64_MAX - 1 <= value <= _INT64_MAX


def _count_in_pages(
    connection: RawConnection, entity: str, old: Field, new: Field, bound: str
) -> int:
    alone: dict[str, Any] = {bound: getattr(new, bound)}
    check = constraint_of(Field(name=new.name, kind=new.kind, scale=new.scale, **alone))
    assert check is not None
    count, last = 0, ""
    while True:
        page = connection.execute(
            f'SELECT "id", "{old.name}" FROM "{entity}" WHERE "id" > ? ORDER BY "id" LIMIT ?',
            (last, _VALUES_AT_ONCE),
        ).fetchall()
        if not page:
            return count
        for _, stored in page:
            if stored is None:
                continue
            try:
                check(from_stored(old, stored))
            except ValueError:
                count += 1
        last = page[-1][0]
