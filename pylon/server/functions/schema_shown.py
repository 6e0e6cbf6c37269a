"""A schema as the owner sees it: fields, indexes with their uses, and the plan of a migration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.app.migrationfiles import MigrationFile
from pylon.schema.fieldtypes import to_wire
from pylon.schema.model import DefaultKind, Entity, Field, Index, Schema
from pylon.server.functions.data_migrations import waiting_files
from pylon.server.functions.next_code import Seen, code_under
from pylon.server.storage.migration_plan import changes_copies, make_plan, stored_schema
from pylon.server.storage.tables import index_name, reference_indexes
from pylon.sqlite import RawConnection

#: The longest value of a default that is shown.
_DEFAULT_MAX: Final = 200


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
    return {
        "name": field.name, "kind": kind, "nullable": field.nullable,
        "default": _default_words(field), "words": words,
    }  # fmt: skip


def _default_words(field: Field) -> str | None:
    """Return a default as it is written: a value as JSON, else where it comes from."""
    default = field.default
    if default is None or (default.kind is DefaultKind.LITERAL and default.value is None):
        return None  # a field that may be null is null where nothing is given
    if default.kind is not DefaultKind.LITERAL:
        return str(default.kind.value)
    text = jsonvalue.encode_text(to_wire(field, default.value))
    return text if len(text) <= _DEFAULT_MAX else f"{text[:_DEFAULT_MAX]}…"


def _index(
    entity: Entity, index: Index, uses: Mapping[str, int] | None, *, is_declared: bool
) -> dict[str, Any]:
    return {
        "name": index.name, "fields": list(index.fields), "unique": index.unique,
        # One of a Ref that nobody declared: deletes look there for who refers.
        "is_declared": is_declared,
        "uses": None if uses is None else uses.get(index_name(entity, index), 0),
    }  # fmt: skip


def plan_shown(
    raw: RawConnection, next_app: AppDefinition, files: Sequence[MigrationFile],
    seen: Mapping[str, Seen],
) -> dict[str, Any]:  # fmt: skip
    """Return the plan from the database to an app as JSON, with what it takes from whom.

    Args:
        raw: the database.
        next_app: the app.
        files: its data migrations.
        seen: by function that is followed, what its runs were seen to read.
    """
    schema = next_app.schema
    plan = make_plan(raw, schema)
    return {
        "text": plan.render(), "hash": plan.hash,
        "steps": [{"what": one.description, "safety": str(one.safety)} for one in plan.steps],
        "blockers": list(plan.blockers), "losses": list(plan.losses),
        "breaches": list(plan.breaches), "needs_consent": plan.needs_consent,
        "resync": [one.description for one in plan.steps if changes_copies(raw, one, schema)],
        **code_under(
            next_app, stored_schema(raw), plan.steps, files=waiting_files(raw, files), seen=seen
        ),
    }  # fmt: skip
