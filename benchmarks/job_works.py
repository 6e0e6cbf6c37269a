"""The queue of jobs, measured: done, enqueued and picked up; and BullMQ's, where it is there.

BullMQ is asked for by PYLON_BENCH_BULLMQ, a folder where `npm install bullmq ioredis` was run; a
`redis-server` must be on the path. It runs once synced at each write, as Pylon is, and once not.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from benchmarks.load import hammer, request_bytes
from benchmarks.pylon_runtime import PylonRuntime

JOBS = 5_000
SECONDS = 4.0
PICKUPS = 250
_SCRIPT = Path(__file__).parent / "bullmq.mjs"


@dataclass(slots=True)
class QueueFigures:
    """Jobs done and enqueued per second, and how long one waits."""

    done: float
    enqueued: float
    pickup_p99_ms: float


async def pylon(server: PylonRuntime) -> QueueFigures:
    """Measure ours: `def` jobs, ten at a time, each commit synced."""
    await server.admin("POST", "queues/default/pause", {})
    for _ in range(JOBS // 1_000):
        await server.ask("POST", "/api/fn/fill", {"count": 1_000}, server.token)
    started = time.time()
    await server.admin("POST", "queues/default/resume", {})
    await _until_idle(server)
    # By the last one's own end, as BullMQ's are counted: asking more often would take from them.
    (last,) = (await server.admin("GET", "jobs?queue=default&limit=1"))["jobs"]
    done = JOBS / (datetime.fromisoformat(last["ended_at"]).timestamp() - started)

    await server.admin("POST", "queues/default/pause", {})
    enqueued = await hammer(
        "127.0.0.1", server.port,
        lambda place, n: request_bytes(
            "POST", "/api/fn/enqueue_one", server.host, token=server.token,
            body=msgspec.json.encode({"n": n}),
        ),
        connections=50, seconds=SECONDS,
    )  # fmt: skip
    await server.admin("POST", "queues/default/resume", {})
    await _until_idle(server)

    for _ in range(PICKUPS):
        await server.ask("POST", "/api/fn/enqueue_pickup", {}, server.token)
        await asyncio.sleep(0.02)
    await _until_idle(server)
    listed = await server.admin("GET", f"jobs?queue=pickup&limit={PICKUPS}")
    waits = []
    for one in listed["jobs"][:PICKUPS]:
        found = await server.admin("GET", f"jobs/{one['id']}")
        waits.append(float(found["result"]))
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)] if waits else math.nan
    return QueueFigures(done, enqueued.per_second, p99)


async def _until_idle(server: PylonRuntime) -> None:
    while True:
        queues = (await server.admin("GET", "jobs?limit=1"))["queues"]
        if not any(one["available"] + one["running"] for one in queues):
            return
        await asyncio.sleep(0.2)


async def bullmq() -> dict[str, QueueFigures]:
    """Measure BullMQ's, with Redis synced at each write and not; nothing where it is not there."""
    folder = os.environ.get("PYLON_BENCH_BULLMQ")
    if not folder or shutil.which("redis-server") is None or shutil.which("node") is None:
        return {}
    return {
        "synced": await asyncio.to_thread(_bullmq, Path(folder), "always"),
        "unsynced": await asyncio.to_thread(_bullmq, Path(folder), None),
    }


def _bullmq(folder: Path, sync: str | None) -> QueueFigures:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="pylon-bench-redis-") as data:
        synced = ("--appendonly", "yes", "--appendfsync", sync) if sync else ()
        redis = subprocess.Popen(
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", data, "--save", "",
             *synced],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time.sleep(1.0)
            script = shutil.copy(_SCRIPT, folder / _SCRIPT.name)
            done = subprocess.run(
                ["node", script, port, str(JOBS), str(PICKUPS)], cwd=folder, check=True,
                capture_output=True, text=True,
            )  # fmt: skip
        finally:
            redis.terminate()
            redis.wait()
    found = json.loads(done.stdout.splitlines()[-1])
    return QueueFigures(found["done"], found["enqueued"], found["pickup"])
