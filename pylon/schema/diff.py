"""From one schema to the next: ordered steps, each additive, checked against live rows, or lossy.

A rename is declared (`renamed_from`) and never guessed. What does not live here: counting live
rows and carrying the steps out (`storage.migrate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.model import DefaultKind, Entity, Field, FieldKind, Index, Schema


class StepKind(StrEnum):
    """What one step does."""

    CREATE_TABLE = "create table"
    DROP_TABLE = "drop table"
    ADD_FIELD = "add field"
    DROP_FIELD = "drop field"
    RENAME_FIELD = "rename field"
    CHANGE_FIELD = "change field"
    CREATE_INDEX = "create index"
    DROP_INDEX = "drop index"


class Safety(StrEnum):
    """What a step can do to the rows that are there."""

    ADDITIVE = "additive"
    #: Additive if the live rows satisfy it.
    CHECKED = "checked"
    #: Loses or may change data; needs consent.
    LOSSY = "lossy"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStep:
    """One step, with what it is about."""

    kind: StepKind
    safety: Safety
    entity: str
    description: str
    old: Field | None = None
    new: Field | None = None
    index: Index | None = None


def diff(old: Schema, new: Schema) -> tuple[SchemaStep, ...]:
    """Return the steps from `old` to `new`, in the order in which they can be carried out."""
    steps: list[SchemaStep] = []
    for name, entity in new.entities.items():
        before = old.entities.get(name)
        if before is None:
            steps.append(
                SchemaStep(
                    kind=StepKind.CREATE_TABLE, safety=Safety.ADDITIVE, entity=name,
                    description=f"create {name}",
                )
            )  # fmt: skip
        else:
            steps += _field_steps(before, entity)
            steps += _index_steps(before, entity)
    steps += [
        SchemaStep(
            kind=StepKind.DROP_TABLE, safety=Safety.LOSSY, entity=name, description=f"drop {name}"
        )
        for name in old.entities
        if name not in new.entities
    ]
    return tuple(steps)


def _field_steps(old: Entity, new: Entity) -> list[SchemaStep]:
    steps: list[SchemaStep] = []
    renamed: set[str] = set()
    for field in new.fields:
        before = old.by_name.get(field.name)
        if before is None and field.renamed_from in old.by_name:
            before = old.by_name[str(field.renamed_from)]
            renamed.add(before.name)
            steps.append(
                SchemaStep(
                    kind=StepKind.RENAME_FIELD, safety=Safety.ADDITIVE, entity=new.name,
                    description=f"rename {new.name}.{before.name} to {field.name}",
                    old=before, new=field,
                )
            )  # fmt: skip
        if before is None:
            steps.append(_added(new, field))
        else:
            steps += _changed(new, before, field)
    steps += [
        SchemaStep(
            kind=StepKind.DROP_FIELD, safety=Safety.LOSSY, entity=new.name,
            description=f"drop {new.name}.{field.name}", old=field,
        )
        for field in old.fields
        if field.name not in new.by_name and field.name not in renamed
    ]  # fmt: skip
    return steps


def _added(entity: Entity, field: Field) -> SchemaStep:
    can_fill = field.nullable or (
        field.default is not None and field.default.kind is not DefaultKind.ACTOR
    )
    return SchemaStep(
        kind=StepKind.ADD_FIELD, safety=Safety.ADDITIVE if can_fill else Safety.CHECKED,
        entity=entity.name, description=f"add {entity.name}.{field.name}", new=field,
    )  # fmt: skip


def _changed(entity: Entity, old: Field, new: Field) -> list[SchemaStep]:
    where = f"{entity.name}.{new.name}"
    found: list[tuple[Safety, str]] = []
    if not _is_same_form(old, new):
        found.append((Safety.LOSSY, f"{where} becomes {new.kind} (was {old.kind})"))
    elif old.kind is not new.kind:
        found.append((Safety.CHECKED, f"{where} becomes {new.kind} (was {old.kind})"))
    if old.nullable and not new.nullable:
        found.append((Safety.CHECKED, f"{where} must not be null any more"))
    elif new.nullable and not old.nullable:
        found.append((Safety.ADDITIVE, f"{where} may be null"))
    loses_choices = not set(old.choices) <= set(new.choices)
    if old.kind is FieldKind.ENUM and new.kind is FieldKind.ENUM and loses_choices:
        found.append((Safety.CHECKED, f"{where} loses choices"))
    if old.private is not new.private:
        word = "private" if new.private else "readable"
        found.append((Safety.ADDITIVE, f"{where} becomes {word}"))
    return [
        SchemaStep(
            kind=StepKind.CHANGE_FIELD, safety=safety, entity=entity.name, description=text,
            old=old, new=new,
        )
        for safety, text in found
    ]  # fmt: skip


_TEXT_KINDS = (FieldKind.STR, FieldKind.TEXT, FieldKind.ENUM, FieldKind.REF)


def _is_same_form(old: Field, new: Field) -> bool:
    """Tell whether stored values of the old kind are stored values of the new one."""
    if old.kind is new.kind:
        same_item = old.item is new.item or new.item is None
        return old.scale == new.scale and same_item
    if old.kind in _TEXT_KINDS and new.kind in _TEXT_KINDS:
        return True
    if old.kind is FieldKind.INT and new.kind is FieldKind.BIGINT:
        return True
    return FIELD_TYPES[old.kind].is_json and new.kind is FieldKind.JSON


def _index_steps(old: Entity, new: Entity) -> list[SchemaStep]:
    before = {(one.name, one.fields, one.unique): one for one in old.indexes}
    after = {(one.name, one.fields, one.unique): one for one in new.indexes}
    steps = [
        SchemaStep(
            kind=StepKind.DROP_INDEX, safety=Safety.ADDITIVE, entity=new.name,
            description=f"drop the index {new.name}.{one.name}", index=one,
        )
        for key, one in before.items()
        if key not in after
    ]  # fmt: skip
    steps += [
        SchemaStep(
            kind=StepKind.CREATE_INDEX,
            safety=Safety.CHECKED if one.unique else Safety.ADDITIVE,
            entity=new.name,
            description=f"create the {'unique ' if one.unique else ''}index {new.name}.{one.name}",
            index=one,
        )
        for key, one in after.items()
        if key not in before
    ]
    return steps
