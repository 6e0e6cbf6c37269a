"""Facts about a caller, as slots: what a condition asks of an identity, and the answers.

Two callers with equal answers to a condition's slots get equal answers for every row: that is
what fan-out classes are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.ir import Slot, SlotKind, TypeKind
from pylon.policy.types import BIGINT_MAX
from pylon.schema.jsontree import check_text
from pylon.schema.times import parse_date, parse_datetime


def slots_of(condition: ir.Condition) -> tuple[Slot, ...]:
    """Return the distinct slots of a condition, in order of first use."""
    return tuple(dict.fromkeys(node.slot for node in walk(condition) if _has_slot(node)))


def _has_slot(node: Any) -> bool:
    return isinstance(node, ir.Fact | ir.FactHolds)


def walk(node: Any) -> Iterator[Any]:
    """Yield a node and everything below it."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        if isinstance(current, tuple):
            stack.extend(reversed(current))
        elif isinstance(current, ir.ExistsFilter):
            stack.append(current.value)
        elif type(current).__module__ == ir.__name__ and not isinstance(
            current, ir.Slot | ir.ValueType | SlotKind | TypeKind
        ):
            fields = getattr(current, "__dataclass_fields__", {})
            stack.extend(getattr(current, name) for name in reversed(fields))


def answer(slot: Slot, identity: Identity) -> Hashable:
    """Return one caller's answer to one slot: a hashable value, None for absent."""
    match slot.kind:
        case SlotKind.USER_ID:
            return identity.user_id
        case SlotKind.EMAIL:
            return identity.email
        case SlotKind.ROLES:
            return tuple(sorted(identity.roles))
        case SlotKind.HAS_USER:
            return identity.user_id is not None
        case SlotKind.HAS_EMAIL:
            return identity.email is not None
        case SlotKind.HAS_ANY_ROLE:
            return any(name in identity.roles for name in slot.names)
        case SlotKind.HAS_CLAIM:
            return _claim(identity, slot.names) is not None
        case SlotKind.CLAIM:
            return _typed(_claim(identity, slot.names), slot.wanted)


def answers(slots: tuple[Slot, ...], identity: Identity) -> tuple[Hashable, ...]:
    """Return one caller's answers to all slots."""
    return tuple(answer(slot, identity) for slot in slots)


def _claim(identity: Identity, names: tuple[str, ...]) -> Any:
    value: Any = identity.claims
    for name in names:
        if not hasattr(value, "get"):
            return None
        value = value.get(name)
    return value


def _typed(value: Any, wanted: TypeKind | None) -> Hashable:
    """Return a claim of the wanted type, and None for any other: there is no conversion."""
    match wanted:
        case TypeKind.TEXT:
            return value if type(value) is str and _is_storable(value) else None
        case TypeKind.NUMBER:
            return value if _is_number(value) else None
        case TypeKind.BOOL:
            return value if type(value) is bool else None
        case TypeKind.DATETIME:
            return _parsed(parse_datetime, value)
        case TypeKind.DATE:
            return _parsed(parse_date, value)
        case _:
            return None


def _parsed(parse: Callable[[str], str], value: Any) -> str | None:
    try:
        return parse(value) if type(value) is str else None
    except ValueError:
        return None


def _is_storable(text: str) -> bool:
    try:
        check_text(text)
    except ValueError:
        return False
    return True


def _is_number(value: Any) -> bool:
    """Tell whether a claim is a number that Python and SQLite hold alike."""
    if type(value) is int:
        return abs(value) <= BIGINT_MAX
    return type(value) is float and math.isfinite(value)
