"""Runs the works on both sides in turn, prints the table and writes the JSON.

    python -m benchmarks [--only WORD] [--rounds N]

Each work runs on PocketBase and on Pylon alternately, so that a machine that drifts drifts for
both; of several rounds the median stands in the table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import (
    data_works,
    dev,
    file_works,
    flood_works,
    import_works,
    job_works,
    sync_works,
    workflow_works,
    works,
)
from benchmarks.line import Line, free_port
from benchmarks.load import Figures
from benchmarks.pocketbase import PocketBase
from benchmarks.pylon_runtime import PylonRuntime

OUT = Path(__file__).parent / "out"


def _line(
    work: str, ours: list[Figures], theirs: list[Figures], *, at_least: float, latency: str
) -> Line:
    our_rate = statistics.median(one.per_second for one in ours)
    their_rate = statistics.median(one.per_second for one in theirs)
    our_p99 = statistics.median(one.percentile(0.99) for one in ours)
    their_p99 = statistics.median(one.percentile(0.99) for one in theirs)
    ratio = our_rate / their_rate if their_rate else float("inf")
    failures = sum(one.failures for one in ours)
    holds = ratio >= at_least and failures == 0
    promise = f"{at_least:g} ×"
    if latency == "below":
        holds = holds and our_p99 < their_p99
        promise += ", p99 below"
    if latency == "fan-out":
        ratio = our_p99 / their_p99 if their_p99 == their_p99 else 0.0
        holds = failures == 0 and our_p99 <= 150 and not ratio > 0.25
        promise = "all delivered, p99 ≤ 150 ms and ≤ ¼"
    has_latency = latency != "none"
    return Line(
        work,
        f"{our_rate:,.0f}/s" + (f", p99 {our_p99:,.1f} ms" if has_latency else ""),
        f"{their_rate:,.0f}/s" + (f", p99 {their_p99:,.1f} ms" if has_latency else ""),
        round(ratio, 2), promise, holds,
        {
            "pylon_per_s": [round(one.per_second, 1) for one in ours],
            "pocketbase_per_s": [round(one.per_second, 1) for one in theirs],
            "pylon_p50_ms": round(ours[-1].percentile(0.5), 2),
            "pylon_p99_ms": round(our_p99, 2), "pocketbase_p99_ms": round(their_p99, 2),
            "pylon_failures": failures,
            "pocketbase_failures": sum(one.failures for one in theirs),
        },
    )  # fmt: skip


WORKS: dict[str, tuple[str, Any, Any, float, str]] = {
    "create": (
        "create one row over HTTP, 64 connections",
        works.create_pylon, works.create_pocketbase, 2.0, "below",
    ),
    "push": (
        "create 50 rows a message, 16 connections",
        works.push_pylon, works.push_pocketbase, 6.0, "own",
    ),
    "read": (
        "read one row over HTTP, 64 connections",
        works.read_pylon, works.read_pocketbase, 1.0, "own",
    ),
    "catch-up": (
        "catch up on 100,000 changes, JSON parsed",
        works.catch_up_pylon, works.catch_up_pocketbase, 2.5, "none",
    ),
    "fan-out": (
        "1,000 sockets, 50 writes/s for 10 s",
        works.fan_out_pylon, works.fan_out_pocketbase, 0.0, "fan-out",
    ),
}  # fmt: skip
#: Rows that both sides hold before a work begins.
_ROWS_BEFORE = {"read": 1_000, "catch-up": works.CATCH_UP_ROWS + 2_000}


@contextlib.asynccontextmanager
async def _pair() -> AsyncIterator[tuple[PylonRuntime, PocketBase]]:
    """Start both servers on empty databases: no work pays for what the one before it left."""
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        ours = await PylonRuntime(Path(folder), free_port()).start()
        try:
            theirs = await PocketBase(Path(folder), free_port()).start()
            try:
                yield ours, theirs
            finally:
                await theirs.stop()
        finally:
            await ours.stop()


async def _start_lines() -> list[Line]:
    async with _pair():
        pass  # a checkout compiles itself as it first starts; what pip installs is compiled
    async with _pair() as (ours, theirs):
        await asyncio.sleep(1.0)
        idle, their_idle = works.memory_mib(ours.pid), works.memory_mib(theirs.pid)
        return [
            Line(
                "start to first healthy answer", f"{ours.start_seconds:.2f} s",
                f"{theirs.start_seconds:.2f} s", None, "≤ 1.0 s", ours.start_seconds <= 1.0,
                {"pylon_s": ours.start_seconds, "pocketbase_s": theirs.start_seconds},
            ),
            Line(
                "idle memory", f"{idle:.0f} MiB", f"{their_idle:.0f} MiB", None,
                "≤ 90 MiB", idle <= 90, {"pylon_mib": idle, "pocketbase_mib": their_idle},
            ),
        ]  # fmt: skip


async def _run(
    only: str | None, rounds: int, console: Console, rows: int | None = None
) -> list[Line]:
    lines = [] if only in (*GROUPS, "import") else await _start_lines()
    for key, (name, for_us, for_them, at_least, latency) in WORKS.items():
        if only not in (None, key):
            continue
        async with _pair() as (ours, theirs):
            if rows := _ROWS_BEFORE.get(key, 0):
                console.print(f"filling both with {rows:,} rows …", style="dim")
                await works.fill_pylon(ours, rows)
                await works.fill_pocketbase(theirs, rows)
            our_runs, their_runs = [], []
            for n in range(1 if key == "fan-out" else rounds):
                console.print(f"{name}: round {n + 1}", style="dim")
                their_runs.append(await for_them(theirs))
                our_runs.append(await for_us(ours))
            lines.append(_line(name, our_runs, their_runs, at_least=at_least, latency=latency))
    for key, group in GROUPS.items():
        if only == key or (only is None and key not in _ASKED_FOR_ONLY):
            lines += await group(console)
    if only in (None, "import"):
        lines += await import_works.import_lines(console, rows or import_works.ROWS)
    return lines


@contextlib.asynccontextmanager
async def _alone() -> AsyncIterator[PylonRuntime]:
    """Start Pylon alone, on an empty database."""
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        server = await PylonRuntime(Path(folder), free_port()).start()
        try:
            yield server
        finally:
            await server.stop()


async def _sync_lines(console: Console) -> list[Line]:
    """Measure what sync promises of itself, of which PocketBase has no like."""
    lines = []
    for group, messages, promised in ((1, 300, 60_000), (10, 150, 150_000)):
        name = f"1,000 sockets, rows written {'one by one' if group == 1 else 'ten at a time'}"
        console.print(name, style="dim")
        async with _alone() as server:
            runs = [
                await sync_works.fan_out(server, group=group, messages=messages, in_flight=1)
                for _ in range(3)
            ]
        lines.append(_fan_out_line(name, runs, promised))
    console.print("a write among 10 and among 10,000 subscriptions", style="dim")
    costs = {}
    for count in (10, 10_000):
        async with _alone() as server:
            costs[count] = await sync_works.write_cost_ms(server, count)
    ratio = costs[10_000] / costs[10]
    lines.append(Line(
        "a write that 10 of 10,000 subscriptions match", f"{costs[10_000]:.2f} ms of a core",
        "", None, "≤ 1.5 × of 10 in all", ratio <= 1.5, {"ms": costs, "ratio": ratio},
    ))  # fmt: skip
    console.print("live changes beside hydration, and beside peers that never read", style="dim")
    async with _alone() as server:
        hydration = await sync_works.hydration(server, works.CATCH_UP_ROWS)
    async with _alone() as server:
        stalled = await sync_works.stalled(server)
    lines += await _team_lines(console)
    return [*lines, _beside_line("live p99 beside hydrations of 100,000 rows", hydration, None),
            _beside_line("live p99 beside 300 peers that never read", stalled, 400.0)]  # fmt: skip


async def _team_lines(console: Console) -> list[Line]:
    """Measure what a member costs others whom a team of 10,000 rows gains and loses."""
    console.print("live changes beside somebody who joins and leaves a large team", style="dim")
    async with _alone() as server:
        team = await sync_works.team(server)
    return [_beside_line("live p99 beside a member gained by 10,000 rows", team, None)]


def _fan_out_line(name: str, runs: list[sync_works.FanOut], promised: int) -> Line:
    rate = statistics.median(one.per_core_second for one in runs)
    share = statistics.median(one.deliveries / one.frames for one in runs)
    missing = sum(one.expected - one.deliveries for one in runs)
    return Line(
        name, f"{rate:,.0f} deliveries/s on one core, {share:.1f} a frame", "", None,
        f"≥ {promised:,}/s, all delivered", rate >= promised and not missing,
        {"runs": [asdict(one) for one in runs]},
    )  # fmt: skip


def _beside_line(name: str, found: sync_works.Beside, megabytes: float | None) -> Line:
    ratio = found.beside_p99_ms / found.alone_p99_ms
    holds = ratio <= 2
    text = (
        f"{found.beside_p99_ms:.1f} ms, alone {found.alone_p99_ms:.1f} ms;"
        f" health within {found.health_max_ms:.0f} ms"
    )
    if megabytes is None:
        holds = holds and found.health_max_ms <= 250
        promise = "≤ 2 ×, health ≤ 250 ms"
    else:
        holds = holds and found.megabytes <= megabytes
        text += f"; {found.megabytes:.0f} MiB more"
        promise = f"≤ 2 ×, ≤ {megabytes:.0f} MiB"
    return Line(name, text, "", None, promise, holds, asdict(found))


async def _job_lines(console: Console) -> list[Line]:
    """Measure the queue, beside BullMQ's where it is there; PocketBase has none."""
    console.print("jobs that do nothing, ten at a time", style="dim")
    async with _alone() as server:
        ours = await job_works.pylon(server)
    theirs = await job_works.bullmq()
    synced, unsynced = theirs.get("synced"), theirs.get("unsynced")
    at_least = max(2_000.0, synced.done if synced else 0, 0.4 * unsynced.done if unsynced else 0)
    beside = {name: asdict(one) for name, one in theirs.items()}
    lines = [
        ("jobs done, ten at a time", f"{ours.done:,.0f}/s", "≥ 2,000/s and BullMQ's, synced",
         ours.done >= at_least),
        ("jobs enqueued over HTTP, 50 in flight", f"{ours.enqueued:,.0f}/s", "≥ 3,000/s",
         ours.enqueued >= 3_000),
        ("job picked up at 50 a second", f"p99 {ours.pickup_p99_ms:.1f} ms", "≤ 15 ms",
         ours.pickup_p99_ms <= 15),
    ]  # fmt: skip
    for name, one in theirs.items():
        console.print(
            f"BullMQ, Redis {name}: {one.done:,.0f} done/s, {one.enqueued:,.0f} enqueued/s,"
            f" pickup p99 {one.pickup_p99_ms:.1f} ms"
        )
    raw = {"pylon": asdict(ours), "bullmq": beside}
    return [Line(what, text, "", None, promise, holds, raw) for what, text, promise, holds in lines]


async def _workflow_lines(console: Console) -> list[Line]:
    """Measure what sleeping workflows cost, and how long many take that wake at once."""
    console.print("workflows that sleep, and that wake at once", style="dim")
    async with _alone() as server:
        found = await workflow_works.measure(server)
    more = found.sleeping_percent - found.idle_percent
    return [
        Line(
            f"{workflow_works.SLEEPING:,} sleeping workflows",
            f"{found.sleeping_percent:.2f} % of a core, {found.idle_percent:.2f} % without;"
            f" {found.sleeping_mib:.0f} MiB", "", None, "not measurable", more <= 0.5,
            asdict(found),
        ),
        Line(
            f"{workflow_works.WAKING:,} workflows that wake at once, to their ends",
            f"{found.woken_s:.2f} s", "", None, "≤ 5 s", found.woken_s <= 5, asdict(found),
        ),
    ]  # fmt: skip


async def _file_lines(console: Console) -> list[Line]:
    """Measure what a file of 1 GiB costs in memory, and what it costs everybody else."""
    console.print("a file of 1 GiB in and out, beside short requests", style="dim")
    async with _alone() as server:
        found = await file_works.large_file(server, file_works.MIB)
    lines = []
    for name, one in (("uploaded", found.up), ("downloaded", found.down)):
        ratio = one.p99_ms / found.alone_p99_ms
        lines.append(Line(
            f"{found.mib} MiB {name}, and short requests beside it",
            f"{found.mib / one.seconds:,.0f} MiB/s, {one.grown_mib:.0f} MiB more; p99"
            f" {one.p99_ms:.1f} ms, alone {found.alone_p99_ms:.1f} ms",
            "", None, "≤ 32 MiB, ≤ 2 ×", one.is_right and one.grown_mib <= 32 and ratio <= 2,
            asdict(found),
        ))  # fmt: skip
    return lines


async def _dev_lines(console: Console) -> list[Line]:
    return await asyncio.to_thread(_dev_lines_here, console)


def _dev_lines_here(console: Console) -> list[Line]:
    """Measure what only Pylon has; asyncio's own loop, as the dashboard uses it."""
    console.print("saves until they are live, and the dashboard's share of a core", style="dim")
    with asyncio.Runner() as runner:
        saves = runner.run(dev.save_to_live())
        share, rate = runner.run(dev.dashboard_share())
    middle = dev.median(saves)
    return [
        Line(
            "save of app.py until it is live", f"{middle:.0f} ms (median of {len(saves)})", "",
            None, "≤ 300 ms", middle <= 300, {"pylon_ms": [round(one) for one in saves]},
        ),
        Line(
            "dashboard at 1,000 changes/s", f"{share:.0f} % of a core at {rate:.0f}/s", "",
            None, "≤ 35 %", share <= 35 and rate > 900, {"percent": share, "changes": rate},
        ),
    ]  # fmt: skip


#: What is measured of Pylon alone, or beside others than PocketBase, by the word that asks for it.
GROUPS: dict[str, Callable[[Console], Awaitable[list[Line]]]] = {
    "sync": _sync_lines, "team": _team_lines, "jobs": _job_lines, "workflows": _workflow_lines,
    "files": _file_lines, "data": data_works.data_lines, "dev": _dev_lines,
    "flood": flood_works.flood_lines,
}  # fmt: skip
#: Part of another group, so not in a run of all.
_ASKED_FOR_ONLY = ("team",)


def _print(lines: list[Line], console: Console) -> None:
    table = Table(title="Pylon (durability full) beside PocketBase, one run")
    for head in ("work", "Pylon", "PocketBase", "ratio", "promise", "holds"):
        table.add_column(head)
    for line in lines:
        holds = {True: "yes", False: "NO", None: ""}[line.holds]
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        table.add_row(line.work, line.pylon, line.pocketbase, ratio, line.promise, holds)
    console.print(table)


def main() -> int:
    """Measure, print, write; exit 1 where a promise does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=sorted([*WORKS, *GROUPS, "import"]))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="rows that are imported")
    arguments = parser.parse_args()
    console = Console()
    try:
        import uvloop

        lines = uvloop.run(_run(arguments.only, arguments.rounds, console, arguments.rows))
    except ImportError:
        lines = asyncio.run(_run(arguments.only, arguments.rounds, console, arguments.rows))
    _print(lines, console)
    OUT.mkdir(exist_ok=True)
    machine = works.describe_machine()
    (OUT / "results.json").write_text(
        json.dumps({"machine": machine, "lines": [asdict(line) for line in lines]}, indent=2)
    )
    console.print(f"{machine}\nwritten to {OUT.name}/results.json", style="dim")
    return 0 if all(line.holds is not False for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
