"""The keywords of one `field(…)`: each of its type, and all of them fitting the field's kind."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pylon.app.fields import FieldSpec
from pylon.schema.decimals import units_of
from pylon.schema.jsontree import check_text
from pylon.schema.model import Field, FieldKind

TEXTS = (FieldKind.STR, FieldKind.TEXT)
_NUMBERS = (FieldKind.INT, FieldKind.FLOAT, FieldKind.BIGINT, FieldKind.DECIMAL)
_WITH_LENGTH = (*TEXTS, FieldKind.BYTES, FieldKind.LIST)
_UNORDERED = (
    FieldKind.LIST, FieldKind.OBJECT, FieldKind.JSON, FieldKind.BYTES, FieldKind.FILE
)  # fmt: skip
_BOOLS = ("unique", "index", "immutable", "private", "search")
_STRINGS = ("pattern", "read", "renamed_from", "doc", "on_delete")
_COUNTS = ("min_length", "max_length", "scale")

#: A keyword and what is wrong with it.
Wrong = tuple[str, str]


def wrong_types(spec: FieldSpec) -> Iterator[Wrong]:
    """Yield the keywords whose values are of the wrong type."""
    for name in _BOOLS:
        value = getattr(spec, name)
        if not isinstance(value, bool) and not (name == "search" and value is None):
            yield name, f"{name} is True or False"
    for name in _STRINGS:
        value = getattr(spec, name)
        if value is not None and not isinstance(value, str):
            yield name, f"{name} is a text"
        elif value is not None:
            try:
                check_text(value)
            except ValueError as error:
                yield name, f"{name} {error}"
    for name in _COUNTS:
        value = getattr(spec, name)
        if value is not None and (type(value) is not int or value < 0):
            yield name, f"{name} is a whole number from 0"
    for name in ("min", "max"):
        if not _is_bound(getattr(spec, name)):
            yield name, f"{name} is a finite number"
    if spec.default_factory is not None and not callable(spec.default_factory):
        yield "default_factory", "default_factory is a function without arguments"


def _is_bound(value: Any) -> bool:
    if value is None or isinstance(value, Decimal):
        return value is None or value.is_finite()
    return type(value) in (int, float) and math.isfinite(value)


def misfits(field: Field) -> Iterator[Wrong]:
    """Yield the keywords that do not fit the field's kind, or one another."""
    yield from _bound_misfits(field)
    yield from _length_misfits(field)
    if field.pattern is not None:
        yield from _pattern_misfits(field)
    if field.scale and field.kind is not FieldKind.DECIMAL:
        yield "scale", "scale is for Decimal"
    if field.scale > 18:
        yield "scale", "scale is 0 to 18"
    if field.search and field.kind not in TEXTS:
        yield "search", "search is for texts"
    elif field.search and field.private:
        yield "search", "a private field can't be searched"
    for name in ("index", "unique"):
        if getattr(field, name) and field.kind in _UNORDERED:
            yield name, f"a {field.kind} field can't have an index"
    if field.read is not None and field.private:
        yield "read", "nobody reads a private field; take one of the two away"


def _bound_misfits(field: Field) -> Iterator[Wrong]:
    name = "min" if field.min is not None else "max"
    low, high = field.min, field.max
    if low is None and high is None:
        return
    is_decimal = field.kind is FieldKind.DECIMAL
    if field.kind not in _NUMBERS:
        yield name, "min and max are for numbers"
    elif not is_decimal and any(isinstance(bound, Decimal) for bound in (low, high)):
        yield name, "a Decimal bounds a Decimal field only"
    elif low is not None and high is not None and low > high:
        yield "min", "min is above max"
    elif is_decimal:
        for word, bound in (("min", low), ("max", high)):
            try:
                units_of(Decimal(str(bound or 0)), field.scale)
            except ValueError as error:
                yield word, f"{word} {error}"


def _length_misfits(field: Field) -> Iterator[Wrong]:
    low, high = field.min_length, field.max_length
    name = "min_length" if low is not None else "max_length"
    if (low is not None or high is not None) and field.kind not in _WITH_LENGTH:
        yield name, "lengths are for texts, bytes and lists"
    if low is not None and high is not None and low > high:
        yield "min_length", "min_length is above max_length"


def _pattern_misfits(field: Field) -> Iterator[Wrong]:
    if field.kind not in TEXTS:
        yield "pattern", "pattern is for texts"
    try:
        re.compile(field.pattern or "")
    except (re.error, RecursionError, OverflowError) as error:
        yield "pattern", f"the pattern is no regular expression: {error}"
