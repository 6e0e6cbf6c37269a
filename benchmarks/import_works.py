"""`pylon import` into a running app, while people write and follow: what it costs them.

The command runs as its own process, as somebody types it. People write single rows over HTTP at a
steady pace and follow each other's over sockets; the imported rows are of the same entity, so that
each one is held against every subscription.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console

from benchmarks.line import Line, free_port
from benchmarks.load import Connection, Figures, request_bytes
from benchmarks.pylon_runtime import PylonRuntime
from benchmarks.sockets import DueListener, frame, upgrade_request

#: Rows of a file, unless `--rows` says otherwise.
ROWS: Final = 50_000
FORMATS: Final = ("jsonl", "csv")
_WRITERS: Final = 8
_FOLLOWERS: Final = 20
#: Each writer writes so often.
_EVERY_SECONDS: Final = 0.1
_ALONE_SECONDS: Final = 8.0
_SAMPLE_SECONDS: Final = 0.2


@dataclass(slots=True)
class Live:
    """What people saw: latencies of their writes, and of changes on their way to followers."""

    writes: Figures = field(default_factory=Figures)
    changes: Figures = field(default_factory=Figures)
    #: The runtime's own figures, the highest of each.
    loop_lag_ms: float = 0.0
    wal_mib: float = 0.0
    memory_mib: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the figures for the results."""
        return {
            "write_p50_ms": self.writes.percentile(0.5),
            "write_p99_ms": self.writes.percentile(0.99),
            "write_max_ms": max(self.writes.latencies_ms, default=0.0),
            "change_p50_ms": self.changes.percentile(0.5),
            "change_p99_ms": self.changes.percentile(0.99), "writes": self.writes.operations,
            "failures": self.writes.failures, "loop_lag_ms": self.loop_lag_ms,
            "wal_mib": self.wal_mib, "memory_mib": self.memory_mib,
        }  # fmt: skip


@dataclass(slots=True)
class Found:
    """What one import took, and what others saw without and with it."""

    form: str
    rows: int
    seconds: float
    #: Seconds of a core: the runtime's, and the command's.
    runtime_cpu_s: float
    command_cpu_s: float
    file_mib: float
    log_mib: float
    alone: Live
    beside: Live


async def measure(form: str, rows: int) -> Found:
    """Import a file of so many rows into a fresh runtime."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        server = await PylonRuntime(Path(folder), free_port()).start()
        try:
            file = Path(folder) / f"rows.{form}"
            await asyncio.to_thread(write_file, file, form, rows, server.user_id)
            async with _people(server) as people:
                alone, beside = Live(), Live()
                people.seen = alone
                await asyncio.sleep(_ALONE_SECONDS)
                people.seen = beside
                runtime = psutil.Process(server.pid)
                before = runtime.cpu_times()
                seconds, command_s = await _command(server, file)
                after = runtime.cpu_times()
            count = (await server.admin("GET", "data/Item?count=1"))["count"]
            if count < rows:
                raise AssertionError(f"{rows} rows were to be imported, {count} are there")
            log = server.folder / "project" / ".pylon" / "app.db"
            worked = after.user + after.system - before.user - before.system
            return Found(
                form, rows, seconds, worked, command_s, file.stat().st_size / 2**20,
                log.stat().st_size / 2**20, alone, beside,
            )  # fmt: skip
        finally:
            await server.stop()


def write_file(file: Path, form: str, rows: int, owner: str) -> None:
    """Write rows of the bench app's entity."""
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        if form == "csv":
            table.writerow(["id", "ownerId", "title", "body", "count"])
        for n in range(rows):
            cells = [f"imported-{n:08d}", owner, f"title {n}", "x" * 100, n]
            if form == "csv":
                table.writerow(cells)
            else:
                names = ("id", "ownerId", "title", "body", "count")
                row = {"_entity": "Item", **dict(zip(names, cells, strict=True))}
                stream.write(json.dumps(row) + "\n")


async def _command(server: PylonRuntime, file: Path) -> tuple[float, float]:
    """Run it as one types it; returns (seconds, seconds of a core)."""
    project = server.folder / "project"
    arguments = ["import", str(file), "--project", str(project), "--json"]
    if file.suffix == ".csv":
        arguments += ["--entity", "Item"]
    started = time.perf_counter()
    before = os.times()
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", *arguments, stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "PYLON_STATE_DIR": str(server.folder / "state")},
    )  # fmt: skip
    said, _ = await command.communicate()
    after = os.times()
    if command.returncode:
        raise RuntimeError(f"pylon import ended with {command.returncode}: {said!r}")
    worked = after.children_user + after.children_system
    return time.perf_counter() - started, (worked - before.children_user - before.children_system)


class _People:
    """Those who write and follow; what they see goes into `seen`."""

    def __init__(self, server: PylonRuntime) -> None:
        self._server = server
        self.seen = Live()

    async def follow(self) -> list[DueListener]:
        """Open the sockets of followers; they follow what people write."""
        opening = upgrade_request("/api/sync/ws", self._server.host, self._server.token)
        found = []
        for n in range(_FOLLOWERS):
            hello = {
                "type": "hello", "protocol": 1, "client_id": f"follower-{n}",
                "subscriptions": [
                    {"id": "s", "entity": "Item", "where": {"title": {"startsWith": "due "}}}
                ],
            }  # fmt: skip
            start = opening + frame(json.dumps(hello).encode())
            _, listener = await asyncio.get_running_loop().create_connection(
                lambda start=start: DueListener(start, self._came),  # type: ignore[misc]
                "127.0.0.1", self._server.port,
            )  # fmt: skip
            found.append(listener)
        while not all(b'"done":true' in one.text for one in found):
            await asyncio.sleep(0.02)
        for one in found:
            one.is_counting = True
        return found

    def _came(self, late_ms: float) -> None:
        self.seen.changes.latencies_ms.append(late_ms)

    async def write(self, number: int) -> None:
        """Write rows at a steady pace, until cancelled."""
        server = self._server
        line = await Connection("127.0.0.1", server.port).open()
        due = time.monotonic() + number * _EVERY_SECONDS / _WRITERS
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += _EVERY_SECONDS
            body = {**server.item(0), "title": f"due {time.monotonic_ns()}"}
            started, figures = time.perf_counter(), self.seen.writes
            status, _ = await line.ask(request_bytes(
                "POST", "/api/entities/Item", server.host, token=server.token,
                body=json.dumps(body).encode(),
            ))  # fmt: skip
            figures.latencies_ms.append((time.perf_counter() - started) * 1000)
            figures.operations += 1
            figures.failures += status not in (200, 201)

    async def sample(self) -> None:
        """Note the runtime's own figures, until cancelled."""
        while True:
            found, seen = await self._server.admin("GET", "status"), self.seen
            seen.loop_lag_ms = max(seen.loop_lag_ms, found["loop_lag_ms"])
            seen.wal_mib = max(seen.wal_mib, found["wal_bytes"] / 2**20)
            seen.memory_mib = max(seen.memory_mib, found["memory_mb"])
            await asyncio.sleep(_SAMPLE_SECONDS)


@asynccontextmanager
async def _people(server: PylonRuntime) -> AsyncIterator[_People]:
    people = _People(server)
    followers = await people.follow()
    works = [asyncio.create_task(people.write(n)) for n in range(_WRITERS)]
    works.append(asyncio.create_task(people.sample()))
    try:
        yield people
        for one in works:
            if one.done():
                one.result()
    finally:
        for one in works:
            one.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        for follower in followers:
            if follower.transport is not None:
                follower.transport.abort()


async def import_lines(console: Console, rows: int) -> list[Line]:
    """Measure both formats."""
    lines = []
    for form in FORMATS:
        console.print(f"pylon import of {rows:,} rows of {form}, beside people", style="dim")
        found = await measure(form, rows)
        alone, beside = found.alone.writes, found.beside.writes
        p99 = beside.percentile(0.99)
        lines += [
            Line(
                f"{rows:,} rows imported from {form}",
                f"{rows / found.seconds:,.0f} rows/s; {found.runtime_cpu_s / rows * 1e6:.0f} µs of"
                f" a core each, {found.command_cpu_s / rows * 1e6:.0f} µs in the command; loop late"
                f" by {found.beside.loop_lag_ms:.0f} ms, WAL {found.beside.wal_mib:.0f} MiB, memory"
                f" {found.beside.memory_mib:.0f} MiB, before {found.alone.memory_mib:.0f} MiB",
                "", None, "", None, asdict(found) | {
                    "alone": found.alone.to_json(), "beside": found.beside.to_json()
                },
            ),
            Line(
                f"people's writes beside the import from {form}",
                f"p50 {beside.percentile(0.5):.1f} ms, p99 {p99:.1f} ms, worst"
                f" {max(beside.latencies_ms):.0f} ms; alone {alone.percentile(0.5):.1f} ms and"
                f" {alone.percentile(0.99):.1f} ms; followers p99"
                f" {found.beside.changes.percentile(0.99):.1f} ms, alone"
                f" {found.alone.changes.percentile(0.99):.1f} ms",
                "", None, "p99 ≤ 100 ms, none refused", p99 <= 100 and not beside.failures, {},
            ),
        ]  # fmt: skip
    return lines
