"""What may come next in an expression that is being typed: names, operators and values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pylon.policy.completing import (
    AUTH,
    FUNCTIONS,
    ORDER_OPS,
    UNITS,
    Frame,
    Known,
    Machine,
    State,
    Typed,
    read,
    tokens_of,
)
from pylon.policy.ir import TypeKind

#: Types that have an order, and those that are only equal or not.
_ORDERED: Final = frozenset({
    TypeKind.TEXT, TypeKind.NUMBER, TypeKind.DECIMAL, TypeKind.DATETIME, TypeKind.DATE
})  # fmt: skip
#: Fields of these can stand on the right of a comparison with one of the same.
_SIDE_BY_SIDE: Final = frozenset({TypeKind.TEXT, TypeKind.NUMBER, TypeKind.DATETIME, TypeKind.DATE,
                                  TypeKind.BOOL})  # fmt: skip


#: What stands directly behind a word.
_CLOSE: Final = (" ", ")", "]", ",", "(", ".")


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to go on: `text` in the place of what stands from `start` to the cursor."""

    start: int
    text: str
    note: str = ""

    def put_into(self, line: str, cursor: int) -> tuple[str, int]:
        """Return the line with it, and where the cursor is then."""
        rest, text = line[cursor:], self.text
        before = line[self.start - 1 : self.start] if self.start else ""
        if (before.isalnum() or before in ("'", '"', ")", "]")) and text[:1] not in _CLOSE:
            text = f" {text}"
        if self.text[-1:] in ("'", '"') and rest[:1] == self.text[-1]:
            rest = rest[1:]
        return line[: self.start] + text + rest, self.start + len(text)


def complete(line: str, cursor: int, known: Known) -> tuple[Offer, ...]:
    """Return what may come next at a cursor, the likeliest first."""
    before = line[:cursor]
    tokens = tokens_of(before)
    if tokens is None:
        return ()
    kind, word, at = tokens[-1] if tokens else ("space", "", 0)
    if kind == "open":
        return _of_string(read(tokens[:-1], known), word, at)
    if kind != "name":
        return tuple(Offer(cursor, text, note) for text, note in _next(read(tokens, known)))
    found = _matching(_next(read(tokens[:-1], known)), word, at)
    if all(one.text == word for one in found):
        # The name is whole: what goes on behind it.
        behind = _next(read(tokens, known))
        return tuple(Offer(cursor, f" {text}", note) for text, note in behind)
    return found


def _matching(words: Sequence[tuple[str, str]], part: str, at: int) -> tuple[Offer, ...]:
    """Return the offers that go on from a part, those first that begin with it."""
    low = part.lower()
    begins = [one for one in words if one[0].lower().startswith(low)]
    holds = [one for one in words if low in one[0].lower() and one not in begins]
    return tuple(Offer(at, text, note) for text, note in (*begins, *holds))


def _of_string(machine: Machine, word: str, at: int) -> tuple[Offer, ...]:
    """Return the values that a text which is being typed may become."""
    if machine.state is not State.VALUE or machine.left is None or not machine.op:
        return ()
    found = [(f"{word[0]}{one}{word[0]}", "") for one in machine.left.choices]
    return _matching(found, word, at)


# --- what may come next

Words = list[tuple[str, str]]


def _next(machine: Machine) -> Words:
    """Return what may come next, with what it is."""
    machine.settle()
    match machine.state:
        case State.VALUE:
            return _values(machine)
        case State.DOT:
            return [(name, one.note) for name, one in _members(machine).items()]
        case State.AFTER | State.EXISTS_OP:
            return _operators(machine)
        case State.DONE:
            return _closers(machine)
        case State.NOT_IN:
            return [("in ", "")]
        case State.UNIT:
            return [(f"{one}(", "") for one in UNITS]
        case State.EXISTS:
            return [(f"{one}(", "a row of it is there") for one in machine.known.fields]
        case State.EXISTS_OPEN:
            return [("(", "")] if machine.path[0] in machine.known.fields else []
        case State.EXISTS_FIELD:
            assert machine.frame is not None
            return _fields(machine.known, machine.frame.name, None)
        case _:
            return []


def _members(machine: Machine) -> Mapping[str, Typed]:
    if machine.path == ["auth"]:
        return {**AUTH, "claims": Typed(TypeKind.CLAIM, note="auth.claims.NAME")}
    return machine.known.fields.get(machine.known.entity, {}) if machine.path == ["data"] else {}


def _fields(known: Known, entity: str, kinds: frozenset[TypeKind] | None) -> Words:
    return [
        (name, one.note) for name, one in known.fields.get(entity, {}).items()
        if kinds is None or one.kind in kinds
    ]  # fmt: skip


def _values(machine: Machine) -> Words:
    known, frame = machine.known, machine.frame
    if machine.op:
        return _right_sides(machine)
    if frame is not None and frame.kind == "call":
        return _arguments(machine, frame)
    calls = [
        ("isOwner()", note[2:].strip(": ")) if name == "isOwner" else (f"{name}(", note)
        for name, (_, _, note) in FUNCTIONS.items()
        if name != "isOwner" or known.entity in known.owned
    ]
    words = [("auth.", "who asks"), ("now", "the time"), ("exists ", "a row elsewhere"),
             ("not ", "the opposite")]  # fmt: skip
    return [*_fields(known, known.entity, None), *calls, *words]


def _arguments(machine: Machine, frame: Frame) -> Words:
    wanted = FUNCTIONS[frame.name][1]
    if not wanted:
        return [(")", "")]
    if frame.value is not None and frame.value.kind is TypeKind.LIST and frame.argument:
        return []
    kinds = wanted[min(frame.argument, len(wanted) - 1)]
    found = _fields(machine.known, machine.known.entity, kinds)
    return [*found, *_texts()] if TypeKind.TEXT in kinds else found


def _texts() -> Words:
    return [(f"auth.{one}", AUTH[one].note) for one in ("userId", "email")]


def _right_sides(machine: Machine) -> Words:
    """Return what the value on the left can be compared with."""
    left, frame, known = machine.left, machine.frame, machine.known
    if left is None:
        return []
    is_inside = frame is not None and frame.kind == "["
    if machine.op in ("in", "not in") and not is_inside:
        roles = [("auth.roles", "his roles")] if left.kind is TypeKind.TEXT else []
        return [("[", "one of these"), *([] if left.choices else roles)]
    words: Words = [(f"'{one}'", "") for one in left.choices]
    if left.kind is TypeKind.BOOL:
        words += [("true", ""), ("false", "")]
    if machine.op in ("==", "!=") and not is_inside:
        words.append(("null", "nothing is there"))
    if left.kind is TypeKind.DATETIME:
        words.append(("now", "the time"))
    if left.kind is TypeKind.TEXT and not left.choices:
        words += _texts()
    if left.kind in _SIDE_BY_SIDE:
        words += _fields(known, known.entity, frozenset({left.kind}))
    return words


def _operators(machine: Machine) -> Words:
    left = machine.left
    if left is None or left.kind is TypeKind.NULL:
        return []
    words: Words = [("== ", "is"), ("!= ", "is not")]
    if left.kind in _ORDERED:
        words += [(f"{one} ", "") for one in ORDER_OPS]
    if left.kind in _ORDERED or left.kind is TypeKind.CLAIM:
        words += [("in ", "one of"), ("not in ", "none of")]
    if machine.state is State.EXISTS_OP:
        return words
    if left.kind in (TypeKind.BOOL, TypeKind.CLAIM):
        words += _closers(machine)
    elif machine.is_time:
        words += [("+ ", "later by"), ("- ", "earlier by")]
    return words


def _closers(machine: Machine) -> Words:
    """Return what goes on behind something whole."""
    frame = machine.frame
    words: Words = []
    if machine.is_time and machine.op:
        words += [("+ ", "later by"), ("- ", "earlier by")]
    if frame is None or frame.kind == "(":
        words += [("&& ", "and"), ("|| ", "or")]
        return words if frame is None else [*words, (")", "")]
    if frame.kind == "call":
        count = len(FUNCTIONS[frame.name][1])
        is_open = frame.name == "hasAnyRole" or frame.argument + 1 < count
        ends = [(")", "")] if frame.name == "hasAnyRole" or not is_open else []
        return [*ends, *([(", ", "and one more")] if is_open else [])]
    return [*words, ("]" if frame.kind == "[" else ")", ""), (", ", "and one more")]
