"""Deletes and what they take along: long chains, rings, emptied references, and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.errors import Conflict
from pylon.ids import IdSource
from pylon.schema.model import Entity, Field, FieldKind, OnDelete, Schema
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.transaction import Transaction


def _ref(name: str, entity: str, on_delete: OnDelete) -> Field:
    return Field(name=name, kind=FieldKind.REF, ref=entity, on_delete=on_delete, nullable=True)


COMMENT = Entity(name="Comment", fields=(_ref("parentId", "Comment", OnDelete.CASCADE),))
PIN = Entity(name="Pin", fields=(_ref("commentId", "Comment", OnDelete.SET_NULL),))
FLAG = Entity(name="Flag", fields=(_ref("commentId", "Comment", OnDelete.RESTRICT),))
SCHEMA = Schema(entities={one.name: one for one in (COMMENT, PIN, FLAG)})


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with comments, pins that outlive them, and flags that hold them."""
    counter = iter(range(1, 10**9))
    clock = SystemClock()
    opened = await Database.open(
        tmp_path / ".pylon", clock=clock,
        ids=IdSource(clock, lambda count: next(counter).to_bytes(count)),
    )  # fmt: skip
    await migrate(opened, SCHEMA)
    yield opened
    await opened.close()


async def _run(database: Database, work: Any) -> Any:
    return (await database.writer.submit(work)).value


def _insert(*rows: tuple[Entity, str, str | None]) -> Any:
    def work(tx: Transaction) -> None:
        for entity, row_id, other in rows:
            tx.insert(entity, {"id": row_id, entity.fields[0].name: other})

    return work


def _delete(row_id: str) -> Any:
    def work(tx: Transaction) -> list[tuple[str, str, str]]:
        row = tx.get(COMMENT, row_id)
        assert row is not None
        tx.delete(COMMENT, row)
        return [(one.kind, one.entity, one.row_id) for one in tx.records]

    return work


async def test_a_chain_longer_than_the_stack_goes_at_once(database: Database) -> None:
    """A thread of 3,000 answers, each to the one before: from the last to the first."""
    names = [f"c{n}" for n in range(3_000)]
    chain = [(COMMENT, name, f"c{n - 1}" if n else None) for n, name in enumerate(names)]
    await _run(database, _insert(*chain))
    told = await _run(database, _delete("c0"))
    assert told == [("delete", "Comment", name) for name in reversed(names)]


async def test_a_ring_ends(database: Database) -> None:
    """Rows that refer to each other, and one to itself, are each deleted once."""
    await _run(database, _insert((COMMENT, "a", None), (COMMENT, "b", "a"), (COMMENT, "c", "c")))

    def close(tx: Transaction) -> None:
        row = tx.get(COMMENT, "a")
        assert row is not None
        tx.update(COMMENT, row, {**row, "parentId": "b"})

    await _run(database, close)
    assert sorted(await _run(database, _delete("a"))) == [
        ("delete", "Comment", "a"), ("delete", "Comment", "b")
    ]  # fmt: skip
    assert await _run(database, _delete("c")) == [("delete", "Comment", "c")]


async def test_what_is_emptied_is_told_before_what_goes(database: Database) -> None:
    """Each pin of a deleted answer is updated; an answer's pins come with the answer."""
    await _run(
        database,
        _insert((COMMENT, "a", None), (COMMENT, "b", "a"), (PIN, "p", "b"), (PIN, "q", "a")),
    )
    told = await _run(database, _delete("a"))
    assert sorted(told) == [
        ("delete", "Comment", "a"), ("delete", "Comment", "b"), ("update", "Pin", "p"),
        ("update", "Pin", "q"),
    ]  # fmt: skip
    assert told.index(("update", "Pin", "p")) < told.index(("delete", "Comment", "b"))
    assert told[-1] == ("delete", "Comment", "a")


async def test_one_that_is_held_keeps_the_whole_chain(database: Database) -> None:
    """A flag at the end of a chain refuses the delete at its beginning, and nothing is gone."""
    await _run(database, _insert((COMMENT, "a", None), (COMMENT, "b", "a"), (FLAG, "f", "b")))
    with pytest.raises(Conflict) as refused:
        await _run(database, _delete("a"))
    assert refused.value.details == {"entity": "Flag", "field": "commentId"}
    rows = database.readers.inline.rows("SELECT id FROM Comment ORDER BY id", ())
    assert rows == [("a",), ("b",)]
