"""Live rows that break a tighter bound: counted, refused until somebody agrees, and left alone."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.ids import IdSource
from pylon.schema.constraints import constraint_of
from pylon.schema.model import Default, DefaultKind, Entity, Field, FieldKind, Schema
from pylon.server.storage import breaches
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import MigrationRefused, migrate
from pylon.server.storage.tables import EntityTable
from pylon.server.storage.verify import verify


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database in a folder of its own."""
    clock = SystemClock()
    opened = await Database.open(
        tmp_path / ".pylon", clock=clock, ids=IdSource(clock, secrets.token_bytes)
    )
    yield opened
    await opened.close()


def _schema(kind: FieldKind, name: str = "a", **rest: Any) -> Schema:
    extra: dict[str, Any] = {
        FieldKind.LIST: {"item": FieldKind.STR}, FieldKind.DECIMAL: {"scale": 2}
    }.get(kind, {})  # fmt: skip
    field = Field(name=name, kind=kind, nullable=True, **extra, **rest)
    return Schema(entities={"E": Entity(name="E", fields=(field,))})


async def _fill(database: Database, schema: Schema, values: list[Any]) -> None:
    await migrate(database, schema)
    entity = schema.entities["E"]
    for at, value in enumerate(values):
        row = {"id": f"r{at}", "a": value}
        await database.writer.submit(lambda tx, row=row: tx.insert(entity, row))


async def _values(database: Database, name: str = "a") -> list[Any]:
    table = EntityTable(database.schema.entities["E"])
    found = await database.readers.run(lambda one: one.rows(f'{table.select_sql} ORDER BY "id"'))
    return [table.row(one)[name] for one in found]


CASES = [
    # kind, values, the new bound, how many break it, what is said of one
    (FieldKind.INT, [1, 5, 9, None], {"min": 5}, 1, "below 5"),
    (FieldKind.INT, [1, 5, 9, None], {"max": 4.5}, 2, "above 4.5"),
    (FieldKind.FLOAT, [0.1, 0.2, 0.3], {"max": 0.1}, 2, "above 0.1"),
    (FieldKind.BIGINT, [2**63 - 1, 2**62, -(2**63)], {"min": 2**63 - 1}, 2, f"below {2**63 - 1}"),
    (FieldKind.BIGINT, [2**63 - 1, -(2**63)], {"min": 2**70}, 2, f"below {2**70}"),
    (FieldKind.BIGINT, [2**63 - 1, -(2**63)], {"max": 2**70}, 0, ""),
    (FieldKind.DECIMAL, [150, 149, 151], {"max": Decimal("1.5")}, 1, "above 1.5"),
    (FieldKind.STR, ["", "é", "🎉🎉"], {"min_length": 2}, 2, "shorter than 2 characters"),
    (FieldKind.TEXT, ["", "é", "🎉🎉"], {"max_length": 1}, 1, "longer than 1 character"),
    (FieldKind.BYTES, [b"", b"\0\0\0", b"ab"], {"max_length": 2}, 1, "longer than 2 bytes"),
    (FieldKind.LIST, [[], ["x"], ["x", "y"], None], {"min_length": 1}, 1, "shorter than 1 item"),
    (FieldKind.STR, ["ab", "a\nb", "", "x" * 1001], {"pattern": "[a-x]+"}, 3,
     "that does not match '[a-x]+'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "bound", "count", "words"), CASES)
async def test_rows_that_break_a_bound_are_counted_and_stay(
    database: Database, kind: FieldKind, values: list[Any], bound: dict[str, Any], count: int,
    words: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Nobody's rows are refused in silence: it waits for consent, and then for their next write."""
    monkeypatch.setattr(breaches, "_VALUES_AT_ONCE", 2)
    await _fill(database, _schema(kind), values)
    new, head = _schema(kind, **bound), database.head
    check = constraint_of(new.entities["E"].fields[0])
    assert check is not None
    assert sum(_is_refused(check, one) for one in values if one is not None) == count
    if count:
        with pytest.raises(MigrationRefused) as refused:
            await migrate(database, new)
        rows = "1 row has" if count == 1 else f"{count} rows have"
        stay = "it stays as it is" if count == 1 else "they stay as they are"
        assert refused.value.details["plan"].splitlines()[1:] == [
            f"  NEEDS CONSENT: E: {rows} a a {words}; {stay}, and a is checked at its next write",
            "  the database as it is now is kept first, as a branch before-migration-…",
        ]
        assert "consents" in (refused.value.hint or "")
        assert not (database.folder / "branches").exists()
        assert database.schema == _schema(kind)
    await migrate(database, new, consent=count > 0)
    assert (database.folder / "branches").exists() is (count > 0)
    assert await _values(database) == values
    assert database.head == head
    assert await database.readers.run(lambda one: verify(one.raw, database.schema)) == []
    assert (await migrate(database, new)).is_empty


def _is_refused(check: Any, value: Any) -> bool:
    try:
        check(value)
    except ValueError:
        return True
    return False


async def test_a_wider_bound_is_applied_and_its_return_is_noticed(database: Database) -> None:
    """Rows that were accepted meanwhile are counted when the old bound comes back."""
    narrow, wide = _schema(FieldKind.STR, max_length=2), _schema(FieldKind.STR, max_length=3)
    await _fill(database, narrow, ["xx"])
    await migrate(database, wide)
    entity = wide.entities["E"]
    await database.writer.submit(lambda tx: tx.insert(entity, {"id": "late", "a": "xxx"}))
    with pytest.raises(MigrationRefused, match="1 row has a a longer than 2 characters"):
        await migrate(database, narrow)


async def test_a_bound_is_asked_of_the_old_name_of_a_field(database: Database) -> None:
    """A rename and a tighter bound in one: the rows are written anew, their values as they were."""
    await _fill(database, _schema(FieldKind.STR), ["xx", "x"])
    new = _schema(FieldKind.STR, "b", max_length=1, renamed_from="a")
    with pytest.raises(MigrationRefused, match="1 row has a b longer than 1 character;"):
        await migrate(database, new)
    await migrate(database, new, consent=True)
    assert await _values(database, "b") == ["xx", "x"]


async def test_a_kind_that_holds_every_value_keeps_those_that_break_its_bound(
    database: Database,
) -> None:
    """The rows are written anew for the kind, and what the plan said would stay stays."""
    await _fill(database, _schema(FieldKind.INT), [1, 9])
    new = _schema(FieldKind.BIGINT, max=5)
    with pytest.raises(MigrationRefused, match="1 row has a a above 5;"):
        await migrate(database, new)
    await migrate(database, new, consent=True)
    assert await _values(database) == [1, 9]


async def test_a_text_of_another_form_is_held_to_its_bound(database: Database) -> None:
    """What is written anew must be what the app declares: the rest is counted as a loss."""
    await _fill(database, _schema(FieldKind.INT), [1, 10])
    new = _schema(FieldKind.STR, max_length=1, default=Default(DefaultKind.LITERAL, "-"))
    with pytest.raises(MigrationRefused, match="2 rows have a value, 1 of which can't be kept"):
        await migrate(database, new)
    await migrate(database, new, consent=True)
    assert await _values(database) == ["1", None]


async def test_what_blocks_is_said_before_what_needs_consent(database: Database) -> None:
    """Consent to a bound is none to rows that the new schema cannot hold."""
    await _fill(database, _schema(FieldKind.STR), ["xx", None])
    field = Field(name="a", kind=FieldKind.STR, max_length=1)
    with pytest.raises(MigrationRefused) as refused:
        await migrate(
            database, Schema(entities={"E": Entity(name="E", fields=(field,))}), consent=True
        )
    lines = refused.value.details["plan"].splitlines()
    assert [line.split(":")[0].strip() for line in lines[-2:]] == ["BLOCKED", "NEEDS CONSENT"]
    assert not (database.folder / "branches").exists()
