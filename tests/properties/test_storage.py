"""Storage under random operations: tables are the fold of the log, whatever fails in between."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pylon.clock import SystemClock
from pylon.errors import Conflict, NotFound, PylonError, Refused
from pylon.ids import IdSource
from pylon.schema.model import (
    Entity,
    Field,
    FieldKind,
    Index,
    OnDelete,
    Row,
    Schema,
)
from pylon.schema.validate import validate_insert
from pylon.server.storage.change_log import read_after
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.transaction import Transaction

BOX = Entity(
    name="Box",
    fields=(
        Field(name="name", kind=FieldKind.STR),
        Field(name="parentId", kind=FieldKind.REF, ref="Box", nullable=True,
              on_delete=OnDelete.SET_NULL),
    ),
    indexes=(Index(name="by_name", fields=("name",), unique=True),),
)  # fmt: skip
ITEM = Entity(
    name="Item",
    fields=(
        Field(name="boxId", kind=FieldKind.REF, ref="Box", on_delete=OnDelete.CASCADE),
        Field(name="n", kind=FieldKind.INT),
    ),
)
LOCK = Entity(
    name="Lock",
    fields=(Field(name="boxId", kind=FieldKind.REF, ref="Box", on_delete=OnDelete.RESTRICT),),
)
SCHEMA = Schema(entities={one.name: one for one in (BOX, ITEM, LOCK)})
NAMES = st.sampled_from("abcdef")
PLACES = st.integers(0, 30)


class StorageMachine(RuleBasedStateMachine):
    """A model of dictionaries beside the real file."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = SystemClock()
        self.number = 0
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in SCHEMA.entities}
        self.database: Database
        self.run(self._open())

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    async def _open(self) -> None:
        root = Path(self.folder.name)
        ids = IdSource(self.clock, lambda count: self._bytes(count))
        self.database = await Database.open(
            root / ".pylon", clock=self.clock, ids=ids, witness=root / "witness"
        )
        await migrate(self.database, SCHEMA)

    def _bytes(self, count: int) -> bytes:
        self.number += 1
        return (self.number * 2_654_435_761).to_bytes(max(count, 16))[-count:]

    def teardown(self) -> None:
        self.run(self.database.close())
        self.loop.close()
        self.folder.cleanup()

    def _new_id(self) -> str:
        self.number += 1
        return f"r{self.number}"

    def _pick(self, entity: str, place: int) -> str | None:
        known = list(self.rows[entity])
        return known[place % len(known)] if known else None

    async def _do(self, work: Any) -> Any:
        return (await self.database.writer.submit(work)).value

    def _row(self, entity: Entity, values: dict[str, Any]) -> Row:
        row_id = self._new_id()
        return validate_insert(
            entity, values, now="2026-11-24T12:00:00.000Z", actor=None,
            new_id=lambda: row_id, row_id=row_id,
        )  # fmt: skip

    # --- what happens

    @rule(name=NAMES, parent=PLACES)
    def insert_box(self, name: str, parent: int) -> None:
        row = self._row(BOX, {"name": name, "parentId": self._pick("Box", parent)})
        taken = any(one["name"] == name for one in self.rows["Box"].values())
        try:
            stored = self.run(self._do(lambda tx: tx.insert(BOX, row)))
        except Conflict:
            assert taken
            return
        assert not taken
        self.rows["Box"][stored["id"]] = dict(stored)

    @rule(box=PLACES, n=st.integers(-5, 5))
    def insert_item(self, box: int, n: int) -> None:
        box_id = self._pick("Box", box) or "nobody"
        row = self._row(ITEM, {"boxId": box_id, "n": n})
        try:
            stored = self.run(self._do(lambda tx: tx.insert(ITEM, row)))
        except PylonError:
            assert box_id not in self.rows["Box"]
            return
        self.rows["Item"][stored["id"]] = dict(stored)

    @rule(box=PLACES)
    def insert_lock(self, box: int) -> None:
        box_id = self._pick("Box", box)
        if box_id is None:
            return
        row = self._row(LOCK, {"boxId": box_id})
        stored = self.run(self._do(lambda tx: tx.insert(LOCK, row)))
        self.rows["Lock"][stored["id"]] = dict(stored)

    @rule(place=PLACES, name=NAMES)
    def rename_box(self, place: int, name: str) -> None:
        box_id = self._pick("Box", place)
        if box_id is None:
            return

        def work(tx: Transaction) -> Row:
            before = tx.get(BOX, box_id)
            assert before is not None
            return tx.update(BOX, before, {**before, "name": name})

        taken = any(key != box_id and one["name"] == name for key, one in self.rows["Box"].items())
        try:
            stored = self.run(self._do(work))
        except Conflict:
            assert taken
            return
        assert not taken
        self.rows["Box"][box_id] = dict(stored)

    @rule(place=PLACES)
    def delete_box(self, place: int) -> None:
        box_id = self._pick("Box", place)
        if box_id is None:
            return

        def work(tx: Transaction) -> None:
            before = tx.get(BOX, box_id)
            if before is None:
                raise NotFound()
            tx.delete(BOX, before)

        is_locked = any(one["boxId"] == box_id for one in self.rows["Lock"].values())
        try:
            self.run(self._do(work))
        except Conflict:
            assert is_locked
            return
        assert not is_locked
        del self.rows["Box"][box_id]
        self.rows["Item"] = {
            key: one for key, one in self.rows["Item"].items() if one["boxId"] != box_id
        }
        for one in self.rows["Box"].values():
            if one["parentId"] == box_id:
                one["parentId"] = None
                one["_seq"] = None  # it changed; by how much the log says

    @rule(place=PLACES, n=st.integers(0, 3))
    def fail_after_writing(self, place: int, n: int) -> None:
        """An operation that writes and then refuses leaves nothing, beside others that stay."""
        box_id = self._pick("Box", place)
        if box_id is None:
            return
        good, bad = (self._row(ITEM, {"boxId": box_id, "n": n}) for _ in range(2))

        def refuse(tx: Transaction) -> None:
            tx.insert(ITEM, bad)
            raise Refused("NO", "no")

        async def both() -> Any:
            failing = self.database.writer.submit(refuse)
            stored = self.database.writer.submit(lambda tx: tx.insert(ITEM, good))
            with contextlib.suppress(Refused):
                await failing
            return (await stored).value

        stored = self.run(both())
        self.rows["Item"][stored["id"]] = dict(stored)

    @rule()
    def reopen(self) -> None:
        epoch = self.database.epoch
        self.run(self.database.close())
        self.run(self._open())
        assert self.database.epoch == epoch

    # --- what always holds

    @invariant()
    def tables_are_the_model_and_the_fold_of_the_log(self) -> None:
        reader = self.database.readers.inline
        records = read_after(reader.raw, 0, 100_000, SCHEMA)
        assert [one.seq for one in records] == list(range(1, self.database.head + 1))
        folded: dict[str, dict[str, Row]] = {name: {} for name in SCHEMA.entities}
        for record in records:
            assert record.before == folded[record.entity].get(record.row_id) or (
                record.before is not None
                and _without_seq(record.before)
                == _without_seq(folded[record.entity][record.row_id])
            )
            if record.after is None:
                del folded[record.entity][record.row_id]
            else:
                folded[record.entity][record.row_id] = record.after
        for name, entity in SCHEMA.entities.items():
            ids = [row[0] for row in reader.rows(f'SELECT id FROM "{name}"', ())]
            stored = {row_id: reader.get(entity, row_id) for row_id in ids}
            assert {key: _without_seq(row) for key, row in stored.items()} == {
                key: _without_seq(row) for key, row in self.rows[name].items()
            }
            assert {key: _without_seq(row) for key, row in folded[name].items()} == {
                key: _without_seq(row) for key, row in stored.items()
            }


def _without_seq(row: Any) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "_seq"}


TestStorage = StorageMachine.TestCase
TestStorage.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
