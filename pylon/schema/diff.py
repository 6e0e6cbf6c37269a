"""From one schema to the next: ordered steps, each additive, checked against live rows, or lossy.

A rename is declared (`renamed_from`) and never guessed. What does not live here: counting live
rows and carrying the steps out (`storage.migrate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pylon.schema.constraints import changed_bounds
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
    #: A rule of a field that stored values need not be written anew for.
    CHANGE_RULE = "change rule"
    #: Which fields full-text search looks at.
    CHANGE_SEARCH = "change search"
    CREATE_INDEX = "create index"
    DROP_INDEX = "drop index"


class Safety(StrEnum):
    """What a step can do to the rows that are there."""

    ADDITIVE = "additive"
    #: Additive if the live rows satisfy it; a bound that some break needs consent.
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
    #: The one of `constraints.BOUNDS` that changes, where the step is about one.
    bound: str | None = None


def diff(old: Schema, new: Schema) -> tuple[SchemaStep, ...]:
    """Return the steps from `old` to `new`; tables are dropped last, after a look at their rows."""
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
            steps += _search_steps(before, entity)
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
    found: list[tuple[StepKind, Safety, str]] = []
    if not is_same_form(old, new):
        text = f"{where} becomes {_form(new)} (was {_form(old)})"
        found.append((StepKind.CHANGE_FIELD, Safety.LOSSY, text))
    elif old.kind is not new.kind:
        text = f"{where} becomes {new.kind} (was {old.kind})"
        found.append((StepKind.CHANGE_FIELD, Safety.CHECKED, text))
    if old.nullable and not new.nullable:
        text = f"{where} must not be null any more"
        found.append((StepKind.CHANGE_FIELD, Safety.CHECKED, text))
    elif new.nullable and not old.nullable:
        found.append((StepKind.CHANGE_FIELD, Safety.ADDITIVE, f"{where} may be null"))
    if old.private is not new.private:
        word = "private" if new.private else "readable"
        found.append((StepKind.CHANGE_FIELD, Safety.ADDITIVE, f"{where} becomes {word}"))
    found += _changed_rules(where, old, new)
    steps = [
        SchemaStep(kind=kind, safety=safety, entity=entity.name, description=text, old=old, new=new)
        for kind, safety, text in found
    ]
    # Values that get another form are asked by it: those that break a bound have none.
    return steps + _changed_bounds(entity, old, new) if is_same_form(old, new) else steps


def _changed_bounds(entity: Entity, old: Field, new: Field) -> list[SchemaStep]:
    """Return a step for each bound: also for a wider one, or a later return could go unnoticed."""
    steps = []
    for name, is_tighter in changed_bounds(old, new):
        before, after = getattr(old, name), getattr(new, name)
        was = "had none" if before is None else f"was {shown(before)}"
        now = f"has no {name} any more" if after is None else f"has {name}={shown(after)}"
        steps.append(
            SchemaStep(
                kind=StepKind.CHANGE_RULE,
                safety=Safety.CHECKED if is_tighter else Safety.ADDITIVE,
                entity=entity.name, description=f"{entity.name}.{new.name} {now} ({was})",
                old=old, new=new, bound=name,
            )
        )  # fmt: skip
    return steps


def _changed_rules(where: str, old: Field, new: Field) -> list[tuple[StepKind, Safety, str]]:
    found: list[tuple[StepKind, Safety, str]] = []
    if _chooses(old) and _chooses(new) and old.kind is new.kind:
        lost = [one for one in old.choices if one not in new.choices]
        gained = [one for one in new.choices if one not in old.choices]
        if lost:
            text = f"{where} loses {', '.join(lost)}"
            found.append((StepKind.CHANGE_RULE, Safety.CHECKED, text))
        if gained:
            text = f"{where} gains {', '.join(gained)}"
            found.append((StepKind.CHANGE_RULE, Safety.ADDITIVE, text))
    if old.kind is new.kind is FieldKind.REF:
        if old.ref != new.ref:
            text = f"{where} refers to {new.ref} (was {old.ref})"
            found.append((StepKind.CHANGE_RULE, Safety.CHECKED, text))
        if old.on_delete is not new.on_delete:
            text = f"{where} is on_delete={new.on_delete} (was {old.on_delete})"
            found.append((StepKind.CHANGE_RULE, Safety.ADDITIVE, text))
    return found


def shown(bound: int | float | Decimal | str) -> str:
    """Return a bound as a line has it: a pattern quoted, because it may hold anything."""
    return repr(bound) if isinstance(bound, str) else str(bound)


def _chooses(field: Field) -> bool:
    return FieldKind.ENUM in (field.kind, field.item)


def _form(field: Field) -> str:
    """Return the kind with what else decides how values are stored."""
    if field.kind is FieldKind.DECIMAL:
        return f"decimal with {field.scale} digits"
    if field.kind is FieldKind.LIST and field.item is not None:
        return f"list of {field.item}"
    return str(field.kind)


_TEXT_KINDS = (FieldKind.STR, FieldKind.TEXT, FieldKind.ENUM, FieldKind.REF)


def is_same_form(old: Field, new: Field) -> bool:
    """Tell whether stored values of the old kind are stored values of the new one."""
    if old.kind is new.kind:
        same_item = old.item is new.item or new.item is None
        return old.scale == new.scale and same_item
    if old.kind in _TEXT_KINDS and new.kind in _TEXT_KINDS:
        return True
    if old.kind is FieldKind.INT and new.kind is FieldKind.BIGINT:
        return True
    return FIELD_TYPES[old.kind].is_json and new.kind is FieldKind.JSON


def is_same_wire(old: Field, new: Field) -> bool:
    """Tell whether clients read the same of a value in both forms of a field."""
    both_text = old.kind in _TEXT_KINDS and new.kind in _TEXT_KINDS
    return both_text or (old.kind is new.kind and is_same_form(old, new))


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


def _search_steps(old: Entity, new: Entity) -> list[SchemaStep]:
    before = [one.name for one in old.searched_fields]
    after = [one.name for one in new.searched_fields]
    if before == after:
        return []
    text = f"search {', '.join(after)} of {new.name}" if after else f"search {new.name} no more"
    return [
        SchemaStep(
            kind=StepKind.CHANGE_SEARCH, safety=Safety.ADDITIVE, entity=new.name, description=text
        )
    ]
