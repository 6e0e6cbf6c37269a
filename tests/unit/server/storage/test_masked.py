"""Masked branches: keys that swap, unique values in a small room, and what is refused whole."""

from __future__ import annotations

import sqlite3
import string
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.errors import InvalidArgument, NotFound, Unavailable
from pylon.schema.model import Entity, Field, FieldKind, Index, Schema
from pylon.server.storage import branches
from pylon.server.storage.database import Database
from pylon.server.storage.lineage import set_meta
from pylon.server.storage.masked import Mask
from pylon.server.storage.migrate import migrate
from pylon.server.storage.place import place_of
from tests.unit.server.storage.conftest import open_database

CLOCK = SystemClock()
LEAF = Entity(
    name="Leaf",
    fields=(
        Field(name="parent", kind=FieldKind.REF, ref="Leaf", nullable=True),
        Field(name="digit", kind=FieldKind.INT, private=True, min=0, max=9),
        Field(name="letter", kind=FieldKind.STR, search=True),
        Field(name="answer", kind=FieldKind.STR, pattern="yes|no|[0-9]"),
    ),
    indexes=(Index(name="digit", fields=("digit",), unique=True),
             Index(name="letter", fields=("letter",), unique=True)),
)  # fmt: skip
SCHEMA = Schema(entities={"Leaf": LEAF})


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Ten rows whose keys, digits and letters fill their room."""
    opened = await open_database(tmp_path)
    await migrate(opened, SCHEMA)

    def work(transaction: Any) -> None:
        for place in range(10):
            row = {
                "id": string.ascii_lowercase[place], "digit": place, "answer": str(place),
                "parent": None if place == 0 else "a", "letter": string.ascii_uppercase[place],
            }  # fmt: skip
            transaction.insert(LEAF, row)

    await opened.writer.submit(work)
    yield opened
    await opened.close()


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def test_values_swap_places_and_stay_unique(database: Database) -> None:
    """No pseudonym meets what another row has not given up yet; indexes and search follow."""
    for number in range(3):  # each with a key of its own
        await branches.create(database.place, f"try{number}", CLOCK, mask=Mask())
        path = place_of(database.folder, f"try{number}").path
        found = _rows(path, 'SELECT id, parent, digit, letter FROM "Leaf"')
        assert {one[2] for one in found} == set(range(10))
        assert len({one[0] for one in found}) == len({one[3] for one in found}) == 10
        roots = [one[0] for one in found if one[1] is None]
        assert {one[1] for one in found} == {None, *roots}
        searched = _rows(path, 'SELECT count(*) FROM "_pylon_search_Leaf.text"')
        assert searched == [(10,)]
        names = {name for (name,) in _rows(path, "SELECT name FROM sqlite_master")}
        assert any("letter" in name for name in names)
        assert _rows(path, "SELECT count(*) FROM _pylon_log") == [(0,)]
    made = branches.list_branches(database.folder)
    assert [one.is_masked for one in made] == [False, True, True, True]


async def test_a_masked_branch_that_cannot_be_made_is_not_there(database: Database) -> None:
    """A value with no pseudonym, a field that is not there, a stop: nothing is left."""

    def work(transaction: Any) -> None:
        transaction.update(LEAF, found := transaction.get(LEAF, "b"), {**found, "answer": "yes"})

    await database.writer.submit(work)
    with pytest.raises(InvalidArgument, match=r"Leaf\.answer"):
        await branches.create(database.place, "try", CLOCK, mask=Mask())
    with pytest.raises(NotFound, match=r"Leaf\.nothing"):
        await branches.create(database.place, "try", CLOCK, mask=Mask(keep=("Leaf.nothing",)))
    told: list[tuple[int, int]] = []

    def stopping(done: int, total: int) -> None:
        told.append((done, total))
        if told.count((total, total)) > 1:  # copied: it is being masked
            raise Unavailable("the runtime is stopping", reason="stopping")

    with pytest.raises(Unavailable):
        await branches.create(database.place, "try", CLOCK, progress=stopping,
                              mask=Mask(keep=("Leaf.answer",)))  # fmt: skip
    assert list((database.folder / "branches").iterdir()) == []
    await branches.create(database.place, "try", CLOCK, mask=Mask(keep=("Leaf.answer",)))
    path = place_of(database.folder, "try").path
    assert ("yes",) in _rows(path, 'SELECT answer FROM "Leaf"')


async def test_policies_of_before_and_who_is_being_erased_go(database: Database) -> None:
    """What an app put into them when it started, a name or an address, stands in no code."""

    def work(transaction: Any) -> None:
        for key in ("policies", "read_meanings", "erasing"):
            set_meta(transaction.connection, key, "auth.email == 'boss@corp.example'")

    await database.writer.submit(work)
    await branches.create(database.place, "try", CLOCK, mask=Mask())
    assert b"boss@corp" not in place_of(database.folder, "try").path.read_bytes()


async def test_texts_of_the_code_stay(database: Database) -> None:
    """What the app compares with is what it was."""
    mask = Mask(literals=frozenset({"B"}))
    await branches.create(database.place, "try", CLOCK, mask=mask)
    found = _rows(place_of(database.folder, "try").path, 'SELECT letter FROM "Leaf"')
    assert found.count(("B",)) == 1
