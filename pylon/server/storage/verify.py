"""Are the tables the fold of the log? Every table row against the newest record of its id (I4)."""

from __future__ import annotations

from pylon import jsonvalue
from pylon.schema.model import Schema
from pylon.schema.wire import image_text, wire_text
from pylon.server.storage.tables import EntityTable
from pylon.sqlite import RawConnection


def verify(connection: RawConnection, schema: Schema, horizon: int = 0) -> list[str]:
    """Return what does not fit, in sentences; an empty list where all is well.

    Rows whose newest record was trimmed are checked for a `_seq` at or below the horizon only.
    """
    faults: list[str] = []
    check = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if check != "ok":
        faults.append(f"integrity_check: {check}")
    newest = {
        (entity, row_id): (seq, kind, after)
        for entity, row_id, seq, kind, after in connection.execute(
            "SELECT entity, row_id, max(seq), kind, after FROM _pylon_log GROUP BY entity, row_id"
        )
    }
    for entity in schema.entities.values():
        table = EntityTable(entity)
        for stored in connection.execute(table.select_sql).fetchall():
            row = table.row(stored)
            name = f"{entity.name}/{row['id']}"
            record = newest.pop((entity.name, row["id"]), None)
            if record is None:
                if row["_seq"] > horizon:
                    faults.append(f"{name} is in no record of the log")
                continue
            seq, kind, after = record
            if kind == "delete":
                faults.append(f"{name} was deleted at {seq} and is there")
            elif seq != row["_seq"]:
                faults.append(f"{name} has _seq {row['_seq']}, the log says {seq}")
            elif jsonvalue.decode_trusted(after) != jsonvalue.decode_trusted(
                image_text(entity, row)
            ):
                faults.append(f"{name} differs from its record {seq}")
        for row_id, wire in connection.execute(f'SELECT "id", "_wire" FROM "{entity.name}"'):
            stored = connection.execute(f'{table.select_sql} WHERE "id" = ?', (row_id,)).fetchone()
            if wire != wire_text(entity, table.row(stored)):
                faults.append(f"{entity.name}/{row_id} has a wire text that is not its own")
    faults += [
        f"{entity}/{row_id} is missing: the log has it at {seq}"
        for (entity, row_id), (seq, kind, _) in newest.items()
        if kind != "delete" and entity in schema.entities
    ]
    return faults
