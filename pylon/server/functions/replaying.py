"""Changes of one database made once more in another: as writes like any other, into its own log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Taken:
    """A change as it is taken along: the values of an insert, or those that an update gave."""

    kind: str
    entity: str
    row_id: str
    values: Mapping[str, object] | None
    actor: str | None


def replay(transaction: Transaction, records: Sequence[LogRecord]) -> int:
    """Make the changes of one transaction once more; returns how many.

    Who made them is kept, where he is still named. An update gives the row the values that the
    change gave it and leaves its other fields. Raises NotFound, Conflict, InvalidArgument where
    the rows are not such that it can be done.
    """
    return make_again(transaction, [_taken(transaction, one) for one in records])


def _taken(transaction: Transaction, record: LogRecord) -> Taken:
    entity = transaction.schema.entities.get(record.entity)
    if entity is None:
        raise NotFound(f"there is no entity {record.entity} there")
    values = None
    if record.kind == "insert":
        assert record.after is not None
        values = portable(entity, record.after)
    elif record.kind == "update":
        if record.before is None or record.after is None:
            raise InvalidArgument(f"what change {record.seq} wrote has been erased")
        values = moved(entity, record.before, record.after)
    return Taken(record.kind, record.entity, record.row_id, values, record.actor)


def make_again(transaction: Transaction, changes: Sequence[Taken]) -> int:
    """Make changes that were taken along, as one transaction; returns how many.

    Raises as `replay`.
    """
    transaction.cause = REPLAY
    # A row of a ring takes the others along before their own records come.
    gone: set[tuple[str, str]] = set()
    looked_at = len(transaction.records)
    for one in changes:
        gone |= {
            (record.entity, record.row_id)
            for record in transaction.records[looked_at:]
            if record.kind == "delete"
        }
        looked_at = len(transaction.records)
        transaction.actor = one.actor
        entity = transaction.schema.entities.get(one.entity)
        if entity is None:
            raise NotFound(f"there is no entity {one.entity} there")
        is_gone = one.kind != "insert" and (one.entity, one.row_id) in gone
        if not is_gone or transaction.get(entity, one.row_id) is not None:
            _make(transaction, entity, one)
    transaction.settle()
    return len(changes)


def _make(transaction: Transaction, entity: Entity, one: Taken) -> None:
    label = f"{one.entity} {one.row_id}"
    if one.kind == "insert":
        row = validate_insert(
            entity, one.values or {}, now=transaction.now, actor=one.actor,
            new_id=lambda: one.row_id, row_id=one.row_id,
        )  # fmt: skip
        transaction.insert(entity, row)
        return
    there = transaction.get(entity, one.row_id)
    if there is None:
        raise NotFound(f"there is no {label} there")
    if one.kind == "delete":
        transaction.delete(entity, there)
        return
    transaction.update(entity, there, {**there, **validate_patch(entity, one.values or {})})
