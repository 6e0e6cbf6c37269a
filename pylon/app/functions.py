"""Functions of an app: what may be called, with which arguments, and what comes back."""

from __future__ import annotations

import datetime as dt
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import msgspec

from pylon.app.entities import Entity
from pylon.app.rows import AppRow, row_to_wire
from pylon.errors import Internal, InvalidArgument
from pylon.policy.compiled import CompiledPolicy
from pylon.protocol.manifest import ArgumentManifest, FunctionManifest
from pylon.schema.fieldtypes import canonical_datetime
from pylon.schema.model import FieldKind

_TYPESCRIPT = {
    str: "string", int: "number", float: "number", bool: "boolean", type(None): "null",
    dt.datetime: "string", dt.date: "string", Decimal: "string", bytes: "string",
    dict: "Record<string, unknown>", list: "unknown[]", Any: "unknown",
}  # fmt: skip
_POLICY_KINDS = {
    str: FieldKind.STR, int: FieldKind.INT, float: FieldKind.FLOAT, bool: FieldKind.BOOL,
    dt.datetime: FieldKind.DATETIME,
}  # fmt: skip


class FunctionKind(StrEnum):
    """The colour of a function, which says what it may do."""

    QUERY = "query"
    MUTATION = "mutation"
    ACTION = "action"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentSpec:
    """One argument: its type (Any where it has no annotation) and its default."""

    name: str
    type: Any
    default: Any = inspect.Parameter.empty

    @property
    def is_required(self) -> bool:
        """Tell whether a call must give it."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgSpec:
    """All arguments of a function and what it returns (Any where it does not say)."""

    arguments: tuple[ArgumentSpec, ...]
    returns: Any = Any

    def decode(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the typed arguments; raises InvalidArgument listing every problem."""
        problems: list[dict[str, str]] = []
        decoded: dict[str, Any] = {}
        for one in self.arguments:
            if one.name in args:
                try:
                    decoded[one.name] = msgspec.convert(args[one.name], one.type, strict=True)
                except msgspec.ValidationError as error:
                    problems.append({"field": one.name, "message": f"{one.name}: {error}"})
            elif one.is_required:
                problems.append({"field": one.name, "message": f"{one.name} is required"})
        known = {one.name for one in self.arguments}
        problems += [
            {"field": name, "message": f"there is no argument {name}"}
            for name in args
            if name not in known
        ]
        if problems:
            message = "; ".join(problem["message"] for problem in problems)
            raise InvalidArgument(message, field=problems[0]["field"], problems=problems)
        return decoded

    def encode_result(self, value: Any) -> Any:
        """Return the JSON value of a result; raises Internal where it is not what was declared."""
        wire = to_json(value)
        if self.returns is not Any and not _mentions_rows(self.returns):
            try:
                msgspec.convert(wire, self.returns, strict=True)
            except (msgspec.ValidationError, TypeError) as error:
                raise Internal(f"the function returned something else than it says: {error}") from (
                    error
                )
        return wire

    def policy_kinds(self) -> dict[str, FieldKind | None]:
        """Return the arguments' kinds as `allow` may compare them."""
        return {one.name: _POLICY_KINDS.get(one.type) for one in self.arguments}


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of the frozen app."""

    name: str
    kind: FunctionKind
    handler: Callable[..., Any]
    arguments: ArgSpec
    allow: CompiledPolicy | None = None
    is_internal: bool = False
    timeout_s: float | None = None
    doc: str | None = None

    def manifest(self) -> FunctionManifest:
        """Return what clients may know of the function."""
        return FunctionManifest(
            name=self.name,
            kind=self.kind.value,
            arguments=[
                ArgumentManifest(name=one.name, type=typescript(one.type), required=one.is_required)
                for one in self.arguments.arguments
            ],
            returns=typescript(self.arguments.returns),
            doc=self.doc,
        )


def to_json(value: Any) -> Any:
    """Return the JSON value of what a function returned; raises Internal for what has none."""
    match value:
        case None | bool() | int() | float() | str():
            return value.value if isinstance(value, Enum) else value
        case AppRow():
            return row_to_wire(value)
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [to_json(item) for item in value]
        case dt.datetime():
            return canonical_datetime(value)
        case dt.date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Enum():
            return to_json(value.value)
        case msgspec.Struct():
            return msgspec.to_builtins(value)
    if is_dataclass(value):
        return {one.name: to_json(getattr(value, one.name)) for one in fields(value)}
    raise Internal(f"a function returned a {type(value).__name__}, which has no JSON")


def typescript(kind: Any) -> str:
    """Return the TypeScript type of an annotation, as its JSON looks."""
    try:
        if kind in _TYPESCRIPT:
            return _TYPESCRIPT[kind]
    except TypeError:
        return "unknown"
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(typescript(part) for part in parts)
    if origin is typing.Literal:
        return " | ".join(f'"{part}"' if isinstance(part, str) else str(part) for part in parts)
    if origin in (list, tuple, set):
        return f"({typescript(parts[0])})[]" if parts else "unknown[]"
    if origin is dict:
        return f"Record<string, {typescript(parts[1])}>"
    if isinstance(kind, type) and issubclass(kind, Entity):
        return kind.__name__
    return "unknown"


def _mentions_rows(kind: Any) -> bool:
    if isinstance(kind, type) and issubclass(kind, Entity):
        return True
    return any(_mentions_rows(part) for part in typing.get_args(kind))
