"""The past of random histories: as of each point the rows are those that were there then."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.clock import SystemClock
from pylon.errors import NotRetained, PylonError
from pylon.ids import IdSource
from pylon.schema.model import Default, DefaultKind, Entity, Field, FieldKind, OnDelete, Schema
from pylon.schema.validate import validate_insert, validate_patch
from pylon.schema.wire import whole_row
from pylon.server.storage import time_travel
from pylon.server.storage.change_log import trim
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.point_diff import count_diff, page_diff
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.row_history import read_history
from pylon.server.storage.select import SelectSpec, count_rows, list_page
from pylon.server.storage.time_travel import stand_at
from pylon.server.storage.transaction import Transaction

NOW = "2026-11-24T12:00:00.000Z"
BOX = Entity(name="Box", fields=(
    Field(name="name", kind=FieldKind.STR),
    Field(name="secret", kind=FieldKind.STR, nullable=True, private=True),
    Field(name="big", kind=FieldKind.BIGINT, nullable=True),
    Field(name="price", kind=FieldKind.DECIMAL, scale=2, nullable=True),
    Field(name="blob", kind=FieldKind.BYTES, nullable=True),
    Field(name="x", kind=FieldKind.FLOAT, nullable=True),
    Field(name="any", kind=FieldKind.JSON, nullable=True),
    Field(name="on", kind=FieldKind.BOOL, nullable=True),
))  # fmt: skip
ITEM = Entity(name="Item", fields=(
    Field(name="boxId", kind=FieldKind.REF, ref="Box", on_delete=OnDelete.CASCADE),
    Field(name="friendId", kind=FieldKind.REF, ref="Item", nullable=True,
          on_delete=OnDelete.SET_NULL),
    Field(name="n", kind=FieldKind.INT),
))  # fmt: skip
ADDED = replace(
    ITEM,
    fields=(
        *ITEM.fields,
        Field(name="size", kind=FieldKind.INT, default=Default(kind=DefaultKind.LITERAL, value=3)),
    ),
)
SCHEMA = Schema(entities={"Box": BOX, "Item": ITEM})
LATER = Schema(entities={"Box": BOX, "Item": ADDED})

#: Few ids, so that rows come again after they went.
IDS = st.integers(0, 5).map(lambda n: f"r{n}")
VALUES = st.fixed_dictionaries({
    "name": st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=4),
    "secret": st.none() | st.just("hush"),
    "big": st.none() | st.integers(-(2**63), 2**63 - 1).map(str),
    "price": st.sampled_from([None, "0.10", "-0.05", "12345.67"]),
    "blob": st.sampled_from([None, "", "AAEC"]),
    "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "any": st.sampled_from([None, True, False, 0, "a", "null", [], {"b": [1.5, None]}, 0.1]),
    "on": st.none() | st.booleans(),
})  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("box"), IDS, VALUES),
    st.tuples(st.just("item"), IDS, st.tuples(IDS, IDS | st.none(), st.integers(0, 9))),
    st.tuples(st.just("drop"), st.sampled_from(["Box", "Item"]), IDS),
    st.tuples(st.just("migrate"), st.none(), st.none()),
    st.tuples(st.just("erase"), IDS, st.none()),
    st.tuples(st.just("trim"), st.integers(0, 10), st.none()),
)


class World:
    """A database, and what its rows were after each of its transactions."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.schema = SCHEMA
        self.states: dict[int, dict[str, list[dict[str, Any]]]] = {}

    async def run(self, step: tuple[Any, Any, Any]) -> None:
        """Do one step; refusals change nothing."""
        kind, one, other = step
        if kind == "migrate":
            if self.schema is SCHEMA:
                await migrate(self.database, LATER)
                self.schema = LATER
                # The past is shown in the fields of now: what a field is filled with, it was.
                for state in self.states.values():
                    state["Item"] = [{**row, "size": 3} for row in state["Item"]]
            return
        if kind == "trim":
            head = self.database.head
            await self.database.writer.submit(
                lambda tx: trim(
                    tx.connection, head, keep_changes=one, keep_after_ms=2**60, at_most=1_000
                )
            )
            return
        if kind == "erase":
            await self._erase(one)
            return
        try:
            await self.database.writer.submit(lambda tx: self._write(tx, kind, one, other))
        except PylonError:
            return
        self.states[self.database.head] = await self.database.readers.run(self.read)

    async def _erase(self, row_id: str) -> None:
        """Delete an item with all its records, as erasing an account does."""

        def work(tx: Transaction) -> None:
            row = tx.get(self.schema.entities["Item"], row_id)
            if row is not None:
                tx.delete(self.schema.entities["Item"], row)

        await self.database.writer.submit(work)
        head = self.database.head

        def forget(tx: Transaction) -> None:
            tx.execute("DELETE FROM _pylon_log WHERE entity = 'Item' AND row_id = ?", (row_id,))
            # Nobody's number is given twice, also where the newest record went.
            tx.execute("INSERT OR REPLACE INTO _pylon_meta VALUES ('head_floor', ?)", (head,))

        await self.database.writer.submit(forget)
        for state in self.states.values():
            state["Item"] = [one for one in state["Item"] if one["id"] != row_id]
        self.states[self.database.head] = await self.database.readers.run(self.read)

    def _write(self, tx: Transaction, kind: str, one: Any, other: Any) -> None:
        if kind == "drop":
            entity = self.schema.entities[one]
            row = tx.get(entity, other)
            if row is not None:
                tx.delete(entity, row)
            return
        entity = self.schema.entities["Box" if kind == "box" else "Item"]
        values = other
        if kind == "item":
            values = {"boxId": other[0], "friendId": other[1], "n": other[2]}
        before = tx.get(entity, one)
        if before is None:
            tx.insert(entity, validate_insert(
                entity, values, now=NOW, actor=None, new_id=lambda: one, row_id=one
            ))  # fmt: skip
        else:
            tx.update(entity, before, {**before, **validate_patch(entity, values)})

    def read(self, connection: ReadConnection) -> dict[str, list[dict[str, Any]]]:
        """Return all rows, whole, as the question of pages finds them; and see it agree."""
        found = {}
        for name, entity in connection.schema.entities.items():
            table, spec = connection.tables[name], SelectSpec(entity=entity, limit=100)
            page, _ = list_page(connection.raw, spec, table.columns)
            rows = [table.row(one[1 : len(table.columns) + 1]) for one in page]
            found[name] = [whole_row(entity, one) for one in rows]
            assert count_rows(connection.raw, spec) == len(rows)
            for row, one in zip(rows, page, strict=True):
                assert connection.get(entity, row["id"]) == row
                public = {k: v for k, v in whole_row(entity, row).items() if k != "secret"}
                assert _json(one[0]) == public
        return found

    async def past(self, seq: int) -> dict[str, list[dict[str, Any]]]:
        """Return all rows as of a change."""

        def read(connection: ReadConnection) -> dict[str, list[dict[str, Any]]]:
            stand_at(connection, seq)
            return self.read(connection)

        return await self.database.readers.run(read)

    async def compare(self, start: int, end: int) -> None:
        """See that the difference of two points is that of their states."""
        before, after = self.states[start], self.states[end]

        def read(connection: ReadConnection) -> None:
            raw, schema = connection.raw, connection.schema
            counted = {one.entity: one.counts for one in count_diff(raw, schema, start, end)}
            for name, entity in schema.entities.items():
                rows: list[Any] = []
                key = ""
                while key is not None:
                    page, following = page_diff(raw, entity, start, end, limit=2, after=key)
                    rows, key = [*rows, *page], following  # type: ignore[assignment]
                told = {
                    one.row_id: (
                        one.before and _content(whole_row(entity, one.before)),
                        one.after and _content(whole_row(entity, one.after)),
                    )
                    for one in rows
                }
                assert told == _differing(before[name], after[name])
                counts = counted.get(name, {})
                assert len(told) == sum(n for what, n in counts.items() if what != "same")

        await self.database.readers.run(read)


def _json(text: str) -> Any:
    from pylon import jsonvalue

    return jsonvalue.decode_trusted(text)


def _content(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "_seq"}


def _differing(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    old = {one["id"]: _content(one) for one in before}
    new = {one["id"]: _content(one) for one in after}
    pairs = {key: (old.get(key), new.get(key)) for key in old.keys() | new.keys()}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(STEP, min_size=1, max_size=30), st.sampled_from([0, 20_000]), st.data())
def test_each_point_is_as_it_was_recorded(
    steps: list[Any], short: int, data: st.DataObject
) -> None:
    """Deletes, rows that come again, cascades, migrations, trimming and erasing in between.

    Read by the changes since, as after a few, and by the index of all rows, as after many.
    """

    async def play() -> None:
        with tempfile.TemporaryDirectory() as folder:
            clock, root = SystemClock(), Path(folder)
            number = iter(range(1, 1_000_000))
            ids = IdSource(clock, lambda count: next(number).to_bytes(max(count, 16))[-count:])
            database = await Database.open(
                root / ".pylon",
                clock=clock,
                ids=ids,
                witness=root / "witness",
                durability="normal",
            )
            try:
                await migrate(database, SCHEMA)
                world = World(database)
                world.states[database.head] = await database.readers.run(world.read)
                for step in steps:
                    await world.run(step)
                await _check(world, data)
            finally:
                await database.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_travel, "_SHORT", short)
        asyncio.run(play())


async def _check(world: World, data: st.DataObject) -> None:
    floor = await world.database.readers.run(
        lambda one: int((one.rows("SELECT value FROM _pylon_meta WHERE key = 'horizon'")
                         or [(0,)])[0][0])
    )  # fmt: skip
    known = [seq for seq in world.states if seq >= floor]
    for seq in known:
        assert await world.past(seq) == world.states[seq]
    for seq in world.states.keys() - set(known):
        with pytest.raises(NotRetained) as refused:
            await world.past(seq)
        assert refused.value.details["floor"] == floor
    if known:
        start, end = sorted((data.draw(st.sampled_from(known)), data.draw(st.sampled_from(known))))
        await world.compare(start, end)
        await _histories(world, floor)


async def _histories(world: World, floor: int) -> None:
    """A row's history joins: each change begins where the one before it ended."""

    def read(connection: ReadConnection) -> None:
        for entity in connection.schema.entities.values():
            for number in range(6):
                row_id = f"r{number}"
                changes, more = read_history(
                    connection.raw, connection.schema, entity, row_id, limit=500
                )
                assert not more
                current = connection.get(entity, row_id)
                for change in changes:
                    assert change.after == current
                    current = change.before
                assert all(change.seq > floor for change in changes)

    await world.database.readers.run(read)
