"""What a developer waits for: a save until it is live, and what the dashboard costs meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pexpect
import psutil

from benchmarks.load import Connection, request_bytes
from pylon.clock import SystemClock
from pylon.devtools.session import DevSession
from pylon.supervisor import registry
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import Supervisor
from pylon.testing.served import ServedProject

_ROOT = Path(__file__).resolve().parents[1]
_PROBE = '\n\n@app.query(allow="true")\ndef benchVersion(ctx) -> int:\n    return {n}\n'
CHANGES_PER_SECOND = 1_000
SECONDS = 10


def _project(folder: Path) -> Path:
    project = folder / "chat"
    shutil.copytree(
        _ROOT / "examples/chat", project, ignore=shutil.ignore_patterns(".pylon", "__pycache__")
    )
    return project


async def save_to_live(saves: int = 20) -> list[float]:
    """Return, for each save of the chat's app.py, the milliseconds until it answered."""
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        os.environ["PYLON_STATE_DIR"] = str(Path(folder) / "state")
        project = _project(Path(folder))
        app = project / "app.py"
        source = app.read_text()
        app.write_text(source + _PROBE.format(n=0))
        clock = SystemClock()
        supervisor = Supervisor(project, clock, mode="dev", port=0)
        session = DevSession(project, supervisor, lambda report: None, clock)
        await supervisor.start()
        watching: asyncio.Task[None] | None = None
        try:
            await supervisor.until(ProcessState.RUNNING, timeout_s=20)
            watching = asyncio.create_task(session.run())
            await asyncio.sleep(1.5)
            return [await _one_save(supervisor.port, app, source, n + 1) for n in range(saves)]
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await supervisor.stop()


async def _one_save(port: int, app: Path, source: str, n: int) -> float:
    line = await Connection("127.0.0.1", port).open()
    ask = request_bytes("POST", "/api/fn/benchVersion", f"127.0.0.1:{port}", body=b"{}")
    await asyncio.sleep(0.4)
    started = time.perf_counter()
    app.write_text(source + _PROBE.format(n=n))
    while True:
        _, body = await line.ask(ask)
        if f'"value":{n}'.encode() in body:
            line.close()
            return (time.perf_counter() - started) * 1000
        if time.perf_counter() - started > 10:
            raise TimeoutError("the save never became live")
        await asyncio.sleep(0.001)


async def dashboard_share() -> tuple[float, float]:
    """Return (percent of a core, changes per second) of a dashboard that shows them live."""
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        os.environ["PYLON_STATE_DIR"] = str(Path(folder) / "state")
        project = _project(Path(folder))
        child = pexpect.spawn(
            sys.executable, ["-m", "pylon", str(project)], dimensions=(40, 120),
            env={**os.environ, "TERM": "xterm-256color"},
        )  # fmt: skip
        draining = threading.Thread(target=_drain, args=(child,), daemon=True)
        draining.start()
        try:
            served = ServedProject(project, project)
            served.port = await _port(project)
            share = await _measure(served, psutil.Process(child.pid))
            await served.close()
        finally:
            child.send("q")
            await asyncio.sleep(0.5)
            child.send("y")
            child.wait()
        return share


def _drain(child: Any) -> None:
    while True:
        try:
            child.read_nonblocking(65_536, timeout=1)
        except pexpect.TIMEOUT:
            continue
        except (pexpect.EOF, OSError):
            return


async def _port(project: Path) -> int:
    for _ in range(200):
        running = registry.running_runtime(project)
        if running is not None:
            await asyncio.sleep(1.0)
            return running.port
        await asyncio.sleep(0.1)
    raise TimeoutError("the dashboard did not start its runtime")


async def _measure(served: ServedProject, process: psutil.Process) -> tuple[float, float]:
    ada = await served.login("ada@example.com")
    channel = await ada.insert("Channel", name="bench")
    number, pushed = 0, 0
    before = process.cpu_times()
    started = time.perf_counter()
    while (now := time.perf_counter() - started) < SECONDS:
        operations = [
            {
                "op_id": f"d-{number + n}", "fn": "pylon.insert",
                "args": {
                    "entity": "Message",
                    "values": {"channelId": channel["id"], "body": f"message {number + n}"},
                },
            }
            for n in range(25)
        ]  # fmt: skip
        number += 25
        answer = await ada.post("/api/sync/push", {"client_id": "b", "operations": operations})
        pushed += sum(one["status"] == "applied" for one in answer.body["results"])
        await asyncio.sleep(max(0.0, number / CHANGES_PER_SECOND - now))
    seconds = time.perf_counter() - started
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / seconds * 100, pushed / seconds


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


if __name__ == "__main__":
    saves = asyncio.run(save_to_live())
    print(f"save to live: median {median(saves):.0f} ms, max {max(saves):.0f} ms")
    share, rate = asyncio.run(dashboard_share())
    print(f"dashboard: {share:.0f} % of a core at {rate:.0f} changes/s")
