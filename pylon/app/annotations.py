"""One annotation to one kind of field, evaluated alone, so that one bad name hides no other.

The class's own namespace is not looked into: a field called `list` must not break `list[str]`.
"""

from __future__ import annotations

import ast
import builtins
import datetime as dt
import enum
import types
import typing
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pylon
from pylon.app import fields
from pylon.policy.mistakes import nearest
from pylon.schema.jsontree import check_text
from pylon.schema.model import FieldKind


class AnnotationMistake(Exception):
    """An annotation that is no field's; the message says why."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShape:
    """What an annotation says of a field."""

    kind: FieldKind
    nullable: bool = False
    ref: str | None = None
    choices: tuple[str, ...] = ()
    enum_class: type | None = None
    item: FieldKind | None = None


_SIMPLE: dict[Any, FieldKind] = {
    str: FieldKind.STR, int: FieldKind.INT, float: FieldKind.FLOAT, bool: FieldKind.BOOL,
    fields.File: FieldKind.FILE,
    bytes: FieldKind.BYTES, Decimal: FieldKind.DECIMAL, dt.datetime: FieldKind.DATETIME,
    dt.date: FieldKind.DATE, dict: FieldKind.OBJECT, list: FieldKind.LIST,
    fields.Text: FieldKind.TEXT, fields.BigInt: FieldKind.BIGINT, fields.Json: FieldKind.JSON,
    Any: FieldKind.JSON,
}  # fmt: skip
_ITEMS = frozenset(
    {FieldKind.STR, FieldKind.TEXT, FieldKind.INT, FieldKind.FLOAT, FieldKind.BOOL,
     FieldKind.DATETIME, FieldKind.DATE, FieldKind.ENUM, FieldKind.OBJECT, FieldKind.JSON}
)  # fmt: skip
_KNOWN = ("str", "Text", "int", "BigInt", "float", "Decimal", "bool", "datetime", "date",
          "Literal", "Ref", "list", "dict", "Json", "bytes")  # fmt: skip


def is_kind(value: object) -> bool:
    """Tell whether a value is one of the types that fields are annotated with."""
    return isinstance(value, type | typing.NewType) and value in _SIMPLE


def shape_of(node: ast.expr, names: dict[str, Any]) -> FieldShape:
    """Return the shape of an annotation; raises AnnotationMistake.

    Args:
        node: the annotation as written.
        names: the module's globals.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return shape_of(parsed(node.value), names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _one_or_none((node.left, node.right), names)
    if isinstance(node, ast.Subscript):
        match _name_of(node.value):
            case "Optional":
                return replace(shape_of(node.slice, names), nullable=True)
            case "Union" if isinstance(node.slice, ast.Tuple):
                return _one_or_none(tuple(node.slice.elts), names)
            case "Ref":
                return FieldShape(kind=FieldKind.REF, ref=_ref_name(node.slice))
            case "list" | "List":
                return _list_shape(node.slice, names)
            case _:
                pass
    return _shape_of_value(evaluated(node, names), ast.unparse(node))


def parsed(text: str) -> ast.expr:
    """Return the expression of an annotation's text; raises AnnotationMistake."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise AnnotationMistake(f"{text!r} is no type") from None


def evaluated(node: ast.expr, names: dict[str, Any]) -> Any:
    """Return the value of an annotation; raises AnnotationMistake with the nearest known name."""
    scope = {**vars(builtins), **names}
    for name in ("Ref", "Text", "BigInt", "Json", "File"):
        scope.setdefault(name, getattr(fields, name))
    text = ast.unparse(node)
    try:
        return eval(compile(ast.Expression(node), "<annotation>", "eval"), scope)  # noqa: S307
    except NameError as error:
        name = error.name or text
        raise AnnotationMistake(f"{name} is not defined", _near(name, names)) from None
    except Exception as error:  # noqa: BLE001 -- whatever the app's annotation does
        raise AnnotationMistake(f"{text} is no type: {error}") from None


def _near(name: str, names: dict[str, Any]) -> str | None:
    usual = {"datetime": "from datetime import datetime", "date": "from datetime import date",
             "Decimal": "from decimal import Decimal", "Literal": "from typing import Literal",
             "Any": "from typing import Any", "Enum": "from enum import Enum"}  # fmt: skip
    if name in pylon.__all__ and name not in names:
        return f"from pylon import {name}"
    return usual.get(name) or nearest(name, [*names, *_KNOWN])


def _one_or_none(parts: tuple[ast.expr, ...], names: dict[str, Any]) -> FieldShape:
    present = [part for part in parts if not _is_none(part)]
    if len(present) != 1:
        raise AnnotationMistake("a field has one type, and perhaps None beside it")
    return replace(shape_of(present[0], names), nullable=len(present) < len(parts))


def _shape_of_value(value: Any, text: str) -> FieldShape:
    if value is fields.Ref:
        raise AnnotationMistake("Ref names its entity", 'write Ref["Channel"]')
    try:
        kind = _SIMPLE.get(value)
    except TypeError:
        kind = None
    if kind is not None:
        return FieldShape(kind=kind)
    if typing.get_origin(value) is typing.Literal:
        choices = typing.get_args(value)
        if not all(isinstance(choice, str) for choice in choices):
            raise AnnotationMistake("a Literal field has texts only", _none_beside(choices))
        _check_choices(choices)
        return FieldShape(kind=FieldKind.ENUM, choices=choices)
    if isinstance(value, type) and issubclass(value, enum.Enum):
        choices = tuple(member.value for member in value)
        if not all(isinstance(choice, str) for choice in choices):
            raise AnnotationMistake(f"{value.__name__} has members that are no text")
        if not choices:
            raise AnnotationMistake(f"{value.__name__} has no members")
        _check_choices(choices)
        return FieldShape(kind=FieldKind.ENUM, choices=choices, enum_class=value)
    if typing.get_origin(value) is dict:
        return FieldShape(kind=FieldKind.OBJECT)
    if isinstance(value, types.UnionType) or typing.get_origin(value) is typing.Union:
        return _shape_of_union(value, text)
    raise AnnotationMistake(
        f"{text} is not a type that a field can have", f"there are {', '.join(_KNOWN)}"
    )


def _none_beside(choices: tuple[Any, ...]) -> str | None:
    return "write Literal[…] | None" if None in choices else None


def _check_choices(choices: tuple[str, ...]) -> None:
    for one in choices:
        try:
            check_text(one)
        except ValueError as error:
            raise AnnotationMistake(f"the choice {one!r:.60} {error}") from None


def _shape_of_union(value: Any, text: str) -> FieldShape:
    """Return the shape of a union that stands behind a name, such as `Maybe = str | None`."""
    parts = [part for part in typing.get_args(value) if part is not type(None)]
    if len(parts) != 1:
        raise AnnotationMistake("a field has one type, and perhaps None beside it")
    nullable = len(parts) < len(typing.get_args(value))
    return replace(_shape_of_value(parts[0], text), nullable=nullable)


def _list_shape(node: ast.expr, names: dict[str, Any]) -> FieldShape:
    item = shape_of(node, names)
    if item.kind not in _ITEMS or item.nullable:
        raise AnnotationMistake(f"a list can't hold {ast.unparse(node)}")
    kind = FieldKind.JSON if item.kind is FieldKind.OBJECT else item.kind
    return FieldShape(
        kind=FieldKind.LIST, item=kind, choices=item.choices, enum_class=item.enum_class
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _ref_name(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    name = _name_of(node)
    if not name:
        raise AnnotationMistake("Ref takes the name of an entity", 'write Ref["Channel"]')
    return name
