"""Migrations: the plan against the live rows, and its one transaction.

A table whose fields change is written anew, row by row, `_wire` included; `_seq` stays, so that
additive changes resync nobody. Before anything lossy a copy of the file is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.errors import PylonError
from pylon.schema.diff import Safety, SchemaStep, StepKind, diff
from pylon.schema.fieldtypes import from_app, to_app, to_wire
from pylon.schema.fingerprint import schema_from_json, schema_to_json
from pylon.schema.model import DefaultKind, Entity, Field, FieldKind, Index, Row, Schema
from pylon.schema.wire import wire_text
from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.tables import (
    EntityTable,
    create_index,
    create_table,
    index_name,
    reference_indexes,
)  # fmt: skip
from pylon.sqlite import RawConnection

if TYPE_CHECKING:
    from pylon.server.storage.database import Database

_ROWS_AT_ONCE = 1_000
#: Defaults that give every live row the same value.
_SAME_FOR_ALL = (DefaultKind.LITERAL, DefaultKind.NOW)
#: Steps that leave the rows of a table as they are written.
_NO_REWRITE = (
    StepKind.CREATE_INDEX, StepKind.DROP_INDEX, StepKind.DROP_TABLE, StepKind.CHANGE_RULE
)  # fmt: skip


class MigrationRefused(PylonError):
    """The migration would lose data, or the live rows do not allow it."""

    code = "MIGRATION_REFUSED"
    http_status = 409


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """The steps, what the live rows say against them, and what would be lost."""

    steps: tuple[SchemaStep, ...]
    #: Live rows that do not fit: nothing is applied until they do.
    blockers: tuple[str, ...]
    #: What would be lost: needs consent.
    losses: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self.steps

    @property
    def is_additive(self) -> bool:
        """Tell whether the plan can be applied without asking."""
        return not self.blockers and not self.losses

    def render(self) -> str:
        """Return the plan in lines: steps, then what stands in the way, then what is lost."""
        lines = [f"  {step.description} ({step.safety})" for step in self.steps]
        lines += [f"  BLOCKED: {blocker}" for blocker in self.blockers]
        lines += [f"  LOSES DATA: {loss}" for loss in self.losses]
        return "\n".join(lines)


def stored_schema(connection: RawConnection) -> Schema:
    """Return the schema that the database was last migrated to; an empty one at first."""
    text = meta(connection, "schema")
    return Schema(entities={}) if text is None else schema_from_json(jsonvalue.decode_trusted(text))


def make_plan(connection: RawConnection, new: Schema) -> MigrationPlan:
    """Return the plan from the database's schema to `new`, checked against live rows."""
    old = stored_schema(connection)
    steps = diff(old, new)
    blockers: list[str] = []
    losses: list[str] = []
    for step in steps:
        if step.safety is Safety.LOSSY:
            losses += _losses(connection, step)
        elif step.safety is Safety.CHECKED:
            blockers += _blockers(connection, step, old, new)
    return MigrationPlan(steps, tuple(blockers), tuple(losses))


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
    return [f"{step.description}: {_rows_have(count)} a value"] if count else []


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
    if step.new.kind is FieldKind.ENUM:
        marks = ", ".join("?" * len(step.new.choices))
        count = _count(
            connection,
            f'SELECT count(*) FROM {table} WHERE "{step.old.name}" NOT IN ({marks})',
            step.new.choices,
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


# --- carrying it out ---------------------------------------------------------------------


async def migrate(database: Database, schema: Schema, *, consent: bool = False) -> MigrationPlan:
    """Bring the database to `schema` in one transaction and use it from then on.

    Raises MigrationRefused, with the plan in its details, where live rows stand against it or
    where data would be lost without consent. Returns the plan that was carried out.
    """
    async with database.writer.pause():
        raw = database.new_transaction().connection
        plan = make_plan(raw, schema)
        if plan.blockers or (plan.losses and not consent):
            raise MigrationRefused(
                "the migration needs a decision:\n" + plan.render(),
                hint="`pylon migrate` shows the plan, `pylon migrate --apply` consents"
                if not plan.blockers
                else "mend the rows that stand against it, or change the schema",
                plan=plan.render(),
            )
        if not plan.is_empty:
            if plan.losses:
                _copy_file(raw, database.folder / "backups", database.clock.now_ms())
            now = iso_ms(database.clock.now_ms())
            raw.execute("BEGIN IMMEDIATE")
            try:
                _apply(raw, plan, stored_schema(raw), schema, now)
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise
        database.use_schema(schema)
        return plan


def _apply(raw: RawConnection, plan: MigrationPlan, old: Schema, new: Schema, now: str) -> None:
    for step in plan.steps:
        if step.kind is StepKind.DROP_TABLE:
            raw.execute(f'DROP TABLE "{step.entity}"')
    rewritten = {
        step.entity
        for step in plan.steps
        if step.kind not in _NO_REWRITE and step.entity in old.entities
    }
    for name, entity in new.entities.items():
        if name not in old.entities:
            raw.execute(create_table(entity))
            _create_indexes(raw, entity)
        elif name in rewritten:
            _rewrite(raw, old.entities[name], entity, now)
            _create_indexes(raw, entity)
        else:
            _change_indexes(raw, plan, entity)
    set_meta(raw, "schema", jsonvalue.encode_text(schema_to_json(new)))


def _create_indexes(raw: RawConnection, entity: Entity) -> None:
    for index in (*entity.indexes, *reference_indexes(entity)):
        raw.execute(create_index(entity, index))


def _change_indexes(raw: RawConnection, plan: MigrationPlan, entity: Entity) -> None:
    for step in plan.steps:
        if step.entity != entity.name or step.index is None:
            continue
        raw.execute(f'DROP INDEX IF EXISTS "{index_name(entity, step.index)}"')
        if step.kind is StepKind.CREATE_INDEX:
            raw.execute(create_index(entity, step.index))


def _rewrite(raw: RawConnection, old: Entity, new: Entity, now: str) -> None:
    """Write a table anew: every row through the new fields, `_wire` included, `_seq` kept."""
    temporary = f"{new.name}__new"
    raw.execute(create_table(new, temporary))
    reading, writing = EntityTable(old), EntityTable(new)
    insert = writing.insert_sql.replace(f'INTO "{new.name}"', f'INTO "{temporary}"', 1)
    fill = _filler(old, new, now)
    last = ""
    while True:
        stored = raw.execute(
            f'{reading.select_sql} WHERE "id" > ? ORDER BY "id" LIMIT ?', (last, _ROWS_AT_ONCE)
        ).fetchall()
        if not stored:
            break
        for one in stored:
            row = fill(reading.row(one))
            raw.execute(insert, [*writing.values(row), wire_text(new, row)])
        last = stored[-1][0]
    raw.execute(f'DROP TABLE "{old.name}"')
    raw.execute(f'ALTER TABLE "{temporary}" RENAME TO "{new.name}"')


def _filler(old: Entity, new: Entity, now: str) -> Callable[[Row], Row]:
    sources = {
        field.name: field.name if field.name in old.by_name else field.renamed_from
        for field in new.fields
    }

    def fill(row: Row) -> Row:
        filled: Row = {"id": row["id"], "_seq": row["_seq"]}
        for field in new.fields:
            source = sources[field.name]
            if source is not None and source in row:
                filled[field.name] = _carried(old.by_name[source], field, row[source])
            else:
                filled[field.name] = _default_of(field, now)
        return filled

    return fill


def _carried(old: Field, new: Field, value: Any) -> Any:
    if value is None or (old.kind is new.kind and old.scale == new.scale):
        return value
    if new.kind in (FieldKind.STR, FieldKind.TEXT):
        wire = to_wire(old, value)
        return wire if isinstance(wire, str) else jsonvalue.encode_text(wire)
    try:
        return from_app(new, to_app(old, value))
    except PylonError:
        return _default_of(new, "") if not new.nullable else None


def _default_of(field: Field, now: str) -> Any:
    if field.default is None:
        return None
    match field.default.kind:
        case DefaultKind.LITERAL:
            return field.default.value
        case DefaultKind.NOW:
            return now
        case DefaultKind.FACTORY:
            return from_app(field, field.default.value())
        case DefaultKind.ACTOR:
            return None


def _copy_file(raw: RawConnection, folder: Path, now_ms: int) -> Path:
    """Copy the database beside it: complete under its name, or not there at all."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = iso_ms(now_ms).replace(":", "").replace(".", "")
    target = folder / f"before-migration-{stamp}.db"
    beside = target.with_suffix(".part")
    descriptor = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
    os.close(descriptor)
    raw.execute("VACUUM INTO ?", (str(beside),))
    descriptor = os.open(beside, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)
    beside.replace(target)
    return target
