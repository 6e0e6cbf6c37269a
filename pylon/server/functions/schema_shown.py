"""A schema as the owner sees it: fields, indexes with their uses, and the plan of a migration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylon.schema.model import Entity, Field, Index, Schema
from pylon.server.storage.migration_plan import changes_copies, make_plan
from pylon.server.storage.tables import index_name, reference_indexes
from pylon.sqlite import RawConnection


def entities_shown(schema: Schema, uses: Mapping[str, int] | None) -> list[dict[str, Any]]:
    """Return every entity as JSON; `uses` are by index, None: nobody counted."""
    return [_entity(one, uses) for one in schema.entities.values()]


def _entity(entity: Entity, uses: Mapping[str, int] | None) -> dict[str, Any]:
    declared = set(entity.indexes)
    return {
        "name": entity.name,
        "fields": [_field(one) for one in entity.fields],
        "indexes": [
            _index(entity, one, uses, is_declared=one in declared)
            for one in (*entity.indexes, *reference_indexes(entity))
        ],
    }


def _field(field: Field) -> dict[str, Any]:
    words = [
        word
        for word, is_so in (
            ("unique", field.unique), ("immutable", field.immutable), ("private", field.private),
            ("searched", field.search), ("read by a policy of its own", field.read is not None),
        )
        if is_so
    ]  # fmt: skip
    kind = str(field.kind.value)
    if field.ref is not None:
        kind = f"Ref[{field.ref}]"
        words.append(f"on delete {field.on_delete.value}")
    if field.choices:
        kind = " | ".join(field.choices)
    if field.item is not None:
        kind = f"list[{field.item.value}]"
    default = None if field.default is None else str(field.default.kind.value)
    return {"name": field.name, "kind": kind, "nullable": field.nullable, "default": default,
            "words": words}  # fmt: skip


def _index(
    entity: Entity, index: Index, uses: Mapping[str, int] | None, *, is_declared: bool
) -> dict[str, Any]:
    return {
        "name": index.name, "fields": list(index.fields), "unique": index.unique,
        # One of a Ref that nobody declared: deletes look there for who refers.
        "is_declared": is_declared,
        "uses": None if uses is None else uses.get(index_name(entity, index), 0),
    }  # fmt: skip


def plan_shown(raw: RawConnection, schema: Schema) -> dict[str, Any]:
    """Return the plan from the database to a schema as JSON, with the steps that resync clients."""
    plan = make_plan(raw, schema)
    return {
        "text": plan.render(), "hash": plan.hash,
        "steps": [{"what": one.description, "safety": str(one.safety)} for one in plan.steps],
        "blockers": list(plan.blockers), "losses": list(plan.losses),
        "breaches": list(plan.breaches), "needs_consent": plan.needs_consent,
        "resync": [one.description for one in plan.steps if changes_copies(raw, one, schema)],
    }  # fmt: skip
