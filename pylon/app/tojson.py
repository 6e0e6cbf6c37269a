"""What a function returned, without a declared type, to JSON that every client reads alike."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from pylon.app.rows import AppRow, row_to_wire
from pylon.schema.jsontree import check_json
from pylon.schema.times import canonical_datetime

_PLAIN = (str, int, float, bool, type(None))


def to_json(value: Any) -> Any:
    """Return the JSON value; raises TypeError for what has none."""
    try:
        return _convert(value, 0)
    except (ValueError, RecursionError) as error:
        raise TypeError(f"a function returned what has no JSON: it {error}") from error


def _convert(value: Any, depth: int) -> Any:
    if type(value) in _PLAIN:
        check_json(value, depth + 1)
        return value
    if isinstance(value, AppRow):
        return row_to_wire(value)
    if isinstance(value, Enum):
        return _convert(value.value, depth)
    if isinstance(value, Mapping):
        return {_key(key): _convert(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_convert(item, depth + 1) for item in value]
    scalar = _scalar(value)
    check_json(scalar, depth + 1)
    return scalar


def _key(key: Any) -> str:
    text = str.__str__(key.value if isinstance(key, Enum) else key) if isinstance(key, str) else (
        str(key)
    )  # fmt: skip
    check_json(text)
    return text


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dt.datetime):
        return canonical_datetime(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("holds a Decimal that is not finite")
        return format(value, "f")
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _convert(
            {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}, 0
        )
    return value
