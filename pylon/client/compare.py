"""The order and equality of wire values, the same as in the server and in the browser.

Text by code point, numbers by value, decimals and big integers by value though they travel as
text, nulls first. What does not live here: filters (`filters`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pylon.jsonvalue import JsonValue, canonical_json
from pylon.protocol.manifest import FieldManifest

#: What a field's value is compared as. bool is kept apart from numbers.
Comparable = str | int | float | bool

_UNITS = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?\Z", re.ASCII)
_CANONICAL_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z", re.ASCII
)


def units_of(text: str, scale: int) -> int | None:
    """Return a decimal's text as an integer of its smallest unit, or None where it is none."""
    found = _UNITS.match(text)
    if found is None:
        return None
    sign, whole, fraction = found[1], found[2], found[3] or ""
    if fraction[scale:].strip("0"):
        return None
    units = int(whole + fraction[:scale].ljust(scale, "0"))
    return -units if sign == "-" else units


def comparable_of(field: FieldManifest | None, value: JsonValue) -> Comparable | None:
    """Return what a value of a field is compared as; None for what has no order."""
    match value:
        case bool() | int() | float():
            return value
        case str():
            match field.kind if field is not None else None:
                case "bigint":
                    return units_of(value, 0)
                case "decimal":
                    return units_of(value, (field.scale if field is not None else None) or 0)
                case "datetime":
                    return _canonical_time(value)
                case _:
                    return value
        case _:
            return None


def compare_values(left: Comparable, right: Comparable) -> int | None:
    """Order two values of one type; None where the types differ: nothing is coerced."""
    if _sort_of(left) != _sort_of(right):
        return None
    return (left > right) - (left < right)  # type: ignore[operator]  # of one sort, as checked


def is_same(left: JsonValue, right: JsonValue) -> bool:
    """Tell whether two JSON values are the same; the order of keys does not matter."""
    if _sort_of(left) != _sort_of(right):
        return False
    match left:
        case list():
            return len(left) == len(right) and all(map(is_same, left, right))
        case dict():
            return left.keys() == right.keys() and all(
                is_same(value, right[name]) for name, value in left.items()
            )
        case _:
            return bool(left == right)


def key_text(value: JsonValue) -> str:
    """Return the text that equal JSON values share."""
    return canonical_json(value).decode()


def _sort_of(value: Any) -> type:
    """Return the JSON type of a value: all numbers are one, and true is none of them."""
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


def _canonical_time(text: str) -> str:
    if _CANONICAL_TIME.match(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
