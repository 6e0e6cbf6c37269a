"""Filters over rows, with three values as in the server: only true selects, None is "unknown"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cmp_to_key
from typing import Any

from pylon.client.compare import Comparable, comparable_of, compare_values, is_same, key_text
from pylon.client.fields import Fields
from pylon.jsonvalue import JsonValue
from pylon.protocol.manifest import FieldManifest

WireRow = Mapping[str, Any]
Truth = bool | None
Test = Callable[[WireRow], Truth]
Predicate = Callable[[WireRow], bool]

_ORDERINGS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def compile_filter(where: Mapping[str, Any], entity: str, fields: Fields) -> Predicate:
    """Return the predicate of a filter object. Unknown operators select nothing."""
    test = _object(where, entity, fields)
    return lambda row: test(row) is True


def has_values(row: WireRow, where: Mapping[str, Any], entity: str, fields: Fields) -> bool:
    """Tell whether a row has all these values: plain equalities, where null matches nothing."""
    return all(
        value is not None and _equality(fields.field(entity, name), name, value)(row) is True
        for name, value in where.items()
    )


def sort_key(order: Sequence[str], entity: str, fields: Fields) -> Callable[[WireRow], Any]:
    """Return a key for `sorted`: `-` descends, nulls first ascending, `id` ascending last."""
    keys = [
        (text.removeprefix("-"), -1 if text.startswith("-") else 1)
        for text in (*order, "id")
    ]  # fmt: skip

    def compare(left: WireRow, right: WireRow) -> int:
        for name, sign in keys:
            field = fields.field(entity, name)
            found = _compare_ordered(
                _order_key(field, left.get(name)), _order_key(field, right.get(name))
            )
            if found:
                return sign * found
        return 0

    return cmp_to_key(compare)


def _order_key(field: FieldManifest | None, value: JsonValue) -> Comparable | None:
    if value is None:
        return None
    found = comparable_of(field, value)
    return key_text(value) if found is None else found


def _compare_ordered(left: Comparable | None, right: Comparable | None) -> int:
    if left is None or right is None:
        return (left is not None) - (right is not None)
    return compare_values(left, right) or 0


def _object(where: Mapping[str, Any], entity: str, fields: Fields) -> Test:
    tests: list[Test] = []
    for name, value in where.items():
        match name:
            case "and" | "or":
                inner = [_any(one, entity, fields) for one in value]
                tests.append(_every(inner) if name == "and" else _some(inner))
            case "not":
                tests.append(_negation(_any(value, entity, fields)))
            case _:
                tests.append(_field(fields.field(entity, name), name, value))
    return _every(tests)


def _any(value: JsonValue, entity: str, fields: Fields) -> Test:
    return _object(value, entity, fields) if isinstance(value, dict) else _unknown


def _unknown(_: WireRow) -> Truth:
    return None


def _every(tests: Sequence[Test]) -> Test:
    def test(row: WireRow) -> Truth:
        found: Truth = True
        for one in tests:
            truth = one(row)
            if truth is False:
                return False
            if truth is None:
                found = None
        return found

    return test


def _some(tests: Sequence[Test]) -> Test:
    def test(row: WireRow) -> Truth:
        found: Truth = False
        for one in tests:
            truth = one(row)
            if truth is True:
                return True
            if truth is None:
                found = None
        return found

    return test


def _negation(test: Test) -> Test:
    def negated(row: WireRow) -> Truth:
        truth = test(row)
        return None if truth is None else not truth

    return negated


def _field(field: FieldManifest | None, name: str, value: JsonValue) -> Test:
    if not isinstance(value, dict):
        return _comparison(field, name, "==", value)
    return _every([_comparison(field, name, op, operand) for op, operand in value.items()])


def _comparison(field: FieldManifest | None, name: str, op: str, operand: JsonValue) -> Test:
    if operand is None and op in ("==", "!="):
        is_wanted = op == "=="
        return lambda row: (row.get(name) is None) is is_wanted
    match op:
        case "==":
            return _equality(field, name, operand)
        case "!=":
            return _negation(_equality(field, name, operand))
        case "<" | "<=" | ">" | ">=":
            return _ordering(field, name, operand, _ORDERINGS[op])
        case "in":
            return _membership(field, name, operand)
        case "not in":
            return _negation(_membership(field, name, operand))
        case "contains":
            return lambda row: _contains(row.get(name), operand)
        case "startsWith":
            return lambda row: _starts(row.get(name), operand)
        case _:
            return _unknown


def _equality(field: FieldManifest | None, name: str, operand: JsonValue) -> Test:
    right = comparable_of(field, operand)

    def test(row: WireRow) -> Truth:
        value = row.get(name)
        if value is None:
            return None
        left = comparable_of(field, value)
        if left is None or right is None:
            is_json = isinstance(value, list | dict) and isinstance(operand, list | dict)
            return is_same(value, operand) if is_json else None
        order = compare_values(left, right)
        return None if order is None else order == 0

    return test


def _ordering(
    field: FieldManifest | None, name: str, operand: JsonValue, decide: Callable[[int], bool]
) -> Test:
    right = comparable_of(field, operand)

    def test(row: WireRow) -> Truth:
        left = comparable_of(field, row.get(name))
        order = None if left is None or right is None else compare_values(left, right)
        return None if order is None else decide(order)

    return test


def _membership(field: FieldManifest | None, name: str, operand: JsonValue) -> Test:
    if not isinstance(operand, list):
        return _unknown
    items = [_unknown if one is None else _equality(field, name, one) for one in operand]
    # An absent value is unknown even in an empty list.
    return _some([lambda row: None if row.get(name) is None else False, *items])


def _contains(value: JsonValue, operand: JsonValue) -> Truth:
    if value is None or operand is None:
        return None
    if isinstance(value, str):
        return operand in value if isinstance(operand, str) else None
    if not isinstance(value, list):
        return None
    if any(is_same(one, operand) for one in value):
        return True
    return None if None in value else False


def _starts(value: JsonValue, operand: JsonValue) -> Truth:
    both_text = isinstance(value, str) and isinstance(operand, str)
    return value.startswith(operand) if both_text else None
