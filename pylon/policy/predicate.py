"""Meaning to Python: one function per expression, from generated code.

The generated source holds names of our own and subscripts with constants handed in beside it; no
text of the expression becomes code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylon import jsonvalue
from pylon.policy import ir
from pylon.policy.ir import Slot
from pylon.policy.slots import slots_of
from pylon.policy.sqlclause import can_be_absent, flat_values, moved, shifted_now

#: (facts, data, old, new, now, args, lookup) -> True, False or None (unknown).
Predicate = Callable[..., bool | None]

_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_PYTHON = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_IMAGES = {"data": "d", "old": "o", "new": "n"}


def ascii_lower(text: str) -> str:
    """Return text with A-Z folded, and nothing else."""
    return text.translate(_ASCII_LOWER)


def member(value: Any, items: Any) -> bool | None:
    """Return whether a present value is among items; unknown without a match beside a null."""
    if any(item is not None and item == value for item in items):
        return True
    return None if any(item is None for item in items) else False


class _Writer:
    def __init__(self, slots: tuple[Slot, ...]) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {
            "ascii_lower": ascii_lower,
            "member": member,
            "moved": moved,
            "shifted_now": shifted_now,
            "encode_text": jsonvalue.encode_text,
        }
        self._slots = {slot: place for place, slot in enumerate(slots)}
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"t{self._names}"

    def constant(self, value: Any) -> str:
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    def line(self, depth: int, text: str) -> None:
        self.lines.append(" " * depth + text)

    def condition(self, node: ir.Condition, depth: int) -> str:
        """Write the statements of a condition and return the name that holds its answer."""
        target = self.name()
        match node:
            case ir.Conjunction(items):
                self._folded(target, items, depth, stop="False")
            case ir.Disjunction(items):
                self._folded(target, items, depth, stop="True")
            case ir.Negation(item):
                inner = self.condition(item, depth)
                self.line(depth, f"{target} = None if {inner} is None else not {inner}")
            case _:
                self.line(depth, f"{target} = {self._leaf(node, depth)}")
        return target

    def _folded(self, target: str, items: tuple[ir.Condition, ...], depth: int, stop: str) -> None:
        first = self.condition(items[0], depth)
        self.line(depth, f"{target} = {first}")
        for item in items[1:]:
            self.line(depth, f"if {target} is not {stop}:")
            inner = self.condition(item, depth + 1)
            self.line(depth + 1, f"if {inner} is {stop}: {target} = {stop}")
            self.line(depth + 1, f"elif {inner} is None: {target} = None")

    def _leaf(self, node: ir.Condition, depth: int) -> str:
        match node:
            case ir.Constant(value):
                return repr(value)
            case ir.Cmp(op, left, right):
                return self._guarded((left, right), depth, f"{{0}} {_PYTHON[op]} {{1}}")
            case ir.Absent(value):
                return f"{self._value(value, depth)} is None"
            case ir.Member(value, items):
                return self._member(value, items, depth)
            case ir.MemberOf(value, of):
                return self._guarded((value, of), depth, "member({0}, {1})")
            case ir.TextTest(is_prefix, text, part):
                form = "{0}.startswith({1})" if is_prefix else "{1} in {0}"
                return self._guarded((text, part), depth, form)
            case ir.Holds(value):
                return self._value(value, depth)
            case ir.FactHolds(slot):
                return f"F[{self._slots[slot]}]"
            case ir.ExistsTest(exists):
                return self._exists(exists, depth)
            case ir.Negation() | ir.Conjunction() | ir.Disjunction():
                raise AssertionError("no leaf")

    def _member(self, value: ir.Value, items: tuple[ir.Value, ...], depth: int) -> str:
        if all(isinstance(item, ir.Const) for item in items):
            constants = self.constant(tuple(item.value for item in items))  # type: ignore[union-attr]
            return self._guarded((value,), depth, f"{{0}} in {constants}")
        listed = ", ".join(self._value(item, depth) for item in items)
        return self._guarded((value,), depth, f"member({{0}}, ({listed},))")

    def _guarded(self, values: tuple[ir.Value, ...], depth: int, form: str) -> str:
        """Return an expression that is unknown where any of the values is absent."""
        names, checks = [], []
        for value in values:
            text = self._value(value, depth)
            if can_be_absent(value):
                name = self.name()
                self.line(depth, f"{name} = {text}")
                checks.append(f"{name} is None")
                text = name
            names.append(text)
        body = form.format(*names)
        return f"None if {' or '.join(checks)} else {body}" if checks else body

    def _exists(self, node: ir.ExistsNode, depth: int) -> str:
        names, checks = [], []
        for one in node.filters:
            for value in flat_values(one):
                text = self._value(value, depth)
                if can_be_absent(value):
                    name = self.name()
                    self.line(depth, f"{name} = {text}")
                    checks.append(f"{name} is None")
                    text = name
                is_list = one.op in ("in", "not in") and not isinstance(one.value, tuple)
                names.append(f"encode_text({text})" if is_list else text)
        call = f"lookup({self.constant(node)}, ({''.join(name + ', ' for name in names)}))"
        return f"None if {' or '.join(checks)} else {call}" if checks else call

    def _value(self, node: ir.Value, depth: int) -> str:
        match node:
            case ir.Const(value):
                return self.constant(value)
            case ir.Column(image, name):
                return f"{_IMAGES[image]}[{name!r}]"
            case ir.Fact(slot):
                return f"F[{self._slots[slot]}]"
            case ir.Argument(name):
                return f"args.get({self.constant(name)})"
            case ir.Now(ms):
                return f"shifted_now(now, {ms})" if ms else "now"
            case ir.Moved(value, ms):
                return self._guarded_value(value, depth, f"moved({{0}}, {ms})")
            case ir.Lower(value):
                return self._guarded_value(value, depth, "ascii_lower({0})")
            case ir.Length(value):
                return self._guarded_value(value, depth, "len({0})")
            case ir.Judged(condition):
                return self.condition(condition, depth)

    def _guarded_value(self, value: ir.Value, depth: int, form: str) -> str:
        name = self.name()
        self.line(depth, f"{name} = {self._guarded((value,), depth, form)}")
        return name


def compile_predicate(condition: ir.Condition, slots: tuple[Slot, ...] | None = None) -> Predicate:
    """Return the function of a condition; `slots` are those of its facts, its own by default."""
    writer = _Writer(slots_of(condition) if slots is None else slots)
    answer = writer.condition(condition, 1)
    source = "\n".join(
        ["def predicate(F, d, o, n, now, args, lookup):", *writer.lines, f" return {answer}"]
    )
    namespace: dict[str, Any] = dict(writer.constants)
    exec(compile(source, "<policy>", "exec"), namespace)  # noqa: S102 -- our own generated code
    return namespace["predicate"]  # type: ignore[no-any-return]
