"""The change log: records as stored, appended by transactions, read after a cursor, trimmed.

What does not live here: what a caller may see of a record (`sync.projection`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.policy.slices import Slice, slice_from_json
from pylon.schema.model import Row, Schema
from pylon.schema.wire import row_from_image
from pylon.sqlite import RawConnection

_IDENTITY = "identity "
#: The kind of a record that stands for a slice; what it stands for is in `after`.
SLICE: Final = "slice"
#: Beyond every number that a change may have.
_NUMBERS_END: Final = 2**62
#: The records of one transaction, of (tx, one seq of it, tx, _NUMBERS_END). A transaction is
#: numbered by its first record, and its records stand together: up to where the next one begins,
#: so that an old one is not looked for to the end of the log.
_TOGETHER: Final = (
    "seq >= ? AND seq < "
    "ifnull((SELECT seq FROM _pylon_log WHERE seq > ? AND tx <> ? ORDER BY seq LIMIT 1), ?)"
)
#: What `record_of` takes, in order.
RECORD_COLUMNS: Final = (
    "seq, tx, at, entity, row_id, kind, before, after, actor, cause, operation_id"
)


@dataclass(slots=True)
class LogRecord:
    """A change with its images, who made it and why. Never leaves the server as it is."""

    seq: int
    tx: int
    at_ms: int
    entity: str
    row_id: str
    kind: str
    before: Row | None
    after: Row | None
    #: The row's wire text after the change; None for a delete.
    wire: str | None
    actor: str | None
    cause: str | None
    operation_id: str | None
    #: What a `slice` stands for: a policy changed its mind about these rows, none of which changed.
    #: Its images are absent, and it is of no row.
    slice: Slice | None = None

    @property
    def size_bytes(self) -> int:
        """Return about how much memory the record takes."""
        return 400 + 4 * len(self.wire or "")


def read_after(connection: RawConnection, seq: int, limit: int, schema: Schema) -> list[LogRecord]:
    """Return up to `limit` records above `seq`, without wire texts."""
    rows = connection.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
    ).fetchall()
    return [record_of(row, schema) for row in rows]


def time_after(connection: RawConnection, seq: int) -> int | None:
    """Return the commit time (Unix ms) of the first record above `seq`, or None."""
    row = connection.execute(
        "SELECT at FROM _pylon_log WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)
    ).fetchone()
    return None if row is None else int(row[0])


def read_one(connection: RawConnection, seq: int, schema: Schema) -> LogRecord | None:
    """Return the record at `seq`, or None."""
    row = connection.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log WHERE seq = ?", (seq,)
    ).fetchone()
    return None if row is None else record_of(row, schema)


def read_upto(connection: RawConnection, seq: int, schema: Schema) -> LogRecord | None:
    """Return the newest record up to `seq`, or None."""
    row = connection.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)
    ).fetchone()
    return None if row is None else record_of(row, schema)


def read_together(
    connection: RawConnection, seq: int, limit: int, schema: Schema
) -> list[LogRecord]:
    """Return up to `limit` records of the transaction that wrote `seq`, oldest first."""
    row = connection.execute("SELECT tx FROM _pylon_log WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        return []
    rows = connection.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log WHERE {_TOGETHER} ORDER BY seq LIMIT ?",
        (row[0], seq, row[0], _NUMBERS_END, limit),
    ).fetchall()
    return [record_of(one, schema) for one in rows]


def read_change(connection: RawConnection, seq: int) -> int | None:
    """Return the last record that is no slice of the transaction that wrote `seq`, or None."""
    row = connection.execute("SELECT tx FROM _pylon_log WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        return None
    (found,) = connection.execute(
        f"SELECT max(CASE WHEN kind <> ? THEN seq END) FROM _pylon_log WHERE {_TOGETHER}",
        (SLICE, row[0], seq, row[0], _NUMBERS_END),
    ).fetchone()
    return None if found is None else int(found)


def read_of_row(
    connection: RawConnection, entity: str, row_id: str, seq: int, limit: int, schema: Schema
) -> list[LogRecord]:
    """Return the newest records of one row above `seq`, the newest first."""
    rows = connection.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log WHERE entity = ? AND row_id = ? AND seq > ?"
        " ORDER BY seq DESC LIMIT ?",
        (entity, row_id, seq, limit),
    ).fetchall()
    return [record_of(one, schema) for one in rows]


def read_last(connection: RawConnection, limit: int, schema: Schema) -> list[LogRecord]:
    """Return the newest records, oldest first."""
    rows = connection.execute(
        f"SELECT {RECORD_COLUMNS} FROM _pylon_log ORDER BY seq DESC LIMIT ?", (limit,)
    ).fetchall()
    return [record_of(row, schema) for row in reversed(rows)]


def record_of(row: tuple[Any, ...], schema: Schema) -> LogRecord:
    """Return the record of what `RECORD_COLUMNS` gave, without its wire text."""
    entity = schema.entities.get(row[3])
    before, after = row[6], row[7]
    if row[5] == SLICE:
        stored = slice_from_json(row[3], jsonvalue.decode_trusted(after))
        before = after = None
    else:
        stored = None
    return LogRecord(
        seq=row[0], tx=row[1], at_ms=row[2], entity=row[3], row_id=row[4], kind=row[5],
        before=row_from_image(entity, before) if entity is not None and before else None,
        after=row_from_image(entity, after) if entity is not None and after else None,
        wire=None, actor=row[8], cause=row[9], operation_id=row[10], slice=stored,
    )  # fmt: skip


def read_head(connection: RawConnection) -> tuple[int, int]:
    """Return (head, horizon): the last seq ever given, and the oldest that a cursor may have.

    The log starts after the horizon, or rows were written anew there that clients have copies of.
    """
    (newest,) = connection.execute("SELECT max(seq) FROM _pylon_log").fetchone()
    floor = _meta_int(connection, "head_floor")
    horizon = max(_meta_int(connection, "horizon"), read_rewritten(connection))
    return max(newest or 0, floor), horizon


def read_floor(connection: RawConnection) -> int:
    """Return the seq that the log starts after: what was trimmed goes up to it."""
    return _meta_int(connection, "horizon")


def read_rewritten(connection: RawConnection) -> int:
    """Return the seq that stands for the last migration which changed rows as clients hold them."""
    return _meta_int(connection, "rewritten")


def note_rewritten(connection: RawConnection, head: int) -> int:
    """Give the next seq to a migration, so that every cursor from before is told; returns it."""
    for key in ("rewritten", "head_floor"):
        _set_meta(connection, key, head + 1)
    return head + 1


def note_identity(connection: RawConnection, user_id: str, seq: int) -> int:
    """Give the next seq to a change of who somebody is; returns it.

    Every cursor of his from before starts over.
    """
    for key in (_IDENTITY + user_id, "head_floor"):
        _set_meta(connection, key, seq + 1)
    return seq + 1


def read_identity(connection: RawConnection, user_id: str) -> int:
    """Return the seq of the last change of who somebody is; 0 for none."""
    return _meta_int(connection, _IDENTITY + user_id)


def _set_meta(connection: RawConnection, key: str, value: int) -> None:
    connection.execute(
        "INSERT INTO _pylon_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value ="
        " excluded.value",
        (key, value),
    )


def _meta_int(connection: RawConnection, key: str) -> int:
    row = connection.execute("SELECT value FROM _pylon_meta WHERE key = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What one step of trimming did."""

    #: The seq that the log starts after now.
    horizon: int
    #: Records deleted; as many as one step may: there may be more.
    deleted: int


def trim(
    connection: RawConnection, head: int, *, keep_changes: int, keep_after_ms: int, at_most: int
) -> Trimmed:
    """Delete records that are beyond both bounds, whole transactions.

    The horizon moves first, over whole transactions however long; what lies behind it is deleted
    `at_most` a call, so that a long transaction does not hold the writer.

    Args:
        connection: the writer, inside a transaction.
        head: last committed seq; remembered, so that no number is ever given twice.
        keep_changes: how many of the newest records stay in any case.
        keep_after_ms: records of this Unix time or younger stay in any case.
        at_most: how many records one call deletes.
    """
    horizon = _meta_int(connection, "horizon")
    border = _border(connection, horizon, head - keep_changes, keep_after_ms, at_most)
    if border > horizon:
        horizon = border
        _set_meta(connection, "horizon", horizon)
        _set_meta(connection, "head_floor", head)
    deleted = connection.execute(
        "DELETE FROM _pylon_log WHERE seq IN"
        " (SELECT seq FROM _pylon_log WHERE seq <= ? ORDER BY seq LIMIT ?)",
        (horizon, at_most),
    ).rowcount
    return Trimmed(horizon, deleted)


def _border(
    connection: RawConnection, horizon: int, last: int, keep_after_ms: int, at_most: int
) -> int:
    """Return the seq that the log may start after: the end of a transaction, at most `last`."""
    if last <= horizon:
        return horizon
    # Looked at from the old end, so that a clock that went back keeps more and never less.
    oldest = "SELECT seq, at FROM _pylon_log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    end, young = connection.execute(
        f"SELECT max(seq), min(CASE WHEN at >= ? THEN seq END) FROM ({oldest})",
        (keep_after_ms, horizon, last, at_most),
    ).fetchone()
    if end is None or young == horizon + 1:
        return horizon
    end = end if young is None else young - 1
    following = connection.execute(
        "SELECT tx FROM _pylon_log WHERE seq > ? ORDER BY seq LIMIT 1", (end,)
    ).fetchone()
    if following is None:
        return int(end)
    before = connection.execute(
        "SELECT seq FROM _pylon_log WHERE seq > ? AND seq <= ? AND tx <> ? ORDER BY seq DESC"
        " LIMIT 1",
        (horizon, end, following[0]),
    ).fetchone()
    if before is not None:
        return int(before[0])
    # One transaction, longer than the stretch that was looked at: all of it, or nothing.
    (end,) = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM _pylon_log WHERE seq > ? AND tx = ? LIMIT ?)",
        (horizon, following[0], limits.TRANSACTION_ROWS_MAX),
    ).fetchone()
    return int(end) if end <= last else horizon


def newest_ms(connection: RawConnection) -> int | None:
    """Return when the newest change was made, Unix ms; None where the log is empty."""
    (found,) = connection.execute(
        "SELECT max(at) FROM (SELECT at FROM _pylon_log ORDER BY seq DESC LIMIT 100)"
    ).fetchone()
    return None if found is None else int(found)


class LogTail:
    """The newest records in memory, bounded, so that live delivery reads no file."""

    def __init__(self, head: int) -> None:
        self._records: deque[LogRecord] = deque()
        self._bytes = 0
        #: Everything after this seq is here.
        self.start = head

    def extend(self, records: list[LogRecord]) -> None:
        """Take the records of a commit."""
        self._records.extend(records)
        self._bytes += 400 * len(records) + 4 * sum([len(one.wire or "") for one in records])
        while (
            len(self._records) > limits.TAIL_ENTRIES_MAX or self._bytes > limits.TAIL_BYTES_MAX
        ) and len(self._records) > 1:
            dropped = self._records.popleft()
            self._bytes -= dropped.size_bytes
            self.start = dropped.seq

    @property
    def size(self) -> int:
        """Return how many records are held."""
        return len(self._records)

    @property
    def bytes(self) -> int:
        """Return how much they take, roughly."""
        return self._bytes

    def since(self, seq: int) -> list[LogRecord] | None:
        """Return the records above `seq`; None where the tail no longer reaches back to it."""
        if seq < self.start:
            return None
        found: list[LogRecord] = []
        for record in reversed(self._records):
            if record.seq <= seq:
                break
            found.append(record)
        found.reverse()
        return found

    def reset(self, head: int) -> None:
        """Forget everything: the log goes on from `head`."""
        self._records.clear()
        self._bytes = 0
        self.start = head
