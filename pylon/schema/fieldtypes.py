"""The one table of field kinds, and the way a value takes between its four forms.

*Wire*: JSON as clients send and read it. *Value*: what a row holds in memory (`model.Row`).
*Stored*: what SQLite holds. *App*: what the app's own code sees (datetime objects, Decimal, enum
members). What does not live here: whole rows (`validate`, `wire`).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from pylon import jsonvalue, limits
from pylon.errors import InvalidArgument
from pylon.ids import is_id
from pylon.schema.constraints import constraint_of
from pylon.schema.decimals import parse_units, units_decimal, units_of, units_text
from pylon.schema.files import FILE_TYPESCRIPT, File, file_from_app, parse_file
from pylon.schema.jsontree import check_json, check_text, copied
from pylon.schema.model import Field, FieldKind, Value
from pylon.schema.times import canonical_datetime, datetime_ms, parse_date, parse_datetime

BIGINT_MAX = 2**63 - 1
_BIG_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z", re.ASCII)


Convert = Callable[[Field, Any], Any]


@dataclass(frozen=True, slots=True)
class FieldType:
    """One kind of field: its SQLite and TypeScript types and the ways between the forms."""

    sqlite: str
    typescript: str
    #: Wire to value; raises ValueError with what is wanted.
    parse: Convert
    to_wire: Convert
    to_app: Convert
    from_app: Convert
    #: Stored as JSON text.
    is_json: bool = False


def _same(_: Field, value: Any) -> Any:
    return value


def _parse_text(field: Field, value: Any) -> Value:
    if type(value) is not str:
        raise ValueError("must be text")
    check_text(value)
    return value


def _parse_int(field: Field, value: Any) -> Value:
    if type(value) is float and value.is_integer():
        value = int(value)  # 1.0 and 1 are one number in JSON
    if type(value) is not int:
        raise ValueError("must be an integer")
    if not -limits.SAFE_INTEGER_MAX <= value <= limits.SAFE_INTEGER_MAX:
        raise ValueError("must lie within ±(2^53-1); declare BigInt for more")
    return value


def _parse_bigint(field: Field, value: Any) -> Value:
    if type(value) is str and _BIG_INTEGER.match(value) and value != "-0":
        value = int(value)
    if type(value) is not int:
        raise ValueError('must be an integer as text, such as "42"')
    if not -BIGINT_MAX - 1 <= value <= BIGINT_MAX:
        raise ValueError("must fit into 64 bits")
    return value


def _parse_float(field: Field, value: Any) -> Value:
    if type(value) is int:
        if abs(value) > limits.SAFE_INTEGER_MAX:
            raise ValueError("must be a double; this integer cannot be kept exactly")
        return float(value)
    if type(value) is not float or not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value + 0.0  # SQLite keeps no -0.0, so nobody gets to see one


def _parse_decimal(field: Field, value: Any) -> Value:
    if type(value) is not str:
        raise ValueError('must be a decimal as text, such as "12.50"')
    return parse_units(value, field.scale)


def _parse_bool(field: Field, value: Any) -> Value:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def _parse_datetime_field(field: Field, value: Any) -> Value:
    if type(value) is not str:
        raise ValueError("must be a time such as 2026-11-23T12:00:00.000Z")
    return parse_datetime(value)


def _parse_date_field(field: Field, value: Any) -> Value:
    if type(value) is not str:
        raise ValueError("must be a date such as 2026-11-23")
    return parse_date(value)


def _parse_choice(field: Field, value: Any) -> Value:
    if type(value) is not str or value not in field.choices:
        raise ValueError(f"must be one of {', '.join(field.choices)}")
    return value


def _parse_ref(field: Field, value: Any) -> Value:
    if not is_id(value):
        raise ValueError(f"must be the id of a {field.ref}")
    return value


def _parse_list(field: Field, value: Any) -> Value:
    if type(value) is not list:
        raise ValueError("must be a list")
    if field.item is None or field.item is FieldKind.JSON:
        return _parse_json(field, value)
    return _items(field, value, FIELD_TYPES[field.item].parse)


def _parse_object(field: Field, value: Any) -> Value:
    if type(value) is not dict:
        raise ValueError("must be an object")
    return _parse_json(field, value)


def _parse_json(field: Field, value: Any) -> Value:
    check_json(value)
    return value


def _parse_bytes(field: Field, value: Any) -> Value:
    if type(value) is not str:
        raise ValueError("must be base64 text")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64 text") from None
    if base64.b64encode(data).decode() != value:
        raise ValueError("must be base64 text with its padding")
    return data


def _app_bytes(field: Field, value: Any) -> Value:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ValueError("must be bytes")  # noqa: TRY004 -- one error type for all kinds
    return bytes(value)


def _app_text(field: Field, value: Any) -> Value:
    # A member of a StrEnum is a text too; what is kept is the plain text.
    return _parse_text(field, str.__str__(value) if isinstance(value, str) else value)


def _app_decimal(field: Field, value: Any) -> Value:
    if type(value) is int:
        value = Decimal(value)
    if isinstance(value, str):
        return _parse_decimal(field, str.__str__(value))
    if not isinstance(value, Decimal):
        raise ValueError("must be a Decimal")  # noqa: TRY004
    return units_of(value, field.scale)


def _app_datetime(field: Field, value: Any) -> Value:
    if isinstance(value, dt.datetime):
        return canonical_datetime(value)
    return _parse_datetime_field(field, value)


def _app_date(field: Field, value: Any) -> Value:
    if type(value) is dt.date:
        return value.isoformat()
    return _parse_date_field(field, value)


def _app_choice(field: Field, value: Any) -> Value:
    return _parse_choice(field, value.value if isinstance(value, Enum) else value)


def _app_ref(field: Field, value: Any) -> Value:
    return _parse_ref(field, getattr(value, "id", value))


def _choice_to_app(field: Field, value: Value) -> Any:
    return value if field.enum_class is None else field.enum_class(value)


def _list_to_app(field: Field, value: Value) -> Any:
    if field.item is None:
        return copied(value)
    convert = FIELD_TYPES[field.item].to_app
    return [convert(field, item) for item in value]


def _list_from_app(field: Field, value: Any) -> Value:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")  # noqa: TRY004
    if field.item is None or field.item is FieldKind.JSON:
        return copied(_parse_json(field, list(value)))
    return _items(field, value, FIELD_TYPES[field.item].from_app)


def _items(field: Field, values: Any, convert: Convert) -> list[Value]:
    converted = []
    for place, item in enumerate(values):
        try:
            converted.append(convert(field, item))
        except ValueError as error:
            raise ValueError(f"item {place} {error}") from None
    return converted


def _json_to_app(field: Field, value: Value) -> Any:
    return copied(value)


def _json_from_app(field: Field, value: Any) -> Value:
    return copied(_parse_json(field, value))


def _object_from_app(field: Field, value: Any) -> Value:
    return copied(_parse_object(field, value))


def _plain(sqlite: str, typescript: str, parse: Convert, from_app: Convert) -> FieldType:
    """Return a kind whose JSON, value and app form are one."""
    return FieldType(sqlite, typescript, parse, _same, _same, from_app)


FIELD_TYPES: dict[FieldKind, FieldType] = {
    FieldKind.STR: _plain("TEXT", "string", _parse_text, _app_text),
    FieldKind.TEXT: _plain("TEXT", "string", _parse_text, _app_text),
    FieldKind.INT: _plain("INTEGER", "number", _parse_int, _parse_int),
    FieldKind.BIGINT: FieldType(
        "INTEGER", "string", _parse_bigint, lambda _, value: str(value), _same, _parse_bigint
    ),
    FieldKind.FLOAT: _plain("REAL", "number", _parse_float, _parse_float),
    FieldKind.DECIMAL: FieldType(
        "INTEGER",
        "string",
        _parse_decimal,
        lambda field, units: units_text(units, field.scale),
        lambda field, units: units_decimal(units, field.scale),
        _app_decimal,
    ),
    FieldKind.BOOL: _plain("INTEGER", "boolean", _parse_bool, _parse_bool),
    FieldKind.DATETIME: FieldType(
        "TEXT",
        "string",
        _parse_datetime_field,
        _same,
        lambda _, text: dt.datetime.fromisoformat(text),
        _app_datetime,
    ),
    FieldKind.DATE: FieldType(
        "TEXT",
        "string",
        _parse_date_field,
        _same,
        lambda _, text: dt.date.fromisoformat(text),
        _app_date,
    ),
    FieldKind.ENUM: FieldType("TEXT", "string", _parse_choice, _same, _choice_to_app, _app_choice),
    FieldKind.REF: _plain("TEXT", "string", _parse_ref, _app_ref),
    FieldKind.LIST: FieldType(
        "TEXT", "unknown[]", _parse_list, _same, _list_to_app, _list_from_app, is_json=True
    ),
    FieldKind.OBJECT: FieldType(
        "TEXT",
        "Record<string, unknown>",
        _parse_object,
        _same,
        _json_to_app,
        _object_from_app,
        is_json=True,
    ),
    FieldKind.JSON: FieldType(
        "TEXT", "unknown", _parse_json, _same, _json_to_app, _json_from_app, is_json=True
    ),
    FieldKind.BYTES: FieldType(
        "BLOB",
        "string",
        _parse_bytes,
        lambda _, value: base64.b64encode(value).decode(),
        _same,
        _app_bytes,
    ),
    FieldKind.FILE: FieldType(
        "TEXT",
        FILE_TYPESCRIPT,
        lambda _, value: parse_file(value),
        _same,
        lambda _, value: File(**value),
        lambda _, value: file_from_app(value),
        is_json=True,
    ),
}


def _convert(field: Field, value: Any, convert: Convert) -> Value:
    if value is None:
        if not field.nullable:
            raise InvalidArgument(f"{field.name} must not be null", field=field.name)
        return None
    try:
        converted = convert(field, value)
        check = constraint_of(field)
        if check is not None:
            check(converted)
    except ValueError as error:
        raise InvalidArgument(f"{field.name} {error}", field=field.name) from error
    return converted


def parse_wire(field: Field, value: Any) -> Value:
    """Return the row value of a JSON value; raises InvalidArgument naming the field."""
    return _convert(field, value, FIELD_TYPES[field.kind].parse)


def from_app(field: Field, value: Any) -> Value:
    """Return the row value of what the app's code gave; raises InvalidArgument."""
    return _convert(field, value, FIELD_TYPES[field.kind].from_app)


def to_wire(field: Field, value: Value) -> Any:
    """Return the JSON value that clients read."""
    return None if value is None else FIELD_TYPES[field.kind].to_wire(field, value)


def to_app(field: Field, value: Value) -> Any:
    """Return what the app's code sees."""
    return None if value is None else FIELD_TYPES[field.kind].to_app(field, value)


def to_stored(field: Field, value: Value) -> Any:
    """Return what SQLite holds: bools as 0 and 1, lists and objects as JSON text."""
    if value is None:
        return None
    if field.kind is FieldKind.BOOL:
        return int(value)
    return jsonvalue.encode_text(value) if FIELD_TYPES[field.kind].is_json else value


def from_stored(field: Field, stored: Any) -> Value:
    """Return the row value of what SQLite holds."""
    if stored is None:
        return None
    if field.kind is FieldKind.BOOL:
        return bool(stored)
    return jsonvalue.decode_trusted(stored) if FIELD_TYPES[field.kind].is_json else stored


def incremented(field: Field, value: Value, amount: Any) -> Value:
    """Return `value + amount` as a checked value, an absent one counting as 0.

    Raises InvalidArgument for fields that are no numbers and for sums out of range.
    """
    stored = 0 if value is None else value
    try:
        match field.kind:
            case FieldKind.INT | FieldKind.BIGINT if type(amount) is int:
                return from_app(field, stored + amount)
            case FieldKind.FLOAT if type(amount) in (int, float):
                return from_app(field, float(stored) + amount)
            case FieldKind.DECIMAL if type(amount) in (int, Decimal):
                units = stored + units_of(Decimal(amount), field.scale)
                return from_app(field, units_decimal(units, field.scale))
            case _:
                wanted = f"can't be incremented by a {type(amount).__name__}"
    except (ValueError, OverflowError) as error:
        wanted = f"can't be incremented: the amount {error}"
    raise InvalidArgument(f"{field.name} {wanted}", field=field.name)


__all__ = [
    "BIGINT_MAX", "FIELD_TYPES", "FieldType", "canonical_datetime", "datetime_ms", "from_app",
    "from_stored", "incremented", "parse_datetime", "parse_wire", "to_app", "to_stored", "to_wire",
]  # fmt: skip
