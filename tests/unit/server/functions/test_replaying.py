"""Changes made once more: what a delete took along stands in the log, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.errors import NotFound
from pylon.server.functions.replaying import Taken, make_again, replay
from pylon.server.storage.change_log import read_after
from pylon.server.storage.transaction import Transaction
from tests.unit.server.sync.hubs import Hubs, hubs_at

APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, field

app = App("ring")


@app.entity(read="true")
class Room(Entity):
    next: Ref["Room"] | None = field(default=None, on_delete="cascade")


@app.entity(read="true")
class Note(Entity):
    room: Ref[Room] = field(on_delete="cascade")
    other: Ref[Room] | None = field(default=None, on_delete="set_null")
"""


async def _write(hubs: Hubs) -> None:
    await hubs.put("Room", "a")
    await hubs.put("Room", "b", next="a")
    await hubs.put("Room", "a", next="b")
    await hubs.put("Note", "n1", room="a", other="b")
    await hubs.put("Note", "n2", room="b", other="a")


async def test_rows_that_refer_to_each_other_in_a_ring_go_as_they_went(tmp_path: Path) -> None:
    """The first of them takes all others along; their own records follow, and find them gone."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with hubs_at(tmp_path / "one", APP) as one, hubs_at(tmp_path / "two", APP) as two:
        await _write(one)
        await _write(two)
        head = one.database.head
        await one.drop("Room", "a")
        records = read_after(
            one.database.readers.inline.raw, head, 100, one.definitions.current.schema
        )
        assert {record.row_id for record in records} == {"a", "b", "n1", "n2"}
        await two.work(lambda transaction: _replayed(transaction, records))
        left = two.database.readers.inline.rows('SELECT id FROM Room UNION SELECT id FROM "Note"')
        assert left == []


def _replayed(transaction: Transaction, records: list[object]) -> None:
    replay(transaction, records)  # type: ignore[arg-type]


async def test_a_row_that_was_never_there_is_still_refused(tmp_path: Path) -> None:
    """Only what went in this very transaction may be gone."""
    async with hubs_at(tmp_path, APP) as hubs:
        gone = Taken("delete", "Room", "a", None, None)
        with pytest.raises(NotFound, match="no Room a there"):
            await hubs.work(lambda transaction: _made(transaction, gone))


def _made(transaction: Transaction, *changes: Taken) -> None:
    make_again(transaction, changes)
