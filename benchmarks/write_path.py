"""The bare write path: operations per second through the writer, without HTTP and policies.

Run: python -m benchmarks.write_path [--seconds 3]
Each operation inserts a row of five fields, its log record, and the memory of the operation.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import tempfile
import time
from pathlib import Path

from pylon.clock import SystemClock
from pylon.ids import IdSource
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity, Field, FieldKind, Row, Schema
from pylon.server.storage import operations, sync_select
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.select import NO_CLAUSE
from pylon.server.storage.transaction import Transaction

ITEM = Entity(
    name="Item",
    fields=(
        Field(name="ownerId", kind=FieldKind.STR),
        Field(name="title", kind=FieldKind.STR),
        Field(name="body", kind=FieldKind.TEXT),
        Field(name="count", kind=FieldKind.INT),
        Field(name="at", kind=FieldKind.DATETIME),
    ),
)
SCHEMA = Schema(entities={"Item": ITEM})
CATCH_UP_ROWS = 100_000


def _row(ids: IdSource, n: int, now: str) -> Row:
    return {
        "id": ids.uuid7(), "ownerId": "0190aaaa-0000-7000-8000-000000000000",
        "title": f"Item {n}", "body": "A few words that stand for the body of an item. " * 2,
        "count": n, "at": now,
    }  # fmt: skip


class Bench:
    """One database and what is asked of it."""

    def __init__(self, database: Database, ids: IdSource) -> None:
        self.database = database
        self.ids = ids
        self.count = 0

    def work(self, transaction: Transaction) -> None:
        """Insert one row and remember one operation."""
        self.count += 1
        op_id = self.ids.uuid7()
        operations.find(transaction, "user", op_id)
        row = transaction.insert(ITEM, _row(self.ids, self.count, transaction.now))
        operations.record(transaction, "user", op_id, b"0" * 16, f'{{"seq":{row["_seq"]}}}')

    async def rate(self, at_once: int, callers: int, seconds: float) -> dict[str, float]:
        """Return ops/s and latencies with `callers` loops of `at_once` operations each."""
        done, times = 0, []
        until = time.perf_counter() + seconds

        async def call() -> None:
            nonlocal done
            while time.perf_counter() < until:
                started = time.perf_counter()
                futures = [self.database.writer.submit(self.work) for _ in range(at_once)]
                for future in futures:
                    await future
                times.append(time.perf_counter() - started)
                done += at_once

        lags: list[float] = []
        probe = asyncio.get_running_loop().create_task(_probe(lags))
        started = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        spent = time.perf_counter() - started
        probe.cancel()
        times.sort()
        return {
            "ops_s": done / spent,
            "p50_ms": statistics.median(times) * 1000,
            "p99_ms": times[int(len(times) * 0.99)] * 1000,
            "lag_max_ms": max(lags, default=0) * 1000,
        }


async def _probe(lags: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(0.002)
        lags.append(time.perf_counter() - started - 0.002)


async def _open(folder: Path, durability: str) -> Bench:
    clock = SystemClock()
    ids = IdSource(clock, secrets.token_bytes)
    database = await Database.open(folder, clock=clock, ids=ids, durability=durability)
    await migrate(database, SCHEMA)
    return Bench(database, ids)


async def statements() -> float:
    """Return the microseconds of one operation's statements, COMMIT left out."""
    with tempfile.TemporaryDirectory() as folder:
        bench = await _open(Path(folder) / ".pylon", "normal")
        spent, rounds, size = 0.0, 100, 200

        def batch(transaction: Transaction) -> None:
            nonlocal spent
            started = time.perf_counter()
            for _ in range(size):
                transaction.connection.execute("SAVEPOINT one")
                bench.work(transaction)
                transaction.connection.execute("RELEASE one")
            spent += time.perf_counter() - started

        for _ in range(rounds):
            await bench.database.writer.submit(batch)
        await bench.database.close()
        return spent / (rounds * size) * 1e6


async def catch_up() -> tuple[float, float]:
    """Return rows per second of catch-up over 100,000 changes, and of a snapshot of them."""
    with tempfile.TemporaryDirectory() as folder:
        bench = await _open(Path(folder) / ".pylon", "normal")
        futures = []
        for n in range(CATCH_UP_ROWS):
            futures.append(bench.database.writer.submit(bench.work))
            if n % 5_000 == 4_999:
                for future in futures:
                    await future
                futures.clear()
        policy = SqlClause('t."ownerId" IS NOT NULL', ())
        raw = bench.database.readers.inline.raw
        started, seq, seen = time.perf_counter(), 0, 0
        while True:
            through, names = sync_select.page_border(raw, seq, 1_000, CATCH_UP_ROWS)
            if not names:
                break
            text = sync_select.catch_up_text(
                raw, ITEM, seq, through, policy, NO_CLAUSE, SqlClause("0", ())
            )
            seen += text.count(b'{"seq":')
            seq = through
        caught_up = seen / (time.perf_counter() - started)
        started, seen = time.perf_counter(), 0
        after: str | None = ""
        while after is not None:
            rows, after = sync_select.snapshot_page(raw, ITEM, policy, after, 1_000, 2**20)
            seen += rows.count(b'"_seq":')
        hydrated = seen / (time.perf_counter() - started)
        await bench.database.close()
        return caught_up, hydrated


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    seconds = parser.parse_args().seconds
    print(f"statements of one operation: {await statements():.1f} µs")
    for durability in ("full", "normal"):
        for at_once, callers in ((1, 1), (1, 64), (50, 16)):
            with tempfile.TemporaryDirectory() as folder:
                bench = await _open(Path(folder) / ".pylon", durability)
                figures = await bench.rate(at_once, callers, seconds)
                await bench.database.close()
            text = "  ".join(f"{name} {value:,.2f}" for name, value in figures.items())
            print(f"{durability:6} {callers:3} callers × {at_once:3}: {text}")
    caught_up, hydrated = await catch_up()
    print(f"catch-up {caught_up:,.0f} rows/s  snapshot {hydrated:,.0f} rows/s")


if __name__ == "__main__":
    asyncio.run(main())
