"""Proposals: single changes that might turn a decision, and the values that they try.

Whether a decision passes with one is judged elsewhere (`flips`).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pylon import limits
from pylon.policy import ir
from pylon.policy.ir import TypeKind
from pylon.policy.scene import Scene
from pylon.policy.sqlclause import AFTER_ALL, BEFORE_ALL, moved
from pylon.schema.model import Field, FieldKind

#: A user or a row that is nobody's in particular.
SOMEBODY = "00000000-0000-7000-8000-000000000000"
_FIRST_DAY, _LAST_DAY = "0001-01-01", "9999-12-31"


class Rank(IntEnum):
    """How large a change is; the smallest that passes is the nearest flip."""

    SIGN_IN = 0
    ROLE = 1
    #: A looked-at row that holds another value.
    ROW = 2
    #: A looked-at row that is there, or is not.
    ADDED = 3
    FIELD = 4
    TIME = 5
    CLAIM = 6
    #: It opens far more than what was asked for.
    ADMIN = 7
    #: To be somebody else.
    USER = 8


@dataclass(frozen=True, slots=True)
class Proposal:
    """One change, in words behind "would pass if", and the scene with it."""

    rank: Rank
    text: str
    scene: Scene
    #: A second scene that must pass too, where the text claims more than one value.
    also: Scene | None = None
    #: What may be said if that one does not pass.
    otherwise: str = ""


def proposals_for(op: str, value: ir.Value, bound: Any) -> Iterator[Any]:
    """Yield contents of `value` that make `value op bound` true, and one that does not."""
    column = value if isinstance(value, ir.Column) else None
    kind = column.field_kind if column is not None else _KINDS.get(value.type.kind, FieldKind.STR)
    choices = value.type.choices
    match op:
        case "==":
            yield bound
            yield from _other_choice(choices, bound) if choices else beside(bound, kind)
        case "!=":
            yield from _other_choice(choices, bound) if choices else beside(bound, kind)
            yield bound
        case "<" | ">=":
            yield from below(bound, kind)
            yield bound
        case _:
            yield from above(bound, kind)
            yield bound


_KINDS = {
    TypeKind.NUMBER: FieldKind.INT, TypeKind.DECIMAL: FieldKind.DECIMAL,
    TypeKind.BOOL: FieldKind.BOOL, TypeKind.DATETIME: FieldKind.DATETIME,
    TypeKind.DATE: FieldKind.DATE,
}  # fmt: skip


def _other_choice(choices: tuple[str, ...], value: Any) -> Iterator[Any]:
    yield from (one for one in choices if one != value)


def above(value: Any, kind: FieldKind) -> Iterator[Any]:
    """Yield the next value after a value, where there is one."""
    yield from _moved(value, kind, 1)


def below(value: Any, kind: FieldKind) -> Iterator[Any]:
    """Yield a value before a value, where there is one."""
    yield from _moved(value, kind, -1)


def beside(value: Any, kind: FieldKind) -> Iterator[Any]:
    """Yield a value that is another one."""
    if value is None:
        yield _SAMPLES.get(kind, "x")
    elif kind is FieldKind.BOOL:
        yield not value
    else:
        yield from above(value, kind)
        yield from below(value, kind)


#: A value of each kind that a field may hold.
_SAMPLES: dict[FieldKind, Any] = {
    FieldKind.INT: 0, FieldKind.BIGINT: 0, FieldKind.FLOAT: 0.0, FieldKind.DECIMAL: 0,
    FieldKind.BOOL: True, FieldKind.DATETIME: "2000-01-01T00:00:00.000Z",
    FieldKind.DATE: "2000-01-01", FieldKind.LIST: [], FieldKind.OBJECT: {}, FieldKind.JSON: {},
    FieldKind.BYTES: b"", FieldKind.FILE: {},
}  # fmt: skip


def some_value(value: ir.Value) -> Any:
    """Return a content for a value that is absent."""
    if value.type.choices:
        return value.type.choices[0]
    kind = value.field_kind if isinstance(value, ir.Column) else FieldKind.STR
    return _SAMPLES.get(kind, "x")


def fitting(field: Field, value: Any) -> tuple[Any, ...]:
    """Return a value as a field would hold it; nothing where the field can't hold it."""
    if value is None:
        return (None,) if field.nullable else ()
    if field.choices and value not in field.choices:
        return ()
    match field.kind:
        case FieldKind.FLOAT:
            return (float(value),) if float(value) == value else ()
        case FieldKind.INT:
            is_held = value == int(value) and abs(value) <= limits.SAFE_INTEGER_MAX
            return (int(value),) if is_held else ()
        case FieldKind.BIGINT | FieldKind.DECIMAL:
            return (int(value),) if value == int(value) and abs(value) < 2**63 else ()
        case FieldKind.DATETIME:
            return () if value in (BEFORE_ALL, AFTER_ALL) else (value,)
        case _:
            return (value,)


def _moved(value: Any, kind: FieldKind, step: int) -> Iterator[Any]:
    match kind:
        case FieldKind.INT | FieldKind.BIGINT | FieldKind.DECIMAL:
            yield (math.floor(value) if step > 0 else math.ceil(value)) + step
        case FieldKind.FLOAT:
            there = float(value) + step
            yield there if there != value else math.nextafter(value, step * math.inf)
        case FieldKind.DATETIME if value not in (BEFORE_ALL, AFTER_ALL):
            moment = moved(value, step)
            if moment not in (BEFORE_ALL, AFTER_ALL):
                yield moment
        case FieldKind.DATE if value != (_LAST_DAY if step > 0 else _FIRST_DAY):
            yield (dt.date.fromisoformat(value) + dt.timedelta(days=step)).isoformat()
        case FieldKind.STR | FieldKind.TEXT | FieldKind.REF | FieldKind.ENUM if step > 0:
            yield f"{value}x"
        case FieldKind.STR | FieldKind.TEXT if value:
            yield ""
