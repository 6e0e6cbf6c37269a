"""Bounds of a field: min, max, lengths and pattern, made into one check per field.

What does not live here: rows that break bounds they were not written under (`storage.breaches`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from pylon import limits
from pylon.schema.decimals import units_of
from pylon.schema.model import Field, FieldKind, Value

Check = Callable[[Value], None]

#: The keywords of a field that refuse some of the values of its kind.
BOUNDS = ("min", "max", "min_length", "max_length", "pattern")


def changed_bounds(old: Field, new: Field) -> Iterator[tuple[str, bool]]:
    """Yield each bound that differs, and whether values of before may break the new one."""
    for name in BOUNDS:
        before, after = _rank(old, name), _rank(new, name)
        if before == after:
            continue
        if before is None or after is None or name == "pattern":
            yield name, after is not None
        else:
            yield name, after > before if name in ("min", "min_length") else after < before


def _rank(field: Field, name: str) -> Any:
    """Return a bound as what compares with another of its name, however it was written."""
    value = getattr(field, name)
    if name in ("min", "max") and value is not None:
        return Decimal(str(value))
    return None if name == "min_length" and value == 0 else value


def constraint_of(field: Field) -> Check | None:
    """Return the check of a present value, which raises ValueError; None where all values pass."""
    kept = field.__dict__
    if "_constraint" not in kept:
        # A field is made once per definition and never changes, so its check is kept on it.
        kept["_constraint"] = _make(field)
    check: Check | None = kept["_constraint"]
    return check


def _make(field: Field) -> Check | None:
    checks = [
        made
        for made in (_range_check(field), _length_check(field), _pattern_check(field))
        if made is not None
    ]
    if len(checks) < 2:
        return checks[0] if checks else None

    def check_all(value: Value) -> None:
        for check in checks:
            check(value)

    return check_all


def _range_check(field: Field) -> Check | None:
    low, high = field.min, field.max
    if low is None and high is None:
        return None
    low_value, high_value = bound_value(field, low), bound_value(field, high)

    def check(value: Value) -> None:
        if low_value is not None and value < low_value:
            raise ValueError(f"must be at least {low}")
        if high_value is not None and value > high_value:
            raise ValueError(f"must be at most {high}")

    return check


def bound_value(field: Field, bound: Any) -> Any:
    """Return `min` or `max` as what it is compared with: a Decimal's in its smallest unit."""
    if bound is None or field.kind is not FieldKind.DECIMAL:
        return bound
    return units_of(Decimal(str(bound)), field.scale)


def _length_check(field: Field) -> Check | None:
    low, high = field.min_length, field.max_length
    if low is None and high is None:
        return None
    noun = {FieldKind.LIST: "items", FieldKind.BYTES: "bytes"}.get(field.kind, "characters")

    def check(value: Value) -> None:
        length = len(value)
        if low is not None and length < low:
            raise ValueError(f"must have at least {low} {noun if low != 1 else noun[:-1]}")
        if high is not None and length > high:
            raise ValueError(f"must have at most {high} {noun if high != 1 else noun[:-1]}")

    return check


def _pattern_check(field: Field) -> Check | None:
    if field.pattern is None:
        return None
    pattern = field.pattern
    match = re.compile(pattern).fullmatch

    def check(value: Value) -> None:
        if len(value) > limits.PATTERN_TEXT_MAX:
            raise ValueError(
                f"must have at most {limits.PATTERN_TEXT_MAX} characters, because it has a pattern"
            )
        if match(value) is None:
            raise ValueError(f"must match {pattern}")

    return check
