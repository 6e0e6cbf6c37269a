"""Writes through the product's storage and says aloud what was acknowledged; run under strace."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

from pylon.clock import SystemClock
from pylon.ids import IdSource
from pylon.schema.model import Entity, Field, FieldKind, Schema
from pylon.server.storage import operations, writer
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.trimming import Trimmer

ROUND = Entity(
    name="Round",
    fields=(Field(name="n", kind=FieldKind.INT), Field(name="text", kind=FieldKind.STR)),
)
STARTS, GROUPS, OPERATIONS_EACH = 3, 14, 3


async def work(folder: Path, durability: str) -> None:
    """Open, write in groups, close, three times over; the log is trimmed once in between."""
    writer._CHECKPOINT_RECORDS_IDLE = 25  # type: ignore[misc]
    chance, clock = random.Random(1), SystemClock()
    number = 0
    for start in range(STARTS):
        database = await Database.open(
            folder, clock=clock, ids=IdSource(clock, os.urandom), durability=durability,
            witness=folder.parent / "witness",
        )  # fmt: skip
        await migrate(database, Schema(entities={"Round": ROUND}))
        for group in range(GROUPS):
            numbers = range(number, number := number + OPERATIONS_EACH)
            size = chance.choice([10, 10, 200, 9_000])
            await asyncio.gather(*(_write(database, n, size) for n in numbers))
            if (start, group) == (1, 5):
                await Trimmer(database, keep_changes=20, keep_days=0).trim(20, 0)
        await database.close()


async def _write(database: Database, n: int, size: int) -> None:
    def run(tx: Transaction) -> None:
        tx.operation_id = f"op-{n}"
        tx.insert(ROUND, {"id": f"r{n}", "n": n, "text": "x" * size})
        before: Any = tx.get(ROUND, f"r{n - 7}")
        if before is not None and n % 3 == 0:
            tx.update(ROUND, before, {**before, "text": f"by {n}"})
        elif before is not None and n % 5 == 0:
            tx.delete(ROUND, before)
        operations.record(tx, "ada", f"op-{n}", b"content", f'{{"value":{n}}}')

    await database.writer.submit(run)
    os.write(2, f"ack {n};".encode())  # seen in the trace, in its place among all other calls


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), sys.argv[2]))
