"""One row back to a version of it: as an operation like any other, which can be undone."""

from __future__ import annotations

from pylon.errors import Conflict, NotFound
from pylon.schema.model import Entity
from pylon.server.functions.undoing import Step, values_of
from pylon.server.storage.data_pages import referrers_of
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.time_travel import row_as_of


def step_to(
    connection: ReadConnection, entity: Entity, row_id: str, seq: int, if_seq: int | None = None
) -> Step:
    """Return what brings a row back to what it was after change `seq`.

    Args:
        connection: one state of the database.
        entity: whose row.
        row_id: of the row; it may be gone.
        seq: the change; where the row was not there then, it goes.
        if_seq: its `_seq` as the owner saw it; None: as it is now.

    Raises as `time_travel.row_as_of`; Conflict where it is as it was, or where rows refer to one
    that would go.
    """
    then, now = row_as_of(connection, entity, row_id, seq), connection.get(entity, row_id)
    args = {"entity": entity.name, "id": row_id}
    if then is None and now is None:
        raise NotFound(f"there was no {entity.name} {row_id} at change {seq}, and there is none")
    if if_seq is not None and (now is None or now["_seq"] != if_seq):
        is_now = "is gone" if now is None else f"is of change {now['_seq']}"
        raise Conflict(f"{entity.name} {row_id} has changed meanwhile: it {is_now}")
    if now is None:
        assert then is not None
        return "pylon.insert", {**args, "values": values_of(entity, then)}
    guard = {"if_seq": now["_seq"]}
    if then is None:
        _demand_unreferred(connection, entity, row_id)
        return "pylon.delete", {**args, **guard}
    before, after = values_of(entity, then), values_of(entity, now)
    changed = {name: value for name, value in before.items() if after[name] != value}
    if not changed:
        raise Conflict(f"{entity.name} {row_id} is as it was after change {seq}")
    return "pylon.update", {**args, "values": changed, **guard}


def _demand_unreferred(connection: ReadConnection, entity: Entity, row_id: str) -> None:
    """Raise where rows refer to one that would go: they would go with it."""
    for one in referrers_of(connection, entity, row_id):
        if one.count:
            raise Conflict(
                f"{one.count} {one.entity.name} {'refers' if one.count == 1 else 'refer'} to"
                f" {entity.name} {row_id} by {one.field.name} by now",
                entity=one.entity.name, field=one.field.name,
            )  # fmt: skip
