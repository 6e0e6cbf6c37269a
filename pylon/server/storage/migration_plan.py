"""The plan of a migration: its steps, and what the live rows say of each, in numbers.

What does not live here: the steps themselves (`schema.diff`), rows that break a bound (`breaches`),
carrying them out (`migrate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from pylon import jsonvalue
from pylon.errors import Conflict, PylonError
from pylon.schema.diff import Safety, SchemaStep, StepKind, diff, is_same_wire
from pylon.schema.fieldtypes import from_stored
from pylon.schema.fingerprint import schema_from_json
from pylon.schema.model import DefaultKind, Entity, FieldKind, Index, Schema
from pylon.server.storage.breaches import breach
from pylon.server.storage.lineage import meta
from pylon.server.storage.refill import carried, default_of
from pylon.sqlite import RawConnection

#: Defaults that give every live row the same value.
_SAME_FOR_ALL = (DefaultKind.LITERAL, DefaultKind.NOW)


class SchemaUnreadable(PylonError):
    """The schema that a database has of itself is none that Pylon wrote."""

    code = "DATABASE_UNUSABLE"


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """The steps, what the live rows say against them, and what would be lost."""

    steps: tuple[SchemaStep, ...]
    #: Live rows that do not fit: nothing is applied until they do.
    blockers: tuple[str, ...]
    #: What would be lost: needs consent.
    losses: tuple[str, ...]
    #: Live rows that break a tighter bound, and stay: needs consent.
    breaches: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self.steps

    @property
    def needs_consent(self) -> bool:
        """Tell whether somebody must have agreed to what the plan says of live rows."""
        return bool(self.losses or self.breaches)

    @property
    def reason(self) -> str:
        """Return in one line what keeps it from being applied unasked; empty where nothing does."""
        reasons = self.blockers or (*self.losses, *self.breaches)
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return f"{reasons[0]}{more}" if reasons else ""

    @property
    def hash(self) -> str:
        """Return what tells this plan, with its counts of rows, from any other."""
        return jsonvalue.stable_hash(self.render())

    def render(self) -> str:
        """Return the plan in lines: steps, what stands in the way, what is lost, what stays."""
        lines = [f"  {step.description} ({step.safety})" for step in self.steps]
        lines += [f"  BLOCKED: {blocker}" for blocker in self.blockers]
        lines += [f"  LOSES DATA: {loss}" for loss in self.losses]
        lines += [f"  NEEDS CONSENT: {one}" for one in self.breaches]
        if self.needs_consent and not self.blockers:
            lines.append(
                "  the database as it is now is kept first, as a branch before-migration-…"
            )
        return "\n".join(lines)


def demand_same_plan(plan: MigrationPlan, agreed: str) -> None:
    """Raise Conflict where a plan is not the one, by its hash, that somebody agreed to."""
    if plan.hash != agreed:
        raise Conflict("the app or the rows have changed since that plan: look at it again")


def stored_schema(connection: RawConnection) -> Schema:
    """Return the schema that the database was last migrated to; an empty one at first.

    Raises SchemaUnreadable for what Pylon never wrote: the file may be anybody's backup, and names
    go into statements.
    """
    text = meta(connection, "schema")
    if text is None:
        return Schema(entities={})
    try:
        schema = schema_from_json(jsonvalue.decode_trusted(text))
        _demand_names(schema)
    except (ValueError, TypeError, LookupError, AttributeError, msgspec.MsgspecError) as error:
        raise SchemaUnreadable(
            f"the schema in the database is none that Pylon wrote: {error}",
            hint="restore a backup that passes: pylon verify FILE",
        ) from error
    return schema


def _demand_names(schema: Schema) -> None:
    for entity in schema.entities.values():
        names = [entity.name, *(one.name for one in entity.fields)]
        for name in (*names, *(one.name for one in entity.indexes)):
            if not name.isidentifier():
                raise ValueError(f"{name!r:.80} is no name")


def make_plan(connection: RawConnection, new: Schema) -> MigrationPlan:
    """Return the plan from the database's schema to `new`, checked against live rows."""
    old = stored_schema(connection)
    steps = diff(old, new)
    blockers: list[str] = []
    losses: list[str] = []
    breaches: list[str] = []
    for step in steps:
        if step.safety is Safety.LOSSY:
            losses += _losses(connection, step)
            blockers += _unfilled(connection, step)
        elif step.bound is not None and step.safety is Safety.CHECKED:
            breaches += breach(connection, step)
        elif step.safety is Safety.CHECKED:
            blockers += _blockers(connection, step, old, new)
    return MigrationPlan(steps, tuple(blockers), tuple(losses), tuple(breaches))


def plan_from_nothing(new: Schema) -> MigrationPlan:
    """Return the plan where there is no database yet."""
    return MigrationPlan(diff(Schema(entities={}), new), (), ())


def _count(connection: RawConnection, sql: str, params: tuple[Any, ...] = ()) -> int:
    ((count,),) = connection.execute(sql, params).fetchall()
    return int(count)


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _rows_have(count: int) -> str:
    return "1 row has" if count == 1 else f"{count} rows have"


def _losses(connection: RawConnection, step: SchemaStep) -> list[str]:
    table = f'"{step.entity}"'
    if step.kind is StepKind.DROP_TABLE:
        count = _count(connection, f"SELECT count(*) FROM {table}")
        return [f"{step.description}: {_rows(count)}"] if count else []
    assert step.old is not None
    count = _count(connection, f'SELECT count(*) FROM {table} WHERE "{step.old.name}" IS NOT NULL')
    if not count:
        return []
    text = f"{step.description}: {_rows_have(count)} a value"
    lost = 0 if step.new is None else _unfit(connection, step)
    return [f"{text}, {lost} of which can't be kept" if lost else text]


def _unfit(connection: RawConnection, step: SchemaStep) -> int:
    """Return how many values have no form in the field as it is to become."""
    assert step.old is not None
    assert step.new is not None
    column, count = f'"{step.old.name}"', 0
    for (stored,) in connection.execute(
        f'SELECT {column} FROM "{step.entity}" WHERE {column} IS NOT NULL'
    ):
        try:
            carried(step.old, step.new, from_stored(step.old, stored))
        except PylonError:
            count += 1
    return count


def _unfilled(connection: RawConnection, step: SchemaStep) -> list[str]:
    """Return what a change of form leaves without a value where there must be one."""
    new = step.new
    if new is None or new.nullable:
        return []
    if new.default is not None and default_of(new, "now") is not None:
        return []
    count = _unfit(connection, step)
    text = f"{_rows_have(count)} a {new.name} that can't become {new.kind}: give it a default"
    return [f"{step.entity}: {text}, or | None"] if count else []


def _blockers(connection: RawConnection, step: SchemaStep, old: Schema, new: Schema) -> list[str]:
    table = f'"{step.entity}"'
    if step.kind is StepKind.ADD_FIELD:
        assert step.new is not None
        count = _count(connection, f"SELECT count(*) FROM {table}")
        text = f"{_rows_have(count)} no {step.new.name}: give it a default, or | None"
        return [f"{step.entity}: {text}"] if count else []
    if step.kind is StepKind.CREATE_INDEX:
        return _duplicates(connection, step, old, new)
    assert step.old is not None
    assert step.new is not None
    found = []
    if not step.new.nullable and step.old.nullable:
        count = _count(connection, f'SELECT count(*) FROM {table} WHERE "{step.old.name}" IS NULL')
        if count:
            found.append(f"{step.entity}: {_rows_have(count)} no {step.new.name}")
    if step.new.kind is FieldKind.REF and step.new.ref != step.old.ref:
        found += _dangling(connection, step, old)
    if step.new.choices and step.new.kind in (FieldKind.ENUM, FieldKind.LIST):
        marks = ", ".join("?" * len(step.new.choices))
        is_lost = f'"{step.old.name}" NOT IN ({marks})'
        if step.new.kind is FieldKind.LIST:
            items = f'json_each("{step.old.name}")'
            is_lost = f"EXISTS (SELECT 1 FROM {items} WHERE value NOT IN ({marks}))"
        count = _count(
            connection, f"SELECT count(*) FROM {table} WHERE {is_lost}", step.new.choices
        )
        if count:
            found.append(
                f"{step.entity}: {_rows_have(count)} a {step.new.name} that is no choice any more"
            )
    return found


def _dangling(connection: RawConnection, step: SchemaStep, old: Schema) -> list[str]:
    """Return how many rows refer to no row of the entity that a field is now to refer to."""
    assert step.old is not None
    assert step.new is not None
    column = f'"{step.entity}"."{step.old.name}"'
    found = "" if step.new.ref not in old.entities else (
        f' AND NOT EXISTS (SELECT 1 FROM "{step.new.ref}" AS one WHERE one."id" = {column})'
    )  # fmt: skip
    count = _count(
        connection, f'SELECT count(*) FROM "{step.entity}" WHERE {column} IS NOT NULL{found}'
    )
    text = f"{_rows_have(count)} a {step.new.name} that is no {step.new.ref}"
    return [f"{step.entity}: {text}"] if count else []


def _duplicates(connection: RawConnection, step: SchemaStep, old: Schema, new: Schema) -> list[str]:
    assert step.index is not None
    before, after = old.entities[step.entity], new.entities[step.entity]
    columns = _columns_before(step.index, before, after)
    if columns is None:
        return []
    names = ", ".join(f'"{name}"' for name in columns)
    if columns:
        present = " AND ".join(f'"{name}" IS NOT NULL' for name in columns)
        count = _count(
            connection,
            f'SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM "{step.entity}"'
            f" WHERE {present} GROUP BY {names} HAVING n > 1)",
        )
    else:
        count = _count(connection, f'SELECT max(count(*) - 1, 0) FROM "{step.entity}"')
    where = f"{step.entity}.{', '.join(step.index.fields)}"
    return [f"{count} duplicate{'' if count == 1 else 's'} in {where}"] if count else []


def _columns_before(index: Index, before: Entity, after: Entity) -> list[str] | None:
    """Return the columns that tell rows of a new unique index apart; None: all rows differ."""
    columns = []
    for name in index.fields:
        field = after.by_name.get(name)
        if field is None:
            return None  # the id
        source = name if name in before.by_name else field.renamed_from
        if source in before.by_name:
            columns.append(str(source))
        elif field.default is None or field.default.kind not in _SAME_FOR_ALL:
            return None  # null, or made anew for each row
        elif field.default.value is None and field.default.kind is DefaultKind.LITERAL:
            return None
    return columns


def changes_copies(raw: RawConnection, step: SchemaStep, schema: Schema) -> bool:
    """Tell whether copies of rows that clients hold are not the rows any more.

    What they can work out by themselves changes nothing: an added field reads as its default, a
    dropped one is not looked at.
    """
    old, new = step.old, step.new
    match step.kind:
        case StepKind.ADD_FIELD:
            default = new.default if new is not None else None
            is_same = default is None or default.kind in (DefaultKind.LITERAL, DefaultKind.ACTOR)
        case StepKind.RENAME_FIELD:
            is_same = False
        case StepKind.CHANGE_FIELD:
            assert old is not None
            assert new is not None
            is_same = old.private is new.private and is_same_wire(old, new)
        case _:
            is_same = True
    if is_same or (new is not None and new.private and (old is None or old.private)):
        return False
    return step.entity in schema.entities and bool(
        _count(raw, f'SELECT EXISTS (SELECT 1 FROM "{step.entity}")')
    )
