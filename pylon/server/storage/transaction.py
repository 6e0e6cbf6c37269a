"""One operation's transaction: reads, and writes that take row, log record and limits together.

A transaction is valid only while its work runs in a batch. Nothing is written to an entity's
table but through here, so that tables are the fold of the log (I4). Log records and operation
outcomes are collected and stored together when the batch ends, before the one COMMIT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pylon import jsonvalue, limits
from pylon.clock import iso_ms
from pylon.errors import Conflict, InvalidArgument, PayloadTooLarge, TransactionTooLarge
from pylon.policy.compiled import ExistsNode, inverse_sql, lookup_sql
from pylon.policy.slices import Slice, SliceRule, slice_to_json, slices_of
from pylon.schema.model import Entity, Field, OnDelete, Row, Schema, Value
from pylon.schema.wire import image_text, wire_text
from pylon.server.storage import files
from pylon.server.storage.change_log import SLICE, LogRecord
from pylon.sqlite import IntegrityError, RawConnection

if TYPE_CHECKING:
    from pylon.server.storage.tables import EntityTable

_LOOKUPS: dict[ExistsNode, str] = {}
_INVERSES: dict[tuple[ExistsNode, int], str] = {}


def exists_in(connection: RawConnection, node: ExistsNode, values: tuple[Value, ...]) -> bool:
    """Answer an `exists` of a policy on a connection."""
    sql = _LOOKUPS.get(node)
    if sql is None:
        sql = _LOOKUPS[node] = lookup_sql(node)
    return connection.execute(sql, values).fetchone() is not None


def inverse_in(
    connection: RawConnection, node: ExistsNode, place: int, values: tuple[Value, ...], at_most: int
) -> list[Value] | None:
    """Return the values of the field of the filter at `place` for which an `exists` holds.

    Args:
        connection: what is asked.
        node: the exists.
        place: of the filter that is left open.
        values: the right-hand values of the others.
        at_most: more than so many are not counted: None.
    """
    sql = _INVERSES.get((node, place))
    if sql is None:
        sql = _INVERSES[node, place] = inverse_sql(node, place)
    found = connection.execute(sql, (*values, at_most + 1)).fetchall()
    return None if len(found) > at_most else [value for (value,) in found if value is not None]


class Transaction:
    """Reads and writes of one operation, on the writer's connection."""

    def __init__(
        self, connection: RawConnection, schema: Schema, tables: Mapping[str, EntityTable],
        slice_rules: Mapping[str, tuple[SliceRule, ...]] | None = None,
    ) -> None:  # fmt: skip
        self.connection = connection
        self.schema = schema
        self.tables = tables
        self._slice_rules = slice_rules or {}
        self.now_ms = 0
        self.now = ""
        #: The machine's time, which nobody warps: for what the world outside counts by.
        self.machine_ms = 0
        #: The last seq given; the first of this operation is the next.
        self.seq = 0
        self.tx_id = 0
        self.actor: str | None = None
        self.cause: str | None = None
        self.operation_id: str | None = None
        #: Facts read once per batch; cleared where an operation writes accounts or sessions.
        self.batch_facts: dict[Any, Any] = {}
        self.records: list[LogRecord] = []
        #: The records as the log stores them.
        self.log_rows: list[tuple[Any, ...]] = []
        #: Outcomes of operations to be stored: (principal, op id, at, content, outcome).
        self.remembered: list[tuple[str, str, int, bytes, str]] = []
        #: What listeners are told once this is committed (`tell`).
        self.notices: list[object] = []
        #: Operations looked up or remembered in this batch: (content, outcome), None for new ones.
        self.known_operations: dict[tuple[str, str], tuple[bytes, str] | None] = {}
        #: Jobs that this operation completed, and those that the ones before it did, where the
        #: batch has them stored together (`completions`, which knows what the texts say).
        self.completed: list[str] = []
        self.unsettled: list[str] = []
        #: Of those, what this operation had stored: undone with it.
        self._settled_jobs: list[str] = []
        #: The batch stores together what can be; it did not find all as it was taken to be.
        self.is_deferring = self.is_spoiled = False
        self._bytes = 0
        #: Operations that belong together follow each other in it: slices come after all of them.
        self.is_joined = False
        #: How many of the records were asked what they move.
        self._settled = 0
        self._has_executed = False

    def begin(self, now_ms: int, machine_ms: int, seq: int) -> None:
        """Start an operation: what came before it in the batch is not its business."""
        if now_ms != self.now_ms:
            self.now_ms = now_ms
            self.now = iso_ms(now_ms)
        self.machine_ms = machine_ms
        self.seq = seq
        self.tx_id = seq + 1
        self.actor = self.cause = self.operation_id = None
        self.records = []
        self.log_rows = []
        self.remembered = []
        self.notices = []
        self.completed = []
        self._settled_jobs = []
        self._bytes = 0
        self.is_joined = False
        self._settled = 0
        self._has_executed = False

    @property
    def has_written(self) -> bool:
        """Tell whether the operation changed anything that a refusal would have to undo."""
        return self._has_executed or bool(self.records)

    def drop(self) -> None:
        """Forget what the operation remembered: it is undone, or wrote nothing."""
        for principal, op_id, *_ in self.remembered:
            self.known_operations.pop((principal, op_id), None)
        self.remembered = []
        self.unsettled = [*self._settled_jobs, *self.unsettled]
        self.completed, self._settled_jobs = [], []

    def take_unsettled(self) -> list[str]:
        """Return the completed jobs that the table does not tell of, for it to do so now."""
        taken, self.unsettled = self.unsettled, []
        self._settled_jobs += taken
        return taken

    def mark(self) -> tuple[int, ...]:
        """Return where the operation stands, for `go_back`."""
        lists = (self.records, self.log_rows, self.remembered, self.notices)
        settled_jobs = len(self._settled_jobs)
        return (*(len(one) for one in lists), self.seq, self._bytes, self._settled, settled_jobs)

    def go_back(self, mark: tuple[int, ...]) -> None:
        """Forget what came after a mark: a savepoint that began there was rolled back."""
        *lengths, self.seq, self._bytes, self._settled, settled_jobs = mark
        self.unsettled = [*self._settled_jobs[settled_jobs:], *self.unsettled]
        del self._settled_jobs[settled_jobs:]
        for principal, op_id, *_ in self.remembered[lengths[2] :]:
            self.known_operations.pop((principal, op_id), None)
        lists: tuple[list[Any], ...] = (
            self.records, self.log_rows, self.remembered, self.notices
        )  # fmt: skip
        for one, length in zip(lists, lengths, strict=True):
            del one[length:]
        self.batch_facts.clear()

    def tell(self, notice: object) -> None:
        """Have the writer's notice listeners told, after the commit and before the answer."""
        self.notices.append(notice)

    # --- reads

    def get(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row, or None."""
        table = self.tables[entity.name]
        stored = self.connection.execute(f'{table.select_sql} WHERE "id" = ?', (row_id,)).fetchone()
        return None if stored is None else table.row(stored)

    def stand_in(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row to judge in the place of one that is missing; None where there is none."""
        return self.tables[entity.name].stand_in(self.connection, row_id)

    def exists(self, node: ExistsNode, values: tuple[Value, ...]) -> bool:
        """Answer an `exists` of a policy against the state of this moment."""
        return exists_in(self.connection, node, values)

    def select(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement of our own."""
        return self.connection.execute(sql, params).fetchall()

    def execute(self, sql: str, params: tuple[Any, ...] = ()) -> int:
        """Run a statement of a store and return how many rows it changed."""
        self._has_executed = True
        return self.connection.execute(sql, params).rowcount

    # --- writes

    def insert(self, entity: Entity, row: Row) -> Row:
        """Store a new row and its record; returns it with its `_seq`.

        Raises Conflict for a taken id or unique value, InvalidArgument for a dangling Ref.
        """
        table = self.tables[entity.name]
        if table.references:
            self._check_references(table, row, None)
        row["_seq"] = seq = self._next_seq()
        wire = self._checked_wire(entity, row)
        image = wire if table.is_wire_image else image_text(entity, row)
        values = table.values(row)
        values.append(wire)
        try:
            self.connection.execute(table.insert_sql, values)
        except IntegrityError as error:
            raise _conflict(entity, error) from error
        if table.files:
            files.move(self.connection, entity, table.files, None, row, self.now_ms)
        self._keep(entity, "insert", row["id"], seq, None, row, wire, None, image)
        return row

    def update(self, entity: Entity, before: Row, after: Row) -> Row:
        """Store a row's new values and its record; returns it with its new `_seq`."""
        table = self.tables[entity.name]
        self._check_references(table, after, before)
        after["_seq"] = seq = self._next_seq()
        wire = self._checked_wire(entity, after)
        image = wire if table.is_wire_image else image_text(entity, after)
        image_before = image_text(entity, before)
        values = table.values(after)[1:]
        values += (wire, after["id"])
        try:
            changed = self.connection.execute(table.update_sql, values).rowcount
        except IntegrityError as error:
            raise _conflict(entity, error) from error
        assert changed == 1, "an update is of a row that was just read"
        if table.files:
            files.move(self.connection, entity, table.files, before, after, self.now_ms)
        self._keep(entity, "update", after["id"], seq, before, after, wire, image_before, image)
        return after

    def delete(self, entity: Entity, before: Row) -> None:
        """Delete a row, and what its references ask for, each a change of its own.

        Raises Conflict where a row refers to it with on_delete="restrict".
        """
        seen = {(entity.name, before["id"])}
        # Not by recursion: a chain of rows may be longer than Python's stack.
        open_rows = [(entity, before, self._dependants(entity, before["id"]))]
        while open_rows:
            at, row, dependants = open_rows[-1]
            for referrer, field, one in dependants:
                key = (referrer.name, one["id"])
                if key in seen:
                    continue
                match field.on_delete:
                    case OnDelete.RESTRICT:
                        raise Conflict(
                            f"a {referrer.name} still refers to it",
                            hint=f"delete that {referrer.name} first",
                            entity=referrer.name,
                            field=field.name,
                        )
                    case OnDelete.CASCADE:
                        seen.add(key)
                        open_rows.append((referrer, one, self._dependants(referrer, one["id"])))
                        break
                    case OnDelete.SET_NULL:
                        self.update(referrer, one, {**one, field.name: None})
            else:
                open_rows.pop()
                self._remove(at, row["id"])

    def _dependants(self, entity: Entity, row_id: str) -> Iterator[tuple[Entity, Field, Row]]:
        """Yield the rows that refer to a row, each field's as they are when it is its turn."""
        for referrer, field in self.schema.referrers.get(entity.name, ()):
            for row in self._referring(referrer, field, row_id):
                yield referrer, field, row

    def _remove(self, entity: Entity, row_id: str) -> None:
        current = self.get(entity, row_id)
        if current is None:
            return
        image = image_text(entity, current)
        seq = self._next_seq()
        table = self.tables[entity.name]
        self.connection.execute(table.delete_sql, (row_id,))
        if table.files:
            files.move(self.connection, entity, table.files, current, None, self.now_ms)
        self._keep(entity, "delete", row_id, seq, current, None, None, image, None)

    def _referring(self, entity: Entity, field: Field, row_id: str) -> list[Row]:
        table = self.tables[entity.name]
        rows = self.connection.execute(
            f'{table.select_sql} WHERE "{field.name}" = ? LIMIT ?',
            (row_id, limits.TRANSACTION_ROWS_MAX + 1),
        ).fetchall()
        return [table.row(row) for row in rows]

    def _check_references(self, table: EntityTable, row: Row, before: Row | None) -> None:
        for field in table.references:
            value = row[field.name]
            if value is None or (before is not None and before[field.name] == value):
                continue
            if field.ref == table.entity.name and value == row["id"]:
                continue  # a row may refer to itself
            found = self.connection.execute(
                f'SELECT 1 FROM "{field.ref}" WHERE "id" = ?', (value,)
            ).fetchone()
            if found is None:
                raise InvalidArgument(
                    f"{field.name}: there is no {field.ref} with this id", field=field.name
                )

    def _next_seq(self) -> int:
        if len(self.records) >= limits.TRANSACTION_ROWS_MAX:
            raise TransactionTooLarge(
                f"one transaction changes at most {limits.TRANSACTION_ROWS_MAX} rows"
            )
        return self.seq + 1  # taken when the change is kept: a write that failed leaves no gap

    def _checked_wire(self, entity: Entity, row: Row) -> str:
        wire = wire_text(entity, row)
        size = len(wire)
        if size > limits.ROW_BYTES_MAX // 4 and len(wire.encode()) > limits.ROW_BYTES_MAX:
            raise PayloadTooLarge(f"a row has at most {limits.ROW_BYTES_MAX} bytes")
        self._bytes += size
        if self._bytes > limits.TRANSACTION_BYTES_MAX:
            raise TransactionTooLarge(
                f"one transaction changes at most {limits.TRANSACTION_BYTES_MAX} bytes of rows"
            )
        return wire

    def settle(self) -> None:
        """Append the slices that the changes so far move: behind all of them, collapsed."""
        rules = self._slice_rules
        if not rules or self._settled == len(self.records):
            return
        fresh = self.records[self._settled :]
        if any(one.entity in rules for one in fresh):
            changes = [(one.entity, one.before, one.after) for one in fresh]
            for one in slices_of(rules, changes):
                self.append_slice(one)
        self._settled = len(self.records)

    def append_slice(self, one: Slice) -> None:
        """Append a slice; however many rows it stands for, it is one record."""
        self.seq += 1
        facts = (self.actor, self.cause, self.operation_id)
        head = (self.seq, self.tx_id, self.now_ms, one.entity, "", SLICE)
        self.records.append(LogRecord(*head, None, None, None, *facts, slice=one))
        text = jsonvalue.encode_text(slice_to_json(one))
        self.log_rows.append((*head, None, text, *facts))

    def append_fact(
        self, name: str, of: str, kind: str, before_text: str | None, after_text: str | None
    ) -> None:
        """Append a record of what is no row: nobody's view has it, and it takes a number."""
        self.seq += 1
        facts = (self.actor, self.cause, self.operation_id)
        head = (self.seq, self.tx_id, self.now_ms, name, of, kind)
        self.records.append(LogRecord(*head, None, None, None, *facts))
        self.log_rows.append((*head, before_text, after_text, *facts))

    def _keep(
        self, entity: Entity, kind: str, row_id: str, seq: int, before: Row | None,
        after: Row | None, wire: str | None, before_text: str | None, after_text: str | None,
    ) -> None:  # fmt: skip
        """Take a change that was made: its record, and what the log stores of it."""
        self.seq = seq
        name = entity.name
        self.records.append(
            LogRecord(
                seq, self.tx_id, self.now_ms, name, row_id, kind, before, after, wire, self.actor,
                self.cause, self.operation_id,
            )
        )  # fmt: skip
        self.log_rows.append(
            (
                seq, self.tx_id, self.now_ms, name, row_id, kind, before_text, after_text,
                self.actor, self.cause, self.operation_id,
            )
        )  # fmt: skip


def unique_conflict(entity: Entity, index: str, fields: list[str]) -> Conflict:
    """Return the conflict that names a unique index and these of its fields."""
    message = f"another {entity.name} has the same {', '.join(fields)}"
    return Conflict(message, index=index, fields=fields)


def _conflict(entity: Entity, error: IntegrityError) -> Conflict:
    """Return the conflict of a broken unique index: its name and fields, never a value."""
    message = str(error)
    columns = [part.strip().rpartition(".")[2] for part in message.partition(": ")[2].split(",")]
    if columns == ["id"]:
        return Conflict("this id is taken", index="id", fields=["id"])
    for index in entity.indexes:
        if index.unique and list(index.fields) == columns:
            return unique_conflict(entity, index.name, list(index.fields))
    return Conflict(f"the write conflicts with another {entity.name}")
