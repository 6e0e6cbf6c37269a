"""`verify` passes what the product writes, and finds whatever else was done to a file."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.schema.model import Default, DefaultKind, Entity, Field, FieldKind, Schema
from pylon.server.storage import change_log
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.verify import verify
from tests.unit.server.storage.conftest import BOX, ITEM


async def _verify(database: Database) -> list[str]:
    return await database.run_on_writer(lambda raw: verify(raw, stored_schema(raw)))  # type: ignore[no-any-return]


async def test_what_was_written_is_the_fold_of_its_log(filled: Database) -> None:
    """Inserts, updates, cascades, deletes and ids used again: nothing to say."""
    assert await _verify(filled) == []


#: What was done to the file, and the words by which it is found.
TAMPERED: dict[str, tuple[str, str]] = {
    "value": ("UPDATE Box SET name = 'other' WHERE id = 'b2'", "Box/b2 differs from its record"),
    "private": ("UPDATE Box SET secret = 't' WHERE id = 'b0'", "Box/b0 differs from its record"),
    "double": ("UPDATE Box SET weight = 2e-7 WHERE id = 'b0'", "Box/b0 differs from its record"),
    "json": ("UPDATE Item SET tags = '[]' WHERE id = 'i0'", "Item/i0 differs from its record"),
    "wire": ("UPDATE Box SET _wire = '{}' WHERE id = 'b2'", "wire text that is not its own"),
    "seq": ("UPDATE Box SET _seq = 2 WHERE id = 'b0'", "Box/b0 has _seq 2"),
    "row gone": ("DELETE FROM Box WHERE id = 'b3'", "Box/b3 is missing: the log has it at 4"),
    "row more": (
        "INSERT INTO Box SELECT 'b9', name, secret, weight, 99, _wire FROM Box WHERE id = 'b2'",
        "Box/b9 has _seq 99, and the log has no such record",
    ),
    "row again": (
        "INSERT INTO Box SELECT 'b1', name, secret, weight, 2, _wire FROM Box WHERE id = 'b2'",
        "Box/b1 was deleted at",
    ),
    "record gone": ("DELETE FROM _pylon_log WHERE seq = 5", "the log has no such record of it"),
    "last record gone": (
        "DELETE FROM _pylon_log WHERE seq = (SELECT max(seq) FROM _pylon_log)", "is missing",
    ),
    "image": (
        "UPDATE _pylon_log SET before = json_set(before, '$.name', 'x') WHERE seq = 8",
        "record 8 does not begin where record 1 ended",
    ),
    "kind": ("UPDATE _pylon_log SET kind = 'insert' WHERE seq = 8", "begins with something else"),
    "after": ("UPDATE _pylon_log SET after = NULL WHERE seq = 8", "image of something else"),
    "transaction": ("UPDATE _pylon_log SET tx = 3 WHERE seq = 6", "is of transaction 3"),
    "reference": ("DELETE FROM Box WHERE id = 'b0'", "Item/i0.boxId names b0, which is not there"),
    "horizon": ("UPDATE _pylon_meta SET value = 99 WHERE key = 'horizon'", "its horizon is 99"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
async def test_what_was_done_behind_its_back_is_found(filled: Database, name: str) -> None:
    """One statement past the log, and it is named."""
    statement, words = TAMPERED[name]

    def tamper(raw: Any) -> None:
        raw.execute("INSERT INTO _pylon_meta VALUES ('horizon', 0)")
        assert raw.execute(statement).rowcount == 1

    await filled.run_on_writer(tamper)
    assert words in "\n".join(await _verify(filled))


@pytest.mark.parametrize("keep", [0, 1, 4, 7])
async def test_a_trimmed_log_still_says_what_it_can(filled: Database, keep: int) -> None:
    """Rows older than the horizon pass; those after it are held to their records."""

    def trim(tx: Any) -> None:
        change_log.trim(
            tx.connection, filled.head, keep_changes=keep, keep_after_ms=2**60, at_most=1_000
        )

    await filled.writer.submit(trim)
    assert await _verify(filled) == []


async def test_migrations_are_no_fault(filled: Database) -> None:
    """Fields added, dropped and renamed, a table dropped and made again: images follow."""
    plain = Default(kind=DefaultKind.LITERAL, value="red")
    changed = Entity(
        name="Box",
        fields=(
            Field(name="title", kind=FieldKind.STR, renamed_from="name"),
            Field(name="weight", kind=FieldKind.FLOAT, nullable=True),
            Field(name="colour", kind=FieldKind.STR, default=plain),
        ),
    )
    await migrate(filled, Schema(entities={"Box": changed}), consent=True)
    assert await _verify(filled) == []
    row = {"id": "b7", "title": "new", "weight": None, "colour": "blue"}
    await filled.writer.submit(lambda tx: tx.insert(changed, row))

    def change(tx: Any) -> None:
        before = tx.get(changed, "b0")
        tx.update(changed, before, {**before, "colour": "green"})

    await filled.writer.submit(change)
    await migrate(filled, Schema(entities={"Box": changed, "Item": ITEM}))
    item = {"id": "i0", "boxId": "b0", "tags": None}
    await filled.writer.submit(lambda tx: tx.insert(ITEM, item))
    assert await _verify(filled) == []

    def tamper(raw: Any) -> None:
        raw.execute("UPDATE Box SET colour = 'grey' WHERE id = 'b0'")

    await filled.run_on_writer(tamper)
    assert "Box/b0 differs" in "\n".join(await _verify(filled))
    assert BOX.name == changed.name
