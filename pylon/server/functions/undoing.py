"""Undo of the owner's own changes: what takes a transaction back, as operations like any other.

Nothing is unwritten: the log's images say what the rows were, and that is written anew, by one
transaction or not at all. It is refused where a row is not as that transaction left it.
"""

from __future__ import annotations

from typing import Any, Final

from pylon import limits
from pylon.errors import Conflict, NotFound
from pylon.schema.model import Entity, Row
from pylon.schema.wire import whole_row
from pylon.server.storage.change_log import SLICE, LogRecord, read_together
from pylon.server.storage.data_pages import referrers_of
from pylon.server.storage.readers import ReadConnection

#: What the log calls the changes that the owner makes to rows.
STUDIO: Final = "studio"
#: (function, arguments) of a built-in mutation.
Step = tuple[str, dict[str, Any]]


def steps_back(connection: ReadConnection, seq: int) -> list[Step]:
    """Return what takes back the transaction that wrote a change, in order.

    Raises NotFound where the log has no such change (any more), Conflict where it is not the
    owner's own, or where something depends on what it left.
    """
    most = limits.PUSH_OPERATIONS_MAX
    found = read_together(connection.raw, seq, 2 * most, connection.schema)
    records = [one for one in found if one.kind != SLICE]
    if not records:
        raise NotFound(f"the log has no change {seq} any more")
    if any(one.cause != STUDIO for one in records):
        raise Conflict(
            f"change {seq} was not made here: it came by {records[0].cause}",
            hint="undo takes back what the owner changed",
        )  # fmt: skip
    if len(records) > most:
        raise Conflict(f"change {seq} is part of more than {most} changes: too many to undo")
    last = {(one.entity, one.row_id): one for one in records}
    for one in last.values():
        _demand_unchanged(connection, one)
    deleted = {(one.entity, one.row_id) for one in records if one.kind == "insert"}
    for name, row_id in deleted:
        _demand_unreferred(connection, connection.schema.entities[name], row_id, deleted)
    return [_step(connection, one, is_last=last[one.entity, one.row_id] is one)
            for one in reversed(records)]  # fmt: skip


def _demand_unchanged(connection: ReadConnection, record: LogRecord) -> None:
    entity = connection.schema.entities.get(record.entity)
    if entity is None:
        raise Conflict(f"there is no entity {record.entity} any more")
    row = connection.get(entity, record.row_id)
    label = f"{record.entity} {record.row_id}"
    if record.kind == "delete":
        if row is not None:
            raise Conflict(f"{label} is there again: change {row['_seq']}", seq=row["_seq"])
    elif row is None:
        raise Conflict(f"{label} was deleted since then")
    elif row["_seq"] != record.seq:
        raise Conflict(
            f"{label} has changed since then: change {row['_seq']}", seq=row["_seq"],
            hint="the log (2) says by whom",
        )  # fmt: skip


def _demand_unreferred(
    connection: ReadConnection, entity: Entity, row_id: str, among: set[tuple[str, str]]
) -> None:
    """Raise where rows refer to one that would go: they would go with it."""
    for one in referrers_of(connection, entity, row_id):
        if one.count and not any(name == one.entity.name for name, _ in among):
            raise Conflict(
                f"{one.count} {one.entity.name} {'refers' if one.count == 1 else 'refer'} to"
                f" {entity.name} {row_id} by {one.field.name} by now",
                entity=one.entity.name, field=one.field.name,
            )  # fmt: skip


def _step(connection: ReadConnection, record: LogRecord, *, is_last: bool) -> Step:
    entity = connection.schema.entities[record.entity]
    args: dict[str, Any] = {"entity": record.entity, "id": record.row_id}
    # Of a row that changed twice, the earlier number has not come back.
    guard = {"if_seq": record.seq} if is_last else {}
    if record.kind == "insert":
        return "pylon.delete", {**args, **guard}
    assert record.before is not None
    if record.kind == "delete":
        return "pylon.insert", {**args, "values": _values(entity, record.before)}
    assert record.after is not None
    before, after = _values(entity, record.before), _values(entity, record.after)
    changed = {name: value for name, value in before.items() if after[name] != value}
    return "pylon.update", {**args, "values": changed, **guard}


def _values(entity: Entity, row: Row) -> dict[str, Any]:
    whole = whole_row(entity, row)
    return {one.name: whole[one.name] for one in entity.fields}
