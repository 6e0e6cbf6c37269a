"""The index of full-text search, kept up once for all that a batch changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.errors import Internal, Refused
from pylon.ids import IdSource
from pylon.schema.model import Entity, Field, FieldKind, Row, Schema
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.search_index import SearchIndex
from pylon.server.storage.transaction import Transaction

NOTE = Entity(
    name="Note",
    fields=(
        Field(name="title", kind=FieldKind.STR, search=True),
        Field(name="body", kind=FieldKind.TEXT, search=True, nullable=True),
    ),
)
INDEX = SearchIndex(NOTE)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with one searched table."""
    counter = iter(range(1, 10**9))
    clock = SystemClock()
    ids = IdSource(clock, lambda count: next(counter).to_bytes(count))
    opened = await Database.open(tmp_path / ".pylon", clock=clock, ids=ids)
    await migrate(opened, Schema(entities={"Note": NOTE}))
    yield opened
    await opened.close()


def _row(n: int, title: str, body: str | None = None) -> Row:
    return {"id": f"n{n}", "title": title, "body": body}


def _insert(n: int, title: str, body: str | None = None) -> Any:
    return lambda tx: tx.insert(NOTE, _row(n, title, body))


def _update(n: int, title: str, body: str | None = None) -> Any:
    return lambda tx: tx.update(NOTE, tx.get(NOTE, f"n{n}"), _row(n, title, body))


def _delete(n: int) -> Any:
    return lambda tx: tx.delete(NOTE, tx.get(NOTE, f"n{n}"))


async def _together(database: Database, *works: Any) -> list[Any]:
    """Run operations in one batch; returns what each gave, or why it was refused."""
    before = database.writer.batches
    done = await asyncio.gather(
        *(database.writer.submit(one) for one in works), return_exceptions=True
    )
    assert database.writer.batches == before + 1
    return done


def _found(database: Database, word: str) -> list[str]:
    rows = database.readers.inline.rows(
        f'SELECT m.id FROM "{INDEX.text}" AS f JOIN "{INDEX.ids}" AS m ON m.number = f.rowid'
        f' WHERE f."{INDEX.text}" MATCH ? ORDER BY m.id',
        (word,),
    )
    return [row_id for (row_id,) in rows]


def _faults(database: Database) -> list[str]:
    return list(INDEX.faults(database.readers.inline.raw, 10))


@pytest.mark.parametrize("many", [2, 9], ids=["one by one", "together"])
async def test_what_a_batch_leaves_is_found_and_nothing_else(database: Database, many: int) -> None:
    """Rows made, changed, deleted and made anew in one commit stand in it as they ended."""
    await _together(database, *(_insert(n, "red", "sea") for n in range(3)))
    await _together(
        database,
        *(_insert(n, "green") for n in range(10, 10 + many)),
        _insert(20, "made"), _update(20, "changed"), _insert(21, "made"), _delete(21),
        _update(0, "blue", "sea"), _delete(1), _insert(1, "again"), _delete(2),
    )  # fmt: skip
    assert _found(database, "green") == sorted(f"n{n}" for n in range(10, 10 + many))
    assert _found(database, "sea") == ["n0"]
    assert {one: _found(database, one) for one in ("red", "made", "changed", "blue", "again")} == {
        "red": [], "made": [], "changed": ["n20"], "blue": ["n0"], "again": ["n1"],
    }  # fmt: skip
    assert _faults(database) == []


async def test_what_is_refused_leaves_nothing_in_the_index(database: Database) -> None:
    """It is undone with its row, and others of its batch are found."""

    def refused(transaction: Transaction) -> None:
        transaction.insert(NOTE, _row(1, "undone"))
        raise Refused("NO", "on purpose")

    first, second = await _together(database, refused, _insert(2, "done"))
    assert isinstance(first, Refused)
    assert second.value["id"] == "n2"
    assert (_found(database, "undone"), _found(database, "done")) == ([], ["n2"])
    assert _faults(database) == []


async def test_a_row_that_the_index_lost_harms_nobody_else(database: Database) -> None:
    """Whoever changes it is refused; what came with it in the batch is stored and found."""
    await _together(database, *(_insert(n, "red") for n in range(3)))
    database.new_transaction().connection.execute(
        f'DELETE FROM "{INDEX.ids}" WHERE id = ?', ("n1",)
    )
    broken, *others = await _together(
        database, _update(1, "blue"), _update(2, "blue"), *(_insert(n, "new") for n in range(4, 9))
    )
    assert isinstance(broken, Internal)
    assert [one.value["id"] for one in others] == ["n2", "n4", "n5", "n6", "n7", "n8"]
    assert _found(database, "blue") == ["n2"]
    assert _found(database, "new") == ["n4", "n5", "n6", "n7", "n8"]
    assert _faults(database) == ["n1"]
