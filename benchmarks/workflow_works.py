"""Workflows, measured: what sleeping ones cost, and how long many take that wake at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psutil

from benchmarks.pylon_runtime import PylonRuntime

SLEEPING = 10_000
WAKING = 1_000
SECONDS = 5.0
_AHEAD_SECONDS = 6.0


@dataclass(slots=True)
class WorkflowFigures:
    """CPU in percent of one core, without runs and with the sleeping ones; MiB that those take."""

    idle_percent: float
    sleeping_percent: float
    sleeping_mib: float
    parked_s: float
    woken_s: float


async def measure(server: PylonRuntime) -> WorkflowFigures:
    """Start and park the sleeping ones, look at what they cost, then wake others at once."""
    process = psutil.Process(server.pid)
    await asyncio.sleep(1.0)
    idle = await _percent(process)
    before = process.memory_info().rss
    started = time.perf_counter()
    for _ in range(SLEEPING // 1_000):
        await server.ask(
            "POST", "/api/fn/nap_many", {"count": 1_000, "at_ms": _now_ms() + 3_600_000},
            server.token,
        )  # fmt: skip
    await _until(server, "parked", SLEEPING)
    parked_s = time.perf_counter() - started
    await asyncio.sleep(1.0)
    sleeping = await _percent(process)
    mib = (process.memory_info().rss - before) / 2**20
    at_ms = _now_ms() + int(_AHEAD_SECONDS * 1000)
    await server.ask(
        "POST", "/api/fn/nap_many", {"count": WAKING, "at_ms": at_ms}, server.token
    )  # fmt: skip
    await _until(server, "parked", SLEEPING + WAKING)
    assert _now_ms() < at_ms, "they were not all asleep in time"
    await asyncio.sleep((at_ms - _now_ms()) / 1000)
    await _until(server, "completed", WAKING)
    return WorkflowFigures(idle, sleeping, mib, parked_s, (_now_ms() - at_ms) / 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _percent(process: psutil.Process) -> float:
    before, since = sum(process.cpu_times()[:2]), time.perf_counter()
    await asyncio.sleep(SECONDS)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.perf_counter() - since)


async def _until(server: PylonRuntime, state: str, count: int) -> None:
    while True:
        listed = await server.admin("GET", "workflows?name=nap&limit=1")
        if sum(one[state] for one in listed["workflows"] if one["name"] == "nap") >= count:
            return
        await asyncio.sleep(0.05)
