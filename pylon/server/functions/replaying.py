"""Changes of one database made once more in another: as writes like any other, into its own log."""

from __future__ import annotations

from collections.abc import Sequence

from pylon.errors import InvalidArgument, NotFound
from pylon.schema.model import Entity, FieldKind, Row
from pylon.schema.validate import validate_insert, validate_patch
from pylon.schema.wire import whole_row
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.transaction import Transaction

#: What the log of the other database says of them.
REPLAY = "replay"


def portable(entity: Entity, row: Row) -> dict[str, object]:
    """Return a row's values as another database takes them: without files, which stay."""
    whole = whole_row(entity, row)
    return {
        one.name: None if one.kind is FieldKind.FILE else whole[one.name] for one in entity.fields
    }


def moved(entity: Entity, before: Row, after: Row) -> dict[str, object]:
    """Return the values that a change gave a row, of those that another database takes."""
    was, now = portable(entity, before), portable(entity, after)
    return {name: value for name, value in now.items() if was[name] != value}


def replay(transaction: Transaction, records: Sequence[LogRecord]) -> int:
    """Make the changes of one transaction once more; returns how many.

    Who made them is kept, where he is still named. An update gives the row the values that the
    change gave it and leaves its other fields. Raises NotFound, Conflict, InvalidArgument where
    the rows are not such that it can be done.
    """
    transaction.cause = REPLAY
    for record in records:
        transaction.actor = record.actor
        entity = transaction.schema.entities.get(record.entity)
        if entity is None:
            raise NotFound(f"there is no entity {record.entity} there")
        _make(transaction, entity, record)
    transaction.settle()
    return len(records)


def _make(transaction: Transaction, entity: Entity, record: LogRecord) -> None:
    label = f"{record.entity} {record.row_id}"
    if record.kind == "insert":
        assert record.after is not None
        row_id = record.row_id
        row = validate_insert(
            entity, portable(entity, record.after), now=transaction.now, actor=record.actor,
            new_id=lambda: row_id, row_id=row_id,
        )  # fmt: skip
        transaction.insert(entity, row)
        return
    there = transaction.get(entity, record.row_id)
    if there is None:
        raise NotFound(f"there is no {label} there")
    if record.kind == "delete":
        transaction.delete(entity, there)
        return
    if record.before is None or record.after is None:
        raise InvalidArgument(f"what change {record.seq} wrote has been erased")
    values = moved(entity, record.before, record.after)
    transaction.update(entity, there, {**there, **validate_patch(entity, values)})
