"""A stretch of the log by itself: its changes, the rows that they start from, and where they end.

What a test or another database needs to go through the same changes again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pylon import limits, limits_data
from pylon.errors import Conflict, InvalidArgument, PayloadTooLarge
from pylon.schema.model import Entity, FieldKind, Row, Schema
from pylon.server.storage.change_log import RECORD_COLUMNS, LogRecord, record_of
from pylon.server.storage.files import LOG_NAME
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.time_travel import demand_retained, demand_same_table, stand_at
from pylon.sqlite import RawConnection

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRange:
    """Changes `first` to `last`, whole transactions, in order."""

    first: int
    last: int
    changes: list[LogRecord]
    #: Rows that were there before, which the changes touch or refer to; whom they refer to first.
    before: list[tuple[Entity, Row]]
    #: What the changes left of each row that they touched; None where it is gone.
    after: list[tuple[Entity, str, Row | None]]


def read_range(connection: ReadConnection, first: int, last: int) -> LogRange:
    """Return changes `first` to `last`, and the rest of the transactions that they are part of.

    Raises NotRetained, InvalidArgument where there is no change, PayloadTooLarge for too many of
    them or of the rows that they need, Conflict for what was erased or belongs to no entity.
    """
    raw, schema = connection.raw, connection.schema
    demand_retained(raw, last)
    demand_retained(raw, first - 1)
    first, last = _whole(raw, first, last)
    changes = _changes(raw, schema, first, last)
    touched = {(one.entity, one.row_id): one for one in changes}
    after = [(schema.entities[name], row_id, one.after) for (name, row_id), one in touched.items()]
    wanted: list[Key] = list(touched)
    for one in changes:
        wanted += _referred(schema.entities[one.entity], one.after)
    for name in {one.entity for one in changes}:
        demand_same_table(raw, schema.entities[name], first - 1)
    stand_at(connection, first - 1)
    before = _closure(connection, wanted)
    return LogRange(first=first, last=last, changes=changes, before=before, after=after)


def _whole(raw: RawConnection, first: int, last: int) -> tuple[int, int]:
    start = raw.execute(
        "SELECT tx FROM _pylon_log WHERE seq >= ? AND seq <= ? ORDER BY seq LIMIT 1", (first, last)
    ).fetchone()
    if start is None:
        raise InvalidArgument(f"there are no changes {first} to {last}", field="from")
    (end,) = raw.execute(
        "SELECT max(seq) FROM (SELECT seq, tx FROM _pylon_log WHERE seq >= ?1 ORDER BY seq"
        " LIMIT ?2) WHERE tx = (SELECT tx FROM _pylon_log WHERE seq <= ?1 ORDER BY seq DESC"
        " LIMIT 1)",
        (last, 2 * limits.TRANSACTION_ROWS_MAX),
    ).fetchone()
    return min(first, int(start[0])), last if end is None else int(end)


def _changes(raw: RawConnection, schema: Schema, first: int, last: int) -> list[LogRecord]:
    most = limits_data.REPLAY_CHANGES_MAX
    rows = raw.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log WHERE seq >= ? AND seq <= ? AND row_id <> ''"
        " AND kind <> 'slice' AND entity <> ? ORDER BY seq LIMIT ?",
        (first, last, LOG_NAME, most + 1),
    ).fetchall()
    if len(rows) > most:
        raise PayloadTooLarge(f"changes {first} to {last} are more than {most}; ask for fewer")
    records = [record_of(one, schema) for one in rows]
    for one in records:
        if one.entity not in schema.entities:
            raise Conflict(f"change {one.seq} is of {one.entity}, which the schema has no more")
        if (one.after is None) is not (one.kind == "delete"):
            raise Conflict(f"what change {one.seq} wrote has been erased")
    return records


def _referred(entity: Entity, row: Row | None) -> Iterable[Key]:
    for field in entity.fields:
        if row is not None and field.kind is FieldKind.REF and row[field.name] is not None:
            assert field.ref is not None
            yield field.ref, row[field.name]


def _closure(connection: ReadConnection, wanted: Iterable[Key]) -> list[tuple[Entity, Row]]:
    """Return the rows of these keys and all that they refer to, whom a row refers to before it."""
    found: dict[Key, tuple[Entity, Row]] = {}
    seen: set[Key] = set()
    # A key is met twice: when its row is looked up, and again when all that it refers to is placed.
    open_keys: list[tuple[Key, tuple[Entity, Row] | None]] = [(one, None) for one in wanted]
    while open_keys:
        key, placed = open_keys.pop()
        if placed is not None:
            found[key] = placed
        if key in seen:
            continue
        seen.add(key)
        if len(seen) > limits_data.REPLAY_ROWS_MAX:
            raise PayloadTooLarge(
                f"the changes need more than {limits_data.REPLAY_ROWS_MAX} rows; ask for fewer"
            )
        entity = connection.schema.entities[key[0]]
        row = connection.get(entity, key[1])
        if row is not None:
            open_keys.append((key, (entity, row)))
            open_keys += [(one, None) for one in _referred(entity, row)]
    return list(found.values())
