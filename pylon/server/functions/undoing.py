"""Undo of the owner's own changes: what takes a transaction back, as operations like any other.

Nothing is unwritten: the log's images say what the rows were, and that is written anew, by one
transaction or not at all. What depends on a change (a field that has another value by now, a row
that is gone or back, rows that refer to one that would go) is told, and stops it unless the owner
says what to do about it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pylon import jsonvalue, limits, limits_data
from pylon.errors import Conflict, NotFound
from pylon.schema.model import Entity, Row
from pylon.schema.wire import whole_row
from pylon.server.storage import operations
from pylon.server.storage.change_log import (
    SLICE,
    LogRecord,
    read_change,
    read_floor,
    read_head,
    read_of_row,
    read_one,
    read_together,
)
from pylon.server.storage.data_pages import referrers_of
from pylon.server.storage.readers import ReadConnection

#: What the log calls the changes that the owner makes to rows.
STUDIO: Final = "studio"
#: (function, arguments) of a built-in mutation.
Step = tuple[str, dict[str, Any]]
#: The operation ids of a group: GROUP.PART.PLACE.
_OF_GROUP: Final = re.compile(r"(?P<group>[A-Za-z0-9_:-]{8,40})\.\d{5}\.\d{4}")


class Anyway(StrEnum):
    """What to do about changes that something depends on."""

    #: Nothing is taken back at all.
    REFUSE = "refuse"
    #: The rest is taken back.
    SKIP = "skip"
    #: What was written since is written over; rows that refer go as their references say.
    FORCE = "force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """Why one row is not as a change left it."""

    entity: str
    row_id: str
    #: What the change did: insert, update or delete.
    kind: str
    #: `changed`, `deleted`, `back` or `referred`.
    why: str
    #: Of `changed`: the fields that have another value by now.
    fields: tuple[str, ...] = ()
    #: The changes since then, the newest first: (seq, Unix ms, kind, actor, cause).
    by: tuple[tuple[int, int, str, str | None, str | None], ...] = ()
    #: Of `referred`: (entity, field, how many rows).
    referrers: tuple[tuple[str, str, int], ...] = ()

    @property
    def words(self) -> str:
        """Return it in words."""
        label = f"{self.entity} {self.row_id}"
        last = f": change {self.by[0][0]}" if self.by else ""
        if self.why == "changed":
            return f"{label} has changed since then{last} ({', '.join(self.fields)})"
        if self.why == "deleted":
            return f"{label} was deleted since then{last}"
        if self.why == "back":
            return f"{label} is there again{last}"
        entity, name, count = self.referrers[0]
        verb = "refers" if count == 1 else "refer"
        return f"{count} {entity} {verb} to {label} by {name} by now"


@dataclass(slots=True)
class Undo:
    """How one transaction is taken back."""

    steps: list[Step] = field(default_factory=list)
    depends: list[Dependent] = field(default_factory=list)


def parts_of(connection: ReadConnection, seq: int) -> list[int]:
    """Return the transactions that were made together with a change, the newest first.

    Each by its last change. A change that was made by itself is its only part. What a change moves
    for others (a slice) names it, too. Raises NotFound where the log has no such change.
    """
    record = read_one(connection.raw, seq, connection.schema)
    if record is None:
        raise _absent(connection, seq)
    found = _OF_GROUP.fullmatch(record.operation_id or "")
    if found is None or record.cause != STUDIO:
        return [change_of(connection, seq)]
    parts: dict[str, int] = {}
    for op_id, outcome in operations.of_group(connection.raw, "system", found["group"]):
        part, made = op_id.split(".")[1], jsonvalue.decode_trusted(outcome)
        if "seq" in made:
            parts[part] = max(parts.get(part, 0), int(made["seq"]))
    return [parts[part] for part in sorted(parts, reverse=True)] or [seq]


def _absent(connection: ReadConnection, seq: int) -> NotFound:
    """Return what to say of a number that names no change: not yet, not any more, or never."""
    (head, _), floor = read_head(connection.raw), read_floor(connection.raw)
    if seq > head:
        return NotFound(f"the log has no change {seq}: its last one is {head}")
    if 0 < seq <= floor:
        return NotFound(f"the log has no change {seq} any more: it begins behind {floor}")
    return NotFound(f"the log has no change {seq}")


def change_of(connection: ReadConnection, seq: int) -> int:
    """Return the last change of a row in the transaction that wrote `seq`: the number to tell.

    Behind its changes a transaction may have slices, and ends in the last one of those. `seq`
    itself where there is no such change (any more).
    """
    return read_change(connection.raw, seq) or seq


def undo_of(connection: ReadConnection, seq: int, anyway: Anyway = Anyway.REFUSE) -> Undo:
    """Return what takes back the transaction that wrote a change, in order, and what depends on it.

    Raises NotFound where the log has no such change (any more), Conflict where it is not the
    owner's own. With dependents there are no steps unless something is to be done `anyway`.
    """
    most = limits.PUSH_OPERATIONS_MAX
    found = read_together(connection.raw, seq, 2 * most, connection.schema)
    records = [one for one in found if one.kind != SLICE]
    if not records:
        raise _absent(connection, seq)
    if any(one.cause != STUDIO for one in records):
        raise Conflict(
            f"change {seq} was not made here: it came by {records[0].cause}",
            hint="undo takes back what the owner changed",
        )  # fmt: skip
    if len(records) > most:
        raise Conflict(f"change {seq} is part of more than {most} changes: too many to undo")
    rows = _rows_of(connection, records)
    undo = Undo()
    blocked: set[tuple[str, str]] = set()
    own = _own_references(connection, rows)
    for key, one in rows.items():
        dependent = _dependent(connection, key, one, own)
        if dependent is not None:
            undo.depends.append(dependent)
            blocked.add(key)
    if undo.depends and anyway is Anyway.REFUSE:
        return undo
    for record in reversed(records):
        key = (record.entity, record.row_id)
        if key in blocked and (anyway is Anyway.SKIP or not rows[key].is_forced):
            continue
        undo.steps.append(_step(connection, record, rows[key]))
    return undo


@dataclass(slots=True)
class _Row:
    """A row before and after a transaction, and now."""

    was: Row | None
    left: Row | None
    now: Row | None
    last: LogRecord

    @property
    def is_forced(self) -> bool:
        """Tell whether there is something to write over: a row where there was to be one."""
        return (self.now is None) == (self.left is None)


def _rows_of(
    connection: ReadConnection, records: Sequence[LogRecord]
) -> dict[tuple[str, str], _Row]:
    rows: dict[tuple[str, str], _Row] = {}
    for one in records:
        entity = connection.schema.entities.get(one.entity)
        if entity is None:
            raise Conflict(f"there is no entity {one.entity} any more")
        key = (one.entity, one.row_id)
        if key in rows:
            rows[key].left, rows[key].last = one.after, one
        else:
            now = connection.get(entity, one.row_id)
            rows[key] = _Row(one.before, one.after, now, one)
    return rows


def _dependent(
    connection: ReadConnection, key: tuple[str, str], row: _Row, own: Counter[tuple[str, str, str]]
) -> Dependent | None:
    """Return why a row is not as it was left, or None where it is."""
    entity = connection.schema.entities[key[0]]
    kind = "insert" if row.was is None else "delete" if row.left is None else "update"
    if row.left is None:
        if row.now is None:
            return None
        return _told(connection, key, row, kind, "back", ())
    if row.now is None:
        return _told(connection, key, row, kind, "deleted", ())
    left, now = values_of(entity, row.left), values_of(entity, row.now)
    ours = values_of(entity, row.was) if row.was is not None else {}
    mine = [name for name in left if row.was is None or ours[name] != left[name]]
    changed = tuple(name for name in mine if now[name] != left[name])
    if changed:
        return _told(connection, key, row, kind, "changed", changed)
    referrers = _foreign(connection, entity, key[1], own) if row.was is None else ()
    if not referrers:
        return None
    return Dependent(
        entity=key[0], row_id=key[1], kind=kind, why="referred", referrers=referrers
    )  # fmt: skip


def _own_references(
    connection: ReadConnection, rows: Mapping[tuple[str, str], _Row]
) -> Counter[tuple[str, str, str]]:
    """Count the rows that a transaction inserted and that refer, by entity, field and to which."""
    own: Counter[tuple[str, str, str]] = Counter()
    for (name, _), one in rows.items():
        if one.was is not None or one.now is None:
            continue
        for each in connection.schema.entities[name].fields:
            if each.ref is not None and one.now[each.name] is not None:
                own[name, each.name, one.now[each.name]] += 1
    return own


def _foreign(
    connection: ReadConnection, entity: Entity, row_id: str, own: Counter[tuple[str, str, str]]
) -> tuple[tuple[str, str, int], ...]:
    """Return (entity, field, count) of rows that refer to one and did not come with it."""
    counts = [
        (one.entity.name, one.field.name, one.count - own[one.entity.name, one.field.name, row_id])
        for one in referrers_of(connection, entity, row_id)
    ]
    return tuple(one for one in counts if one[2] > 0)


def _told(
    connection: ReadConnection, key: tuple[str, str], row: _Row, kind: str, why: str,
    fields: tuple[str, ...],
) -> Dependent:  # fmt: skip
    """Return a dependent with the changes that made it one."""
    later = read_of_row(
        connection.raw, *key, row.last.seq, limits_data.UNDO_CHANGES_SHOWN, connection.schema
    )
    by = [
        (one.seq, one.at_ms, one.kind, one.actor, one.cause)
        for one in later
        if why != "changed" or _touches(one, fields)
    ]
    return Dependent(
        entity=key[0], row_id=key[1], kind=kind, why=why, fields=fields, by=tuple(by)
    )  # fmt: skip


def _touches(record: LogRecord, fields: tuple[str, ...]) -> bool:
    before, after = record.before, record.after
    if before is None or after is None:
        return True
    return any(before.get(name) != after.get(name) for name in fields)


def _step(connection: ReadConnection, record: LogRecord, row: _Row) -> Step:
    entity = connection.schema.entities[record.entity]
    args: dict[str, Any] = {"entity": record.entity, "id": record.row_id}
    # Between this look and the write nobody else's change is lost. Of a row that changed twice,
    # the earlier number has not come back.
    guard = {} if row.now is None or row.last is not record else {"if_seq": row.now["_seq"]}
    if record.kind == "insert":
        return "pylon.delete", {**args, **guard}
    assert record.before is not None
    if record.kind == "delete":
        return "pylon.insert", {**args, "values": values_of(entity, record.before)}
    assert record.after is not None
    before, after = values_of(entity, record.before), values_of(entity, record.after)
    changed = {name: value for name, value in before.items() if after[name] != value}
    return "pylon.update", {**args, "values": changed, **guard}


def values_of(entity: Entity, row: Row) -> dict[str, Any]:
    """Return a row's fields as a built-in mutation takes them."""
    whole = whole_row(entity, row)
    return {one.name: whole[one.name] for one in entity.fields}
