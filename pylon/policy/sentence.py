"""Meaning to English: what the dashboard and `pylon policies` say of an expression."""

from __future__ import annotations

from typing import Any

from pylon.policy import ir
from pylon.policy.ir import Slot, SlotKind
from pylon.schema.decimals import units_text
from pylon.schema.model import FieldKind

_WORDS = {
    "==": "is", "!=": "is not", "<": "is less than", "<=": "is at most",
    ">": "is more than", ">=": "is at least",
}  # fmt: skip
_TIME_WORDS = {
    **_WORDS, "<": "is before", "<=": "is not after", ">": "is after", ">=": "is not before"
}  # fmt: skip
_TIMES = (ir.TypeKind.DATETIME, ir.TypeKind.DATE)
_MEMBER = {"in": "is one of", "not in": "is not one of"}
_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"),
          (1, "millisecond"))  # fmt: skip


def sentence(node: ir.Condition) -> str:
    """Return an expression in words, such as `the caller is its authorId`."""
    return _say(node, is_inner=False)


def _say(node: ir.Condition, *, is_inner: bool) -> str:
    match node:
        case ir.Constant(value):
            return {True: "always", False: "never", None: "never (unknown)"}[value]
        case ir.Cmp(op, left, right):
            words = _TIME_WORDS if left.type.kind in _TIMES else _WORDS
            return f"{_value(left)} {words[op]} {_value(right)}"
        case ir.Absent(value):
            return f"{_value(value)} is absent"
        case ir.Member(value, items):
            return f"{_value(value)} is one of {_listed(items)}"
        case ir.MemberOf(value, of):
            return f"{_value(value)} is among {_value(of)}"
        case ir.TextTest(is_prefix, text, part):
            verb = "starts with" if is_prefix else "contains"
            return f"{_value(text)} {verb} {_value(part)}"
        case ir.Holds(value):
            return f"{_value(value)} is true"
        case ir.FactHolds(slot):
            return _slot_holds(slot)
        case ir.ExistsTest(exists):
            # Its own "and" must not run into what stands beside it.
            return f"({_exists(exists)})" if is_inner else _exists(exists)
        case ir.Negation(item):
            return _negated(item)
        case ir.Conjunction(items):
            return _joined(" and ", items, is_inner=is_inner)
        case ir.Disjunction(items):
            return _joined(" or ", items, is_inner=is_inner)


def _joined(word: str, items: tuple[ir.Condition, ...], *, is_inner: bool) -> str:
    text = word.join(_say(item, is_inner=True) for item in items)
    return f"({text})" if is_inner else text


def _negated(item: ir.Condition) -> str:
    match item:
        case ir.Absent(value):
            return f"{_value(value)} is present"
        case ir.Negation(inner):
            return _say(inner, is_inner=True)
        case ir.FactHolds(slot) if slot.kind is SlotKind.HAS_USER:
            return "nobody is signed in"
        case ir.FactHolds(slot) if slot.kind is SlotKind.HAS_ANY_ROLE:
            return f"the caller has not the role {' or '.join(slot.names)}"
        case _:
            return f"not ({_say(item, is_inner=False)})"


def _slot_holds(slot: Slot) -> str:
    match slot.kind:
        case SlotKind.HAS_USER:
            return "the caller is signed in"
        case SlotKind.HAS_EMAIL:
            return "the caller has an e-mail address"
        case SlotKind.HAS_CLAIM:
            return f"the caller has the claim {'.'.join(slot.names)}"
        case _:
            return f"the caller has the role {' or '.join(slot.names)}"


def _exists(node: ir.ExistsNode) -> str:
    parts = []
    for one in node.filters:
        if one.value is None:
            parts.append(f"{one.field} is {'absent' if one.op == '==' else 'present'}")
        elif isinstance(one.value, tuple):
            parts.append(f"{one.field} {_MEMBER[one.op]} {_listed(one.value)}")
        elif one.op in _MEMBER:
            parts.append(f"{one.field} {_MEMBER[one.op]} {_value(one.value)}")
        else:
            words = _TIME_WORDS if one.kind in (FieldKind.DATETIME, FieldKind.DATE) else _WORDS
            parts.append(f"{one.field} {words[one.op]} {_value(one.value)}")
    return f"there is a {node.entity} whose {' and '.join(parts)}"


def _listed(items: tuple[ir.Value, ...]) -> str:
    return ", ".join(_value(item) for item in items) or "nothing"


def _value(node: ir.Value) -> str:
    match node:
        case ir.Const(value):
            if node.type.kind is ir.TypeKind.DECIMAL:
                return units_text(value, node.type.scale)
            return _literal(value)
        case ir.Column(image, name):
            return {"data": "its", "old": "its old", "new": "its new"}[image] + f" {name}"
        case ir.Fact(slot):
            return _fact(slot)
        case ir.Argument(name):
            return f"the argument {name}"
        case ir.Now(ms):
            return _moment(ms)
        case ir.Moved(value, ms):
            return f"{_value(value)} {'plus' if ms > 0 else 'minus'} {_duration(ms)}"
        case ir.Lower(value):
            return f"{_value(value)} in lower case"
        case ir.Length(value):
            return f"the length of {_value(value)}"
        case ir.Judged(condition):
            return f"({_say(condition, is_inner=False)})"


def _literal(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"“{value}”" if isinstance(value, str) else str(value)


def _fact(slot: Slot) -> str:
    match slot.kind:
        case SlotKind.USER_ID:
            return "the caller"
        case SlotKind.EMAIL:
            return "the caller's e-mail address"
        case SlotKind.ROLES:
            return "the caller's roles"
        case _:
            return f"the caller's claim {'.'.join(slot.names)}"


def _moment(ms: int) -> str:
    if ms == 0:
        return "now"
    return f"{_duration(ms)} {'ago' if ms < 0 else 'from now'}"


def _duration(ms: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if ms % size == 0)
    amount = abs(ms) // size
    return f"{amount} {unit}{'' if amount == 1 else 's'}"
