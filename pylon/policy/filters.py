"""Filters: the JSON object of the API, and expression text, into the policies' own meaning.

A field that does not exist and one that the caller may not see are refused in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.policy import ir
from pylon.policy.compiled import CompiledFilter, PolicyMistakes, compile_expression
from pylon.policy.ir import TypeKind
from pylon.policy.mistakes import nearest
from pylon.policy.names import Scope
from pylon.policy.types import TEXT, type_of_field
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.jsontree import check_json
from pylon.schema.model import Entity, Field, FieldKind, Schema

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_OPERATORS = frozenset({*_COMPARISONS, "in", "not in", "contains", "startsWith"})
_ID = Field(name="id", kind=FieldKind.STR)


def compile_filter(
    where: Any, *, entity: Entity, hidden: frozenset[str] = frozenset()
) -> CompiledFilter:
    """Return the compiled filter object; raises InvalidArgument naming field or operator.

    Args:
        where: the JSON object; None or {} selects all.
        entity: whose rows are filtered.
        hidden: names beside the private fields that the caller must not use.
    """
    builder = _Builder(entity, hidden)
    condition = ir.Constant(value=True) if where is None else builder.build(where, 1)
    return CompiledFilter("", condition, f"filter on {entity.name}")


def compile_filter_text(
    text: str, *, entity: Entity, schema: Schema, args: Mapping[str, Any] | None = None,
    hidden: Mapping[str, frozenset[str]] | None = None,
) -> CompiledFilter:  # fmt: skip
    """Return the compiled filter expression; raises InvalidArgument with every mistake.

    Args:
        text: the expression; a bare name is a field, `args.x` stands for its value.
        entity: whose rows are filtered.
        schema: where the entities of `exists` are.
        args: JSON values by name; one that is null is absent, so what compares it is unknown.
        hidden: by entity, names beside the private fields that the caller must not use.
    """
    _check_given(args or {})
    scope = Scope(
        schema=schema, entity=entity, given=args or {}, hidden=hidden or {}, hides_private=True,
        where="filter",
    )  # fmt: skip
    try:
        condition = compile_expression(text, scope)
    except PolicyMistakes as mistakes:
        first = mistakes.mistakes[0]
        raise InvalidArgument(
            "\n".join(mistake.render() for mistake in mistakes.mistakes), hint=first.hint,
            field="where", at=first.at,
        ) from mistakes  # fmt: skip
    return CompiledFilter(text, condition, f"filter on {entity.name}")


def _check_given(args: Mapping[str, Any]) -> None:
    for name, value in args.items():
        try:
            check_json(list(value) if isinstance(value, tuple) else value)
        except ValueError as error:
            raise InvalidArgument(f"the argument {name} {error}", field=name) from None
        if isinstance(value, list | tuple) and len(value) > limits.FILTER_LIST_MAX:
            raise InvalidArgument(
                f"the argument {name} has more than {limits.FILTER_LIST_MAX} items", field=name
            )


class _Builder:
    def __init__(self, entity: Entity, hidden: frozenset[str]) -> None:
        self._entity = entity
        self._hidden = hidden
        self._terms = 0

    def build(self, where: Any, depth: int) -> ir.Condition:
        if depth > limits.FILTER_DEPTH_MAX:
            raise InvalidArgument(
                f"a filter has at most {limits.FILTER_DEPTH_MAX} levels", field="where"
            )
        if not isinstance(where, dict):
            raise InvalidArgument("a filter is an object", field="where")
        parts = [self._member(name, value, depth) for name, value in where.items()]
        if not parts:
            return ir.Constant(value=True)
        return parts[0] if len(parts) == 1 else ir.Conjunction(tuple(parts))

    def _member(self, name: str, value: Any, depth: int) -> ir.Condition:
        if name == "not":
            return ir.Negation(self.build(value, depth + 1))
        if name in ("and", "or"):
            if not isinstance(value, list):
                raise InvalidArgument(f"{name} takes a list of filters", field=name)
            parts = tuple(self.build(item, depth + 1) for item in value)
            if not parts:
                return ir.Constant(value=name == "and")
            return ir.Conjunction(parts) if name == "and" else ir.Disjunction(parts)
        field = self._field(name)
        if isinstance(value, dict):
            if not value:
                raise InvalidArgument(f"{name} has no operator", field=name)
            terms = tuple(self._term(field, op, operand) for op, operand in value.items())
            return terms[0] if len(terms) == 1 else ir.Conjunction(terms)
        return self._term(field, "==", value)

    def _field(self, name: str) -> Field:
        if name == "id":
            return _ID
        field = self._entity.by_name.get(name)
        if field is None or field.private or name in self._hidden:
            known = [
                one.name
                for one in self._entity.fields
                if not one.private and one.name not in self._hidden
            ]
            raise InvalidArgument(
                f"{self._entity.name} has no field {name}", field=name, hint=nearest(name, known)
            )
        return field

    def _term(self, field: Field, op: str, operand: Any) -> ir.Condition:
        self._terms += 1
        if self._terms > limits.FILTER_TERMS_MAX:
            raise InvalidArgument(
                f"a filter has at most {limits.FILTER_TERMS_MAX} terms", field="where"
            )
        if op not in _OPERATORS:
            raise InvalidArgument(f"there is no operator {op}", field=field.name)
        column = ir.Column("data", field.name, type_of_field(field), nullable=True,
                           field_kind=field.kind)  # fmt: skip
        if op in _COMPARISONS:
            return self._comparison(column, field, op, operand)
        if op in ("in", "not in"):
            return self._in(column, field, op, operand)
        return self._text_test(column, field, op, operand)

    def _comparison(self, column: ir.Column, field: Field, op: str, value: Any) -> ir.Condition:
        if value is None:
            if op not in ("==", "!="):
                raise InvalidArgument(f"{field.name}: null has no order", field=field.name)
            absent = ir.Absent(column)
            return absent if op == "==" else ir.Negation(absent)
        if column.type.kind in (TypeKind.OPAQUE, TypeKind.LIST):
            raise InvalidArgument(f"{field.name} can only be compared with null", field=field.name)
        if column.type.kind is TypeKind.BOOL and op not in ("==", "!="):
            raise InvalidArgument(f"{field.name}: true and false have no order", field=field.name)
        return ir.Cmp(op, column, self._const(column, field, value))

    def _in(self, column: ir.Column, field: Field, op: str, values: Any) -> ir.Condition:
        if not isinstance(values, list):
            raise InvalidArgument(f"{field.name}: {op} takes a list", field=field.name)
        if len(values) > limits.FILTER_LIST_MAX:
            raise InvalidArgument(
                f"{field.name}: a list has at most {limits.FILTER_LIST_MAX} items",
                field=field.name,
            )
        if column.type.kind in (TypeKind.OPAQUE, TypeKind.LIST):
            raise InvalidArgument(f"{field.name} can't stand in a list", field=field.name)
        items = tuple(self._const(column, field, value) for value in values if value is not None)
        found: ir.Condition = ir.Member(column, items)
        if len(items) != len(values):
            found = ir.Disjunction((found, ir.Constant(value=None)))
        return ir.Negation(found) if op == "not in" else found

    def _text_test(self, column: ir.Column, field: Field, op: str, value: Any) -> ir.Condition:
        if op == "contains" and column.type.kind is TypeKind.LIST:
            if column.type.item is None or field.item is None:
                raise InvalidArgument(f"{field.name} can't be searched", field=field.name)
            parsed = self._parsed(field, field.item, value)
            return ir.MemberOf(ir.Const(parsed, type_of_field(_typed(field, field.item))), column)
        if column.type.kind is not TypeKind.TEXT or not isinstance(value, str):
            raise InvalidArgument(f"{field.name}: {op} takes a text", field=field.name)
        part = self._parsed(field, FieldKind.STR, value)
        return ir.TextTest(is_prefix=op == "startsWith", text=column, part=ir.Const(part, TEXT))

    def _const(self, column: ir.Column, field: Field, value: Any) -> ir.Const:
        return ir.Const(self._parsed(field, field.kind, value), column.type)

    def _parsed(self, field: Field, kind: FieldKind, value: Any) -> Any:
        if kind is FieldKind.FLOAT and type(value) is int:
            # Compared as the integer it is, where SQLite has one of that size.
            return value if -(2**63) <= value < 2**63 else float(value)
        try:
            return FIELD_TYPES[kind].parse(field, value)
        except ValueError as error:
            raise InvalidArgument(f"{field.name} {error}", field=field.name) from error


def _typed(field: Field, kind: FieldKind) -> Field:
    return Field(name=field.name, kind=kind, choices=field.choices)
