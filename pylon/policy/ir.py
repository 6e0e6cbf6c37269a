"""The expression as meant: typed nodes with names resolved and literals in row form.

Everything that evaluates, compiles or says a policy starts here: one meaning (POLICY "One
meaning"). Conditions have three values; `None` is unknown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pylon.schema.model import FieldKind

#: What the signs of comparisons are between two values that are there.
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class TypeKind(StrEnum):
    """What a value is, for comparison."""

    TEXT = "text"
    NUMBER = "number"
    DECIMAL = "decimal"
    BOOL = "true or false"
    DATETIME = "time"
    DATE = "date"
    LIST = "list"
    #: Json, dict and bytes: only their absence can be asked for.
    OPAQUE = "json or bytes"
    #: auth.claims.x: takes the type of what it is compared with.
    CLAIM = "claim"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type; `scale` for decimals, `item` for lists, `choices` for enums."""

    kind: TypeKind
    scale: int = 0
    item: TypeKind | None = None
    choices: tuple[str, ...] = ()


class SlotKind(StrEnum):
    """One question about the caller, answered once per evaluation."""

    USER_ID = "user_id"
    EMAIL = "email"
    ROLES = "roles"
    CLAIM = "claim"
    HAS_USER = "has_user"
    HAS_EMAIL = "has_email"
    HAS_CLAIM = "has_claim"
    HAS_ANY_ROLE = "has_any_role"


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot with its names: the claim's, or the roles'. `wanted` is a claim's type."""

    kind: SlotKind
    names: tuple[str, ...] = ()
    wanted: TypeKind | None = None


# --- values ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Const:
    """A literal in row form."""

    value: Any
    type: ValueType


@dataclass(frozen=True, slots=True)
class Column:
    """A field of an image: data, old or new."""

    image: str
    name: str
    type: ValueType
    nullable: bool
    field_kind: FieldKind


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact about the caller."""

    slot: Slot
    type: ValueType
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of the function, or a given one of a filter expression."""

    name: str
    type: ValueType


@dataclass(frozen=True, slots=True)
class Now:
    """The transaction's time, shifted by `ms`."""

    ms: int
    type: ValueType


@dataclass(frozen=True, slots=True)
class Moved:
    """A time moved by `ms`; past an end of the calendar it is still before or after all times."""

    value: Value
    ms: int
    type: ValueType


@dataclass(frozen=True, slots=True)
class Lower:
    """ASCII lower case."""

    value: Value
    type: ValueType


@dataclass(frozen=True, slots=True)
class Length:
    """Number of code points, or of items."""

    value: Value
    type: ValueType


@dataclass(frozen=True, slots=True)
class Judged:
    """A condition used as a value."""

    condition: Condition
    type: ValueType


Value = Const | Column | Fact | Argument | Now | Moved | Lower | Length | Judged

# --- conditions --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """True, false or unknown, whatever the row."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Cmp:
    """left op right, unknown where either is absent."""

    op: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Absent:
    """value == null; never unknown."""

    value: Value


@dataclass(frozen=True, slots=True)
class Member:
    """Value in [items]."""

    value: Value
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class MemberOf:
    """Value in a list-valued field or fact."""

    value: Value
    of: Value


@dataclass(frozen=True, slots=True)
class TextTest:
    """startsWith(text, part) or contains(text, part)."""

    is_prefix: bool
    text: Value
    part: Value


@dataclass(frozen=True, slots=True)
class Holds:
    """A value of type bool as a condition."""

    value: Value


@dataclass(frozen=True, slots=True)
class FactHolds:
    """A yes-or-no slot; never unknown."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class ExistsFilter:
    """field op value over the looked-at entity; value None means `null`, a tuple is a list."""

    field: str
    kind: FieldKind
    op: str
    value: Value | tuple[Value, ...] | None


@dataclass(frozen=True, slots=True)
class ExistsNode:
    """One `exists`: the looked-at entity and its filters."""

    entity: str
    filters: tuple[ExistsFilter, ...]


@dataclass(frozen=True, slots=True)
class ExistsTest:
    """True where a row matches; unknown where a right-hand side is absent."""

    node: ExistsNode


@dataclass(frozen=True, slots=True)
class Negation:
    """Not item; unknown stays unknown."""

    item: Condition


@dataclass(frozen=True, slots=True)
class Conjunction:
    """All of items."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """Any of items."""

    items: tuple[Condition, ...]


Condition = (
    Constant | Cmp | Absent | Member | MemberOf | TextTest | Holds | FactHolds | ExistsTest
    | Negation | Conjunction | Disjunction
)  # fmt: skip
