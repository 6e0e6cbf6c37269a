"""The expression as written: frozen nodes, each knowing where in the text it began.

What does not live here: types and meaning (`typecheck` turns these into `ir`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """null, true, false, a number or a text."""

    value: bool | int | float | str | None
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    """A name with dots: auth.userId, data.body, args.x, now."""

    names: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class ListNode:
    """[a, b]."""

    items: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """name(a, b)."""

    name: str
    arguments: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Filter:
    """One comparison inside exists; the left side is a field of its entity."""

    field: str
    op: str
    value: Node
    at: int


@dataclass(frozen=True, slots=True)
class Exists:
    """exists Entity(filter, …)."""

    entity: str
    filters: tuple[Filter, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Shift:
    """A time plus or minus a duration in milliseconds."""

    value: Node
    ms: int
    at: int


@dataclass(frozen=True, slots=True)
class Compare:
    """left op right; op is one of == != < <= > >= in, not in."""

    op: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    """!a."""

    item: Node
    at: int


@dataclass(frozen=True, slots=True)
class And:
    """a && b && …."""

    items: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Or:
    """a || b || …."""

    items: tuple[Node, ...]
    at: int


Node = Literal | Path | ListNode | Call | Exists | Shift | Compare | Not | And | Or
