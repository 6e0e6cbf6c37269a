"""The writer when things go wrong: failed commits, full disks, lost batches, cancelled callers."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.errors import Internal, Refused, Unavailable
from pylon.ids import IdSource
from pylon.schema.model import Entity, Field, FieldKind, Schema
from pylon.server.storage import commits, operations
from pylon.server.storage import writer as writer_module
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.transaction import Transaction

THING = Entity(name="Thing", fields=(Field(name="n", kind=FieldKind.INT),))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with one table."""
    counter = iter(range(1, 10**9))
    clock = SystemClock()
    opened = await Database.open(
        tmp_path / ".pylon", clock=clock,
        ids=IdSource(clock, lambda count: next(counter).to_bytes(count)),
    )  # fmt: skip
    await migrate(opened, Schema(entities={"Thing": THING}))
    yield opened
    await opened.close()


def _insert(n: int) -> Any:
    return lambda tx: tx.insert(THING, {"id": f"t{n}", "n": n})


def _ids(database: Database) -> set[str]:
    return {row[0] for row in database.readers.inline.rows("SELECT id FROM Thing", ())}


@pytest.mark.parametrize("happened", [False, True], ids=["did not happen", "did happen"])
async def test_a_failed_commit_is_unknown_until_it_was_looked_at(
    database: Database, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    """Nobody is told yes or no; after opening again and verifying, the file decides (I6)."""
    await database.writer.submit(_insert(1))
    healths: list[str] = []
    real, real_recover = commits._commit, database.recover

    def failing(connection: sqlite3.Connection) -> None:
        monkeypatch.setattr(commits, "_commit", real)
        if happened:
            real(connection)
        raise sqlite3.OperationalError("disk I/O error")

    async def watched() -> Any:
        healths.append(database.writer.health)
        return await real_recover()

    monkeypatch.setattr(commits, "_commit", failing)
    monkeypatch.setattr(database, "recover", watched)
    several = [database.writer.submit(_insert(n)) for n in (2, 3)]
    for one in several:
        with pytest.raises(Unavailable) as caught:
            await one
        assert caught.value.details["reason"] == "commit_unknown"
        assert caught.value.is_transient
    committed = await database.writer.submit(_insert(4))
    assert healths == ["recovering"]
    assert database.writer.health == "ok"
    assert _ids(database) == ({"t1", "t2", "t3", "t4"} if happened else {"t1", "t4"})
    assert committed.seq == database.head == len(_ids(database))


async def test_a_retry_after_a_commit_that_happened_is_a_duplicate(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of an operation is in the commit that carries its effect, whoever is told (I5)."""
    real = commits._commit

    def failing(connection: sqlite3.Connection) -> None:
        monkeypatch.setattr(commits, "_commit", real)
        real(connection)
        raise sqlite3.OperationalError("disk I/O error")

    def operation(tx: Transaction) -> str:
        stored = operations.find(tx, "u1", "op1")
        if stored is not None:
            return f"again {stored.outcome}"
        tx.insert(THING, {"id": "once", "n": 1})
        operations.record(tx, "u1", "op1", b"content", "done")
        return "done"

    monkeypatch.setattr(commits, "_commit", failing)
    with pytest.raises(Unavailable):
        await database.writer.submit(operation)
    assert (await database.writer.submit(operation)).value == "again done"
    assert _ids(database) == {"once"}


async def test_recovery_is_tried_until_it_works(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the file can't be opened nothing is acknowledged and health says why (I7)."""
    real, real_recover, tries = commits._commit, database.recover, 0

    def failing(connection: sqlite3.Connection) -> None:
        monkeypatch.setattr(commits, "_commit", real)
        raise sqlite3.OperationalError("disk I/O error")

    async def stubborn() -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("no such device")
        assert "no such device" in database.writer.health
        return await real_recover()

    monkeypatch.setattr(commits, "_commit", failing)
    monkeypatch.setattr(database, "recover", stubborn)
    with pytest.raises(Unavailable):
        await database.writer.submit(_insert(1))
    later = database.writer.submit(_insert(2))
    assert not later.done()
    await later
    assert tries == 2
    assert _ids(database) == {"t2"}


async def test_callers_do_not_wait_for_ever_for_a_recovery(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while they are told to come back; when the file is well again, writes go on."""
    monkeypatch.setattr(writer_module, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(writer_module, "_AGAIN_SECONDS", 0.02)
    real, real_recover = commits._commit, database.recover
    is_gone = True

    def failing(connection: sqlite3.Connection) -> None:
        monkeypatch.setattr(commits, "_commit", real)
        raise sqlite3.OperationalError("disk I/O error")

    async def broken() -> Any:
        if is_gone:
            await database.readers.close()
            raise OSError("no such device")
        return await real_recover()

    monkeypatch.setattr(commits, "_commit", failing)
    monkeypatch.setattr(database, "recover", broken)
    with pytest.raises(Unavailable):
        await database.writer.submit(_insert(1))
    for _ in range(2):  # the first waits in the queue, the second is refused at once
        with pytest.raises(Unavailable) as caught:
            await database.writer.submit(_insert(2))
        assert caught.value.details["reason"] == "recovering"
    with pytest.raises(Unavailable):
        _ids(database)
    waiting = asyncio.create_task(database.readers.run(lambda reader: reader.rows("SELECT 7")))
    is_gone = False
    async with asyncio.timeout(60):
        while database.writer.health != "ok":
            await asyncio.sleep(0.01)
    assert await waiting == [(7,)], "whoever waited for a reader gets one"
    await database.writer.submit(_insert(3))
    assert _ids(database) == {"t3"}


async def test_a_full_disk_refuses_and_reads_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """disk_full is said as such, to everybody and by health; with room again writes go on."""
    monkeypatch.setattr(writer_module, "_ROOM_SECONDS", 0.05)
    has_room = False
    monkeypatch.setattr(database, "has_room", lambda: has_room)
    await database.writer.submit(_insert(1))
    raw = database.new_transaction().connection
    pages = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count={pages + 2}").fetchall()
    big = "x" * 400_000

    def fill(tx: Transaction) -> None:
        tx.execute("INSERT INTO _pylon_meta VALUES (?, ?)", ("ballast", big))

    for work in (fill, _insert(2)):
        with pytest.raises(Unavailable) as caught:
            await database.writer.submit(work)
        assert caught.value.details["reason"] == "disk_full"
        assert database.writer.health == "disk_full"
    assert _ids(database) == {"t1"}
    database.new_transaction().connection.execute("PRAGMA max_page_count=1000000").fetchall()
    has_room = True
    async with asyncio.timeout(60):
        while database.writer.health != "ok":
            await asyncio.sleep(0.01)
    await database.writer.submit(_insert(2))
    assert _ids(database) == {"t1", "t2"}


async def test_one_bad_operation_harms_no_other_of_its_batch(database: Database) -> None:
    """Refusals, exceptions and lost callers beside good operations, all in one commit."""

    def refuse(tx: Transaction) -> None:
        _insert(100)(tx)
        raise Refused("NO", "no")

    def crash(tx: Transaction) -> None:
        _insert(101)(tx)
        raise ZeroDivisionError

    futures = [
        database.writer.submit(work)
        for work in (_insert(1), refuse, _insert(2), crash, _insert(3), _insert(1), _insert(4))
    ]
    futures[4].cancel()
    answers = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(answers[1], Refused)
    assert isinstance(answers[3], Internal)
    assert isinstance(answers[5], Exception), "the id exists"
    assert _ids(database) - {"t3"} == {"t1", "t2", "t4"}
    assert database.head == len(_ids(database))


async def test_a_write_is_in_the_file_before_its_answer(database: Database) -> None:
    """Another process that opens the file at the moment of the answer sees the row."""
    for n in range(20):
        await database.writer.submit(_insert(n))
        other = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
        try:
            found = other.execute("SELECT count(*) FROM Thing WHERE id = ?", (f"t{n}",)).fetchone()
        finally:
            other.close()
        assert found == (1,)


async def test_the_file_is_synced_at_every_commit(database: Database) -> None:
    """The promise of the default durability is SQLite's FULL, over a write-ahead log."""
    raw = database.new_transaction().connection
    assert raw.execute("PRAGMA synchronous").fetchone() == (2,)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_listener_that_fails_stops_neither_the_others_nor_the_writer(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """What is committed is answered; who comes after the one that failed is told; writes go on."""
    heads: list[int] = []

    def failing(*_: Any) -> None:
        raise RuntimeError("a listener has failed")

    database.writer.on_commit(failing)
    database.writer.on_commit(lambda _, head: heads.append(head))
    for number in (1, 2):
        await asyncio.wait_for(database.writer.submit(_insert(number)), 5)
    assert heads == [1, 2]
    assert "a listener has failed" in caplog.text


async def test_what_is_submitted_together_is_nothing_to_each_other(database: Database) -> None:
    """One that is to be retried stops none behind it; between two, others have a turn."""
    turns: list[int] = []

    def slow(transaction: Transaction) -> int:
        until = time.monotonic() + 0.005
        while time.monotonic() < until:
            pass
        asyncio.get_running_loop().call_soon(turns.append, len(turns))
        return len(turns)

    def unavailable(transaction: Transaction) -> None:
        raise Unavailable("not now")

    works = [writer_module.FunctionWork(one, None) for one in (slow, unavailable, slow, slow)]
    first, refused, *others = await database.writer.submit_each(works)
    assert (first, others) == (0, [1, 2])
    assert isinstance(refused, Unavailable)
    assert database.writer.batches == 1


async def test_an_error_that_nobody_foresaw_is_unknown_and_the_writer_goes_on(
    database: Database,
) -> None:
    """A read ahead that raises what is none of SQLite's is answered; later writes are stored."""

    def failing(transaction: Transaction) -> None:
        raise RuntimeError("nobody thought of this")

    work = writer_module.FunctionWork(_insert(1), None)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(database.writer.submit_group([work], look_up=failing), 5)
    await asyncio.wait_for(database.writer.submit(_insert(2)), 5)
    assert _ids(database) == {"t2"}
    assert database.writer.health == "ok"


async def test_the_journal_is_copied_back_for_what_leaves_no_record_too(database: Database) -> None:
    """Jobs and sessions write no change log; their journal does not grow for ever all the same."""

    def work(transaction: Transaction) -> None:
        transaction.execute(
            "INSERT INTO _pylon_meta VALUES (?, ?)",
            (transaction.connection.total_changes, "x" * 500),
        )

    sizes = []
    for _ in range(4):
        await asyncio.gather(*(database.writer.submit(work) for _ in range(2_100)))
        await asyncio.sleep(0.05)  # nothing waits: now is the time
        sizes.append(database.status.wal_bytes)
    assert max(sizes) < 2.5 * sizes[0], sizes
