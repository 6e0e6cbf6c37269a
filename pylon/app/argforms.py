"""The forms that arguments and results take: how each is decoded, encoded and described."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from pylon import jsonvalue
from pylon.app.annotations import AnnotationMistake
from pylon.app.rows import AppRow, row_to_wire
from pylon.app.tojson import to_json
from pylon.schema.decimals import parse_decimal
from pylon.schema.describe import field_json_schema, ts_name, ts_type
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.jsontree import check_json
from pylon.schema.model import Field, FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgType:
    """What one annotation takes and gives; decode and encode raise ValueError."""

    typescript: str
    schema: dict[str, Any]
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any]
    #: How a policy may compare it; None: not at all.
    kind: FieldKind | None = None


_COMPARABLE = frozenset(
    {FieldKind.STR, FieldKind.INT, FieldKind.FLOAT, FieldKind.BOOL, FieldKind.DATETIME,
     FieldKind.DATE, FieldKind.REF}
)  # fmt: skip
_NO_LISTS = (str, bytes, Mapping)

# --- scalars


def scalar(kind: FieldKind) -> ArgType:
    """Return the type of a kind of field."""
    field = Field(name="", kind=kind, ref="row" if kind is FieldKind.REF else None)
    form = FIELD_TYPES[kind]
    return ArgType(
        typescript=ts_type(field),
        schema=field_json_schema(field),
        decode=lambda value: form.to_app(field, form.parse(field, value)),
        encode=lambda value: form.to_wire(field, form.from_app(field, value)),
        kind=kind if kind in _COMPARABLE else None,
    )


def _anything(value: Any) -> Any:
    check_json(value)
    return value


ANYTHING: Final = ArgType(typescript="unknown", schema={}, decode=_anything, encode=to_json)


def _null(value: Any) -> None:
    if value is not None:
        raise ValueError("must be null")


NULL: Final = ArgType(typescript="null", schema={"type": "null"}, decode=_null, encode=_null)


def _decode_decimal(value: Any) -> Decimal:
    if type(value) is not str:
        raise ValueError('must be a decimal as text, such as "12.50"')
    return parse_decimal(value)


def _encode_decimal(value: Any) -> str:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise ValueError("must be a finite Decimal")
    return format(value, "f")


def _decode_object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError("must be an object")
    check_json(value)
    return value


def _encode_object(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("must be a dict")  # noqa: TRY004 -- one error type for all kinds
    return to_json(value)


OBJECT: Final = ArgType(
    typescript="Record<string, unknown>", schema={"type": "object"}, decode=_decode_object,
    encode=_encode_object,
)  # fmt: skip


# --- made of others


def union_of(parts: list[ArgType]) -> ArgType:
    """Return what is one of several types; the first that takes a value has it."""
    present = [part for part in parts if part is not NULL]
    if not present:
        return NULL
    takes_null = len(present) < len(parts)
    wanted = " or ".join(dict.fromkeys(part.typescript for part in parts))

    def attempt(value: Any, ways: list[Callable[[Any], Any]]) -> Any:
        if value is None and takes_null:
            return None
        if len(ways) == 1:
            return ways[0](value)
        for way in ways:
            try:
                return way(value)
            except ValueError:
                continue
        raise ValueError(f"must be {wanted}")

    decoders, encoders = [part.decode for part in present], [part.encode for part in present]
    return ArgType(
        typescript=" | ".join(dict.fromkeys(part.typescript for part in parts)),
        schema={"anyOf": [part.schema for part in parts]},
        decode=lambda value: attempt(value, decoders),
        encode=lambda value: attempt(value, encoders),
        kind=present[0].kind if len(present) == 1 else None,
    )


def literal_of(values: tuple[Any, ...]) -> ArgType:
    """Return the type of `Literal[…]`."""
    if not all(value is None or type(value) in (str, int, bool) for value in values):
        raise AnnotationMistake("a Literal has texts, whole numbers and bools only")
    shown = ", ".join(jsonvalue.encode_text(value) for value in values)

    def check(value: Any) -> Any:
        if isinstance(value, enum.Enum):
            value = value.value
        for one in values:
            if type(one) is type(value) and one == value:
                return one
        raise ValueError(f"must be one of {shown}")

    return ArgType(
        typescript=" | ".join(jsonvalue.encode_text(value) for value in values),
        schema={"enum": list(values)},
        decode=check,
        encode=check,
        kind=FieldKind.STR if all(isinstance(value, str) for value in values) else None,
    )


def enum_of(given: type[enum.Enum]) -> ArgType:
    """Return the type of an enum, whose members' values travel."""
    bare = literal_of(tuple(member.value for member in given))

    def encode(value: Any) -> Any:
        return bare.encode(value.value if isinstance(value, enum.Enum) else value)

    return dataclasses.replace(
        bare, decode=lambda value: given(bare.decode(value)), encode=encode, kind=None
    )


def list_of(item: ArgType, made: Any) -> ArgType:
    """Return a list of items; sets and tuples are lists in JSON."""
    make = made if made in (tuple, set, frozenset) else list

    def decode(value: Any) -> Any:
        if type(value) is not list:
            raise ValueError("must be a list")
        return make(_each(value, item.decode))

    def encode(value: Any) -> list[Any]:
        if not isinstance(value, collections.abc.Iterable) or isinstance(value, _NO_LISTS):
            raise ValueError("must be a list")  # noqa: TRY004
        return _each(value, item.encode)

    text = f"({item.typescript})[]" if "|" in item.typescript else f"{item.typescript}[]"
    return ArgType(
        typescript=text, schema={"type": "array", "items": item.schema}, decode=decode,
        encode=encode,
    )  # fmt: skip


def _each(values: Any, way: Callable[[Any], Any]) -> list[Any]:
    found = []
    for place, value in enumerate(values):
        try:
            found.append(way(value))
        except ValueError as error:
            raise ValueError(f"item {place} {error}") from None
    return found


def dict_of(value: ArgType) -> ArgType:
    """Return an object with values of one type."""

    def convert(given: Any, way: Callable[[Any], Any]) -> dict[str, Any]:
        return {
            _key(name): _member(f"at {name!r:.60}", one, way)
            for name, one in _mapping(given).items()
        }

    return ArgType(
        typescript=f"Record<string, {value.typescript}>",
        schema={"type": "object", "additionalProperties": value.schema},
        decode=lambda given: convert(given, value.decode),
        encode=lambda given: convert(given, value.encode),
    )


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"has a key that is no text: {name!r:.60}")  # noqa: TRY004
    check_json(str.__str__(name))
    return str.__str__(name)


def _mapping(given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        raise ValueError("must be an object")  # noqa: TRY004
    return given


def _member(where: str, value: Any, way: Callable[[Any], Any]) -> Any:
    try:
        return way(value)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from None


def typed_dict_of(given: type, members: dict[str, tuple[ArgType, bool]]) -> ArgType:
    """Return the type of a TypedDict, from its members."""
    return _record(given.__name__, members, dict, lambda value: dict(_mapping(value)))


def dataclass_of(given: type, members: dict[str, tuple[ArgType, bool]]) -> ArgType:
    """Return the type of a dataclass, from its members."""
    missing = dataclasses.MISSING
    known = {
        one.name: (members[one.name][0], one.default is missing and one.default_factory is missing)
        for one in dataclasses.fields(given)
        if one.init
    }

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, given):
            raise ValueError(f"must be a {given.__name__}")  # noqa: TRY004
        return {name: getattr(value, name) for name in known}

    return _record(given.__name__, known, given, read)


def _record(
    name: str, members: dict[str, tuple[ArgType, bool]], make: Callable[..., Any],
    read: Callable[[Any], dict[str, Any]],
) -> ArgType:  # fmt: skip
    def convert(given: Mapping[Any, Any], *, is_result: bool) -> dict[str, Any]:
        found = {}
        for one, (kind, is_required) in members.items():
            if one in given:
                way = kind.encode if is_result else kind.decode
                found[one] = _member(f"at {one!r}", given[one], way)
            elif is_required:
                raise ValueError(f"needs {one!r}")
        unknown = [one for one in given if one not in members]
        if unknown:
            raise ValueError(f"has no {unknown[0]!r:.60} in {name}")
        return found

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise ValueError("must be an object")
        return make(**convert(value, is_result=False))

    parts = [
        f"{one}{'' if is_required else '?'}: {kind.typescript}"
        for one, (kind, is_required) in members.items()
    ]
    schema = {
        "type": "object",
        "properties": {one: kind.schema for one, (kind, _) in members.items()},
        "required": [one for one, (_, is_required) in members.items() if is_required],
        "additionalProperties": False,
    }
    return ArgType(
        typescript="{ " + "; ".join(parts) + " }",
        schema=schema,
        decode=decode,
        encode=lambda value: convert(read(value), is_result=True),
    )


def struct_of(given: type[msgspec.Struct]) -> ArgType:
    """Return the type of a msgspec.Struct."""

    def decode(value: Any) -> Any:
        check_json(value)
        return msgspec.convert(value, given, strict=True)  # its error is a ValueError

    def encode(value: Any) -> Any:
        if not isinstance(value, given):
            raise ValueError(f"must be a {given.__name__}")  # noqa: TRY004
        return _anything(msgspec.to_builtins(value))

    return ArgType(typescript="unknown", schema={"type": "object"}, decode=decode, encode=encode)


def row_of(entity: str) -> ArgType:
    """Return rows of an entity, as results."""

    def encode(value: Any) -> Any:
        if not isinstance(value, AppRow) or value._entity.name != entity:
            raise ValueError(f"must be a row of {entity}")
        return row_to_wire(value)

    return ArgType(
        typescript=ts_name(entity),
        schema={"$ref": f"#/components/schemas/{entity}"},
        decode=_null,
        encode=encode,
    )


DECIMAL: Final = ArgType(
    typescript="string", schema={"type": "string"}, decode=_decode_decimal, encode=_encode_decimal
)
