"""Are the tables the fold of the log (I4)? The log is folded from its oldest record, row by row.

Reads one state, holds one row at a time, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from pylon import jsonvalue
from pylon.schema.model import Entity, Schema
from pylon.schema.wire import image_text, wire_text
from pylon.server.storage.change_log import read_head
from pylon.server.storage.lineage import meta
from pylon.server.storage.search_index import index_of
from pylon.server.storage.tables import EntityTable
from pylon.sqlite import RawConnection

#: After so many faults the rest is not looked for.
FAULTS_MAX = 100
FOREIGN_CODE = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"


def verify(connection: RawConnection, schema: Schema) -> list[str]:
    """Return what does not fit, in sentences; an empty list where all is well.

    A row whose newest record was trimmed must have its `_seq` at or below the horizon; what it
    holds nobody can check any more.
    """
    faults: list[str] = []
    for fault in _faults(connection, schema):
        faults.append(fault)
        if len(faults) >= FAULTS_MAX:
            break
    return faults


def _faults(connection: RawConnection, schema: Schema) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check(10)").fetchall():
        if line != "ok":
            yield f"integrity_check: {line}"
    for kind, name in connection.execute(FOREIGN_CODE).fetchall():
        yield f"{kind} {name}: Pylon makes none; it would write, or answer, in place of Pylon"
    head, horizon = read_head(connection)
    yield from _numbers(connection, head, horizon)
    for entity in schema.entities.values():
        yield from _rows_without_record(connection, entity, horizon)
        yield from _references(connection, entity)
        index = index_of(entity)
        for row_id in [] if index is None else index.faults(connection, FAULTS_MAX):
            yield f"{entity.name}/{row_id} is not what full-text search has of it"
    yield from _fold(connection, schema)


def _numbers(connection: RawConnection, head: int, horizon: int) -> Iterator[str]:
    """Check that the log lies between horizon and head, one transaction after the other."""
    (last,) = connection.execute("SELECT max(seq) FROM _pylon_log").fetchone()
    if head < horizon or (last or 0) > head:
        yield f"the log ends at {last}, its horizon is {horizon}, and the head is {head}"
    for seq, tx in connection.execute(
        "SELECT seq, tx FROM _pylon_log AS l WHERE seq > ? AND tx <> seq AND tx IS NOT"
        " (SELECT tx FROM _pylon_log WHERE seq = l.seq - 1) LIMIT 10",
        (horizon,),
    ).fetchall():
        yield f"record {seq} is of transaction {tx}, which is not the one before it"


def _rows_without_record(connection: RawConnection, entity: Entity, horizon: int) -> Iterator[str]:
    """Check that each row newer than the horizon has the record that its `_seq` names."""
    for row_id, seq in connection.execute(
        f'SELECT t."id", t."_seq" FROM "{entity.name}" AS t WHERE t."_seq" > ? AND NOT EXISTS'
        " (SELECT 1 FROM _pylon_log AS l WHERE l.seq = t._seq AND l.entity = ?"
        ' AND l.row_id = t."id") LIMIT ?',
        (horizon, entity.name, FAULTS_MAX),
    ):
        yield f"{entity.name}/{row_id} has _seq {seq}, and the log has no such record of it"


def _references(connection: RawConnection, entity: Entity) -> Iterator[str]:
    for field in entity.fields:
        if field.ref is None:
            continue
        for row_id, target in connection.execute(
            f'SELECT t."id", t."{field.name}" FROM "{entity.name}" AS t WHERE'
            f' t."{field.name}" IS NOT NULL AND NOT EXISTS'
            f' (SELECT 1 FROM "{field.ref}" AS r WHERE r."id" = t."{field.name}") LIMIT 10'
        ).fetchall():
            yield f"{entity.name}/{row_id}.{field.name} names {target}, which is not there"


def _fold(connection: RawConnection, schema: Schema) -> Iterator[str]:
    records = connection.execute(
        "SELECT entity, row_id, seq, kind, before, after FROM _pylon_log"
        " WHERE kind IN ('insert', 'update', 'delete') ORDER BY entity, row_id, seq"
    )
    for name, of_entity in groupby(records, key=itemgetter(0)):
        if name in schema.entities:
            folder = _Folder(connection, schema.entities[name])
            for row_id, of_row in groupby(of_entity, key=itemgetter(1)):
                yield from folder.fold(row_id, of_row)


class _Folder:
    """Follows the rows of one entity through their records."""

    def __init__(self, connection: RawConnection, entity: Entity) -> None:
        self._connection = connection
        self._entity = entity
        self._table = EntityTable(entity)
        columns = ", ".join(f'"{one}"' for one in (*self._table.columns, "_wire"))
        self._select = f'SELECT {columns} FROM "{entity.name}" WHERE "id" = ?'
        #: Records up to this one belong to a table that was dropped.
        self._dropped = int(meta(connection, f"dropped:{entity.name}") or 0)

    def fold(self, row_id: str, records: Iterator[tuple[Any, ...]]) -> Iterator[str]:
        """Say where a row's records do not join, and where the last is not the table's row."""
        name = f"{self._entity.name}/{row_id}"
        last_seq, last = 0, None
        for _, _, seq, kind, before, after in records:
            if seq <= self._dropped:
                continue
            if (after is None) is not (kind == "delete"):
                yield f"{name}: record {seq} is a {kind} with an image of something else"
            if (before is None) is not (kind == "insert"):
                yield f"{name}: record {seq} is a {kind} that begins with something else"
            elif last_seq and not _is_equal(last, before):
                yield f"{name}: record {seq} does not begin where record {last_seq} ended"
            last_seq, last = seq, after
        if last_seq:
            yield from self._compare(name, row_id, last_seq, last)

    def _compare(self, name: str, row_id: str, seq: int, image: str | None) -> Iterator[str]:
        stored = self._connection.execute(self._select, (row_id,)).fetchone()
        if image is None:
            if stored is not None:
                yield f"{name} was deleted at {seq} and is there"
            return
        if stored is None:
            yield f"{name} is missing: the log has it at {seq}"
            return
        row = self._table.row(stored[:-1])
        if row["_seq"] != seq:
            yield f"{name} has _seq {row['_seq']}, the log says {seq}"
        elif not _is_equal(image, image_text(self._entity, row)):
            yield f"{name} differs from its record {seq}"
        if not _is_equal(stored[-1], wire_text(self._entity, row)):
            yield f"{name} has a wire text that is not its own"


def _is_equal(one: str | None, other: str | None) -> bool:
    if one is None or other is None or one == other:
        return one == other
    return bool(jsonvalue.decode_trusted(one) == jsonvalue.decode_trusted(other))
