"""What differs between two points of the log, by entity and by row: of the changes between alone.

A row is compared as it was before its first change in between with how its last one left it: what
changed and changed back differs in nothing. Costs by the changes between, whatever the tables hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pylon import limits
from pylon.schema.model import Entity, Row, Schema
from pylon.schema.wire import row_from_image
from pylon.server.storage.time_travel import (
    demand_retained,
    demand_same_table,
    dropped_at,
    is_short,
)  # fmt: skip
from pylon.sqlite import RawConnection

INSERTED: Final = "inserted"
UPDATED: Final = "updated"
DELETED: Final = "deleted"
#: Changed, and by the end as it was; or came and went in between.
SAME: Final = "same"

_WHAT: Final = f"""CASE
    WHEN first.kind = 'insert' AND last.kind = 'delete' THEN '{SAME}'
    WHEN first.kind = 'insert' THEN '{INSERTED}'
    WHEN last.kind = 'delete' THEN '{DELETED}'
    WHEN json_remove(first.before, '$._seq') = json_remove(last.after, '$._seq') THEN '{SAME}'
    ELSE '{UPDATED}' END"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityDiff:
    """How many rows of an entity differ, in how many changes; `known`: the schema still has it."""

    entity: str
    counts: dict[str, int]
    changes: int
    is_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDiff:
    """One row at both points; None where there was none, or where its image was erased."""

    row_id: str
    what: str
    before: Row | None
    after: Row | None
    first_seq: int
    last_seq: int
    changes: int


def count_diff(raw: RawConnection, schema: Schema, start: int, end: int) -> list[EntityDiff]:
    """Return the entities with changes above `start` and up to `end`, by name.

    Raises as `time_travel.demand_retained`.
    """
    demand_retained(raw, end)
    demand_retained(raw, start)
    rows = raw.execute(
        f"""WITH touched AS (
            SELECT entity, row_id, min(seq) AS a, max(seq) AS z, count(*) AS n
            FROM _pylon_log {_by(start, end)} WHERE seq > ? AND seq <= ? AND row_id <> ''
            GROUP BY entity, row_id)
        SELECT touched.entity, {_WHAT} AS what, count(*), sum(touched.n)
        FROM touched CROSS JOIN _pylon_log AS first ON first.seq = touched.a
        CROSS JOIN _pylon_log AS last ON last.seq = touched.z
        GROUP BY 1, 2 ORDER BY 1""",
        (start, end),
    ).fetchall()
    found: dict[str, EntityDiff] = {}
    for name, what, count, changes in rows:
        is_known = name in schema.entities and dropped_at(raw, name) <= start
        one = found.get(name) or EntityDiff(entity=name, counts={}, changes=0, is_known=is_known)
        counts = {**one.counts, what: int(count)}
        found[name] = EntityDiff(
            entity=name, counts=counts, changes=one.changes + int(changes), is_known=is_known
        )
    return list(found.values())


def page_diff(
    raw: RawConnection, entity: Entity, start: int, end: int, *, limit: int, after: str = ""
) -> tuple[list[RowDiff], str | None]:
    """Return rows of an entity that differ, by id, and the id that the next page goes on after.

    Raises as `time_travel.demand_retained` and `demand_same_table`.
    """
    demand_retained(raw, end)
    demand_retained(raw, start)
    demand_same_table(raw, entity, start)
    cursor = raw.execute(
        f"""WITH touched AS (
            SELECT row_id, min(seq) AS a, max(seq) AS z, count(*) AS n
            FROM _pylon_log {_by(start, end)}
            WHERE entity = ? AND row_id > ? AND seq > ? AND seq <= ? GROUP BY row_id)
        SELECT touched.row_id, {_WHAT} AS what, first.before, last.after, a, z, n
        FROM touched CROSS JOIN _pylon_log AS first ON first.seq = touched.a
        CROSS JOIN _pylon_log AS last ON last.seq = touched.z
        WHERE what <> '{SAME}' ORDER BY touched.row_id LIMIT ?""",
        (entity.name, after, start, end, limit + 1),
    )
    rows: list[RowDiff] = []
    size = 0
    for one in cursor:
        if len(rows) == limit or size > limits.LIST_BYTES_MAX:
            return rows, rows[-1].row_id
        rows.append(_row_diff(entity, one))
        size += len(one[2] or "") + len(one[3] or "")
    return rows, None


def _by(start: int, end: int) -> str:
    """Return which index the changes of a range are read by."""
    return "NOT INDEXED" if is_short(start, end) else "INDEXED BY _pylon_log_row"


def _row_diff(entity: Entity, stored: tuple[Any, ...]) -> RowDiff:
    row_id, what, before, after, first_seq, last_seq, changes = stored
    return RowDiff(
        row_id=row_id, what=what, first_seq=first_seq, last_seq=last_seq, changes=changes,
        before=None if before is None else row_from_image(entity, before),
        after=None if after is None else row_from_image(entity, after),
    )  # fmt: skip
