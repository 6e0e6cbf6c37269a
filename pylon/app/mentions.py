"""What of the schema a piece of the app's code names: entities and their fields, with the place.

No code runs: it is read from the syntax tree. Of a value of which the code does not say what it is
only the name is known, and so it is said (`entity` is None).

What does not live here: which functions there are and whom they call (`handlers`), and what a
change of the schema means for what is named (`affected`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pylon.app.source import FunctionSource
from pylon.policy.ast import (
    And,
    Call,
    Compare,
    Exists,
    ListNode,
    Node,
    Not,
    Or,
    Path,
    Shift,
)
from pylon.policy.grammar import ROOTS, GrammarError, parse
from pylon.schema.model import Position

_WRITES: Final = frozenset({"insert", "update"})
_METHODS: Final = frozenset({"get", "first", "list", "count", "delete", *_WRITES})
#: What gives its first argument back, in another order or form.
_PASSING: Final = frozenset({"list", "tuple", "sorted", "reversed", "iter"})
_JOINING: Final = frozenset({"and", "or", "not"})


class Use(StrEnum):
    """What code does with what it names; as it is said before the name."""

    NAMES = "names"
    READS = "reads"
    WRITES = "writes"
    INSERTS = "inserts"
    FILTERS = "filters by"
    ORDERS = "orders by"


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where code names an entity, or a field of it."""

    use: Use
    #: None where the code does not say of what it is a field.
    entity: str | None
    #: None where only the entity is named.
    field: str | None
    position: Position
    #: Of an insert: the fields that it gives; None where it does not say which.
    given: frozenset[str] | None = None
    #: A text or null that stands there for the field's value; `...` where it is another.
    value: Any = ...


@dataclass(frozen=True, slots=True)
class _Shape:
    """A row of an entity, or several."""

    entity: str
    is_many: bool = False


def mentions_of(source: FunctionSource, entity_of: Callable[[str], str | None]) -> list[Mention]:
    """Return what one function names, in no order.

    Args:
        source: the function.
        entity_of: returns the entity that a name of its module, or a text, stands for.
    """
    return list(_Reader(source, entity_of).read())


class _Reader:
    def __init__(self, source: FunctionSource, entity_of: Callable[[str], str | None]) -> None:
        self._source = source
        self._entity_of = entity_of
        #: What variables may hold: nobody asks in which order things happen.
        self._shapes: dict[str, set[_Shape]] = {}
        self._values: dict[str, list[ast.expr]] = {}
        self._databases = {"db"}

    def read(self) -> Iterator[Mention]:
        nodes = list(ast.walk(self._source.node))
        for _ in range(3):  # what comes of what comes of a row
            for node in nodes:
                self._learn(node)
        for node in nodes:
            yield from self._named(node)

    # --- what variables hold

    def _learn(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._assign(target, value)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                if isinstance(target, ast.Name):
                    one = {_Shape(each.entity) for each in self._shape(value)}
                    self._shapes.setdefault(target.id, set()).update(one)
            case _:
                return

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            return
        self._shapes.setdefault(target.id, set()).update(self._shape(value))
        known = self._values.setdefault(target.id, [])
        if value not in known:
            known.append(value)
        if isinstance(value, ast.Attribute) and value.attr == "db":
            self._databases.add(target.id)

    def _shape(self, value: ast.expr) -> set[_Shape]:
        """Return what rows a value may be."""
        match value:
            case ast.Name(id=name):
                return self._shapes.get(name, set())
            case ast.Call(func=ast.Attribute(attr=method)) if self._is_access(value):
                entity = self._entity(value)
                if entity is None or method in ("count", "delete"):
                    return set()
                return {_Shape(entity, is_many=method == "list")}
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in _PASSING:
                return self._shape(first)
            case ast.Call(func=ast.Name(id="next"), args=[first, *_]):
                return {_Shape(one.entity) for one in self._shape(first)}
            case ast.Subscript(value=inner, slice=ast.Slice()):
                return self._shape(inner)
            case ast.Subscript(value=inner):
                return {_Shape(one.entity) for one in self._shape(inner) if one.is_many}
            case ast.IfExp(body=body, orelse=other):
                return self._shape(body) | self._shape(other)
            case ast.BoolOp(values=values):
                return set().union(*(self._shape(one) for one in values))
            case ast.ListComp(elt=elt) | ast.GeneratorExp(elt=elt):
                return {_Shape(one.entity, is_many=True) for one in self._shape(elt)}
            case ast.NamedExpr(value=inner) | ast.Await(value=inner):
                return self._shape(inner)
            case _:
                return set()

    def _is_access(self, call: ast.Call) -> bool:
        """Tell whether it is a call such as `ctx.db.list(…)`."""
        match call.func:
            case ast.Attribute(attr=method, value=ast.Attribute(attr="db")):
                return method in _METHODS
            case ast.Attribute(attr=method, value=ast.Name(id=name)):
                return method in _METHODS and name in self._databases
            case _:
                return False

    def _entity(self, call: ast.Call) -> str | None:
        """Return the entity that a call such as `ctx.db.list(…)` is about."""
        match call.args[:1]:
            case [ast.Name(id=name)] | [ast.Attribute(attr=name)]:
                return self._entity_of(name)
            case [ast.Constant(value=str(name))]:
                return self._entity_of(name)
            case _:
                return None

    # --- what is named

    def _named(self, node: ast.AST) -> Iterator[Mention]:
        match node:
            case ast.Call() if self._is_access(node):
                yield from self._access(node)
            case ast.Attribute(value=value, attr=name):
                yield from self._read_of(value, name, node)
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name))):
                yield from self._read_of(value, name, node)
            case ast.Call(
                func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(name)), *_]
            ):
                yield from self._read_of(value, name, node)
            case ast.Name(id=name) if (entity := self._entity_of(name)) is not None:
                yield self._at(node, Use.NAMES, entity, None)
            case _:
                return

    def _read_of(self, value: ast.expr, name: str, node: ast.AST) -> Iterator[Mention]:
        entities = {one.entity for one in self._shape(value) if not one.is_many}
        for entity in sorted(entities):
            yield self._at(node, Use.READS, entity, name)
        if not entities:
            yield self._at(node, Use.READS, None, name)

    def _access(self, call: ast.Call) -> Iterator[Mention]:
        entity = self._entity(call)
        assert isinstance(call.func, ast.Attribute)
        method, keywords = call.func.attr, {one.arg: one.value for one in call.keywords}
        if entity is None:
            return
        yield self._at(call, Use.NAMES, entity, None)
        if method in _WRITES:
            for name, value in keywords.items():
                if name is not None:
                    yield self._at(value, Use.WRITES, entity, name, value=_constant(value))
            if method == "insert":
                given = None if None in keywords else frozenset(str(one) for one in keywords)
                yield self._at(call, Use.INSERTS, entity, None, given=given)
        elif method == "first":
            for name, value in keywords.items():
                if name is not None:
                    yield self._at(value, Use.FILTERS, entity, name, value=_constant(value))
        elif method in ("list", "count"):
            yield from self._selection(call, entity, keywords)

    def _selection(
        self, call: ast.Call, entity: str, keywords: dict[str | None, ast.expr]
    ) -> Iterator[Mention]:
        by_place = dict(zip(("where", "order"), call.args[1:], strict=False))
        for one in self._possible(keywords.get("where", by_place.get("where"))):
            yield from self._filter(one, entity)
        for one in self._possible(keywords.get("order", by_place.get("order"))):
            items = one.elts if isinstance(one, ast.List | ast.Tuple) else [one]
            for item in items:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    yield self._at(item, Use.ORDERS, entity, item.value.removeprefix("-"))

    def _possible(self, value: ast.expr | None) -> list[ast.expr]:
        """Return what a value may be: what was given to a variable, or itself."""
        match value:
            case None:
                return []
            case ast.Name(id=name):
                return self._values.get(name, [])
            case ast.IfExp(body=body, orelse=other):
                return [*self._possible(body), *self._possible(other)]
            case _:
                return [value]

    def _filter(self, value: ast.expr, entity: str) -> Iterator[Mention]:
        match value:
            case ast.Constant(value=str(text)):
                for of, name in names_in(text, entity):
                    yield self._at(value, Use.FILTERS, of, name)
            case ast.Dict(keys=keys, values=values):
                for key, under in zip(keys, values, strict=True):
                    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                        continue
                    if key.value in _JOINING:
                        items = under.elts if isinstance(under, ast.List) else [under]
                        for item in items:
                            yield from self._filter(item, entity)
                    else:
                        yield self._at(key, Use.FILTERS, entity, key.value, value=_constant(under))
            case _:
                return

    def _at(
        self, node: ast.AST, use: Use, entity: str | None, field: str | None, **more: Any
    ) -> Mention:
        return Mention(use, entity, field, self._source.module.at(node), **more)


def _constant(value: ast.expr) -> Any:
    match value:
        case ast.Constant(value=str() | None as constant):
            return constant
        case _:
            return ...


def names_in(text: str, entity: str) -> Iterator[tuple[str, str | None]]:
    """Yield what a filter expression names: an entity with a field, or with None.

    Nothing for a text that is no expression: it breaks by itself, whatever the schema.
    """
    try:
        waiting: list[tuple[Node, str]] = [(parse(text, bare_fields=True), entity)]
    except GrammarError:
        return
    while waiting:
        node, of = waiting.pop()
        match node:
            case Path(names=names):
                is_rooted = names[0] in ROOTS
                if names[0] == "data" and len(names) > 1:
                    yield of, names[1]
                elif not is_rooted:
                    yield of, names[0]
            case Exists(entity=other, filters=filters):
                yield other, None
                for one in filters:
                    yield other, one.field
                    waiting.append((one.value, of))
            case And(items) | Or(items) | ListNode(items):
                waiting += [(one, of) for one in items]
            case Compare(_, left, right):
                waiting += [(left, of), (right, of)]
            case Not(inner) | Shift(inner):
                waiting.append((inner, of))
            case Call(_, arguments):
                waiting += [(one, of) for one in arguments]
            case _:
                continue
