"""Migrations over live rows: what is applied, what is refused with counts, what is copied first."""

from __future__ import annotations

import json
import secrets
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.errors import ResyncRequired
from pylon.ids import Epoch, IdSource, Seq
from pylon.protocol.change import Cursor
from pylon.schema.model import (
    Default,
    DefaultKind,
    Entity,
    Field,
    FieldKind,
    Index,
    Schema,
)
from pylon.server.storage.change_log import read_after
from pylon.server.storage.database import Database
from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.migrate import MigrationRefused, migrate
from pylon.server.storage.row_history import read_blame
from pylon.server.storage.search import SearchSpec, search_page
from pylon.server.storage.tables import EntityTable
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.verify import verify
from pylon.server.sync.catch_up import check_cursor


def _schema(*fields: Field, indexes: tuple[Index, ...] = (), **more: Entity) -> Schema:
    return Schema(entities={"E": Entity(name="E", fields=fields, indexes=indexes), **more})


def _field(name: str = "a", kind: FieldKind = FieldKind.STR, **rest: Any) -> Field:
    return Field(name=name, kind=kind, **rest)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database in a folder of its own."""
    clock = SystemClock()
    opened = await Database.open(
        tmp_path / ".pylon", clock=clock, ids=IdSource(clock, secrets.token_bytes)
    )
    yield opened
    await opened.close()


async def _filled(database: Database, schema: Schema, *rows: dict[str, Any]) -> None:
    await migrate(database, schema)
    entity = schema.entities["E"]
    for at, values in enumerate(rows):
        row: dict[str, Any] = {"id": f"r{at}", **values}
        await database.writer.submit(lambda tx, row=row: tx.insert(entity, row))


async def _values(database: Database) -> list[Any]:
    table = EntityTable(database.schema.entities["E"])
    found = await database.readers.run(lambda one: one.rows(f'{table.select_sql} ORDER BY "id"'))
    return [table.row(one)["a"] for one in found]


async def _meta(database: Database, key: str) -> Any:
    return await database.readers.run(lambda one: meta(one.raw, key))


async def _set_meta(database: Database, key: str, value: str) -> None:
    await database.writer.submit(lambda tx: set_meta(tx.connection, key, value))


async def _searched(database: Database, word: str) -> list[str]:
    """Return the ids that a search for a beginning finds, in order of ids."""
    entity = database.schema.entities["E"]
    spec = SearchSpec(entity=entity, match=f'"{word}"*')
    found = await database.readers.run(lambda one: search_page(one.raw, spec, ("id",)))
    assert await database.readers.run(lambda one: verify(one.raw, database.schema)) == []
    return sorted(row_id for _, row_id in found)


async def test_search_begins_with_the_rows_that_are_there(database: Database) -> None:
    """Turning it on and off, renaming and dropping keep the index what the table is."""
    plain, searched = _field(), _field(search=True)
    await _filled(database, _schema(plain), {"a": "old words"}, {"a": "other"})
    stored = json.loads(meta_text := str(await _meta(database, "schema")))
    del stored["E"]["fields"][0]["search"]
    assert json.dumps(stored) != meta_text, "a schema of an older release says nothing of it"
    await _set_meta(database, "schema", json.dumps(stored))
    plan = await migrate(database, _schema(searched))
    assert [(one.description, str(one.safety)) for one in plan.steps] == [
        ("search a of E", "additive")
    ]
    assert await _searched(database, "wor") == ["r0"]
    entity = database.schema.entities["E"]

    def change(tx: Any) -> None:
        before = tx.get(entity, "r1")
        tx.update(entity, before, {**before, "a": "more words"})
        tx.delete(entity, tx.get(entity, "r0"))
        tx.insert(entity, {"id": "r9", "a": "w\u00d6rds"})

    await database.writer.submit(change)
    assert await _searched(database, "wor") == ["r1", "r9"]
    await database.run_on_writer(
        lambda raw: raw.execute("""DELETE FROM "_pylon_search_E.text" WHERE c0 = 'more words'""")
    )
    found = await database.readers.run(lambda one: verify(one.raw, database.schema))
    assert found == ["E/r1 is not what full-text search has of it"]
    renamed = _field("b", search=True, renamed_from="a")
    extra = _field("c", FieldKind.TEXT, search=True, default=Default(DefaultKind.LITERAL, "fresh"))
    await migrate(database, _schema(renamed, extra))
    assert await _searched(database, "fresh") == await _searched(database, "w") == ["r1", "r9"]
    await migrate(database, _schema(_field("b"), extra))
    assert await _searched(database, "wor") == []
    await migrate(database, _schema(_field("b")), consent=True)
    names = await database.readers.run(
        lambda one: one.rows("SELECT name FROM sqlite_master WHERE name LIKE '_pylon_search%'")
    )
    assert names == [], "nothing is left of it"


CHANGES = [
    # old field, its values, new field, what the rows hold then
    (_field(kind=FieldKind.INT), [1, -5], _field(), ["1", "-5"]),
    (_field(kind=FieldKind.INT), [1, -5], _field(kind=FieldKind.FLOAT), [1.0, -5.0]),
    (_field(kind=FieldKind.FLOAT), [2.0, 1.5], _field(kind=FieldKind.INT, nullable=True),
     [2, None]),
    (_field(kind=FieldKind.FLOAT), [2.0, 1.5],
     _field(kind=FieldKind.INT, default=Default(DefaultKind.LITERAL, 7)), [2, 7]),
    (_field(kind=FieldKind.DECIMAL, scale=2), [150, 155],
     _field(kind=FieldKind.DECIMAL, scale=1, nullable=True), [15, None]),
    (_field(), ["x", "2026-01-01T00:00:00Z"], _field(kind=FieldKind.DATETIME, nullable=True),
     [None, "2026-01-01T00:00:00.000Z"]),
    (_field(kind=FieldKind.BYTES), [b"ab", b""], _field(), ["YWI=", ""]),
    (_field(kind=FieldKind.LIST, item=FieldKind.STR), [["a"], []], _field(kind=FieldKind.JSON),
     [["a"], []]),
    (_field(kind=FieldKind.LIST, item=FieldKind.STR), [["a"], []],
     _field(kind=FieldKind.LIST, item=FieldKind.INT, nullable=True), [None, []]),
    (_field(kind=FieldKind.LIST, item=FieldKind.INT), [[1], []],
     _field(kind=FieldKind.LIST, item=FieldKind.FLOAT), [[1.0], []]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "values", "new", "wanted"), CHANGES)
async def test_a_changed_form_needs_consent_and_keeps_what_it_can(
    database: Database, old: Field, values: list[Any], new: Field, wanted: list[Any]
) -> None:
    """What has no form in the new kind becomes null or the default, and was counted before."""
    await _filled(database, _schema(old), *({"a": value} for value in values))
    lost = sum(value in (None, 7) for value in wanted)
    if new.kind is not FieldKind.JSON:
        with pytest.raises(MigrationRefused) as refused:
            await migrate(database, _schema(new))
        text = f"2 rows have a value{f', {lost} of which' if lost else ''}"
        assert text in refused.value.details["plan"]
        assert await _values(database) == values
    await migrate(database, _schema(new), consent=True)
    assert await _values(database) == wanted
    assert await database.readers.run(lambda one: verify(one.raw, database.schema)) == []


@pytest.mark.parametrize("kind", [*FieldKind])
async def test_no_change_of_form_leaves_a_row_broken(database: Database, kind: FieldKind) -> None:
    """Whatever a text becomes where there must be a value: it is refused, or every row has one."""
    await _filled(database, _schema(_field()), {"a": "x"}, {"a": "r0"}, {"a": ""})
    extra = {
        FieldKind.ENUM: {"choices": ("x", "")}, FieldKind.REF: {"ref": "E"},
        FieldKind.LIST: {"item": FieldKind.STR}, FieldKind.DECIMAL: {"scale": 2},
    }  # fmt: skip
    new = _schema(_field(kind=kind, **extra.get(kind, {})))
    wanted: Any = None
    with suppress(MigrationRefused):
        wanted = ["x", "r0", ""]
        plan = await migrate(database, new, consent=True)
        wanted = None
        assert plan.blockers == ()
    found = await _values(database)
    assert found == wanted if wanted else None not in found
    assert await database.readers.run(lambda one: verify(one.raw, database.schema)) == []


async def test_live_rows_stand_against_a_migration_with_counts(database: Database) -> None:
    """Duplicates, nulls, lost choices and missing values are counted; consent is no way."""
    old = _schema(
        _field("a", nullable=True), _field("state", FieldKind.ENUM, choices=("x", "y")),
        _field("all", FieldKind.LIST, item=FieldKind.ENUM, choices=("x", "y")),
    )  # fmt: skip
    rows = [{"a": "s", "state": "x", "all": ["y"]}] * 3 + [{"a": None, "state": "y", "all": []}]
    await _filled(database, old, *rows)
    new = _schema(
        _field("a"), _field("state", FieldKind.ENUM, choices=("x",)),
        _field("all", FieldKind.LIST, item=FieldKind.ENUM, choices=("x",)), _field("more"),
        indexes=(Index(name="by_a", fields=("a",), unique=True),),
    )  # fmt: skip
    with pytest.raises(MigrationRefused) as refused:
        await migrate(database, new, consent=True)
    plan = refused.value.details["plan"]
    for line in (
        "BLOCKED: E: 1 row has no a", "BLOCKED: 2 duplicates in E.a",
        "BLOCKED: E: 1 row has a state that is no choice any more",
        "BLOCKED: E: 3 rows have a all that is no choice any more",
        "BLOCKED: E: 4 rows have no more: give it a default, or | None",
    ):  # fmt: skip
        assert line in plan
    assert not (database.folder / "branches").exists()
    assert database.schema == old


async def test_what_sqlite_alone_notices_is_refused_too(database: Database) -> None:
    """A factory that makes one value for all rows of a unique field: all stays as it was."""
    await _filled(database, _schema(_field()), {"a": "x"}, {"a": "y"})
    slug = _field("slug", default=Default(DefaultKind.FACTORY, lambda: "same"))
    index = Index(name="slug", fields=("slug",), unique=True)
    with pytest.raises(MigrationRefused, match="live rows do not allow it"):
        await migrate(database, _schema(_field(), slug, indexes=(index,)))
    assert await _values(database) == ["x", "y"]


async def test_a_copy_is_made_before_anything_is_lost(database: Database) -> None:
    """Without consent nothing happens; with it the file of before lies beside, the owner's."""
    old = _schema(_field(), _field("b", nullable=True), Gone=Entity(name="Gone", fields=()))
    await _filled(database, old, {"a": "x", "b": "1"}, {"a": "y", "b": None})
    await database.writer.submit(lambda tx: tx.insert(old.entities["Gone"], {"id": "g"}))
    new = _schema(_field())
    with pytest.raises(MigrationRefused) as refused:
        await migrate(database, new)
    assert refused.value.details["plan"].splitlines()[-3:] == [
        "  LOSES DATA: drop E.b: 1 row has a value", "  LOSES DATA: drop Gone: 1 row",
        "  the database as it is now is kept first, as a branch before-migration-…",
    ]  # fmt: skip
    folder = database.folder / "branches"
    assert not folder.exists()
    await migrate(database, new, consent=True)
    (branch,) = folder.iterdir()
    assert branch.name.startswith("before-migration-")
    copy = branch / "app.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute('SELECT "a", "b" FROM E ORDER BY id').fetchall() == [
            ("x", "1"), ("y", None),
        ]  # fmt: skip
        assert connection.execute("SELECT count(*) FROM Gone").fetchone() == (1,)


async def test_what_holds_no_data_is_dropped_without_asking(database: Database) -> None:
    """An empty table and a field without values are no loss."""
    old = _schema(_field(), _field("b", nullable=True), Gone=Entity(name="Gone", fields=()))
    await _filled(database, old, {"a": "x", "b": None})
    await migrate(database, _schema(_field()))
    assert await _values(database) == ["x"]
    assert not (database.folder / "branches").exists()


FILLED = Default(DefaultKind.NOW)
NEW = _field("b", default=Default(DefaultKind.LITERAL, "new"))


@pytest.mark.parametrize(
    ("new", "is_wrong"),
    [
        (_schema(_field(), NEW), False),
        (_schema(_field(), _field("b", nullable=True)), False),
        (_schema(_field(), indexes=(Index(name="by_a", fields=("a",)),)), False),
        (_schema(_field(nullable=True)), False),
        (_schema(_field(kind=FieldKind.TEXT)), False),
        (_schema(_field("c", renamed_from="a")), True),
        (_schema(_field(private=True)), True),
        (_schema(_field(kind=FieldKind.JSON)), True),
        (
            _schema(_field(), _field("b", FieldKind.DATETIME, default=Default(DefaultKind.NOW))),
            True,
        ),
        (_schema(_field(), _field("b", default=Default(DefaultKind.FACTORY, lambda: "x"))), True),
        (_schema(_field(), _field("b", private=True, default=FILLED)), False),
    ],
)
async def test_cursors_of_before_are_told_where_copies_are_wrong(
    database: Database, new: Schema, is_wrong: bool
) -> None:
    """Additive changes resync nobody; after others no older cursor goes on, nor the head's."""
    await _filled(database, _schema(_field()), {"a": "x"}, {"a": "y"})
    before = database.head
    await migrate(database, new, consent=True)
    assert database.head == before + is_wrong
    for seq in (1, before):
        cursor = Cursor(Epoch(database.epoch), Seq(seq))
        if is_wrong:
            with pytest.raises(ResyncRequired) as told:
                check_cursor(
                    cursor, database.epoch, database.head, database.horizon, database.rewritten
                )
            assert told.value.details["reason"] == "schema_changed"
        else:
            check_cursor(cursor, database.epoch, database.head, database.horizon)
    check_cursor(database.cursor(), database.epoch, database.head, database.horizon)
    entity = new.entities["E"]
    row = {one.name: "z" for one in entity.fields}
    done = await database.writer.submit(lambda tx: tx.insert(entity, {"id": "late", **row}))
    assert done.seq == database.head == before + is_wrong + 1


async def test_the_log_is_brought_to_the_new_fields(database: Database) -> None:
    """A row that is gone is judged by its image: it has the added field, and the renamed one."""
    await _filled(database, _schema(_field()), {"a": "x"}, {"a": "y"})
    entity = database.schema.entities["E"]
    await database.writer.submit(lambda tx: tx.delete(entity, tx.get(entity, "r0")))
    await migrate(database, _schema(_field("c", renamed_from="a"), NEW))
    records = await database.readers.run(
        lambda one: read_after(one.raw, 0, 10, Schema(entities={}))
    )
    images = await database.readers.run(
        lambda one: one.raw.execute("SELECT before, after FROM _pylon_log ORDER BY seq").fetchall()
    )
    assert len(records) == 3
    gone = {"id": "r0", "c": "x", "b": "new", "_seq": 1}
    assert [json.loads(text) for pair in images for text in pair if text] == [
        gone, {"id": "r1", "c": "y", "b": "new", "_seq": 2}, gone,
    ]  # fmt: skip
    assert await database.readers.run(lambda one: verify(one.raw, database.schema)) == []
    assert database.tail.since(0) is None


async def test_what_came_with_a_field_is_blamed_on_no_change(database: Database) -> None:
    """Rows of before have it by the migration, also under a new name; later ones by a change."""

    async def blamed(row_id: str) -> dict[str, tuple[int | None, int | None]]:
        schema = database.schema
        found = await database.readers.run(
            lambda one: read_blame(one.raw, schema, schema.entities["E"], row_id)
        )
        return {one.field: (one.record and one.record.seq, one.added_after) for one in found}

    await _filled(database, _schema(_field()), {"a": "x"}, {"a": "y"})
    await migrate(database, _schema(_field(), NEW))
    entity = database.schema.entities["E"]
    await database.writer.submit(lambda tx: tx.insert(entity, {"id": "r2", "a": "z", "b": "new"}))

    def set_b(tx: Transaction) -> None:
        before = tx.get(entity, "r1")
        tx.update(entity, before, {**before, "b": "set"})

    await database.writer.submit(set_b)
    assert await blamed("r0") == {"a": (1, None), "b": (None, 2)}
    assert await blamed("r1") == {"a": (2, None), "b": (4, None)}
    assert await blamed("r2") == {"a": (3, None), "b": (3, None)}
    await migrate(database, _schema(_field(), replace(NEW, name="c", renamed_from="b")))
    assert await blamed("r0") == {"a": (1, None), "c": (None, 2)}
    assert await _meta(database, "added:E.b") is None


async def test_fields_may_change_their_places(database: Database) -> None:
    """Columns are read by their names: declared in another order, or with one between, all fit."""
    fields = (_field("a"), _field("b", nullable=True), _field("c", FieldKind.INT))
    await _filled(database, _schema(*fields), {"a": "x", "b": None, "c": 1})
    await migrate(database, _schema(*reversed(fields)))
    entity = database.schema.entities["E"]
    await database.writer.submit(
        lambda tx: tx.insert(entity, {"id": "r1", "a": "y", "b": "z", "c": 2})
    )
    between = (fields[2], _field("d", default=Default(DefaultKind.LITERAL, "new")), *fields[:2])
    for schema in (database.schema, _schema(*between), _schema(*between[1:])):
        await migrate(database, schema, consent=True)
        table = EntityTable(database.schema.entities["E"])
        found = await database.readers.run(
            lambda one, table=table: one.rows(f"{table.select_sql} ORDER BY id")
        )
        rows = [table.row(one) for one in found]
        assert [(row["a"], row["b"]) for row in rows] == [("x", None), ("y", "z")]
        assert [row.get("c") for row in rows] == ([1, 2] if "c" in rows[0] else [None, None])
        assert await database.readers.run(lambda one: verify(one.raw, database.schema)) == []
