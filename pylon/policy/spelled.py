"""Meaning back to text: a condition as the policy language spells it, for showing.

A condition spelled and read again means the same. What does not live here: English (`sentence`).
"""

from __future__ import annotations

from typing import Any

from pylon.policy import ir
from pylon.policy.ir import Slot, SlotKind, TypeKind
from pylon.schema.decimals import units_text

_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"})
_UNITS = ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1_000, "seconds"))
_PRESENT = {
    SlotKind.HAS_USER: "auth.userId", SlotKind.HAS_EMAIL: "auth.email",
    SlotKind.HAS_CLAIM: "auth.claims",
}  # fmt: skip


def spelled(node: ir.Condition) -> str:
    """Return a condition as text of the policy language."""
    match node:
        case ir.Constant(value):
            return {True: "true", False: "false", None: "unknown"}[value]
        case ir.Cmp(op, left, right):
            return f"{spelled_value(left)} {op} {spelled_value(right)}"
        case ir.Absent(value):
            return f"{spelled_value(value)} == null"
        case ir.Member(value, items):
            return f"{spelled_value(value)} in {spelled_list(items)}"
        case ir.MemberOf(value, of):
            return f"{spelled_value(value)} in {spelled_value(of)}"
        case ir.TextTest(is_prefix, text, part):
            name = "startsWith" if is_prefix else "contains"
            return f"{name}({spelled_value(text)}, {spelled_value(part)})"
        case ir.Holds(value):
            return spelled_value(value)
        case ir.FactHolds(slot):
            return _fact_holds(slot)
        case ir.ExistsTest(exists):
            filters = ", ".join(spelled_filter(one) for one in exists.filters)
            return f"exists {exists.entity}({filters})"
        case ir.Negation(item):
            return _negated(item)
        case ir.Conjunction(items):
            return " && ".join(_inner(item, ir.Disjunction) for item in items)
        case ir.Disjunction((ir.Member(value, items), ir.Constant(None))):
            return f"{spelled_value(value)} in {_with_null(items)}"
        case ir.Disjunction(items):
            return " || ".join(_inner(item, ir.Conjunction) for item in items)


def _inner(node: ir.Condition, other: type[ir.Conjunction | ir.Disjunction]) -> str:
    return f"({spelled(node)})" if isinstance(node, other) else spelled(node)


def _negated(item: ir.Condition) -> str:
    match item:
        case ir.Absent(value):
            return f"{spelled_value(value)} != null"
        case ir.Member(value, items):
            return f"{spelled_value(value)} not in {spelled_list(items)}"
        case ir.Disjunction((ir.Member(value, items), ir.Constant(None))):
            return f"{spelled_value(value)} not in {_with_null(items)}"
        case ir.MemberOf(value, of):
            return f"{spelled_value(value)} not in {spelled_value(of)}"
        case ir.FactHolds(slot) if slot.kind in _PRESENT:
            return f"{_present(slot)} == null"
        case ir.Negation(ir.FactHolds(slot)) if slot.kind in _PRESENT:
            return f"{_present(slot)} != null"
        case ir.FactHolds() | ir.ExistsTest() | ir.TextTest() | ir.Holds() | ir.Constant():
            return f"!{spelled(item)}"
        case _:
            return f"!({spelled(item)})"


def _fact_holds(slot: Slot) -> str:
    if slot.kind in _PRESENT:
        return f"{_present(slot)} != null"
    names = ", ".join(literal(name) for name in slot.names)
    return f"hasRole({names})" if len(slot.names) == 1 else f"hasAnyRole({names})"


def _present(slot: Slot) -> str:
    return ".".join((_PRESENT[slot.kind], *slot.names))


def spelled_filter(one: ir.ExistsFilter) -> str:
    """Return one filter of an exists as text of the policy language."""
    if one.value is None:
        return f"{one.field} {one.op} null"
    if isinstance(one.value, tuple):
        return f"{one.field} {one.op} {spelled_list(one.value)}"
    return f"{one.field} {one.op} {spelled_value(one.value)}"


def spelled_list(items: tuple[ir.Value, ...]) -> str:
    """Return a written list."""
    return f"[{', '.join(spelled_value(item) for item in items)}]"


def _with_null(items: tuple[ir.Value, ...]) -> str:
    return f"[{', '.join([*(spelled_value(item) for item in items), 'null'])}]"


def spelled_value(node: ir.Value) -> str:
    """Return a value as text of the policy language."""
    match node:
        case ir.Const(value):
            return literal(value, node.type)
        case ir.Column(image, name):
            return f"{image}.{name}"
        case ir.Fact(slot):
            return _fact(slot)
        case ir.Argument(name):
            return f"args.{name}"
        case ir.Now(ms):
            return f"now{_shift(ms)}"
        case ir.Moved(value, ms):
            return f"{spelled_value(value)}{_shift(ms)}"
        case ir.Lower(value):
            return f"lower({spelled_value(value)})"
        case ir.Length(value):
            return f"len({spelled_value(value)})"
        case ir.Judged(condition):
            return f"({spelled(condition)})"


def literal(value: Any, kind: ir.ValueType | None = None) -> str:
    """Return a row value as a literal."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is not None and kind.kind is TypeKind.DECIMAL:
        return units_text(value, kind.scale)
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    return str(value)


def _fact(slot: Slot) -> str:
    match slot.kind:
        case SlotKind.USER_ID:
            return "auth.userId"
        case SlotKind.EMAIL:
            return "auth.email"
        case SlotKind.ROLES:
            return "auth.roles"
        case _:
            return ".".join(("auth.claims", *slot.names))


def _shift(ms: int) -> str:
    """Return a duration behind a time: whole units, or seconds with their thousandths."""
    if ms == 0:
        return ""
    sign, amount = "+" if ms > 0 else "-", abs(ms)
    for size, unit in _UNITS:
        if amount % size == 0:
            return f" {sign} {unit}({amount // size})"
    return f" {sign} seconds({amount // 1000}.{amount % 1000:03d})"
