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
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from pylon import jsonvalue, limits
from pylon.clock import iso_ms
from pylon.errors import InvalidArgument
from pylon.ids import is_id
from pylon.schema.model import Field, FieldKind, Value

BIGINT_MAX = 2**63 - 1
_BIG_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?\Z", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
_FRACTION = re.compile(r"\.([0-9]+)")
#: A pattern is matched against at most this many characters: backtracking is the app's own risk.
PATTERN_TEXT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class FieldType:
    """One kind of field: its SQLite and TypeScript types and the ways between the forms."""

    sqlite: str
    typescript: str
    #: Wire to value; raises ValueError with what is wanted.
    parse: Callable[[Field, Any], Value]
    to_wire: Callable[[Field, Value], Any]
    to_app: Callable[[Field, Value], Any]
    from_app: Callable[[Field, Any], Value]
    #: Stored as JSON text.
    is_json: bool = False


def _same(_: Field, value: Any) -> Any:
    return value


def _parse_text(field: Field, value: Any) -> Value:
    if type(value) is not str:
        raise ValueError("must be text")
    _check_text(value)
    return value


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ValueError("must not hold NUL")
    if not text.isascii():
        try:
            text.encode("utf-8", "strict")
        except UnicodeEncodeError:
            raise ValueError("must not hold lone surrogates") from None


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
    return value


def _parse_decimal(field: Field, value: Any) -> Value:
    if type(value) is not str or not _DECIMAL.match(value):
        raise ValueError('must be a decimal as text, such as "12.50"')
    return _units(field, Decimal(value))


def _units(field: Field, value: Decimal) -> int:
    if not value.is_finite():
        raise ValueError("must be finite")
    scaled = value.scaleb(field.scale)
    units = int(scaled)
    if units != scaled:
        raise ValueError(f"has more than {field.scale} digits behind the point")
    if abs(units) > BIGINT_MAX:
        raise ValueError("is too large")
    return units


def _decimal_text(field: Field, units: Value) -> str:
    if field.scale == 0:
        return str(units)
    sign, digits = ("-", -units) if units < 0 else ("", units)
    text = str(digits).rjust(field.scale + 1, "0")
    return f"{sign}{text[: -field.scale]}.{text[-field.scale :]}"


def _parse_bool(field: Field, value: Any) -> Value:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def parse_datetime(text: str) -> str:
    """Return the canonical text of an ISO 8601 time with offset; raises ValueError otherwise."""
    fraction = _FRACTION.search(text)
    if fraction is not None and fraction[1][3:].strip("0"):
        raise ValueError("is finer than a millisecond")
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time such as 2026-11-23T12:00:00.000Z") from None
    if len(text) < 11:
        raise ValueError("must be a time such as 2026-11-23T12:00:00.000Z, not a date")
    return canonical_datetime(moment)


def canonical_datetime(moment: dt.datetime) -> str:
    """Return `2026-11-23T12:00:00.000Z`; raises ValueError for naive or out-of-range times."""
    if moment.tzinfo is None:
        raise ValueError("must say its offset from UTC (a naive time is ambiguous)")
    try:
        utc = moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("is out of range") from None
    if utc.microsecond % 1000:
        raise ValueError("is finer than a millisecond")
    since = utc - _EPOCH
    return iso_ms(since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000)


def datetime_ms(text: str) -> int:
    """Return the Unix milliseconds of a canonical time."""
    since = dt.datetime.fromisoformat(text) - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _parse_datetime_field(field: Field, value: Any) -> Value:
    if type(value) is not str:
        raise ValueError("must be a time such as 2026-11-23T12:00:00.000Z")
    return parse_datetime(value)


def _parse_date(field: Field, value: Any) -> Value:
    if type(value) is not str or not _DATE.match(value):
        raise ValueError("must be a date such as 2026-11-23")
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError("is no day of the calendar") from None
    return value


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
    item_type = FIELD_TYPES[field.item]
    parsed = []
    for place, item in enumerate(value):
        try:
            parsed.append(item_type.parse(field, item))
        except ValueError as error:
            raise ValueError(f"item {place} {error}") from None
    return parsed


def _parse_object(field: Field, value: Any) -> Value:
    if type(value) is not dict:
        raise ValueError("must be an object")
    return _parse_json(field, value)


def _parse_json(field: Field, value: Any) -> Value:
    _check_json(value, 1)
    return value


def _check_json(value: Any, depth: int) -> None:
    if depth > limits.JSON_DEPTH_MAX:
        raise ValueError(f"is nested deeper than {limits.JSON_DEPTH_MAX}")
    if type(value) is list:
        for item in value:
            _check_json(item, depth + 1)
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError("holds a key that is no text")
            _check_text(key)
            _check_json(item, depth + 1)
    else:
        _check_json_scalar(value)


def _check_json_scalar(value: Any) -> None:
    kind = type(value)
    if kind is str:
        _check_text(value)
    elif kind is int and abs(value) > limits.SAFE_INTEGER_MAX:
        raise ValueError("holds an integer beyond ±(2^53-1)")
    elif kind is float and not math.isfinite(value):
        raise ValueError("holds a number that is not finite")
    elif value is not None and kind not in (bool, int, float):
        raise ValueError(f"holds a {kind.__name__}, which JSON does not have")


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


def _app_decimal(field: Field, value: Any) -> Value:
    if type(value) is int:
        value = Decimal(value)
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise ValueError("must be a Decimal") from None
    if not isinstance(value, Decimal):
        raise ValueError("must be a Decimal")  # noqa: TRY004
    return _units(field, value)


def _app_datetime(field: Field, value: Any) -> Value:
    if isinstance(value, dt.datetime):
        return canonical_datetime(value)
    return _parse_datetime_field(field, value)


def _app_date(field: Field, value: Any) -> Value:
    if type(value) is dt.date:
        return value.isoformat()
    return _parse_date(field, value)


def _app_choice(field: Field, value: Any) -> Value:
    return _parse_choice(field, value.value if isinstance(value, Enum) else value)


def _app_ref(field: Field, value: Any) -> Value:
    return _parse_ref(field, getattr(value, "id", value))


def _choice_to_app(field: Field, value: Value) -> Any:
    return value if field.enum_class is None else field.enum_class(value)


def _list_to_app(field: Field, value: Value) -> Any:
    if field.item is None:
        return value
    convert = FIELD_TYPES[field.item].to_app
    return [convert(field, item) for item in value]


def _list_from_app(field: Field, value: Any) -> Value:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")  # noqa: TRY004
    if field.item is None or field.item is FieldKind.JSON:
        return _parse_json(field, list(value))
    convert = FIELD_TYPES[field.item].from_app
    return [convert(field, item) for item in value]


_PLAIN = {"to_wire": _same, "to_app": _same}
FIELD_TYPES: dict[FieldKind, FieldType] = {
    FieldKind.STR: FieldType("TEXT", "string", _parse_text, from_app=_parse_text, **_PLAIN),
    FieldKind.TEXT: FieldType("TEXT", "string", _parse_text, from_app=_parse_text, **_PLAIN),
    FieldKind.INT: FieldType("INTEGER", "number", _parse_int, from_app=_parse_int, **_PLAIN),
    FieldKind.BIGINT: FieldType(
        "INTEGER", "string", _parse_bigint, lambda _, value: str(value), _same, _parse_bigint
    ),
    FieldKind.FLOAT: FieldType("REAL", "number", _parse_float, from_app=_parse_float, **_PLAIN),
    FieldKind.DECIMAL: FieldType(
        "INTEGER",
        "string",
        _parse_decimal,
        _decimal_text,
        lambda field, units: Decimal(units).scaleb(-field.scale),
        _app_decimal,
    ),
    FieldKind.BOOL: FieldType("INTEGER", "boolean", _parse_bool, from_app=_parse_bool, **_PLAIN),
    FieldKind.DATETIME: FieldType(
        "TEXT",
        "string",
        _parse_datetime_field,
        _same,
        lambda _, text: dt.datetime.fromisoformat(text),
        _app_datetime,
    ),
    FieldKind.DATE: FieldType(
        "TEXT", "string", _parse_date, _same, lambda _, text: dt.date.fromisoformat(text), _app_date
    ),
    FieldKind.ENUM: FieldType("TEXT", "string", _parse_choice, _same, _choice_to_app, _app_choice),
    FieldKind.REF: FieldType("TEXT", "string", _parse_ref, from_app=_app_ref, **_PLAIN),
    FieldKind.LIST: FieldType(
        "TEXT", "unknown[]", _parse_list, _same, _list_to_app, _list_from_app, is_json=True
    ),
    FieldKind.OBJECT: FieldType(
        "TEXT", "Record<string, unknown>", _parse_object, _same, _same, _parse_object, is_json=True
    ),
    FieldKind.JSON: FieldType(
        "TEXT", "unknown", _parse_json, _same, _same, _parse_json, is_json=True
    ),
    FieldKind.BYTES: FieldType(
        "BLOB",
        "string",
        _parse_bytes,
        lambda _, value: base64.b64encode(value).decode(),
        _same,
        _app_bytes,
    ),
}


def check_constraints(field: Field, value: Value) -> None:
    """Raise ValueError where a present value breaks min, max, the lengths or the pattern."""
    if field.min is not None and value < _bound(field, field.min):
        raise ValueError(f"must be at least {field.min}")
    if field.max is not None and value > _bound(field, field.max):
        raise ValueError(f"must be at most {field.max}")
    if field.min_length is not None and len(value) < field.min_length:
        raise ValueError(f"must have at least {field.min_length} characters or items")
    if field.max_length is not None and len(value) > field.max_length:
        raise ValueError(f"must have at most {field.max_length} characters or items")
    if field.pattern is not None and not _matches(field.pattern, value):
        raise ValueError(f"must match {field.pattern}")


def _bound(field: Field, bound: Any) -> Any:
    return _units(field, Decimal(str(bound))) if field.kind is FieldKind.DECIMAL else bound


def _matches(pattern: str, text: str) -> bool:
    return len(text) <= PATTERN_TEXT_MAX and re.fullmatch(pattern, text) is not None


def has_constraints(field: Field) -> bool:
    """Tell whether `check_constraints` can refuse anything."""
    return any(
        bound is not None
        for bound in (field.min, field.max, field.min_length, field.max_length, field.pattern)
    )


def _convert(field: Field, value: Any, convert: Callable[[Field, Any], Value]) -> Value:
    if value is None:
        if not field.nullable:
            raise InvalidArgument(f"{field.name} must not be null", field=field.name)
        return None
    try:
        converted = convert(field, value)
        check_constraints(field, converted)
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


def ts_type(field: Field) -> str:
    """Return the TypeScript type of the field's JSON."""
    if field.kind is FieldKind.ENUM:
        text = " | ".join(f'"{choice}"' for choice in field.choices)
    elif field.kind is FieldKind.LIST and field.item is not None:
        text = f"{FIELD_TYPES[field.item].typescript}[]"
    else:
        text = FIELD_TYPES[field.kind].typescript
    return f"{text} | null" if field.nullable else text
