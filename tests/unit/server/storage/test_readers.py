"""Reads on threads: many who read, and each in turn."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from pylon.server.storage.readers import ReadConnection
from tests.unit.server.storage.conftest import open_database


async def test_slow_reads_of_one_caller_hold_up_nobody_else(tmp_path: Path) -> None:
    """Twelve reads that do not end leave a reader for the first of another, and for the runtime."""
    database = await open_database(tmp_path / ".pylon")
    goes_on = threading.Event()

    def slow(_: ReadConnection) -> str:
        goes_on.wait(60)
        return "slow"

    def quick(reader: ReadConnection) -> int:
        return int(reader.rows("SELECT 7")[0][0])

    readers = database.readers
    held = [asyncio.create_task(readers.run(slow, asker="greedy")) for _ in range(12)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(readers.run(quick, asker="other"), 30) == 7
    assert await asyncio.wait_for(readers.run(quick), 30) == 7
    assert not any(task.done() for task in held)
    goes_on.set()
    assert await asyncio.gather(*held) == ["slow"] * 12
    await database.close()


async def test_reads_wait_while_the_file_is_opened_again(tmp_path: Path) -> None:
    """Whoever asks meanwhile is answered when it is open."""
    database = await open_database(tmp_path / ".pylon")
    await database.readers.close()
    waiting = asyncio.create_task(database.readers.run(lambda reader: reader.rows("SELECT 7")))
    await asyncio.sleep(0)
    await database.readers.open(database.schema, {})
    assert await asyncio.wait_for(waiting, 30) == [(7,)]
    await database.close()


async def test_reads_whose_callers_left_count_until_they_have_stopped(tmp_path: Path) -> None:
    """Who asks slowly and hangs up, again and again, holds up nobody else either."""
    database = await open_database(tmp_path / ".pylon")
    goes_on = threading.Event()
    readers = database.readers
    for _ in range(6):
        task = asyncio.create_task(readers.run(lambda _: goes_on.wait(60), asker="greedy"))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    found = readers.run(lambda reader: reader.rows("SELECT 7"), asker="other")
    assert await asyncio.wait_for(found, 5) == [(7,)]
    goes_on.set()
    await database.close()
