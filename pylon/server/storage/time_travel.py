"""Rows as they were: the change log folded back from the rows of now, by its before-images.

What a row was at a point is the before-image of its first change after it, or the row of now where
none came. Nothing is copied: views of that name stand before the tables for the rest of a read
transaction, so that every question (filter, order, policy, count) is asked of the past unchanged.

Images are kept in the fields of now (a migration rewrites them), so the past is shown in those.
What does not live here: one row's history (`row_history`), two points (`point_diff`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from pylon.clock import iso_ms
from pylon.errors import Conflict, InvalidArgument, NotFound, NotRetained
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.model import Entity, Field, FieldKind, Row
from pylon.schema.wire import is_wire_image, is_wire_part, row_from_image, wire_text
from pylon.server.storage.change_log import read_floor, read_head
from pylon.server.storage.lineage import meta
from pylon.server.storage.readers import ReadConnection
from pylon.sqlite import RawConnection

#: Folding back costs by the changes since: a read of the past may take longer than others.
PAST_SECONDS: Final = 30.0
_TABLE: Final = "_pylon_past"
_SHORT: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What the log still has: every state from `floor` to `head` can be shown."""

    floor: int
    head: int
    #: Commit time of the oldest record, Unix ms; None where there is none.
    oldest_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place in the log: the state right after change `seq`."""

    seq: int
    #: Commit time of the newest change up to it, Unix ms; None where the log has none.
    at_ms: int | None
    #: The ends of the transactions before and after; None at either end of the log.
    previous: int | None
    following: int | None
    retained: Retained
    #: The migration, if one came later, after which the images were rewritten.
    rewritten: int | None


def read_retained(raw: RawConnection) -> Retained:
    """Return how far back the log reaches."""
    head, _ = read_head(raw)
    oldest = raw.execute("SELECT at FROM _pylon_log ORDER BY seq LIMIT 1").fetchone()
    return Retained(floor=read_floor(raw), head=head, oldest_ms=oldest and int(oldest[0]))


def demand_retained(raw: RawConnection, seq: int) -> Retained:
    """Return what is retained; raises NotRetained below it, InvalidArgument beyond the head."""
    held = read_retained(raw)
    if seq > held.head:
        raise InvalidArgument(
            f"there is no change {seq} yet: the newest is {held.head}", field="seq", head=held.head
        )
    if seq < held.floor:
        raise not_retained(f"change {seq}", held)
    return held


def not_retained(what: str, held: Retained) -> NotRetained:
    """Return the error that says what is still there."""
    since = "" if held.oldest_ms is None else f" (since {iso_ms(held.oldest_ms)})"
    return NotRetained(
        f"the log does not reach back to {what} any more: it has changes {held.floor + 1} to"
        f" {held.head}{since}",
        hint="log.retain_changes and log.retain_days say how much is kept",
        floor=held.floor, head=held.head,
    )  # fmt: skip


def seq_at(raw: RawConnection, at_ms: int) -> int:
    """Return the newest change of a time or before; raises NotRetained where none is left."""
    row = raw.execute(
        "SELECT seq FROM _pylon_log WHERE at <= ? ORDER BY seq DESC LIMIT 1", (at_ms,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    held = read_retained(raw)
    if held.floor > 0:
        raise not_retained(iso_ms(at_ms), held)
    return 0


def read_point(raw: RawConnection, seq: int) -> Point:
    """Return a place in the log; raises as `demand_retained`."""
    held = demand_retained(raw, seq)
    here = raw.execute(
        "SELECT tx, at FROM _pylon_log WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)
    ).fetchone()
    after = raw.execute(
        "SELECT tx FROM _pylon_log WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)
    ).fetchone()
    following = None
    if after is not None:
        (following,) = raw.execute(
            "SELECT max(seq) FROM (SELECT seq, tx FROM _pylon_log WHERE seq > ? ORDER BY seq"
            " LIMIT 20000) WHERE tx = ?",
            (seq, after[0]),
        ).fetchone()
    rewritten = int(meta(raw, "rewritten") or 0)
    return Point(
        seq=seq, at_ms=here and int(here[1]), following=following, retained=held,
        previous=None if here is None else max(held.floor, int(here[0]) - 1),
        rewritten=rewritten if rewritten > seq else None,
    )  # fmt: skip


def stand_at(connection: ReadConnection, seq: int) -> None:
    """Have the rest of this read transaction see every entity as it was after change `seq`.

    Raises as `demand_retained`.
    """
    raw = connection.raw
    held = demand_retained(raw, seq)
    if seq == held.head:
        return
    raw.create_function("_pylon_bytes", 1, _bytes, deterministic=True)
    # The file is opened for reading only; what this writes is temporary and ends with the read.
    raw.execute("PRAGMA query_only=OFF").fetchall()
    try:
        raw.execute(
            f"CREATE TEMP TABLE {_TABLE} (entity TEXT, row_id TEXT, seq INTEGER,"
            " PRIMARY KEY (entity, row_id)) WITHOUT ROWID"
        )
        _find_first(raw, seq, held.head)
        for entity in connection.schema.entities.values():
            _forget_dropped(raw, entity, seq)
            plan = connection.tables[entity.name]
            raw.execute(_view(entity, plan.columns))
            if not is_wire_part(entity):
                _define_wire(raw, entity)
    finally:
        raw.execute("PRAGMA query_only=ON").fetchall()


def _find_first(raw: RawConnection, seq: int, head: int) -> None:
    """Find the first change of each row after a point."""
    if is_short(seq, head):
        raw.execute(
            f"INSERT OR IGNORE INTO temp.{_TABLE} SELECT entity, row_id, seq FROM main._pylon_log"
            " NOT INDEXED WHERE seq > ? AND row_id <> '' ORDER BY seq",
            (seq,),
        )
        return
    # In the order of the index, which is that of the table: nothing is sorted.
    raw.execute(
        f"INSERT INTO temp.{_TABLE} SELECT entity, row_id, min(seq) FROM main._pylon_log"
        " INDEXED BY _pylon_log_row WHERE seq > ? AND row_id <> '' GROUP BY entity, row_id",
        (seq,),
    )


def is_short(start: int, end: int) -> bool:
    """Tell whether reading the changes in between beats going through the index of all rows."""
    return end - start <= _SHORT


def demand_same_table(raw: RawConnection, entity: Entity, seq: int) -> None:
    """Raise NotFound where an entity's table of then was dropped: its rows went unlogged."""
    dropped = dropped_at(raw, entity.name)
    if seq < dropped:
        raise NotFound(
            f"{entity.name} was dropped by a migration after change {dropped} and made anew: what"
            " it held before that is not in the log",
            hint="the copy that the migration made stands in .pylon/backups",
        )


def row_as_of(connection: ReadConnection, entity: Entity, row_id: str, seq: int) -> Row | None:
    """Return one row as it was after a change, or None where it was not there.

    Costs one look-up. Raises as `demand_retained` and `demand_same_table`, and
    Conflict where what it was has been erased.
    """
    demand_retained(connection.raw, seq)
    demand_same_table(connection.raw, entity, seq)
    found = connection.rows(
        "SELECT seq, kind, before FROM _pylon_log WHERE entity = ? AND row_id = ? AND seq > ?"
        " ORDER BY seq LIMIT 1",
        (entity.name, row_id, seq),
    )
    if not found:
        return connection.get(entity, row_id)
    ((_, kind, before),) = found
    if kind == "insert":
        return None
    if before is None:
        raise Conflict(f"what {entity.name} {row_id} was then has been erased")
    return row_from_image(entity, before)


def dropped_at(raw: RawConnection, name: str) -> int:
    """Return the head when the last table of a name was dropped; 0 where none was."""
    return int(meta(raw, f"dropped:{name}") or 0)


def _forget_dropped(raw: RawConnection, entity: Entity, seq: int) -> None:
    dropped = dropped_at(raw, entity.name)
    if dropped <= seq:
        return
    raw.execute(f"DELETE FROM temp.{_TABLE} WHERE entity = ?", (entity.name,))
    raw.execute(
        f"INSERT OR IGNORE INTO temp.{_TABLE} SELECT entity, row_id, seq FROM main._pylon_log"
        " WHERE entity = ? AND seq > ? AND row_id <> '' ORDER BY seq",
        (entity.name, dropped),
    )


# --- the view ----------------------------------------------------------------------------


def _view(entity: Entity, columns: tuple[str, ...]) -> str:
    """Return the CREATE VIEW: rows that did not change since, then images of those that did.

    Each column has the affinity of the table's own: only then does SQLite merge both halves by
    their indexes, and a page costs what it costs without the view.
    """
    name = entity.name
    listed = ", ".join(f'now."{one}"' for one in (*columns, "_wire"))
    images = [
        'past.row_id AS "id"',
        *(f'{_column(one)} AS "{one.name}"' for one in entity.fields),
        """CAST(json_extract(log.before, '$."_seq"') AS INTEGER) AS "_seq\"""",
        f'{_wire(entity)} AS "_wire"',
    ]
    return (
        f'CREATE TEMP VIEW "{name}" AS SELECT {listed} FROM main."{name}" AS now WHERE NOT EXISTS'
        f" (SELECT 1 FROM temp.{_TABLE} AS past WHERE past.entity = '{name}'"
        ' AND past.row_id = now."id")'
        f" UNION ALL SELECT {', '.join(images)} FROM temp.{_TABLE} AS past"
        " CROSS JOIN main._pylon_log AS log ON log.seq = past.seq"
        f" WHERE past.entity = '{name}' AND log.before IS NOT NULL"
    )


def _column(field: Field) -> str:
    """Return a field of the image as its column stores it."""
    kind = FIELD_TYPES[field.kind]
    if kind.is_json:
        # Its text as it stands: a scalar is JSON too.
        value = f"nullif({_part(field, '->')}, 'null')"
    elif field.kind is FieldKind.BYTES:
        value = f"_pylon_bytes({_part(field)})"
    else:
        value = _part(field)
    return f"CAST({value} AS {kind.sqlite})"


def _part(field: Field, operator: str = "") -> str:
    names = [field.name, *([field.renamed_from] if field.renamed_from else [])]
    parts = [
        f"""(log.before -> '$."{one}"')""" if operator
        else f"""json_extract(log.before, '$."{one}"')"""
        for one in names
    ]  # fmt: skip
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def _wire(entity: Entity) -> str:
    if is_wire_image(entity):
        return "log.before"
    if is_wire_part(entity):
        private = ", ".join(f"""'$."{one.name}"'""" for one in entity.fields if one.private)
        return f"CAST(json_remove(log.before, {private}) AS TEXT)"
    return f'CAST("_pylon_wire_{entity.name}"(log.before) AS TEXT)'


def _define_wire(raw: RawConnection, entity: Entity) -> None:
    def wire(image: str) -> str:
        return wire_text(entity, row_from_image(entity, image))

    raw.create_function(f"_pylon_wire_{entity.name}", 1, wire, deterministic=True)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
