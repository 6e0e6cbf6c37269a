"""Meaning by walking: the slow, plain reading that the others are held against.

`explain` stands on it too. What does not live here: anything fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue
from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.predicate import ascii_lower, member
from pylon.policy.slots import answer
from pylon.policy.sqlclause import flat_values, moved, shifted_now
from pylon.schema.model import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that an expression may look at."""

    identity: Identity
    data: Row | None = None
    old: Row | None = None
    new: Row | None = None
    now: str
    args: Mapping[str, Any] | None = None
    lookup: Callable[[ir.ExistsNode, tuple[Any, ...]], bool]


def evaluate(node: ir.Condition, world: World) -> bool | None:
    """Return True, False, or None for unknown."""
    match node:
        case ir.Constant(value):
            return value
        case ir.Cmp(op, left, right):
            a, b = value_of(left, world), value_of(right, world)
            return None if a is None or b is None else ir.COMPARISONS[op](a, b)
        case ir.Absent(value):
            return value_of(value, world) is None
        case ir.Member(value, items):
            found = value_of(value, world)
            return None if found is None else member(found, [value_of(one, world) for one in items])
        case ir.MemberOf(value, of):
            found, listed = value_of(value, world), value_of(of, world)
            return None if found is None or listed is None else member(found, listed)
        case ir.TextTest(is_prefix, text, part):
            whole, piece = value_of(text, world), value_of(part, world)
            if whole is None or piece is None:
                return None
            return bool(whole.startswith(piece) if is_prefix else piece in whole)
        case ir.Holds(value):
            held: bool | None = value_of(value, world)
            return held
        case ir.FactHolds(slot):
            return bool(answer(slot, world.identity))
        case ir.ExistsTest(exists):
            return _exists(exists, world)
        case ir.Negation(item):
            inner = evaluate(item, world)
            return None if inner is None else not inner
        case ir.Conjunction(items):
            return _all([evaluate(item, world) for item in items])
        case ir.Disjunction(items):
            inverted = _all([_not(evaluate(item, world)) for item in items])
            return _not(inverted)


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _exists(node: ir.ExistsNode, world: World) -> bool | None:
    values = lookup_values(node, world)
    return None if values is None else world.lookup(node, values)


def lookup_values(node: ir.ExistsNode, world: World) -> tuple[Any, ...] | None:
    """Return the right-hand values of an exists for a lookup; None where one is absent."""
    values = []
    for one in node.filters:
        is_list = one.op in ("in", "not in") and not isinstance(one.value, tuple)
        for value in flat_values(one):
            found = value_of(value, world)
            if found is None:
                return None
            values.append(jsonvalue.encode_text(found) if is_list else found)
    return tuple(values)


def value_of(node: ir.Value, world: World) -> Any:
    """Return a value, None for absent."""
    match node:
        case ir.Const(value):
            return value
        case ir.Column(image, name):
            row: Row | None = getattr(world, image)
            return None if row is None else row.get(name)
        case ir.Fact(slot):
            return answer(slot, world.identity)
        case ir.Argument(name):
            return (world.args or {}).get(name)
        case ir.Now(ms):
            return shifted_now(world.now, ms)
        case ir.Moved(value, ms):
            moment = value_of(value, world)
            return None if moment is None else moved(moment, ms)
        case ir.Lower(value):
            text = value_of(value, world)
            return None if text is None else ascii_lower(text)
        case ir.Length(value):
            whole = value_of(value, world)
            return None if whole is None else len(whole)
        case ir.Judged(condition):
            return evaluate(condition, world)
