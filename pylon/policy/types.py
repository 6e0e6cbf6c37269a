"""Types of fields and facts, and how a literal takes the type of what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pylon import limits
from pylon.clock import iso_ms
from pylon.policy import ir
from pylon.policy.ir import TypeKind, ValueType
from pylon.schema.decimals import units_of
from pylon.schema.model import Field, FieldKind
from pylon.schema.times import datetime_ms, parse_date, parse_datetime

TEXT = ValueType(TypeKind.TEXT)
NUMBER = ValueType(TypeKind.NUMBER)
BOOL = ValueType(TypeKind.BOOL)
DATETIME = ValueType(TypeKind.DATETIME)
NULL = ValueType(TypeKind.NULL)

_KINDS = {
    FieldKind.STR: TypeKind.TEXT, FieldKind.TEXT: TypeKind.TEXT, FieldKind.REF: TypeKind.TEXT,
    FieldKind.ENUM: TypeKind.TEXT, FieldKind.INT: TypeKind.NUMBER, FieldKind.FLOAT: TypeKind.NUMBER,
    FieldKind.BIGINT: TypeKind.NUMBER, FieldKind.DECIMAL: TypeKind.DECIMAL,
    FieldKind.BOOL: TypeKind.BOOL, FieldKind.DATETIME: TypeKind.DATETIME,
    FieldKind.DATE: TypeKind.DATE, FieldKind.LIST: TypeKind.LIST, FieldKind.OBJECT: TypeKind.OPAQUE,
    FieldKind.JSON: TypeKind.OPAQUE, FieldKind.BYTES: TypeKind.OPAQUE,
    FieldKind.FILE: TypeKind.OPAQUE,
}  # fmt: skip
#: Lists whose items SQLite finds again exactly in the stored JSON.
_SEARCHABLE_ITEMS = frozenset(
    {FieldKind.STR, FieldKind.INT, FieldKind.BOOL, FieldKind.DATE, FieldKind.DATETIME,
     FieldKind.ENUM, FieldKind.REF, FieldKind.TEXT}
)  # fmt: skip
BIGINT_MAX = 2**63 - 1


class TypeMistake(Exception):
    """Two values that can never be compared; the message says why."""


def kind_of(name: str) -> TypeKind:
    """Return what a policy sees of a kind of field; of one that nobody knows, that it is there."""
    return _KINDS[FieldKind(name)] if name in set(FieldKind) else TypeKind.OPAQUE


def type_of_field(field: Field) -> ValueType:
    """Return the type of a field's value."""
    kind = _KINDS[field.kind]
    item = None
    if kind is TypeKind.LIST and field.item in _SEARCHABLE_ITEMS:
        item = _KINDS[field.item]
    return ValueType(kind, scale=field.scale, item=item, choices=field.choices)


def type_of_literal(value: Any) -> ValueType:
    """Return the type of a literal as it stands."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return BOOL
    return TEXT if isinstance(value, str) else NUMBER


def coerce_literal(value: Any, wanted: ValueType) -> tuple[Any, ValueType]:
    """Return a literal in the row form of the type it is compared with.

    Raises TypeMistake where the literal can never equal such a value. There is no other coercion.
    """
    own = type_of_literal(value)
    match wanted.kind:
        case TypeKind.DATETIME if isinstance(value, str):
            return _parsed(parse_datetime, value), wanted
        case TypeKind.DATE if isinstance(value, str):
            return _parsed(parse_date, value), wanted
        case TypeKind.DECIMAL if own.kind is TypeKind.NUMBER or isinstance(value, str):
            return _units(value, wanted.scale), wanted
        case TypeKind.TEXT if wanted.choices and isinstance(value, str):
            if value not in wanted.choices:
                raise TypeMistake(f"{value!r} is none of {', '.join(wanted.choices)}")
            return value, own
    if own.kind is TypeKind.NUMBER and isinstance(value, int) and abs(value) > BIGINT_MAX:
        raise TypeMistake(f"{value} does not fit into 64 bits")
    return value, own


def _parsed(parse: Callable[[str], str], text: str) -> str:
    try:
        return parse(text)
    except ValueError as error:
        raise TypeMistake(f"{text!r} {error}") from None


def _units(value: Any, scale: int) -> int:
    try:
        return units_of(Decimal(str(value)), scale)
    except ArithmeticError:
        raise TypeMistake(f"{value!r} is no decimal") from None
    except ValueError as error:
        raise TypeMistake(f"{value!r} {error}") from None


def check_comparable(op: str, left: ValueType, right: ValueType) -> None:
    """Raise TypeMistake where the two can't be compared by `op`."""
    for one in (left, right):
        if one.kind in (TypeKind.OPAQUE, TypeKind.LIST):
            raise TypeMistake(f"a {one.kind} can only be compared with null")
    if left.kind is TypeKind.CLAIM and right.kind is TypeKind.CLAIM:
        raise TypeMistake("two claims have no known type; compare each with a field or a literal")
    kinds = {left.kind, right.kind} - {TypeKind.CLAIM}
    if len(kinds) > 1:
        raise TypeMistake(f"{left.kind} is never equal to {right.kind}; there is no conversion")
    if left.kind is right.kind is TypeKind.DECIMAL and left.scale != right.scale:
        raise TypeMistake("decimals of different scale can't be compared")
    if TypeKind.BOOL in kinds and op not in ("==", "!="):
        raise TypeMistake("true and false have no order")


# --- values of one type ------------------------------------------------------------------


def is_nothing(value: ir.Value) -> bool:
    """Tell whether a value is absent for every row: a null that was given as an argument."""
    return isinstance(value, ir.Const) and value.value is None


def of_one_type(op: str, left: ir.Value, right: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return both sides of a comparison in one type; raises TypeMistake where there is none."""
    if isinstance(right, ir.Const) and right.type.kind is not TypeKind.DATETIME:
        right = ir.Const(*coerce_literal(right.value, left.type))
    elif isinstance(left, ir.Const):
        left = ir.Const(*coerce_literal(left.value, right.type))
    check_comparable(op, left.type, right.type)
    if left.type.kind is TypeKind.CLAIM:
        return as_claim(left, right.type), right
    if right.type.kind is TypeKind.CLAIM:
        return left, as_claim(right, left.type)
    return left, right


def as_claim(value: ir.Value, wanted: ValueType) -> ir.Value:
    """Return the claim as a fact of the wanted type; a claim of another type is absent."""
    assert isinstance(value, ir.Fact)
    if wanted.kind is TypeKind.DECIMAL:
        raise TypeMistake("a claim is no decimal")
    return ir.Fact(ir.Slot(ir.SlotKind.CLAIM, value.slot.names, wanted.kind), wanted)


def shifted(value: ir.Value, ms: int) -> ir.Value:
    """Return a time moved by `ms`; raises TypeMistake where a literal leaves the calendar."""
    if abs(ms) > limits.POLICY_DURATION_MS_MAX:
        raise TypeMistake("a duration of more than a hundred years")
    if isinstance(value, ir.Now):
        return ir.Now(value.ms + ms, DATETIME)
    if not isinstance(value, ir.Const):
        return ir.Moved(value, ms, DATETIME)
    text = iso_ms(datetime_ms(value.value) + ms)
    if text.startswith(("-", "0000")) or len(text) != len(value.value):
        raise TypeMistake("this leaves the calendar")
    return ir.Const(text, DATETIME)
