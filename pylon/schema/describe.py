"""Fields and entities as others describe types: TypeScript and JSON Schema of their JSON."""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue, limits
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.files import FILE_SCHEMA
from pylon.schema.model import Entity, Field, FieldKind

_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_SEQ = {"type": "integer", "minimum": 1, "description": "The number of the row's last change."}
_SAFE = {"minimum": -limits.SAFE_INTEGER_MAX, "maximum": limits.SAFE_INTEGER_MAX}

#: Names that TypeScript, or the generated file, has for something else.
_TAKEN = frozenset(
    """
    any as async await bigint boolean break case catch class const continue debugger declare default
    delete do else enum export extends false finally for from function get if implements import in
    infer instanceof interface is keyof let module namespace never new null number object of package
    private protected public readonly require return set static string super switch symbol this
    throw true try type typeof undefined unique unknown var void while with yield
    App Array Date Promise Readonly ReadonlyArray Record RefusalCode
    """.split()  # noqa: SIM905 -- eighty names read better as words
)


def ts_name(entity: str) -> str:
    """Return the name of an entity's rows in TypeScript: its own, unless that is taken.

    An entity that has the name which another one would get, `Date_`, gets a longer one, too.
    """
    return f"{entity}_" if entity.rstrip("_") in _TAKEN else entity


def ts_type(field: Field) -> str:
    """Return the TypeScript type of the field's JSON."""
    text = _ts_of(field.kind, field)
    return f"{text} | null" if field.nullable else text


def _ts_of(kind: FieldKind, field: Field) -> str:
    if kind is FieldKind.ENUM:
        return " | ".join(jsonvalue.encode_text(choice) for choice in field.choices)
    if kind is FieldKind.LIST and field.item is not None:
        item = _ts_of(field.item, field)
        return f"({item})[]" if "|" in item else f"{item}[]"
    return FIELD_TYPES[kind].typescript


def json_schema(entity: Entity) -> dict[str, Any]:
    """Return the JSON Schema of an entity's rows as clients read them: public fields only."""
    properties = {one.name: field_json_schema(one) for one in entity.public_fields}
    schema: dict[str, Any] = {
        "type": "object",
        "title": entity.name,
        "properties": {"id": dict(_ID), **properties, "_seq": dict(_SEQ)},
        "required": ["id", *(one.name for one in entity.public_fields if one.read is None), "_seq"],
    }
    if entity.doc:
        schema["description"] = entity.doc
    return schema


def insert_json_schema(entity: Entity) -> dict[str, Any]:
    """Return the JSON Schema of an insert: what must and may be given, private fields too."""
    return _input(entity, entity.fields, [one.name for one in entity.fields if one.is_required])


def patch_json_schema(entity: Entity) -> dict[str, Any]:
    """Return the JSON Schema of an update: any of the fields that may change."""
    changeable = tuple(one for one in entity.fields if not one.immutable)
    return _input(entity, changeable, [], has_id=False)


def _input(
    entity: Entity, fields: tuple[Field, ...], required: list[str], *, has_id: bool = True
) -> dict[str, Any]:
    properties = {one.name: field_json_schema(one) for one in fields}
    schema: dict[str, Any] = {
        "type": "object",
        "title": entity.name,
        "properties": {"id": dict(_ID), **properties} if has_id else properties,
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    return schema


def field_json_schema(field: Field) -> dict[str, Any]:
    """Return the JSON Schema of one field's JSON, with its bounds."""
    schema = _schema_of(field.kind, field)
    _add_bounds(schema, field)
    if field.nullable:
        schema = _nullable(schema)
    if field.doc:
        schema["description"] = field.doc
    return schema


_FIXED: dict[FieldKind, dict[str, Any]] = {
    FieldKind.STR: {"type": "string"},
    FieldKind.TEXT: {"type": "string"},
    FieldKind.INT: {"type": "integer", **_SAFE},
    FieldKind.BIGINT: {"type": "string", "pattern": "^-?(0|[1-9][0-9]{0,18})$"},
    FieldKind.FLOAT: {"type": "number"},
    FieldKind.BOOL: {"type": "boolean"},
    FieldKind.DATETIME: {"type": "string", "format": "date-time"},
    FieldKind.DATE: {"type": "string", "format": "date"},
    FieldKind.OBJECT: {"type": "object"},
    FieldKind.JSON: {},
    FieldKind.BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldKind.FILE: FILE_SCHEMA,
}
#: By kind, the words for min, max, min_length and max_length.
_BOUNDS: dict[FieldKind, tuple[str, ...]] = {
    FieldKind.INT: ("minimum", "maximum"),
    FieldKind.FLOAT: ("minimum", "maximum"),
    FieldKind.LIST: ("", "", "minItems", "maxItems"),
    FieldKind.STR: ("", "", "minLength", "maxLength"),
    FieldKind.TEXT: ("", "", "minLength", "maxLength"),
}


def _schema_of(kind: FieldKind, field: Field) -> dict[str, Any]:
    match kind:
        case FieldKind.DECIMAL:
            fraction = f"(\\.[0-9]{{1,{field.scale}}})?" if field.scale else ""
            return {"type": "string", "pattern": f"^-?(0|[1-9][0-9]{{0,18}}){fraction}$"}
        case FieldKind.ENUM:
            return {"type": "string", "enum": list(field.choices)}
        case FieldKind.REF:
            return {**_ID, "description": f"The id of a {field.ref}."}
        case FieldKind.LIST:
            item = _schema_of(field.item, field) if field.item is not None else {}
            return {"type": "array", "items": item}
        case _:
            return dict(_FIXED[kind])


def _add_bounds(schema: dict[str, Any], field: Field) -> None:
    bounds = (field.min, field.max, field.min_length, field.max_length)
    words = zip(_BOUNDS.get(field.kind, ()), bounds, strict=False)
    schema.update({word: bound for word, bound in words if word and bound is not None})
    if field.pattern is not None:
        schema["pattern"] = f"^(?:{field.pattern})$"


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return {**schema, "type": ["string", "null"], "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else schema


__all__ = [
    "field_json_schema", "insert_json_schema", "json_schema", "patch_json_schema",
    "ts_name", "ts_type",
]  # fmt: skip
