"""Databases with a little in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.ids import IdSource
from pylon.schema.model import Entity, Field, FieldKind, OnDelete, Schema
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate

BOX = Entity(
    name="Box",
    fields=(
        Field(name="name", kind=FieldKind.STR),
        Field(name="secret", kind=FieldKind.STR, nullable=True, private=True),
        Field(name="weight", kind=FieldKind.FLOAT, nullable=True),
    ),
)
ITEM = Entity(
    name="Item",
    fields=(
        Field(name="boxId", kind=FieldKind.REF, ref="Box", on_delete=OnDelete.CASCADE),
        Field(name="tags", kind=FieldKind.JSON, nullable=True),
    ),
)
SCHEMA = Schema(entities={"Box": BOX, "Item": ITEM})


async def open_database(folder: Path, **options: Any) -> Database:
    """Open a database with ids that never repeat."""
    counter = iter(range(1, 10**9))
    clock = SystemClock()
    ids = IdSource(clock, lambda count: next(counter).to_bytes(count))
    return await Database.open(folder, clock=clock, ids=ids, **options)


async def fill(database: Database) -> None:
    """Insert, update, delete and cascade: eleven changes, three boxes and two items stay."""

    def insert(tx: Any) -> None:
        for n in range(4):
            tx.insert(BOX, {"id": f"b{n}", "name": f"box {n}", "secret": None, "weight": n / 7})
        for n in range(3):
            tx.insert(ITEM, {"id": f"i{n}", "boxId": f"b{n % 2}", "tags": {"n": [n, "é"]}})

    def change(tx: Any) -> None:
        before = tx.get(BOX, "b0")
        tx.update(BOX, before, {**before, "secret": "s", "weight": 1e-7})

    def remove(tx: Any) -> None:
        tx.delete(BOX, tx.get(BOX, "b1"))
        tx.insert(ITEM, {"id": "i1", "boxId": "b0", "tags": None})
        tx.delete(ITEM, tx.get(ITEM, "i2"))

    for work in (insert, change, remove):
        await database.writer.submit(work)


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with boxes and items, with private fields, doubles and JSON."""
    database = await open_database(tmp_path / ".pylon")
    await migrate(database, SCHEMA)
    await fill(database)
    yield database
    await database.close()
