"""What became of one row, change by change, and who gave each field its value last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pylon import limits, limits_data
from pylon.schema.model import Entity, Schema
from pylon.server.storage.change_log import RECORD_COLUMNS, LogRecord, record_of
from pylon.server.storage.lineage import field_added_after
from pylon.server.storage.time_travel import dropped_at
from pylon.sqlite import RawConnection

_READ_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Blame:
    """Which change gave a field its value; None where the log does not reach back to it."""

    field: str
    record: LogRecord | None
    #: A migration added the field after this change and gave the row its value; no record did.
    added_after: int | None = None


def read_history(
    raw: RawConnection, schema: Schema, entity: Entity, row_id: str, *, limit: int,
    before: int | None = None,
) -> tuple[list[LogRecord], bool]:  # fmt: skip
    """Return changes of a row, the newest first, and whether there are older ones.

    Args:
        raw: what is asked.
        schema: of now; images are in its fields.
        entity: whose row.
        row_id: of the row, which may be gone.
        limit: how many at most; fewer where they are large.
        before: only changes below this seq.
    """
    rows = raw.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log WHERE entity = ? AND row_id = ? AND seq > ?"
        " AND (?4 IS NULL OR seq < ?4) ORDER BY seq DESC LIMIT ?5",
        (entity.name, row_id, dropped_at(raw, entity.name), before, limit + 1),
    )
    found: list[LogRecord] = []
    size = 0
    for row in rows:
        if len(found) == limit or size > limits.LIST_BYTES_MAX:
            return found, True
        found.append(record_of(row, schema))
        size += len(row[6] or "") + len(row[7] or "")
    return found, False


def seqs_after(raw: RawConnection, name: str, row_id: str, seq: int, limit: int) -> list[int]:
    """Return the changes of a row above `seq`, the oldest first, up to `limit`."""
    rows = raw.execute(
        "SELECT seq FROM _pylon_log WHERE entity = ? AND row_id = ? AND seq > ? ORDER BY seq"
        " LIMIT ?",
        (name, row_id, seq, limit),
    ).fetchall()
    return [int(one) for (one,) in rows]


def changed_fields(entity: Entity, record: LogRecord) -> list[str]:
    """Return the fields that a change gave another value, in order of declaration.

    Of an insert or a delete: those that hold something. An image that was erased says nothing.
    """
    if record.kind == "update" and (record.before is None or record.after is None):
        return []
    before, after = record.before or {}, record.after or {}
    return [one.name for one in entity.fields if before.get(one.name) != after.get(one.name)]


def read_blame(
    raw: RawConnection, schema: Schema, entity: Entity, row_id: str, *, upto: int | None = None
) -> list[Blame]:
    """Return for each field of a row the change that gave it the value it has, or had last.

    Looks at no more than `limits_data.BLAME_CHANGES_MAX` changes. With `upto`: as of that change.
    """
    found: dict[str, Blame] = {}
    added = {one.name: field_added_after(raw, entity.name, one.name) for one in entity.fields}
    before = None if upto is None else upto + 1
    for _ in range(0, limits_data.BLAME_CHANGES_MAX, _READ_AT_ONCE):
        page, more = read_history(raw, schema, entity, row_id, limit=_READ_AT_ONCE, before=before)
        for record in page:
            if record.kind == "insert":
                # The row began here: what is not told yet has its value since then.
                for one in entity.fields:
                    found.setdefault(one.name, _given_by_insert(one.name, record, added[one.name]))
            elif record.kind == "update":
                for name in changed_fields(entity, record):
                    found.setdefault(name, Blame(name, record))
        if not more or len(found) == len(entity.fields):
            break
        before = page[-1].seq
    return [found.get(one.name, Blame(one.name, None)) for one in entity.fields]


def _given_by_insert(name: str, record: LogRecord, added_after: int | None) -> Blame:
    """Blame an insert, unless the field came later: its image was brought to the new fields."""
    if added_after is not None and record.seq <= added_after:
        return Blame(name, None, added_after)
    return Blame(name, record)
