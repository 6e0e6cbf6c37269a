"""The filters of an `exists` over one looked-at row in memory: which of them it satisfies.

SQLite answers an `exists`; this says of a single row why it is, or is not, the one. A null in the
row satisfies nothing but `== null`.
"""

from __future__ import annotations

from pylon import jsonvalue
from pylon.policy import ir
from pylon.policy.sqlclause import flat_values
from pylon.schema.model import Row, Value


def satisfied(node: ir.ExistsNode, values: tuple[Value, ...], row: Row) -> tuple[bool, ...]:
    """Return for each filter of an exists whether a row satisfies it.

    Args:
        node: the exists.
        values: its right-hand values, as a lookup gets them; none of them is absent.
        row: a row of the looked-at entity.
    """
    return tuple(
        satisfies(one, values_at(node, values, place), row.get(one.field))
        for place, one in enumerate(node.filters)
    )


def values_at(node: ir.ExistsNode, values: tuple[Value, ...], place: int) -> tuple[Value, ...]:
    """Return the right-hand values of the filter at a place."""
    first = sum(len(flat_values(one)) for one in node.filters[:place])
    return values[first : first + len(flat_values(node.filters[place]))]


def matches(node: ir.ExistsNode, values: tuple[Value, ...], row: Row) -> bool:
    """Tell whether a row is one that an exists looks for."""
    return all(satisfied(node, values, row))


def satisfies(one: ir.ExistsFilter, values: tuple[Value, ...], value: Value) -> bool:
    """Tell whether a field's value satisfies one filter with these right-hand values."""
    if one.value is None:
        return (value is None) is (one.op == "==")
    if value is None:
        return False
    if one.op not in ("in", "not in"):
        return ir.COMPARISONS[one.op](value, values[0])
    items = values if isinstance(one.value, tuple) else jsonvalue.decode_trusted(values[0])
    if one.op == "in":
        return value in items
    return value not in items and None not in items
