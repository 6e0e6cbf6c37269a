"""Carrying a migration out: one transaction, refused where the plan says so.

A table whose fields change is written anew, row by row, `_wire` included, and so are its images in
the log. `_seq` stays, so that additive changes resync nobody; where copies of rows that clients
hold would be wrong, the migration takes a seq of its own that no older cursor gets past. Before
anything that needs consent a branch is made, which is the way back.

What does not live here: the plan (`migration_plan`), what becomes of a row (`refill`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.errors import PylonError
from pylon.schema.diff import StepKind
from pylon.schema.fingerprint import schema_to_json
from pylon.schema.model import Entity, Schema
from pylon.schema.wire import image_text, row_from_image, wire_text
from pylon.server.storage.branches import keep_before
from pylon.server.storage.change_log import note_rewritten, read_head
from pylon.server.storage.files import rebuild_owners
from pylon.server.storage.lineage import forget_field_added, note_field_added, set_meta
from pylon.server.storage.migration_plan import (
    MigrationPlan,
    changes_copies,
    make_plan,
    stored_schema,
)
from pylon.server.storage.refill import Fill, filler
from pylon.server.storage.search_index import index_of
from pylon.server.storage.tables import (
    EntityTable,
    create_index,
    create_table,
    index_name,
    reference_indexes,
)  # fmt: skip
from pylon.sqlite import IntegrityError, RawConnection

if TYPE_CHECKING:
    from pylon.server.storage.database import Database

_ROWS_AT_ONCE = 1_000
#: Steps that leave the rows of a table as they are written.
_NO_REWRITE = (
    StepKind.CREATE_INDEX, StepKind.DROP_INDEX, StepKind.DROP_TABLE, StepKind.CHANGE_RULE,
    StepKind.CHANGE_SEARCH,
)  # fmt: skip


class MigrationRefused(PylonError):
    """The migration would lose data, or the live rows do not fit it."""

    code = "MIGRATION_REFUSED"
    http_status = 409


async def migrate(
    database: Database, schema: Schema, *, consent: bool = False, keeps: bool = True
) -> MigrationPlan:
    """Bring the database to `schema` in one transaction and use it from then on.

    Raises MigrationRefused, with the plan in its details, where live rows stand against it or
    where data would be lost or a bound is broken, without consent; Unavailable where the disk has
    no room for the branch that is made before either (unless it `keeps` none). Returns the plan
    that was carried out.
    """
    async with database.writer.pause():
        raw = database.new_transaction().connection
        plan = make_plan(raw, schema)
        if plan.blockers or (plan.needs_consent and not consent):
            raise _refused(plan, f"the migration needs a decision: {plan.reason}")
        if not plan.is_empty:
            if plan.needs_consent and keeps:
                await keep_before(database.place, "migration", database.clock)
            now_ms = database.clock.now_ms()
            raw.execute("BEGIN IMMEDIATE")
            try:
                _apply(raw, plan, stored_schema(raw), schema, now_ms)
                if any(changes_copies(raw, step, schema) for step in plan.steps):
                    note_rewritten(raw, database.head)
                raw.execute("COMMIT")
            except BaseException as error:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                if isinstance(error, IntegrityError):
                    raise _refused(plan, f"live rows do not allow it: {error}") from error
                raise
        database.use_schema(schema)
        return plan


def _refused(plan: MigrationPlan, message: str) -> MigrationRefused:
    return MigrationRefused(
        f"{message}\n{plan.render()}",
        hint="`pylon migrate` shows the plan, `pylon migrate --apply` consents"
        if plan.needs_consent and not plan.blockers
        else "mend the rows that stand against it, or change the schema",
        plan=plan.render(),
    )


def _apply(raw: RawConnection, plan: MigrationPlan, old: Schema, new: Schema, now_ms: int) -> None:
    now = iso_ms(now_ms)
    head, _ = read_head(raw)
    for step in plan.steps:
        if step.kind is StepKind.DROP_TABLE:
            _change_search(raw, old.entities[step.entity], None)
            raw.execute(f'DROP TABLE "{step.entity}"')
            # Records up to here belong to no table, also where one of that name comes again.
            set_meta(raw, f"dropped:{step.entity}", head)
    rewritten = {
        step.entity
        for step in plan.steps
        if step.kind not in _NO_REWRITE and step.entity in old.entities
    }
    for name, entity in new.entities.items():
        if name not in old.entities:
            raw.execute(create_table(entity))
            _create_indexes(raw, entity)
            _change_search(raw, None, entity)
        elif name in rewritten:
            fill = filler(old.entities[name], entity, now)
            _rewrite(raw, old.entities[name], entity, fill)
            _rewrite_log(raw, old.entities[name], entity, fill)
            _create_indexes(raw, entity)
            _change_search(raw, old.entities[name], entity)
        else:
            _change_indexes(raw, plan, entity)
            if any(s.entity == name and s.kind is StepKind.CHANGE_SEARCH for s in plan.steps):
                _change_search(raw, old.entities[name], entity)
    _note_fields(raw, plan, head)
    rebuild_owners(raw, new, now_ms)
    set_meta(raw, "schema", jsonvalue.encode_text(schema_to_json(new)))


def _note_fields(raw: RawConnection, plan: MigrationPlan, head: int) -> None:
    """Note since when there is each field that came later: blame asks for it."""
    noted: dict[tuple[str, str], int | None] = {}
    for step in plan.steps:
        if step.kind in (StepKind.DROP_FIELD, StepKind.RENAME_FIELD) and step.old is not None:
            since = forget_field_added(raw, step.entity, step.old.name)
            if step.kind is StepKind.RENAME_FIELD and step.new is not None:
                noted[step.entity, step.new.name] = since
        elif step.kind is StepKind.ADD_FIELD and step.new is not None:
            noted[step.entity, step.new.name] = head
    for (entity, field), since in noted.items():
        if since is not None:
            note_field_added(raw, entity, field, since)


def _create_indexes(raw: RawConnection, entity: Entity) -> None:
    for index in (*entity.indexes, *reference_indexes(entity)):
        raw.execute(create_index(entity, index))


def _change_search(raw: RawConnection, old: Entity | None, new: Entity | None) -> None:
    """Make the index for full-text search anew, where there was one and where there is to be."""
    before = None if old is None else index_of(old)
    after = None if new is None else index_of(new)
    if before is not None:
        before.drop(raw)
    if after is not None:
        after.create(raw)


def _change_indexes(raw: RawConnection, plan: MigrationPlan, entity: Entity) -> None:
    for step in plan.steps:
        if step.entity != entity.name or step.index is None:
            continue
        raw.execute(f'DROP INDEX IF EXISTS "{index_name(entity, step.index)}"')
        if step.kind is StepKind.CREATE_INDEX:
            raw.execute(create_index(entity, step.index))


def _rewrite(raw: RawConnection, old: Entity, new: Entity, fill: Fill) -> None:
    """Write a table anew: every row through the new fields, `_wire` included, `_seq` kept."""
    temporary = f"{new.name}__new"
    raw.execute(create_table(new, temporary))
    reading, writing = EntityTable(old), EntityTable(new)
    insert = writing.insert_sql.replace(f'INTO "{new.name}"', f'INTO "{temporary}"', 1)
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


def _rewrite_log(raw: RawConnection, old: Entity, new: Entity, fill: Fill) -> None:
    """Bring the images of the log to the new fields: policies and undo look at them as rows."""

    def image(text: str | None) -> str | None:
        return None if text is None else image_text(new, fill(row_from_image(old, text)))

    last = 0
    while True:
        records = raw.execute(
            "SELECT seq, before, after FROM _pylon_log WHERE seq > ? AND entity = ?"
            " AND coalesce(before, after) IS NOT NULL AND kind <> 'slice' ORDER BY seq LIMIT ?",
            (last, old.name, _ROWS_AT_ONCE),
        ).fetchall()
        if not records:
            return
        raw.executemany(
            "UPDATE _pylon_log SET before = ?, after = ? WHERE seq = ?",
            [(image(before), image(after), seq) for seq, before, after in records],
        )
        last = records[-1][0]
