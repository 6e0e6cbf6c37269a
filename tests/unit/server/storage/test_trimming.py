"""The log is trimmed from its old end, and cursors before it are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.errors import ResyncRequired
from pylon.ids import IdSource
from pylon.schema.model import Entity, Field, FieldKind, Schema
from pylon.server.storage import change_log, operations
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

    def machine_ms(self) -> int:
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


async def _remember(database: Database, *op_ids: str) -> None:
    for op_id in op_ids:
        await database.writer.submit(
            lambda tx, op_id=op_id: operations.record(tx, "ada", op_id, b"c", "{}")
        )


def _remembered(database: Database) -> list[str]:
    rows = database.readers.inline.rows("SELECT op_id FROM _pylon_ops ORDER BY at, op_id")
    return [op_id for (op_id,) in rows]


async def test_operations_outlive_the_log_by_two_weeks(opened: Any) -> None:
    """Older ones are forgotten, and how far memory reaches back is remembered."""
    database, calendar = opened
    await _remember(database, "a", "b")
    first = calendar.now
    calendar.now += DAY_MS
    await _remember(database, "c")
    trimmer = Trimmer(database, keep_changes=0, keep_days=3)
    calendar.now = first + 17 * DAY_MS
    while await trimmer.step():
        pass
    assert (_remembered(database), database.forgotten_ms) == (["a", "b", "c"], 0)
    calendar.now += 3_600_000
    while await trimmer.step():
        pass
    assert (_remembered(database), database.forgotten_ms) == (["c"], first)


async def test_memory_never_claims_to_reach_further_back_than_it_does(opened: Any) -> None:
    """A clock that jumped years ahead and came back leaves no hole that looks like memory (I14)."""
    database, calendar = opened
    await _remember(database, "a", "b")
    then = calendar.now
    calendar.now += 10 * 365 * DAY_MS
    trimmer = Trimmer(database, keep_changes=0, keep_days=3)
    while await trimmer.step():
        pass
    calendar.now = then + 1_000
    await _remember(database, "c")
    assert (_remembered(database), database.forgotten_ms) == (["c"], then)
    head, horizon = await database.run_on_writer(change_log.read_head)
    assert (head, horizon) == (database.head, database.horizon)
    assert await database.run_on_writer(operations.read_forgotten) == then


@pytest.mark.parametrize("keep", [4, 5, 6])
async def test_the_memory_of_operations_has_a_bound(
    opened: Any, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it the oldest are forgotten, however young they are."""
    database, calendar = opened
    monkeypatch.setattr(limits, "OPERATIONS_MAX", keep)
    for n in range(5):
        await _remember(database, f"op{n}")
        calendar.now += 1
    trimmer = Trimmer(database, keep_changes=100, keep_days=30)
    while await trimmer.step():
        pass
    assert len(_remembered(database)) == min(keep, 5)
    assert _remembered(database)[-1] == "op4"
