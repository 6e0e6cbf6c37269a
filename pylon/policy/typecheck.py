"""Nodes to meaning: resolves names against the schema and the caller's facts, checks every type.

The type check is part of security, not comfort: what passes here compares alike in Python and in
SQLite. All mistakes of a text are collected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pylon import limits
from pylon.clock import iso_ms
from pylon.errors import Mistake
from pylon.policy import ast, ir
from pylon.policy.ir import Slot, SlotKind, TypeKind, ValueType
from pylon.policy.mistakes import mistake_at, nearest
from pylon.policy.types import (
    BOOL,
    DATETIME,
    NUMBER,
    TEXT,
    TypeMistake,
    check_comparable,
    coerce_literal,
    type_of_field,
    type_of_literal,
)  # fmt: skip
from pylon.schema.fieldtypes import datetime_ms
from pylon.schema.model import Access, Entity, Field, FieldKind, Position, Schema

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_FACTS = {
    "userId": (SlotKind.USER_ID, SlotKind.HAS_USER),
    "email": (SlotKind.EMAIL, SlotKind.HAS_EMAIL),
}
_NO = ir.Constant(value=False)
_AUTH_NAMES = ("userId", "roles", "isAdmin", "email", "claims")
_FUNCTIONS = {
    "hasRole": 1, "hasAnyRole": None, "isOwner": 0, "startsWith": 2, "contains": 2,
    "lower": 1, "len": 1,
}  # fmt: skip


class _Stop(Exception):
    """A mistake was noted; the part around it has no meaning."""


@dataclass(slots=True, kw_only=True)
class Scope:
    """What names mean in one expression."""

    schema: Schema
    #: What `data` is; None where there is no row (`allow`, `join`).
    entity: Entity | None
    access: Access | None = None
    #: Arguments by name with their kinds (None: any); None where there are no arguments.
    arguments: Mapping[str, FieldKind | None] | None = None
    #: Names that must not be used, answered as if they did not exist.
    hidden: frozenset[str] = frozenset()
    where: str = "policy"
    position: Position | None = None


@dataclass(slots=True)
class Checker:
    """Turns one text's nodes into a condition, noting every mistake."""

    text: str
    scope: Scope
    mistakes: list[Mistake] = field(default_factory=list)
    exists_count: int = 0

    def check(self, node: ast.Node) -> ir.Condition:
        """Return the condition; unknown where a mistake was noted."""
        return self._condition(node)

    # --- conditions

    def _condition(self, node: ast.Node) -> ir.Condition:
        try:
            match node:
                case ast.And(items):
                    return ir.Conjunction(tuple(self._condition(item) for item in items))
                case ast.Or(items):
                    return ir.Disjunction(tuple(self._condition(item) for item in items))
                case ast.Not(item):
                    return ir.Negation(self._condition(item))
                case ast.Compare():
                    return self._compare(node)
                case ast.Exists():
                    return self._exists(node)
                case ast.Call():
                    return self._call_condition(node)
                case ast.Literal(value) if isinstance(value, bool):
                    return ir.Constant(value)
                case _:
                    return self._truth(self._value(node), node.at)
        except _Stop:
            return ir.Constant(None)

    def _truth(self, value: ir.Value, at: int) -> ir.Condition:
        if isinstance(value, ir.Judged):
            return value.condition
        if value.type.kind is not TypeKind.BOOL:
            raise self._stop(at, f"this is a {value.type.kind}, not true or false")
        return ir.Holds(value)

    def _compare(self, node: ast.Compare) -> ir.Condition:
        if node.op in ("in", "not in"):
            member = self._member(node)
            return ir.Negation(member) if node.op == "not in" else member
        left_null, right_null = _is_null(node.left), _is_null(node.right)
        if left_null or right_null:
            if node.op not in ("==", "!="):
                raise self._stop(node.at, "null has no order; use == null or != null")
            if left_null and right_null:
                return ir.Constant(node.op == "==")
            absent = self._absent(node.right if left_null else node.left)
            return ir.Negation(absent) if node.op == "!=" else absent
        left, left_ms = self._shifted(node.left)
        right, right_ms = self._shifted(node.right)
        try:
            left, right = _coerce_pair(left, right)
            check_comparable(node.op, left.type, right.type)
            left, right = _settle_claims(left, right)
        except TypeMistake as mistake:
            raise self._stop(node.at, str(mistake)) from None
        if left_ms != right_ms:
            left, right = self._move_shift(node.at, left, left_ms, right, right_ms)
        if isinstance(left, ir.Const) and not isinstance(right, ir.Const):
            return ir.Cmp(_FLIPPED[node.op], right, left)
        return ir.Cmp(node.op, left, right)

    def _absent(self, node: ast.Node) -> ir.Condition:
        value = self._value(node)
        match value:
            case ir.Fact(slot) if slot.kind is SlotKind.USER_ID:
                return ir.Negation(ir.FactHolds(Slot(SlotKind.HAS_USER)))
            case ir.Fact(slot) if slot.kind is SlotKind.EMAIL:
                return ir.Negation(ir.FactHolds(Slot(SlotKind.HAS_EMAIL)))
            case ir.Fact(slot) if slot.kind is SlotKind.CLAIM:
                return ir.Negation(ir.FactHolds(Slot(SlotKind.HAS_CLAIM, slot.names)))
            case ir.Const() | ir.Now() | ir.Fact():
                return _NO
            case _:
                return ir.Absent(value)

    def _member(self, node: ast.Compare) -> ir.Condition:
        value = self._value(node.left)
        if isinstance(node.right, ast.ListNode):
            items = tuple(
                self._item(value, item) for item in node.right.items if not _is_null(item)
            )
            if len(items) != len(node.right.items):
                # A null in the list: without a match the answer is unknown.
                return ir.Disjunction((ir.Member(value, items), ir.Constant(None)))
            return ir.Member(value, items)
        of = self._value(node.right)
        if of.type.kind is not TypeKind.LIST:
            raise self._stop(node.right.at, "the right side of in is a list")
        return self._member_of(value, of, node.at)

    def _item(self, value: ir.Value, node: ast.Node) -> ir.Value:
        item = self._value(node)
        try:
            _, item = _coerce_pair(value, item)
            check_comparable("==", value.type, item.type)
            _, item = _settle_claims(value, item)
        except TypeMistake as mistake:
            raise self._stop(node.at, str(mistake)) from None
        return item

    def _member_of(self, value: ir.Value, of: ir.Value, at: int) -> ir.Condition:
        if of.type.item is None:
            raise self._stop(at, "only lists of texts, integers, dates and bools can be searched")
        wanted = ValueType(of.type.item, choices=of.type.choices)
        try:
            if isinstance(value, ir.Const):
                value = ir.Const(*coerce_literal(value.value, wanted))
            check_comparable("==", value.type, wanted)
            if value.type.kind is TypeKind.CLAIM:
                value = _as_claim(value, wanted)
        except TypeMistake as mistake:
            raise self._stop(at, str(mistake)) from None
        return ir.MemberOf(value, of)

    def _shifted(self, node: ast.Node) -> tuple[ir.Value, int]:
        ms = 0
        while isinstance(node, ast.Shift):
            ms += node.ms
            node = node.value
        value = self._value(node)
        if ms and isinstance(value, ir.Const) and isinstance(value.value, str):
            value = ir.Const(*coerce_literal(value.value, DATETIME))
        if ms and value.type.kind is not TypeKind.DATETIME:
            raise self._stop(node.at, "durations go on times only")
        return value, ms

    def _move_shift(
        self, at: int, left: ir.Value, left_ms: int, right: ir.Value, right_ms: int
    ) -> tuple[ir.Value, ir.Value]:
        """Bring the whole shift onto now or a literal, which can carry it exactly."""
        if isinstance(right, ir.Now | ir.Const):
            return left, self._shift(right, right_ms - left_ms, at)
        if isinstance(left, ir.Now | ir.Const):
            return self._shift(left, left_ms - right_ms, at), right
        raise self._stop(at, "compare a shifted time with now or with a literal time")

    def _shift(self, value: ir.Now | ir.Const, ms: int, at: int) -> ir.Value:
        if abs(ms) > limits.POLICY_DURATION_MS_MAX:
            raise self._stop(at, "a duration of more than a hundred years")
        if isinstance(value, ir.Now):
            return ir.Now(value.ms + ms, DATETIME)
        text = iso_ms(datetime_ms(value.value) + ms)
        if text.startswith("-") or len(text) != 24:
            raise self._stop(at, "this leaves the calendar")
        return ir.Const(text, DATETIME)

    # --- exists

    def _exists(self, node: ast.Exists) -> ir.Condition:
        self.exists_count += 1
        if self.exists_count > limits.POLICY_EXISTS_MAX:
            raise self._stop(node.at, f"more than {limits.POLICY_EXISTS_MAX} exists")
        entity = self.scope.schema.entities.get(node.entity)
        if entity is None:
            raise self._stop(
                node.at,
                f"there is no entity {node.entity}",
                nearest(node.entity, self.scope.schema.entities),
            )
        filters = []
        for one in node.filters:
            try:
                filters.append(self._exists_filter(entity, one))
            except _Stop:
                continue
        if len(filters) == len(node.filters):
            self._demand_index(entity, filters, node.at)
        return ir.ExistsTest(ir.ExistsNode(entity.name, tuple(filters)))

    def _exists_filter(self, entity: Entity, node: ast.Filter) -> ir.ExistsFilter:
        column = self._field_column(entity, node.field, "data", node.at)
        kind = column.field_kind
        if _is_null(node.value):
            if node.op not in ("==", "!="):
                raise self._stop(node.at, "null has no order; use == null or != null")
            return ir.ExistsFilter(node.field, kind, node.op, None)
        if node.op in ("in", "not in") and isinstance(node.value, ast.ListNode):
            items = tuple(self._item(column, item) for item in node.value.items)
            return ir.ExistsFilter(node.field, kind, node.op, items)
        value = self._outer_value(node.value)
        if node.op in ("in", "not in"):
            if value.type.kind is not TypeKind.LIST:
                raise self._stop(node.value.at, "the right side of in is a list")
            self._member_of(column, value, node.at)
            return ir.ExistsFilter(node.field, kind, node.op, value)
        try:
            _, value = _coerce_pair(column, value)
            check_comparable(node.op, column.type, value.type)
            _, value = _settle_claims(column, value)
        except TypeMistake as mistake:
            raise self._stop(node.at, str(mistake)) from None
        return ir.ExistsFilter(node.field, kind, node.op, value)

    def _outer_value(self, node: ast.Node) -> ir.Value:
        value, ms = self._shifted(node)
        if ms:
            if not isinstance(value, ir.Now | ir.Const):
                raise self._stop(node.at, "only now and literal times can be shifted here")
            value = self._shift(value, ms, node.at)
        if isinstance(value, ir.Judged | ir.Lower | ir.Length):
            raise self._stop(node.at, "exists compares with auth, data, now or literals")
        return value

    def _demand_index(self, entity: Entity, filters: list[ir.ExistsFilter], at: int) -> None:
        equal = {one.field for one in filters if one.op in ("==", "in")}
        firsts = {index.fields[0] for index in entity.indexes} | {"id"}
        if equal & firsts:
            return
        names = ", ".join(f'"{one.field}"' for one in filters if one.op == "==") or '"…"'
        self._note(
            at,
            f"exists on {entity.name} has no index to look in",
            f"add to {entity.name}: by_{'_'.join(sorted(equal)) or 'field'} = index({names})",
        )

    # --- calls

    def _call_condition(self, node: ast.Call) -> ir.Condition:
        self._check_arity(node)
        match node.name:
            case "hasRole" | "hasAnyRole":
                return ir.FactHolds(Slot(SlotKind.HAS_ANY_ROLE, self._role_names(node)))
            case "isOwner":
                return self._is_owner(node)
            case "startsWith":
                text, part = (self._text(one) for one in node.arguments)
                return ir.TextTest(is_prefix=True, text=text, part=part)
            case "contains":
                return self._contains(node)
            case _:
                return self._truth(self._value(node), node.at)

    def _contains(self, node: ast.Call) -> ir.Condition:
        whole = self._value(node.arguments[0])
        if whole.type.kind is TypeKind.LIST:
            return self._member_of(self._value(node.arguments[1]), whole, node.at)
        return ir.TextTest(
            is_prefix=False, text=self._text(node.arguments[0]), part=self._text(node.arguments[1])
        )

    def _is_owner(self, node: ast.Call) -> ir.Condition:
        entity = self.scope.entity
        owner = entity.owner_field if entity is not None else None
        if entity is None or owner is None:
            raise self._stop(
                node.at,
                "isOwner() needs exactly one field with default=actor",
                "write auth.userId == data.FIELD instead",
            )
        column = self._field_column(entity, owner.name, "data", node.at)
        return ir.Cmp("==", column, ir.Fact(Slot(SlotKind.USER_ID), TEXT))

    def _role_names(self, node: ast.Call) -> tuple[str, ...]:
        names = []
        for argument in node.arguments:
            if not isinstance(argument, ast.Literal) or not isinstance(argument.value, str):
                raise self._stop(argument.at, f"{node.name} takes role names in quotes")
            names.append(argument.value)
        return tuple(sorted(set(names)))

    def _check_arity(self, node: ast.Call) -> None:
        if node.name not in _FUNCTIONS:
            raise self._stop(
                node.at, f"there is no function {node.name}", nearest(node.name, _FUNCTIONS)
            )
        wanted, given = _FUNCTIONS[node.name], len(node.arguments)
        if wanted is not None and given != wanted:
            raise self._stop(node.at, f"{node.name} takes {wanted} arguments, not {given}")
        if wanted is None and given == 0:
            raise self._stop(node.at, f"{node.name} takes at least one argument")

    # --- values

    def _value(self, node: ast.Node) -> ir.Value:
        match node:
            case ast.Literal(value):
                return ir.Const(value, type_of_literal(value))
            case ast.Path():
                return self._path(node)
            case ast.Call(name) if name in ("lower", "len"):
                self._check_arity(node)
                return self._text_function(node)
            case ast.Shift():
                value, ms = self._shifted(node)
                if ms and not isinstance(value, ir.Now | ir.Const):
                    raise self._stop(node.at, "only now and literal times can be shifted here")
                return self._shift(value, ms, node.at) if ms else value  # type: ignore[arg-type]
            case ast.ListNode():
                raise self._stop(node.at, "a list stands on the right of in only")
            case _:
                return ir.Judged(self._condition(node), BOOL)

    def _text_function(self, node: ast.Call) -> ir.Value:
        if node.name == "lower":
            return ir.Lower(self._text(node.arguments[0]), TEXT)
        value = self._value(node.arguments[0])
        if value.type.kind not in (TypeKind.TEXT, TypeKind.LIST):
            raise self._stop(node.at, "len takes a text or a list")
        return ir.Length(value, NUMBER)

    def _text(self, node: ast.Node) -> ir.Value:
        value = self._value(node)
        if value.type.kind is TypeKind.CLAIM:
            return _as_claim(value, TEXT)
        if value.type.kind is not TypeKind.TEXT:
            raise self._stop(node.at, f"this is a {value.type.kind}, not a text")
        return value

    def _path(self, node: ast.Path) -> ir.Value:
        root, *rest = node.names
        resolve: dict[str, Callable[[ast.Path, list[str]], ir.Value]] = {
            "auth": self._auth, "data": self._image, "old": self._image, "new": self._image,
            "args": self._argument,
        }  # fmt: skip
        if root == "now":
            if rest:
                raise self._stop(node.at, "now has no parts")
            return ir.Now(0, DATETIME)
        if root not in resolve:
            hint = nearest(root, [*resolve, "now"])
            if self.scope.entity is not None and root in self.scope.entity.by_name:
                hint = f"write data.{root}"
            raise self._stop(node.at, f"there is nothing called {root}", hint)
        if not rest:
            raise self._stop(node.at, f"{root} alone is no value; write {root}.name")
        return resolve[root](node, rest)

    def _auth(self, node: ast.Path, rest: list[str]) -> ir.Value:
        name = rest[0]
        if name == "claims" and len(rest) > 1:
            slot = Slot(SlotKind.CLAIM, tuple(rest[1:]))
            return ir.Fact(slot, ValueType(TypeKind.CLAIM))
        if len(rest) > 1 or name not in _AUTH_NAMES or name == "claims":
            raise self._stop(node.at, f"auth has no {'.'.join(rest)}", nearest(name, _AUTH_NAMES))
        if name == "isAdmin":
            return ir.Judged(ir.FactHolds(Slot(SlotKind.HAS_ANY_ROLE, ("admin",))), BOOL)
        if name == "roles":
            roles = ValueType(TypeKind.LIST, item=TypeKind.TEXT)
            return ir.Fact(Slot(SlotKind.ROLES), roles, nullable=False)
        return ir.Fact(Slot(_FACTS[name][0]), TEXT)

    def _image(self, node: ast.Path, rest: list[str]) -> ir.Value:
        image, entity = node.names[0], self.scope.entity
        if entity is None:
            raise self._stop(node.at, f"there is no {image} here, only auth, args and now")
        if image != "data" and self.scope.access is not Access.UPDATE:
            raise self._stop(node.at, f"{image} exists in update policies only; write data")
        if len(rest) > 1:
            raise self._stop(node.at, f"{rest[0]} has no parts that a policy can look at")
        return self._field_column(entity, rest[0], image, node.at)

    def _argument(self, node: ast.Path, rest: list[str]) -> ir.Value:
        arguments = self.scope.arguments
        if arguments is None:
            raise self._stop(node.at, "there are no arguments here")
        name = rest[0]
        if len(rest) > 1 or name not in arguments:
            raise self._stop(node.at, f"there is no argument {name}", nearest(name, arguments))
        kind = arguments[name]
        if kind is None:
            raise self._stop(node.at, f"the argument {name} has no type that a policy can compare")
        return ir.Argument(name, type_of_field(Field(name=name, kind=kind)))

    def _field_column(self, entity: Entity, name: str, image: str, at: int) -> ir.Column:
        if name == "id":
            return ir.Column(image, "id", TEXT, nullable=False, field_kind=FieldKind.STR)
        found = entity.by_name.get(name)
        if found is None or name in self.scope.hidden:
            known = [*(set(entity.by_name) - self.scope.hidden), "id"]
            raise self._stop(at, f"{entity.name} has no field {name}", nearest(name, known))
        return ir.Column(image, name, type_of_field(found), nullable=True, field_kind=found.kind)

    # --- mistakes

    def _note(self, at: int, message: str, hint: str | None = None) -> None:
        self.mistakes.append(
            mistake_at(
                self.text, at, message, where=self.scope.where, position=self.scope.position,
                hint=hint,
            )
        )  # fmt: skip

    def _stop(self, at: int, message: str, hint: str | None = None) -> _Stop:
        self._note(at, message, hint)
        return _Stop()


def _is_null(node: ast.Node) -> bool:
    return isinstance(node, ast.Literal) and node.value is None


def _coerce_pair(left: ir.Value, right: ir.Value) -> tuple[ir.Value, ir.Value]:
    if isinstance(right, ir.Const) and right.type.kind is not TypeKind.NULL:
        right = ir.Const(*coerce_literal(right.value, left.type))
    elif isinstance(left, ir.Const) and left.type.kind is not TypeKind.NULL:
        left = ir.Const(*coerce_literal(left.value, right.type))
    return left, right


def _settle_claims(left: ir.Value, right: ir.Value) -> tuple[ir.Value, ir.Value]:
    if left.type.kind is TypeKind.CLAIM:
        return _as_claim(left, right.type), right
    if right.type.kind is TypeKind.CLAIM:
        return left, _as_claim(right, left.type)
    return left, right


def _as_claim(value: ir.Value, wanted: ValueType) -> ir.Value:
    """Return the claim as a fact of the wanted type; a claim of another type is absent."""
    assert isinstance(value, ir.Fact)
    if wanted.kind is TypeKind.DECIMAL:
        raise TypeMistake("a claim is no decimal")
    return ir.Fact(Slot(SlotKind.CLAIM, value.slot.names, wanted.kind), wanted)


def check_text(text: str, node: ast.Node, scope: Scope) -> tuple[ir.Condition, list[Mistake]]:
    """Return the meaning of a parsed text and its mistakes."""
    checker = Checker(text, scope)
    condition = checker.check(node)
    return condition, checker.mistakes
