"""A frozen app to its manifest: public fields and callable functions, no policy texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pylon.app.app import App
from pylon.app.functions import Function
from pylon.protocol.manifest import EntityManifest, FieldManifest, Manifest, RelationManifest
from pylon.schema.describe import ts_type
from pylon.schema.fieldtypes import to_wire
from pylon.schema.model import DefaultKind, Entity, Field, FieldKind, Schema
from pylon.schema.relations import relations_of


def build_manifest(
    app: App,
    schema: Schema,
    functions: Mapping[str, Function],
    hash_of: Callable[[Any], str],
) -> Manifest:
    """Return the manifest; its hash covers all but the version."""
    entities = [
        EntityManifest(
            name=entity.name,
            fields=[_field(one) for one in entity.public_fields],
            relations=_relations(schema, entity),
            sync=entity.sync,
            doc=entity.doc,
        )
        for entity in schema.entities.values()
    ]
    callable_ones = [one.manifest() for one in functions.values() if not one.is_internal]
    least = [app.min_client] if app.min_client else []
    content = msgspec.to_builtins([app.name, entities, callable_ones, *least])
    return Manifest(
        app=app.name, version=app.version, hash=hash_of(content), entities=entities,
        functions=callable_ones, min_client=app.min_client,
    )  # fmt: skip


def _relations(schema: Schema, entity: Entity) -> list[RelationManifest]:
    return [
        RelationManifest(name=name, entity=one.entity, field=one.field.name, many=one.is_back)
        for name, one in relations_of(schema, entity).items()
        if name == one.name
    ]


def _field(field: Field) -> FieldManifest:
    return FieldManifest(
        name=field.name,
        kind=field.kind.value,
        type=ts_type(field),
        nullable=field.nullable,
        required=field.is_required,
        immutable=field.immutable,
        guarded=field.read is not None,
        ref=field.ref,
        choices=list(field.choices) or None,
        scale=field.scale if field.kind is FieldKind.DECIMAL else None,
        default=_default(field),
        doc=field.doc,
    )


def _default(field: Field) -> dict[str, Any] | None:
    if field.default is None:
        return None
    match field.default.kind:
        case DefaultKind.LITERAL:
            return {"value": to_wire(field, field.default.value)}
        case DefaultKind.NOW:
            return {"now": True}
        case DefaultKind.ACTOR:
            return {"actor": True}
        case DefaultKind.FACTORY:
            return None
