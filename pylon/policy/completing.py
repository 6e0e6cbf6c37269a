"""Reading along as an expression is typed: what belongs where the words before a cursor end.

A machine takes word by word and knows where a value, an operator or a name belongs, and of which
type it is; what it can't follow breaks it. Nothing is parsed or compiled, so that every press of a
key can ask. Pure. What does not live here: which words are offered (`completion`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from pylon.policy.ir import TypeKind
from pylon.policy.types import kind_of

ORDER_OPS: Final = ("<", "<=", ">", ">=")
UNITS: Final = ("days", "hours", "minutes", "seconds")
_LITERALS: Final = {"true": TypeKind.BOOL, "false": TypeKind.BOOL, "null": TypeKind.NULL}
_TOKEN: Final = re.compile(
    r"(?P<space>\s+|\#[^\n]*(?:\n|\Z))|(?P<string>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"
    r"|(?P<open>['\"].*\Z)|(?P<number>-?[0-9][0-9.eE+]*)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[-<>!+.,()\[\]])",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Typed:
    """What a name or a value is."""

    kind: TypeKind
    choices: tuple[str, ...] = ()
    note: str = ""


_BOOL: Final = Typed(TypeKind.BOOL)
#: A whole condition: nothing is compared with it.
CONDITION: Final = Typed(TypeKind.BOOL, note="condition")
_TEXT: Final = Typed(TypeKind.TEXT)
AUTH: Final = {
    "userId": Typed(TypeKind.TEXT, note="who asks; null: nobody is signed in"),
    "email": Typed(TypeKind.TEXT, note="his address"),
    "isAdmin": Typed(TypeKind.BOOL, note="he has the role admin"),
    "roles": Typed(TypeKind.LIST, note="a role in auth.roles"),
}  # fmt: skip
#: (what it is, what its arguments are, whether it is a condition) by function.
FUNCTIONS: Final[dict[str, tuple[Typed, tuple[frozenset[TypeKind], ...], str]]] = {
    "startsWith": (CONDITION, (frozenset({TypeKind.TEXT}),) * 2, "(text, beginning)"),
    "contains": (
        CONDITION, (frozenset({TypeKind.TEXT, TypeKind.LIST}), frozenset({TypeKind.TEXT})),
        "(text, part) or (list, item)",
    ),
    "lower": (_TEXT, (frozenset({TypeKind.TEXT}),), "(text): in small letters"),
    "len": (
        Typed(TypeKind.NUMBER), (frozenset({TypeKind.TEXT, TypeKind.LIST}),), "(text or list)"
    ),
    "hasRole": (CONDITION, (frozenset(),), "('role')"),
    "hasAnyRole": (CONDITION, (frozenset(),), "('a', 'b')"),
    "isOwner": (CONDITION, (), "(): the row is his"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to name: the entity whose rows are filtered, and the fields of all."""

    entity: str
    fields: Mapping[str, Mapping[str, Typed]]
    #: Entities with exactly one field that is the actor's.
    owned: frozenset[str] = frozenset()

    def of(self, entity: str, name: str) -> Typed | None:
        """Return a field of an entity, or None."""
        return self.fields.get(entity, {}).get(name)


def known_of(entities: Iterable[Mapping[str, Any]], entity: str) -> Known:
    """Return what there is to name, of entities as the owner's API describes them.

    Private fields are left out: they can't be named in a filter. `entity` is whose rows those are.
    """
    fields: dict[str, dict[str, Typed]] = {}
    owned = set()
    for one in entities:
        found = {"id": Typed(TypeKind.TEXT, note="id")}
        for each in one["fields"]:
            if each["private"]:
                continue
            note = f"→ {each['ref']}" if each["ref"] else each["kind"]
            kind = kind_of(each["kind"])
            choices = () if kind is TypeKind.LIST else tuple(each["choices"])
            found[each["name"]] = Typed(kind, choices, note)
        fields[one["name"]] = found
        if sum(each["default"] == "actor" for each in one["fields"]) == 1:
            owned.add(one["name"])
    return Known(entity, fields, frozenset(owned))


def tokens_of(text: str) -> list[tuple[str, str, int]] | None:
    """Return (kind, text, place) without spaces; None for a character that means nothing.

    What stands between the last word and the cursor closes the word.
    """
    found: list[tuple[str, str, int]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        kind = str(match.lastgroup)
        if kind == "space" and match[0].startswith("#") and not match[0].endswith("\n"):
            return None  # in a comment
        found.append((kind, match[0], at))
        at = match.end()
    return [one for place, one in enumerate(found) if one[0] != "space" or place == len(found) - 1]


class State(Enum):
    """Where in an expression one is."""

    VALUE = auto()
    NAME = auto()
    DOT = auto()
    AFTER = auto()
    DONE = auto()
    NOT_IN = auto()
    UNIT = auto()
    UNIT_OPEN = auto()
    EXISTS = auto()
    EXISTS_OPEN = auto()
    EXISTS_FIELD = auto()
    EXISTS_OP = auto()
    BROKEN = auto()


@dataclass(slots=True)
class Frame:
    """An open bracket: what it is of, and what stood before it."""

    kind: str
    name: str
    left: Typed | None
    op: str
    argument: int = 0
    #: Where the first value behind it was.
    value: Typed | None = None


@dataclass(slots=True)
class Machine:
    """What was read so far."""

    known: Known
    state: State = State.VALUE
    left: Typed | None = None
    op: str = ""
    path: list[str] = field(default_factory=list)
    stack: list[Frame] = field(default_factory=list)
    #: The last value can be moved by a duration.
    is_time: bool = False
    #: A list has no item yet.
    is_empty: bool = False

    @property
    def frame(self) -> Frame | None:
        """Return the innermost open bracket."""
        return self.stack[-1] if self.stack else None

    @property
    def is_condition(self) -> bool:
        """Tell whether a condition may begin here."""
        return not self.op and (self.frame is None or self.frame.kind == "(")

    def settle(self) -> None:
        """Take a name that was read last as a whole value."""
        if self.state is State.NAME:
            found = self.resolved()
            if found is None:
                self._break()
            else:
                self._value(found)

    def take(self, kind: str, word: str) -> None:
        """Read one word."""
        handler = getattr(self, f"_in_{self.state.name.lower()}", None)
        if handler is None:
            return
        handler(kind, word)

    def _break(self) -> None:
        self.state = State.BROKEN

    # --- values

    def _in_value(self, kind: str, word: str) -> None:
        was_empty, self.is_empty = self.is_empty, False
        if kind == "string":
            self._value(_TEXT)
        elif kind == "number":
            self._value(Typed(TypeKind.NUMBER))
        elif word in _LITERALS:
            self._value(Typed(_LITERALS[word]))
        elif word == "exists":
            self.state = State.EXISTS
        elif word in ("!", "not"):
            self.state = State.VALUE
        elif word == "(":
            self._push("(", "")
        elif word == "[":
            self._push("[", "")
            self.is_empty = True
        elif word in ("]", ")") and was_empty:
            self._pop(word)
        elif kind == "name":
            self.path, self.state = [word], State.NAME
        else:
            self._break()

    def _in_name(self, kind: str, word: str) -> None:
        if word == ".":
            self.state = State.DOT
        elif word == "(" and len(self.path) == 1 and self.path[0] in FUNCTIONS:
            self._push("call", self.path[0])
            self.is_empty = self.path[0] == "isOwner"
        else:
            self.settle()
            self.take(kind, word)

    def _in_dot(self, kind: str, word: str) -> None:
        if kind != "name":
            self._break()
            return
        self.path.append(word)
        self.state = State.NAME

    def resolved(self) -> Typed | None:
        """Return what the path is; None for what nobody knows."""
        root, *rest = self.path
        if root == "now":
            return None if rest else Typed(TypeKind.DATETIME)
        if root == "auth":
            if len(rest) > 1 and rest[0] == "claims":
                return Typed(TypeKind.CLAIM)
            return AUTH.get(rest[0]) if len(rest) == 1 else None
        if root == "data":
            return self.known.of(self.known.entity, rest[0]) if len(rest) == 1 else None
        return None if rest else self.known.of(self.known.entity, root)

    def _value(self, found: Typed) -> None:
        """Take a whole value."""
        self.is_time = found.kind is TypeKind.DATETIME
        if self.op:
            self.state = State.DONE
            return
        if self.frame is not None and self.frame.value is None:
            self.frame.value = found
        self.left = found
        is_whole = found is CONDITION or (self.frame is not None and self.frame.kind != "(")
        self.state = State.DONE if is_whole else State.AFTER

    # --- behind values

    def _in_after(self, kind: str, word: str) -> None:
        if word in ("==", "!=", *ORDER_OPS, "in"):
            self.op, self.state = word, State.VALUE
        elif word == "not":
            self.state = State.NOT_IN
        else:
            self._in_done(kind, word)

    def _in_not_in(self, _: str, word: str) -> None:
        if word == "in":
            self.op, self.state = "not in", State.VALUE
        else:
            self._break()

    def _in_done(self, kind: str, word: str) -> None:
        if kind == "number" and word[0] == "-":
            self._break()
        elif word in ("+", "-"):
            self.state = State.UNIT
        elif word in ("&&", "||", "and", "or"):
            self.left, self.op, self.state = None, "", State.VALUE
        elif word == ",":
            self._next_item()
        elif word in (")", "]"):
            self._pop(word)
        else:
            self._break()

    def _in_unit(self, _: str, word: str) -> None:
        self.state = State.UNIT_OPEN if word in UNITS else State.BROKEN

    def _in_unit_open(self, kind: str, word: str) -> None:
        if word == "(" or kind == "number":
            return
        if word == ")":
            self.state = State.DONE if self.op else State.AFTER
        else:
            self._break()

    # --- brackets

    def _push(self, kind: str, name: str) -> None:
        self.stack.append(Frame(kind, name, self.left, self.op))
        if kind != "[":
            self.left, self.op = None, ""
        self.state = State.VALUE

    def _next_item(self) -> None:
        frame = self.frame
        if frame is None or frame.kind == "(":
            self._break()
        elif frame.kind == "exists":
            self.left, self.op, self.state = None, "", State.EXISTS_FIELD
        else:
            frame.argument += 1
            self.left, self.op = (frame.left, frame.op) if frame.kind == "[" else (None, "")
            self.state = State.VALUE

    def _pop(self, word: str) -> None:
        frame = self.stack.pop() if self.stack else None
        if frame is None or (word == "]") != (frame.kind == "["):
            self._break()
            return
        self.left, self.op = frame.left, frame.op
        if frame.kind == "[":
            self.is_time, self.state = False, State.DONE
        elif frame.kind == "call":
            self._value(FUNCTIONS[frame.name][0])
        else:
            self._value(CONDITION)

    # --- exists

    def _in_exists(self, kind: str, word: str) -> None:
        self.path, self.state = [word], State.EXISTS_OPEN if kind == "name" else State.BROKEN

    def _in_exists_open(self, _: str, word: str) -> None:
        if word != "(" or self.path[0] not in self.known.fields:
            self._break()
            return
        self._push("exists", self.path[0])
        self.state = State.EXISTS_FIELD

    def _in_exists_field(self, _: str, word: str) -> None:
        assert self.frame is not None
        self.left, self.state = self.known.of(self.frame.name, word), State.EXISTS_OP
        if self.left is None:
            self._break()

    def _in_exists_op(self, kind: str, word: str) -> None:
        if word in (",", ")"):
            self._break()
        else:
            self._in_after(kind, word)


def read(tokens: Sequence[tuple[str, str, int]], known: Known) -> Machine:
    """Return where words lead to."""
    machine = Machine(known)
    for kind, word, _ in tokens:
        if kind != "space":
            machine.take(kind, word)
    return machine
