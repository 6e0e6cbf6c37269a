"""Annotations of a function's arguments and result: JSON to Python, Python to JSON, checked.

Scalars are those of fields (`schema.fieldtypes`) and are refused in the same words: True is not
1, times have an offset, integers lie within ±(2^53-1).
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import enum
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from pylon.app import fields
from pylon.app.annotations import AnnotationMistake, evaluated, parsed
from pylon.app.argforms import (
    ANYTHING,
    DECIMAL,
    NULL,
    OBJECT,
    ArgType,
    dataclass_of,
    dict_of,
    enum_of,
    list_of,
    literal_of,
    row_of,
    scalar,
    struct_of,
    typed_dict_of,
    union_of,
)
from pylon.app.entities import Entity
from pylon.app.rows import AppRow
from pylon.schema.model import FieldKind

_SCALARS: dict[Any, FieldKind] = {
    str: FieldKind.STR, int: FieldKind.INT, float: FieldKind.FLOAT, bool: FieldKind.BOOL,
    bytes: FieldKind.BYTES, dt.datetime: FieldKind.DATETIME, dt.date: FieldKind.DATE,
    fields.Text: FieldKind.STR, fields.BigInt: FieldKind.BIGINT, fields.Ref: FieldKind.REF,
}  # fmt: skip
_STREAMS = (
    collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator,
    collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator,
)  # fmt: skip
_ASYNC_STREAMS = _STREAMS[:3]
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence)


def arg_type(given: Any, names: Mapping[str, Any], *, is_result: bool = False) -> ArgType:
    """Return the type of an annotation; raises AnnotationMistake for what can't travel.

    Args:
        given: the annotation, evaluated or as text.
        names: what its texts are evaluated in: the module's globals and the entities.
        is_result: it is what the function returns; entities stand for their rows.
    """
    return _Reader(names, is_result).read(given)


def part_type(given: Any, names: Mapping[str, Any]) -> ArgType:
    """Return the type of what an action yields, from the annotation of its result."""
    return _Reader(names, is_result=True).read_part(given)


@dataclass(frozen=True, slots=True)
class _Reader:
    names: Mapping[str, Any]
    is_result: bool

    def read(self, given: Any) -> ArgType:
        if isinstance(given, typing.ForwardRef):
            given = given.__forward_arg__
        if isinstance(given, str):
            return self.read(evaluated(parsed(given), dict(self.names)))
        if given is None or given is type(None):
            return NULL
        if given in (Any, object, fields.Json):
            return ANYTHING
        if isinstance(given, collections.abc.Hashable) and given in _SCALARS:
            return scalar(_SCALARS[given])
        if given is Decimal:
            return DECIMAL
        if given is dict:
            return OBJECT
        if given in _LISTS:
            return list_of(ANYTHING, given)
        origin = typing.get_origin(given)
        return self._generic(given, origin) if origin is not None else self._class(given)

    def read_part(self, given: Any) -> ArgType:
        if isinstance(given, str):
            return self.read_part(evaluated(parsed(given), dict(self.names)))
        parts = typing.get_args(given)
        if typing.get_origin(given) in _ASYNC_STREAMS and parts:
            return self.read(parts[0])
        if given in _ASYNC_STREAMS:
            return ANYTHING
        raise AnnotationMistake(
            "an action that yields returns a stream", "write AsyncIterator[…] of what it yields"
        )

    def _generic(self, given: Any, origin: Any) -> ArgType:
        parts = typing.get_args(given)
        if origin in (typing.Union, types.UnionType):
            return union_of([self.read(part) for part in parts])
        if origin is typing.Literal:
            return literal_of(parts)
        if origin in _LISTS:
            if origin is tuple and (len(parts) != 2 or parts[1] is not Ellipsis):
                raise AnnotationMistake("a tuple has no JSON of its own", "write list[…]")
            return list_of(self.read(parts[0]), origin)
        if origin in (dict, collections.abc.Mapping):
            key, value = parts
            if self.read(key).schema.get("type") != "string":
                raise AnnotationMistake("the keys of an object are texts", "write dict[str, …]")
            return dict_of(self.read(value))
        if self.is_result and origin in _STREAMS:
            return list_of(self.read(parts[0]), list)
        return self._unknown(given)

    def _class(self, given: Any) -> ArgType:
        if not isinstance(given, type):
            return self._unknown(given)
        if issubclass(given, Entity):
            if self.is_result:
                return row_of(given.__name__)
            raise AnnotationMistake(
                f"{given.__name__} is a row; take its id", f'write Ref["{given.__name__}"]'
            )
        if issubclass(given, AppRow) and self.is_result:
            return ANYTHING
        if given is fields.File:
            if self.is_result:
                return dataclass_of(given, self._members(given))
            raise AnnotationMistake("a function takes a file by its id", "write str")
        if issubclass(given, enum.Enum):
            return enum_of(given)
        if typing.is_typeddict(given):
            return typed_dict_of(given, self._members(given))
        if dataclasses.is_dataclass(given):
            return dataclass_of(given, self._members(given))
        if issubclass(given, msgspec.Struct):
            return struct_of(given)
        return self._unknown(given)

    def _members(self, given: type) -> dict[str, tuple[ArgType, bool]]:
        """Return the members of a class by name, with whether each must be given."""
        try:
            hints = typing.get_type_hints(given, localns=dict(self.names), include_extras=True)
        except Exception as error:  # noqa: BLE001 -- whatever the app's annotation does
            raise AnnotationMistake(f"{given.__name__}: {error}") from None
        members = {}
        for name, hint in hints.items():
            origin = typing.get_origin(hint)
            is_required = origin is typing.Required or (
                origin is not typing.NotRequired and getattr(given, "__total__", True)
            )
            bare = typing.get_args(hint)[0] if origin in _WRAPPERS else hint
            members[name] = (self.read(bare), is_required)
        return members

    def _unknown(self, given: Any) -> ArgType:
        name = getattr(given, "__name__", None) or str(given)
        raise AnnotationMistake(
            f"{name} can't travel as JSON",
            "there are str, int, float, bool, datetime, date, Decimal, bytes, Ref, Literal, enums,"
            " list, dict, TypedDict, dataclasses, and entities as results",
        )


_WRAPPERS = (typing.Required, typing.NotRequired)


__all__ = ["ANYTHING", "ArgType", "arg_type", "part_type"]
