"""Nodes to meaning: resolves names against the schema and the caller's facts, checks every type.

The type check is part of security, not comfort: what passes here compares alike in Python and in
SQLite. All mistakes of a text are collected.
"""

from __future__ import annotations

from pylon import limits
from pylon.errors import Mistake
from pylon.policy import ast, ir
from pylon.policy.indexes import missing_for_lookup
from pylon.policy.ir import Slot, SlotKind, TypeKind, ValueType
from pylon.policy.mistakes import nearest
from pylon.policy.names import Names, Scope, Stop
from pylon.policy.types import (
    BOOL,
    DATETIME,
    NULL,
    NUMBER,
    TEXT,
    TypeMistake,
    as_claim,
    check_comparable,
    coerce_literal,
    is_nothing,
    of_one_type,
    shifted,
    type_of_literal,
)  # fmt: skip
from pylon.schema.model import Entity

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NO = ir.Constant(value=False)


class Checker:
    """Turns one text's nodes into a condition, noting every mistake."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._scope = scope
        self._names = Names(text, scope)
        self._exists_count = 0

    @property
    def mistakes(self) -> list[Mistake]:
        """Return the mistakes noted so far."""
        return self._names.mistakes

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
        except Stop:
            return ir.Constant(None)

    def _truth(self, value: ir.Value, at: int) -> ir.Condition:
        if isinstance(value, ir.Judged):
            return value.condition
        if value.type.kind is TypeKind.CLAIM:
            return ir.Holds(as_claim(value, BOOL))
        if is_nothing(value) and value.type != NULL:
            return ir.Constant(None)  # a null that was given
        if value.type.kind is not TypeKind.BOOL:
            raise self._names.stop(at, f"this is a {value.type.kind}, not true or false")
        return ir.Holds(value)

    def _compare(self, node: ast.Compare) -> ir.Condition:
        if node.op in ("in", "not in"):
            member = self._member(node)
            return ir.Negation(member) if node.op == "not in" else member
        left_null, right_null = _is_null(node.left), _is_null(node.right)
        if left_null or right_null:
            if node.op not in ("==", "!="):
                raise self._names.stop(node.at, "null has no order; use == null or != null")
            if left_null and right_null:
                return ir.Constant(node.op == "==")
            absent = self._absent(node.right if left_null else node.left)
            return ir.Negation(absent) if node.op == "!=" else absent
        (left, left_ms), (right, right_ms) = self._both(node)
        if is_nothing(left) or is_nothing(right):
            return ir.Constant(None)
        left, right = self._typed(node.op, left, right, node.at)
        if left_ms != right_ms:
            left, right = self._move_shift(node.at, left, left_ms, right, right_ms)
        if isinstance(left, ir.Const) and not isinstance(right, ir.Const):
            return ir.Cmp(_FLIPPED[node.op], right, left)
        return ir.Cmp(node.op, left, right)

    def _both(self, node: ast.Compare) -> tuple[tuple[ir.Value, int], tuple[ir.Value, int]]:
        """Return both sides; a mistake in the left one does not hide those of the right."""
        try:
            left = self._shifted(node.left)
        except Stop:
            self._shifted(node.right)
            raise
        return left, self._shifted(node.right)

    def _typed(
        self, op: str, left: ir.Value, right: ir.Value, at: int
    ) -> tuple[ir.Value, ir.Value]:  # fmt: skip
        try:
            return of_one_type(op, left, right)
        except TypeMistake as mistake:
            raise self._names.stop(at, str(mistake)) from None

    def _absent(self, node: ast.Node) -> ir.Condition:
        value = self._value(node)
        match value:
            case ir.Fact(slot) if slot.kind is SlotKind.USER_ID:
                return ir.Negation(ir.FactHolds(Slot(SlotKind.HAS_USER)))
            case ir.Fact(slot) if slot.kind is SlotKind.EMAIL:
                return ir.Negation(ir.FactHolds(Slot(SlotKind.HAS_EMAIL)))
            case ir.Fact(slot) if slot.kind is SlotKind.CLAIM:
                return ir.Negation(ir.FactHolds(Slot(SlotKind.HAS_CLAIM, slot.names)))
            case ir.Const(constant):
                return ir.Constant(constant is None)
            case ir.Now() | ir.Fact():
                return _NO
            case _:
                return ir.Absent(value)

    def _member(self, node: ast.Compare) -> ir.Condition:
        if _is_null(node.left):
            raise self._names.stop(node.at, "null is in no list; use == null")
        value = self._value(node.left)
        listed = self._names.listed(node.right)
        if listed is None:
            return self._member_of(value, self._list(node.right), node.at)
        found_items = [self._item(value, one, one.at) for one in listed if not _is_null(one)]
        items = tuple(item for item in found_items if not is_nothing(item))
        if is_nothing(value):
            return ir.Constant(None)
        if value.type.kind is TypeKind.CLAIM and items:
            value, _ = self._typed("==", value, items[0], node.at)
            if any(item.type.kind is not items[0].type.kind for item in items):
                raise self._names.stop(node.right.at, "a claim is looked for among one type only")
        found: ir.Condition = ir.Member(value, items)
        if len(items) != len(listed):
            # A null in the list: without a match the answer is unknown.
            found = ir.Disjunction((found, ir.Constant(None)))
        return found

    def _item(self, value: ir.Value, node: ast.Node, at: int) -> ir.Value:
        item = self._shifted_value(node)
        if is_nothing(value) or is_nothing(item):
            return item
        _, item = self._typed("==", value, item, at)
        return item

    def _list(self, node: ast.Node) -> ir.Value:
        of = self._value(node)
        if of.type.kind is not TypeKind.LIST and not is_nothing(of):
            raise self._names.stop(node.at, "the right side of in is a list")
        return of

    def _member_of(self, value: ir.Value, of: ir.Value, at: int) -> ir.Condition:
        if is_nothing(value) or is_nothing(of):
            return ir.Constant(None)
        if of.type.item is None:
            raise self._names.stop(
                at, "only lists of texts, integers, dates and bools can be searched"
            )  # fmt: skip
        wanted = ValueType(of.type.item, choices=of.type.choices)
        try:
            if isinstance(value, ir.Const):
                value = ir.Const(*coerce_literal(value.value, wanted))
            check_comparable("==", value.type, wanted)
            if value.type.kind is TypeKind.CLAIM:
                value = as_claim(value, wanted)
        except TypeMistake as mistake:
            raise self._names.stop(at, str(mistake)) from None
        return ir.MemberOf(value, of)

    # --- times and durations

    def _shifted(self, node: ast.Node) -> tuple[ir.Value, int]:
        ms = 0
        while isinstance(node, ast.Shift):
            ms += node.ms
            node = node.value
        value = self._value(node)
        if ms and isinstance(value, ir.Const) and isinstance(value.value, str):
            try:
                value = ir.Const(*coerce_literal(value.value, DATETIME))
            except TypeMistake as mistake:
                raise self._names.stop(node.at, str(mistake)) from None
        if ms and value.type.kind is TypeKind.CLAIM:
            value = as_claim(value, DATETIME)
        if ms and value.type.kind is not TypeKind.DATETIME and not is_nothing(value):
            raise self._names.stop(node.at, "durations go on times only")
        return value, ms

    def _shifted_value(self, node: ast.Node) -> ir.Value:
        value, ms = self._shifted(node)
        if not ms or is_nothing(value):
            return value
        return self._shift(value, ms, node.at)

    def _move_shift(
        self, at: int, left: ir.Value, left_ms: int, right: ir.Value, right_ms: int
    ) -> tuple[ir.Value, ir.Value]:
        """Bring the whole shift onto one side: now or a literal where there is one.

        The field beside it then stands alone, where an index can find it.
        """
        if isinstance(right, ir.Now | ir.Const):
            return left, self._shift(right, right_ms - left_ms, at)
        if isinstance(left, ir.Now | ir.Const):
            return self._shift(left, left_ms - right_ms, at), right
        return left, self._shift(right, right_ms - left_ms, at)

    def _shift(self, value: ir.Value, ms: int, at: int) -> ir.Value:
        try:
            return shifted(value, ms)
        except TypeMistake as mistake:
            raise self._names.stop(at, str(mistake)) from None

    # --- exists

    def _exists(self, node: ast.Exists) -> ir.Condition:
        self._exists_count += 1
        if self._exists_count > limits.POLICY_EXISTS_MAX:
            raise self._names.stop(node.at, f"more than {limits.POLICY_EXISTS_MAX} exists")
        entity = self._scope.schema.entities.get(node.entity)
        if entity is None:
            raise self._names.stop(
                node.at,
                f"there is no entity {node.entity}",
                nearest(node.entity, self._scope.schema.entities),
            )
        filters = []
        for one in node.filters:
            try:
                filters.append(self._exists_filter(entity, one))
            except Stop:
                continue
        if len(filters) == len(node.filters):
            hint = missing_for_lookup(entity, filters)
            if hint is not None:
                self._names.note(node.at, f"exists on {entity.name} has no index to look in", hint)
        return ir.ExistsTest(ir.ExistsNode(entity.name, tuple(filters)))

    def _exists_filter(self, entity: Entity, node: ast.Filter) -> ir.ExistsFilter:
        column = self._names.column(entity, node.field, "data", node.at)
        kind = column.field_kind
        if _is_null(node.value):
            if node.op not in ("==", "!="):
                raise self._names.stop(node.at, "null has no order; use == null or != null")
            return ir.ExistsFilter(node.field, kind, node.op, None)
        if node.op in ("in", "not in"):
            return ir.ExistsFilter(node.field, kind, node.op, self._exists_list(column, node))
        value = self._outer(self._shifted_value(node.value), node.value)
        if not is_nothing(value):
            _, value = self._typed(node.op, column, value, node.at)
        return ir.ExistsFilter(node.field, kind, node.op, value)

    def _exists_list(
        self, column: ir.Column, node: ast.Filter
    ) -> ir.Value | tuple[ir.Value, ...]:  # fmt: skip
        listed = self._names.listed(node.value)
        if listed is None:
            value = self._outer(self._list(node.value), node.value)
            self._member_of(column, value, node.at)
            return value
        if any(_is_null(item) for item in listed):
            raise self._names.stop(node.value.at, "null is in no list; leave it out")
        return tuple(self._outer(self._item(column, item, node.at), item) for item in listed)

    def _outer(self, value: ir.Value, node: ast.Node) -> ir.Value:
        if isinstance(value, ir.Judged | ir.Lower | ir.Length):
            raise self._names.stop(node.at, "exists compares with auth, data, now or literals")
        return value

    # --- calls

    def _call_condition(self, node: ast.Call) -> ir.Condition:
        self._names.check_call(node)
        match node.name:
            case "hasRole" | "hasAnyRole":
                return ir.FactHolds(Slot(SlotKind.HAS_ANY_ROLE, self._names.roles(node)))
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
        entity = self._scope.entity
        owner = entity.owner_field if entity is not None else None
        if entity is None or owner is None:
            raise self._names.stop(
                node.at,
                "isOwner() needs exactly one field with default=actor",
                "write auth.userId == data.FIELD instead",
            )
        column = self._names.column(entity, owner.name, "data", node.at)
        return ir.Cmp("==", column, ir.Fact(Slot(SlotKind.USER_ID), TEXT))

    # --- values

    def _value(self, node: ast.Node) -> ir.Value:
        match node:
            case ast.Literal(value):
                return ir.Const(value, type_of_literal(value))
            case ast.Path():
                return self._names.path(node)
            case ast.Call(name) if name in ("lower", "len"):
                self._names.check_call(node)
                return self._text_function(node)
            case ast.Shift():
                return self._shifted_value(node)
            case ast.ListNode():
                raise self._names.stop(node.at, "a list stands on the right of in only")
            case _:
                return ir.Judged(self._condition(node), BOOL)

    def _text_function(self, node: ast.Call) -> ir.Value:
        if node.name == "lower":
            text = self._text(node.arguments[0])
            return text if isinstance(text, ir.Lower) else ir.Lower(text, TEXT)
        value = self._value(node.arguments[0])
        if is_nothing(value):
            value = ir.Const(None, TEXT)
        if value.type.kind not in (TypeKind.TEXT, TypeKind.LIST):
            raise self._names.stop(node.at, "len takes a text or a list")
        return ir.Length(value, NUMBER)

    def _text(self, node: ast.Node) -> ir.Value:
        value = self._value(node)
        if value.type.kind is TypeKind.CLAIM:
            return as_claim(value, TEXT)
        if is_nothing(value):
            return ir.Const(None, TEXT)
        if value.type.kind is not TypeKind.TEXT:
            raise self._names.stop(node.at, f"this is a {value.type.kind}, not a text")
        return value


def _is_null(node: ast.Node) -> bool:
    return isinstance(node, ast.Literal) and node.value is None


def check_text(text: str, node: ast.Node, scope: Scope) -> tuple[ir.Condition, list[Mistake]]:
    """Return the meaning of a parsed text and its mistakes."""
    checker = Checker(text, scope)
    condition = checker.check(node)
    return condition, checker.mistakes
