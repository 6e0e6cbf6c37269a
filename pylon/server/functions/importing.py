"""Rows that their owner brings in: one part of an import is one operation, done once, as system.

Every row is a change of its own in the log, with the cause `import`. A part that is refused leaves
nothing; the error's details name the record. What refers to a row that is not there yet is put off:
the answer says what is still to be sent, so that rows may come in any order, and in rings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.errors import Conflict, InvalidArgument, NotFound, PylonError
from pylon.identity import SYSTEM
from pylon.ids import is_operation_id
from pylon.policy.mistakes import nearest
from pylon.schema.cells import from_cell
from pylon.schema.model import Entity, Field, Row
from pylon.schema.validate import validate_insert, validate_patch
from pylon.server.functions.operation import content_hash
from pylon.server.storage import files, operations
from pylon.server.storage.known_policies import forget_policies
from pylon.server.storage.transaction import Transaction

CAUSE: Final = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How rows are taken.

    `updates`: a row that is there takes the values given. `without_files`: fields for files stay
    empty. `is_last`: what refers to nothing is refused, not put off.
    """

    updates: bool = False
    without_files: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One row: its values as JSON, or as cells; `sets` where the row is there by now."""

    entity: str
    values: Mapping[str, Any]
    are_cells: bool = False
    sets: bool = False


@dataclass(slots=True)
class ImportAnswer:
    """What became of a part; `put_off` has (record, fields), no fields for the whole row."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    put_off: list[tuple[int, list[str]]] = field(default_factory=list)
    was_done: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for the wire."""
        return {
            "inserted": self.inserted, "updated": self.updated, "unchanged": self.unchanged,
            "put_off": [[at, names] for at, names in self.put_off], "was_done": self.was_done,
        }  # fmt: skip


def part_of(body: Mapping[str, Any]) -> tuple[str, list[ImportRecord], ImportOptions]:
    """Return (operation id, records, options) of a request; raises InvalidArgument."""
    op_id, given = body.get("op_id"), body.get("records")
    if not isinstance(op_id, str) or not is_operation_id(op_id):
        raise InvalidArgument("an op_id is 1-64 of A-Za-z0-9_.:-", field="op_id")
    if not isinstance(given, list) or not 1 <= len(given) <= limits.IMPORT_ROWS_MAX:
        raise InvalidArgument(f"records are 1 to {limits.IMPORT_ROWS_MAX} objects", field="records")
    options = ImportOptions(
        updates=body.get("updates") is True, without_files=body.get("without_files") is True,
        is_last=body.get("is_last") is True,
    )  # fmt: skip
    return op_id, [_record(at, one) for at, one in enumerate(given)], options


def _record(at: int, one: Any) -> ImportRecord:
    if not isinstance(one, dict) or not isinstance(one.get("values"), dict):
        raise InvalidArgument("a record has entity and values", field="records", record=at)
    return ImportRecord(
        str(one.get("entity")), one["values"], are_cells=one.get("are_cells") is True,
        sets=one.get("sets") is True,
    )  # fmt: skip


class ImportPart:
    """Some records on their way, as the writer runs them (`storage.batch.Work`)."""

    is_plain = False

    def __init__(
        self, op_id: str, records: Sequence[ImportRecord], options: ImportOptions,
        new_id: Callable[[], str], *, has_policies: bool,
    ) -> None:  # fmt: skip
        """Make a part; `has_policies` where the app is loaded, so that slices are derived."""
        self._op_id = op_id
        self._records = records
        self._options = options
        self._new_id = new_id
        self._has_policies = has_policies
        args = {"records": [[one.entity, dict(one.values), one.sets] for one in records]}
        self._content = content_hash("pylon.import", args)

    def run(self, transaction: Transaction) -> ImportAnswer:
        """Store the rows; again, answer what was answered then."""
        principal = SYSTEM.principal
        assert principal is not None
        stored = operations.find(transaction, principal, self._op_id)
        if stored is not None:
            if stored.content != self._content:
                raise Conflict("this operation id was used for something else")
            known = jsonvalue.decode_trusted(stored.outcome)["value"]
            put_off = [(at, names) for at, names in known.pop("put_off")]
            return ImportAnswer(**{**known, "was_done": True}, put_off=put_off)
        transaction.cause, transaction.operation_id = CAUSE, self._op_id
        answer = ImportAnswer()
        for at, record in enumerate(self._records):
            try:
                self._take(transaction, at, record, answer)
            except PylonError as error:
                error.details["record"] = at
                raise
        if not self._has_policies and transaction.records:
            forget_policies(transaction)
        outcome = {"seq": transaction.seq, "value": answer.to_json()}
        operations.record(
            transaction, principal, self._op_id, self._content, jsonvalue.encode_text(outcome)
        )
        return answer

    def refuse(self, transaction: Transaction, error: PylonError) -> None:
        """Remember nothing: the file may be mended, or the row that was missing may come."""

    def _take(
        self, transaction: Transaction, at: int, record: ImportRecord, answer: ImportAnswer
    ) -> None:
        entities = transaction.schema.entities
        entity = entities.get(record.entity)
        if entity is None:
            raise NotFound(
                f"there is no entity {record.entity:.64}", hint=nearest(record.entity, entities)
            )
        values = {name: value for name, value in record.values.items() if name != "_seq"}
        if record.are_cells:
            values = _of_cells(entity, values)
        if self._options.without_files:
            for name in transaction.tables[entity.name].files:
                values.pop(name, None)
        row_id = values.get("id")
        before = transaction.get(entity, row_id) if isinstance(row_id, str) else None
        if record.sets and before is None:
            raise NotFound(f"the {entity.name} {row_id} is gone")
        if before is None:
            self._insert(transaction, at, entity, values, answer)
        elif not (record.sets or self._options.updates):
            raise Conflict(
                f"there is a {entity.name} {row_id} already", index="id", fields=["id"],
                hint="--update gives it the new values",
            )  # fmt: skip
        else:
            self._update(transaction, at, entity, before, values, answer)

    def _insert(
        self, transaction: Transaction, at: int, entity: Entity, values: dict[str, Any],
        answer: ImportAnswer,
    ) -> None:  # fmt: skip
        row = validate_insert(
            entity, values, now=transaction.now, actor=None, new_id=self._new_id
        )  # fmt: skip
        if self._puts_off(
            transaction, at, entity, row, answer, has_id=values.get("id") is not None
        ):
            return
        _fill_files(transaction, entity, row, None)
        transaction.insert(entity, row)
        answer.inserted += 1

    def _update(
        self, transaction: Transaction, at: int, entity: Entity, before: Row,
        values: dict[str, Any], answer: ImportAnswer,
    ) -> None:  # fmt: skip
        del values["id"]
        after = {**before, **validate_patch(entity, values, is_insert=True)}
        _fill_files(transaction, entity, after, before)
        changed = [one for one in entity.fields if after[one.name] != before[one.name]]
        for one in changed:
            if one.immutable:
                raise InvalidArgument(f"{one.name} is set on insert only", field=one.name)
        if self._puts_off(transaction, at, entity, after, answer, before):
            return
        if any(after[one.name] != before[one.name] for one in changed):
            transaction.update(entity, before, after)
            answer.updated += 1
        else:
            answer.unchanged += 1

    def _puts_off(
        self, transaction: Transaction, at: int, entity: Entity, row: Row, answer: ImportAnswer,
        before: Row | None = None, *, has_id: bool = True,
    ) -> bool:  # fmt: skip
        """Tell whether the whole row has to wait; what may be null waits alone, and is taken out.

        A row that brings no id can't be named later: it waits whole.
        """
        if self._options.is_last:
            return False
        missing = [one for one in _references(entity) if _is_missing(transaction, entity, one, row)]
        if not missing:
            return False
        if not has_id or any(not one.nullable or one.immutable for one in missing):
            answer.put_off.append((at, []))
            return True
        answer.put_off.append((at, [one.name for one in missing]))
        for one in missing:
            row[one.name] = None if before is None else before[one.name]
        return False


def _references(entity: Entity) -> list[Field]:
    return [one for one in entity.fields if one.ref is not None]


def _is_missing(transaction: Transaction, entity: Entity, one: Field, row: Row) -> bool:
    wanted = row[one.name]
    if wanted is None or (wanted == row["id"] and one.ref == entity.name):
        return False
    assert one.ref is not None
    return transaction.get(transaction.schema.entities[one.ref], wanted) is None


def _fill_files(transaction: Transaction, entity: Entity, row: Row, before: Row | None) -> None:
    """Have the row hold the whole objects of its files; raises InvalidArgument for missing ones."""
    for name in transaction.tables[entity.name].files:
        if row[name] is None or (before is not None and row[name] == before[name]):
            continue
        stored = files.find(transaction.connection, row[name]["id"])
        if stored is None:
            raise InvalidArgument(
                f"{name}: there is no such file here", field=name,
                hint="rows are imported without the bytes of files: --without-files leaves the "
                "field empty, and pylon backup takes everything along",
            )  # fmt: skip
        row[name] = stored.to_object()


def _of_cells(entity: Entity, cells: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in cells.items():
        one = entity.by_name.get(name)
        if one is None:
            if name != "id" or text:  # an empty id: a new one
                values[name] = text
            continue
        try:
            values[name] = from_cell(one, str(text))
        except ValueError as error:
            raise InvalidArgument(f"{name} {error}", field=name) from error
        if values[name] is None and one.default is not None and not one.nullable:
            del values[name]
    return values
