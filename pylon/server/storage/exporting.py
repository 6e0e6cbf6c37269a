"""All rows of some entities as JSON values, private fields included: for their owner.

Read as they are at one moment, one at a time: what is held is one row, however many there are.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from pylon.policy.sqlclause import SqlClause
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.model import Entity, Row, Schema
from pylon.server.storage.select import NO_CLAUSE
from pylon.server.storage.tables import EntityTable
from pylon.sqlite import RawConnection


@dataclass(frozen=True, slots=True)
class Export:
    """The rows of one entity that are wanted; `where` is over the table as `t`."""

    entity: Entity
    where: SqlClause = NO_CLAUSE


def in_order_of_references(schema: Schema, names: Iterable[str]) -> list[Entity]:
    """Return entities so that each comes after those it refers to, where that is possible.

    Entities that refer to each other in a ring come in the order of their names.
    """
    wanted = {name: schema.entities[name] for name in sorted(names)}
    placed: dict[str, Entity] = {}
    while len(placed) < len(wanted):
        left = [one for name, one in wanted.items() if name not in placed]
        ready = [one for one in left if not _refers_to(one, {other.name for other in left})]
        for one in ready or left[:1]:
            placed[one.name] = one
    return list(placed.values())


def _refers_to(entity: Entity, names: set[str]) -> bool:
    return any(one.ref in names and one.ref != entity.name for one in entity.fields)


def read_rows(
    raw: RawConnection, exports: Iterable[Export]
) -> Generator[tuple[Entity, dict[str, Any]], None, None]:
    """Yield (entity, JSON values with `id`) of one moment, in the order of the ids."""
    raw.execute("BEGIN")
    try:
        for one in exports:
            table = EntityTable(one.entity)
            columns = ", ".join(f't."{name}"' for name in table.columns)
            found = raw.execute(
                f'SELECT {columns} FROM "{one.entity.name}" AS t WHERE {one.where.text}'
                ' ORDER BY t."id"',
                one.where.params,
            )
            for stored in found:
                yield one.entity, _values(one.entity, table.row(stored))
    finally:
        raw.execute("ROLLBACK")


def _values(entity: Entity, row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {"id": row["id"]}
    for field in entity.fields:
        value = row[field.name]
        values[field.name] = (
            None if value is None else FIELD_TYPES[field.kind].to_wire(field, value)
        )
    return values
