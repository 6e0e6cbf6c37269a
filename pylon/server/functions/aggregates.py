"""Aggregates as they are asked for and answered: checked against the entity, then in JSON."""

from __future__ import annotations

import math
import re
from typing import Any

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.policy.mistakes import nearest
from pylon.schema.decimals import units_text
from pylon.schema.fieldtypes import from_stored, to_wire
from pylon.schema.model import Entity, Field, FieldKind
from pylon.server.functions.queries import field_of, ordered_field_of
from pylon.server.storage.aggregate import NUMBERS, Aggregate, Total

MEMBERS = ("where", "group", "aggregates")
_FUNCTIONS = ("count", "sum", "min", "max", "avg")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z", re.ASCII)
#: Digits behind the point that the mean of a BigInt or a Decimal has more than its field.
_MEAN_DIGITS = 6


def group_of(entity: Entity, group: Any, unusable: frozenset[str]) -> tuple[Field, ...]:
    """Return the fields to group by; raises InvalidArgument, also for those of `unusable`."""
    if group is None:
        return ()
    if not isinstance(group, list) or not all(isinstance(one, str) for one in group):
        raise InvalidArgument("group is a list of field names", field="group")
    if len(group) > limits.AGGREGATE_GROUP_FIELDS_MAX:
        raise InvalidArgument(
            f"a group has at most {limits.AGGREGATE_GROUP_FIELDS_MAX} fields", field="group"
        )
    for one in group:
        if group.count(one) > 1:
            raise InvalidArgument(f"{one} stands twice in the group", field="group")
    return tuple(ordered_field_of(entity, one, unusable) for one in group)


def aggregates_of(
    entity: Entity, given: Any, group: tuple[Field, ...], unusable: frozenset[str]
) -> tuple[Aggregate, ...]:
    """Return the values asked for, by name; raises InvalidArgument naming what is wrong."""
    if not isinstance(given, dict) or not given:
        raise InvalidArgument(
            "aggregates is an object of what is asked for", field="aggregates",
            hint='such as {"rows": {"count": "*"}, "total": {"sum": "price"}}',
        )  # fmt: skip
    if len(given) > limits.AGGREGATES_MAX:
        raise InvalidArgument(
            f"at most {limits.AGGREGATES_MAX} aggregates at once", field="aggregates"
        )
    taken = {one.name for one in group}
    return tuple(_aggregate(entity, name, asked, taken, unusable) for name, asked in given.items())


def _aggregate(
    entity: Entity, name: str, asked: Any, taken: set[str], unusable: frozenset[str]
) -> Aggregate:
    if not _NAME.match(name):
        raise InvalidArgument(
            "an aggregate's name is letters, digits and _, a letter first", field="aggregates"
        )
    if name in taken:
        raise InvalidArgument(f"{name} is a field of the group already", field=name)
    if not isinstance(asked, dict) or len(asked) != 1:
        raise InvalidArgument(
            f"{name} is an object with one function", field=name,
            hint=f'such as {{"{name}": {{"count": "*"}}}}',
        )  # fmt: skip
    ((function, of),) = asked.items()
    if function not in _FUNCTIONS:
        raise InvalidArgument(
            f"{name}: there is no aggregate {function[:64]}", field=name,
            hint=nearest(function, _FUNCTIONS),
        )  # fmt: skip
    if not isinstance(of, str):
        raise InvalidArgument(f"{name}: {function} takes the name of a field", field=name)
    if of == "*" and function == "count":
        return Aggregate(name, function, None)
    if function == "count":
        return Aggregate(name, function, field_of(entity, of, unusable))
    if function in ("min", "max"):
        field = ordered_field_of(entity, of, unusable)
        if field.kind is FieldKind.BOOL:
            raise InvalidArgument(f"{of}: true and false have no order", field=of)
        return Aggregate(name, function, field)
    field = field_of(entity, of, unusable)
    if field.kind not in NUMBERS:
        raise InvalidArgument(f"{of} is no number, and has no {function}", field=of)
    return Aggregate(name, function, field)


def answer_of(
    group: tuple[Field, ...], aggregates: tuple[Aggregate, ...], stored: list[Any],
    values: list[Any],
) -> dict[str, Any]:  # fmt: skip
    """Return one row of the answer, in JSON values."""
    row = {
        field.name: to_wire(field, from_stored(field, value))
        for field, value in zip(group, stored, strict=True)
    }
    for one, value in zip(aggregates, values, strict=True):
        row[one.name] = _value(one, value)
    return row


def _value(one: Aggregate, value: Any) -> Any:
    if one.field is None or one.function == "count":
        return value
    if not isinstance(value, Total):
        return to_wire(one.field, from_stored(one.field, value))
    if value.count == 0:
        return None
    kind = one.field.kind
    if kind is FieldKind.FLOAT:
        if value.total is None or not math.isfinite(value.total):
            raise InvalidArgument(
                f"the {one.function} of {one.field.name} is no finite number", field=one.field.name
            )
        return value.total
    if one.function == "avg":
        return value.total / value.count if kind is FieldKind.INT else _mean(value, one.field.scale)
    if kind is not FieldKind.INT:
        return units_text(value.total, one.field.scale)
    if abs(value.total) > limits.SAFE_INTEGER_MAX:
        raise InvalidArgument(
            f"the sum of {one.field.name} is beyond 2^53-1, which JSON keeps exactly",
            hint="make the field a BigInt, or ask for less by `where`", field=one.field.name,
        )  # fmt: skip
    return value.total


def _mean(value: Total, scale: int) -> str:
    """Return the mean of units with more digits than they have, halves going to the even one."""
    numerator = value.total * 10**_MEAN_DIGITS
    quotient, rest = divmod(numerator, value.count)
    twice = 2 * rest
    if twice > value.count or (twice == value.count and quotient % 2):
        quotient += 1
    return units_text(quotient, scale + _MEAN_DIGITS)
