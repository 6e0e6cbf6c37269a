"""What runs on a connection's own thread, and what becomes of it where it does not end."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon import limits
from pylon.errors import Unavailable
from pylon.server.storage import apart as apart_module
from pylon.server.storage.apart import Apart, run_apart
from pylon.server.storage.database import Database
from pylon.sqlite import RawConnection, open_reader
from tests.unit.server.storage.conftest import open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database."""
    opened = await open_database(tmp_path / ".pylon")
    yield opened
    await opened.close()


def test_only_what_asks_for_more_than_the_loop_gives_runs_apart() -> None:
    """At the budget it is done on the loop; several together have the time of all of them."""
    assert Apart.of("f", None) is None
    assert Apart.of("f", limits.FUNCTION_SECONDS) is None
    long = Apart.of("f", 2.0)
    assert long == Apart("f", 2.0)
    assert Apart.together([None, None]) is None
    assert Apart.together([None, long, Apart("g", 3.0)]) == Apart("f", 5.2)


async def test_what_does_not_end_is_named_with_its_stack_and_ends_the_process(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """First a line of the log, then the end; one that ends in between is answered after all."""
    ended: list[str] = []
    monkeypatch.setattr(limits, "HANG_REPORT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "HANG_RESTART_SECONDS", 0.4)
    monkeypatch.setattr(apart_module, "_end_process", lambda held: ended.append(held.name))
    release = threading.Event()

    def stays(raw: RawConnection) -> int:
        time.sleep(0)
        release.wait(10)
        return 7

    async def run() -> int:
        value: int = await database.readers.run(
            lambda reads: stays(reads.raw), apart=Apart("stays", 0.05)
        )
        return value

    with caplog.at_level(logging.ERROR):
        running = asyncio.ensure_future(run())
        while "function.hung stays" not in caplog.text:
            await asyncio.sleep(0.01)
        assert "in stays" in caplog.text, "the stack"
        release.set()
        assert await running == 7
        assert ended == []
        release.clear()
        with pytest.raises(asyncio.InvalidStateError):  # where the process would be gone
            await run()
        assert ended == ["stays"]
    release.set()


async def test_whoever_leaves_does_not_leave_the_thread_at_work_with_the_connection(
    database: Database,
) -> None:
    """A cancelled caller waits for the end of what runs: the connection is free then."""
    is_done = False

    def works(raw: RawConnection) -> None:
        nonlocal is_done
        time.sleep(0.1)
        is_done = True

    connection = await open_reader(database.path)
    caller = asyncio.ensure_future(run_apart(connection, works, Apart("works", 1.0)))
    await asyncio.sleep(0.02)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert is_done
    await connection.close()


async def test_long_queries_wait_in_a_line_that_has_an_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit one waits, beyond it one is turned away; short reads go past them all."""
    monkeypatch.setattr(limits, "LONG_QUERIES_MAX", 2)
    release = threading.Event()

    def ask() -> asyncio.Future[bool]:
        return asyncio.ensure_future(
            database.readers.run(lambda _: release.wait(10), apart=Apart("long", 5.0))
        )

    asked = [ask(), ask()]
    await asyncio.sleep(0.02)
    with pytest.raises(Unavailable):
        await ask()
    assert await database.readers.run(lambda reads: reads.rows("VALUES (1)")) == [(1,)]
    release.set()
    assert await asyncio.gather(*asked) == [True, True]
    assert await ask() is True
