"""The log is trimmed from its old end, and cursors before it are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.errors import ResyncRequired
from pylon.ids import IdSource
from pylon.schema.model import Entity, Field, FieldKind, Schema
from pylon.server.storage.change_log import read_head
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.trimming import Trimmer
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.view import View

DAY_MS = 86_400_000
THING = Entity(name="Thing", fields=(Field(name="n", kind=FieldKind.INT),))


class Calendar:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_795_521_600_000

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)


async def _fill(database: Database, count: int) -> None:
    for n in range(count):
        row: dict[str, Any] = {"id": f"t{database.head}-{n}", "n": n}
        await database.writer.submit(lambda tx, row=row: tx.insert(THING, row))


@pytest.fixture
async def opened(tmp_path: Path) -> Any:
    """A database and its calendar."""
    calendar = Calendar()
    counter = iter(range(1, 10**9))
    database = await Database.open(
        tmp_path / ".pylon", clock=calendar,
        ids=IdSource(calendar, lambda count: next(counter).to_bytes(count)),
    )  # fmt: skip
    await migrate(database, Schema(entities={"Thing": THING}))
    yield database, calendar
    await database.close()


async def test_only_what_is_beyond_both_bounds_goes(opened: Any) -> None:
    """Young records stay however many there are, and the newest stay however old."""
    database, calendar = opened
    await _fill(database, 30)
    calendar.now += 10 * DAY_MS
    await _fill(database, 10)
    trimmer = Trimmer(database, keep_changes=5, keep_days=3)
    while await trimmer.step():
        pass
    assert database.horizon == 30
    reader = database.readers.inline
    assert reader.rows("SELECT min(seq), max(seq) FROM _pylon_log", ()) == [(31, 40)]
    assert len(reader.rows("SELECT id FROM Thing", ())) == 40, "rows are no history"
    generous = Trimmer(database, keep_changes=100, keep_days=0)
    assert not await generous.step()


async def test_a_cursor_before_the_horizon_is_resynced(opened: Any) -> None:
    """Whoever comes with an older cursor is told so; at the horizon one goes on."""
    database, calendar = opened
    await _fill(database, 10)
    calendar.now += 10 * DAY_MS
    trimmer = Trimmer(database, keep_changes=4, keep_days=1)
    while await trimmer.step():
        pass
    view, reader = View("none", {}), database.readers.inline
    with pytest.raises(ResyncRequired) as caught:
        read_page(reader, view, database.cursor(5), database.epoch, 10, "")
    assert caught.value.details["reason"] == "cursor_too_old"
    assert read_page(reader, view, database.cursor(6), database.epoch, 10, "").through == 10


async def test_numbers_go_on_after_everything_was_trimmed(opened: Any, tmp_path: Path) -> None:
    """A log that is empty remembers its head: no number is given twice."""
    database, calendar = opened
    await _fill(database, 5)
    calendar.now += 10 * DAY_MS
    trimmer = Trimmer(database, keep_changes=0, keep_days=1)
    while await trimmer.step():
        pass
    await _fill(database, 1)
    assert database.head == 6


async def test_a_transaction_longer_than_a_step_goes_whole(opened: Any) -> None:
    """The horizon never stops in front of a large transaction, nor inside one (I20)."""
    database, calendar = opened

    def many(tx: Any, first: int) -> None:
        for n in range(1_200):
            tx.insert(THING, {"id": f"m{first + n}", "n": n})

    await database.writer.submit(lambda tx: many(tx, 0))
    await database.writer.submit(lambda tx: many(tx, 5_000))
    await _fill(database, 3)
    calendar.now += 10 * DAY_MS
    trimmer = Trimmer(database, keep_changes=1_000, keep_days=1)
    while await trimmer.step():
        assert database.horizon in (0, 1_200), "a border between transactions"
    assert database.horizon == 1_200, "the second is within the newest changes in part: it stays"
    rows = database.readers.inline.rows
    assert rows("SELECT min(seq), count(*) FROM _pylon_log") == [(1_201, 1_203)]


async def test_the_last_transaction_goes_too(opened: Any) -> None:
    """Where nothing is to be kept the log is emptied, and only it."""
    database, calendar = opened
    await _fill(database, 5)
    calendar.now += 10 * DAY_MS
    trimmer = Trimmer(database, keep_changes=0, keep_days=1)
    while await trimmer.step():
        pass
    assert database.horizon == database.head == 5
    assert database.readers.inline.rows("SELECT count(*) FROM _pylon_log") == [(0,)]
    # What the next start reads: no number is given twice (I13).
    assert read_head(database.readers.inline.raw) == (5, 5)
    reader, view = database.readers.inline, View("none", {})
    page = read_page(reader, view, database.cursor(5), database.epoch, 10, "")
    assert (page.through, page.more) == (5, False), "the cursor at the head goes on"


@pytest.mark.parametrize("age_days", [2, 3, 4])
async def test_the_edge_of_age_is_exact(opened: Any, age_days: int) -> None:
    """Records of exactly `keep_days` stay; a moment older and they may go."""
    database, calendar = opened
    await _fill(database, 4)
    calendar.now += age_days * DAY_MS
    await _fill(database, 1)
    for later, horizon in ((0, 4 if age_days > 3 else 0), (1, 4 if age_days >= 3 else 0)):
        calendar.now += later
        trimmer = Trimmer(database, keep_changes=1, keep_days=3)
        while await trimmer.step():
            pass
        assert database.horizon == horizon


@pytest.mark.parametrize("keep", [9, 10, 11])
async def test_the_edge_of_the_count_is_exact(opened: Any, keep: int) -> None:
    """Of ten changes the newest `keep` stay, and the cursor before the first of them works."""
    database, calendar = opened
    await _fill(database, 10)
    calendar.now += 10 * DAY_MS
    trimmer = Trimmer(database, keep_changes=keep, keep_days=1)
    while await trimmer.step():
        pass
    edge = max(0, 10 - keep)
    assert database.horizon == edge
    reader, view = database.readers.inline, View("none", {})
    for seq in (edge, edge + 1, 10):
        page = read_page(reader, view, database.cursor(seq), database.epoch, 1000, "")
        assert page.through == 10
    for seq, reason in ((edge - 1, "cursor_too_old"), (11, "cursor_ahead")):
        if seq < 0:
            continue
        with pytest.raises(ResyncRequired) as caught:
            read_page(reader, view, database.cursor(seq), database.epoch, 1000, "")
        assert caught.value.details["reason"] == reason
