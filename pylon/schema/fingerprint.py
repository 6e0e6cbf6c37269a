"""A schema as plain JSON and its hash: what the database remembers of the app it belongs to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pylon import jsonvalue
from pylon.schema.constraints import BOUNDS
from pylon.schema.model import Entity, Field, FieldKind, Index, OnDelete, Schema


def schema_to_json(schema: Schema) -> dict[str, Any]:
    """Return what of a schema decides how rows are stored, and which ones are accepted."""
    return {name: _entity_to_json(entity) for name, entity in schema.entities.items()}


def _entity_to_json(entity: Entity) -> dict[str, Any]:
    return {
        "fields": [
            {
                "name": one.name, "kind": one.kind.value, "nullable": one.nullable,
                "private": one.private, "choices": list(one.choices), "ref": one.ref,
                "on_delete": one.on_delete.value, "scale": one.scale,
                "item": one.item.value if one.item else None, "bounds": _bounds_to_json(one),
                "search": one in entity.searched_fields,
            }
            for one in entity.fields
        ],
        "indexes": [
            {"name": one.name, "fields": list(one.fields), "unique": one.unique}
            for one in entity.indexes
        ],
    }  # fmt: skip


def _bounds_to_json(field: Field) -> dict[str, str]:
    # As texts: JSON as others read it has no integers of any size, and no decimals.
    found = ((name, getattr(field, name)) for name in BOUNDS)
    return {name: str(value) for name, value in found if value is not None}


def _bounds_from_json(kind: FieldKind, stored: dict[str, str]) -> dict[str, Any]:
    return {name: _bound_from_text(kind, name, text) for name, text in stored.items()}


def _bound_from_text(kind: FieldKind, name: str, text: str) -> Any:
    if name == "pattern":
        return text
    if name in ("min_length", "max_length"):
        return int(text)
    if kind is FieldKind.DECIMAL:
        return Decimal(text)
    return int(text) if text.lstrip("-").isdigit() else float(text)


def schema_from_json(stored: dict[str, Any]) -> Schema:
    """Return the schema of `schema_to_json`; what it left out has its default.

    Of bounds that were never remembered nothing is known, so they read as none.
    """
    return Schema(
        entities={
            name: Entity(
                name=name,
                fields=tuple(
                    Field(
                        name=one["name"], kind=FieldKind(one["kind"]), nullable=one["nullable"],
                        private=one["private"], choices=tuple(one["choices"]), ref=one["ref"],
                        on_delete=OnDelete(one["on_delete"]), scale=one["scale"],
                        item=FieldKind(one["item"]) if one["item"] else None,
                        search=one.get("search", False),
                        **_bounds_from_json(FieldKind(one["kind"]), one.get("bounds", {})),
                    )
                    for one in entity["fields"]
                ),
                indexes=tuple(
                    Index(name=one["name"], fields=tuple(one["fields"]), unique=one["unique"])
                    for one in entity["indexes"]
                ),
            )
            for name, entity in stored.items()
        }
    )  # fmt: skip


def fingerprint(schema: Schema) -> str:
    """Return the hash of how a schema's rows are stored, and which ones are accepted."""
    return jsonvalue.stable_hash(schema_to_json(schema))
