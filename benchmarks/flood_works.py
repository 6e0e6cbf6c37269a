"""50,000 lines a second on the dashboard: how long a key waits, what it costs, what is held.

Two floods, each on a terminal of its own. The Runtime log has a runtime that prints so much, read
by the dashboard that supervises it. The Log has a stream of changes that plays a runtime: no disk
commits so many, and what a real one sends is thinned out in the same way.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from rich.console import Console

from benchmarks.line import Line, free_port
from benchmarks.terminal import Terminal, attached
from pylon.version import ADMIN_PROTOCOL

PER_SECOND: Final = 50_000
SIZES: Final = ((80, 24), (200, 50))
SECONDS: Final = 10.0
_TICKS: Final = 15
#: As the runtime's stream does it: so many changes a message, the rest is told as a number.
_SENT: Final = 500
_TOKEN: Final = "flood"
_ESCAPE: Final = "\x1b"
_LINES: Final = "Runtime log"
_APP: Final = '''
import os
import threading
import time

from pylon import App

app = App("flood")


def _print() -> None:
    """Print lines at a steady rate."""
    count, began = 0, time.monotonic()
    while True:
        due = int((time.monotonic() - began) * PER_SECOND)
        if due > count:
            lines = "".join(
                f"info    {('even', 'odd')[n % 2]} {n} of many\\n" for n in range(count, due)
            )
            at, block = 0, lines.encode()
            while at < len(block):
                at += os.write(1, block[at:])
            count = due
        with open("COUNT_FILE", "w") as stream:
            stream.write(f"{count} {time.monotonic() - began}")
        time.sleep(0.01)


@app.mutation(allow="true")
def flood(ctx) -> None:
    """Begin to print."""
    threading.Thread(target=_print, daemon=True).start()
'''


@dataclass(slots=True)
class Flood:
    """What one screen did under it."""

    what: str
    size: str
    #: Lines a second that really came.
    per_second: float
    #: From a key until something of its answer was drawn.
    key_ms: list[float]
    #: The longest wait of each key.
    worst_ms: dict[str, float]
    #: Of a core, in percent.
    percent: float
    mib_before: float
    mib_after: float
    #: How the screen says what it leaves out.
    said: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


class Runtime:
    """Plays a runtime to a dashboard: a status, and changes faster than any disk."""

    def __init__(self) -> None:
        self.port = free_port()
        self.sent = 0
        self._began = time.monotonic()
        self._runner: web.AppRunner | None = None

    async def start(self) -> Runtime:
        """Listen."""
        app = web.Application()
        app.router.add_get("/api/admin/stream", self._stream)
        app.router.add_get("/api/admin/status", self._status)
        app.router.add_route("*", "/{rest:.*}", self._nothing)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def stop(self) -> None:
        """End."""
        assert self._runner is not None
        await self._runner.cleanup()

    def _say(self) -> dict[str, Any]:
        return {
            "type": "status", "app": "flood", "version": "1", "environment": "dev", "pid": 1,
            "generation": 1, "schema": "s", "project": "/p", "host": "127.0.0.1",
            "port": self.port, "epoch": "e", "head": self.sent, "horizon": 0, "clients": 0,
            "writes": self.sent, "batches": 0, "commit_ms": 1.0, "errors": 0, "calls": 0,
            "uptime_s": round(time.monotonic() - self._began, 1), "loop_lag_ms": 0.0,
            "memory_mb": 1.0, "synchronous": "full", "sqlite": "3", "journal_mode": "wal",
            "has_wal_reset_fault": False, "database_bytes": 1, "wal_bytes": 1, "health": "ok",
            "at": "2026-01-01T00:00:00.000Z", "admin_protocol": 1, "pylon": "0",
        }  # fmt: skip

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({**self._say(), "admin_protocol": ADMIN_PROTOCOL})

    async def _nothing(self, _: web.Request) -> web.Response:
        error = {"code": "NOT_FOUND", "message": "there is nothing here"}
        return web.json_response({"error": error}, status=404)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        due, tick = time.monotonic(), 0
        at = "2026-01-01T12:00:00.000Z"
        while not socket.closed:
            if tick % (_TICKS // 2) == 0:
                with suppress(ConnectionError):
                    await socket.send_str(json.dumps(self._say()))
            count = PER_SECOND // _TICKS
            first = self.sent + count - _SENT + 1
            self.sent += count
            changes = [
                {"seq": n, "tx": n, "at": at, "entity": "Message", "row_id": f"row-{n}",
                 "kind": "insert", "user": "ada@example.com", "cause": "ws",
                 "operation_id": None,
                 "effect": f"body: {('even', 'odd')[n % 2]} number {n} of many"}
                for n in range(first, self.sent + 1)
            ]  # fmt: skip
            with suppress(ConnectionError):  # it was closed meanwhile
                await socket.send_str(
                    json.dumps({"type": "changes", "changes": changes, "dropped": count - _SENT})
                )
            tick += 1
            due += 1 / _TICKS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        return socket


async def of_changes(size: tuple[int, int]) -> Flood:
    """Flood the Log."""
    runtime = await Runtime().start()
    screen = attached(f"127.0.0.1:{runtime.port}", _TOKEN, size)
    try:
        await screen.until("not shown")
        sent, began = runtime.sent, time.monotonic()
        found = await _keys(screen, size, "changes", 10_000, r"[\d,]+ not shown")
        found.per_second = (runtime.sent - sent) / (time.monotonic() - began)
        return found
    finally:
        await screen.close()
        await runtime.stop()


async def of_lines(size: tuple[int, int]) -> Flood:
    """Flood the Runtime log of a dashboard that supervises what prints."""
    with tempfile.TemporaryDirectory(prefix="pylon-bench-") as folder:
        project = Path(folder) / "flood"
        project.mkdir()
        count = Path(folder) / "count"
        source = _APP.replace("PER_SECOND", str(PER_SECOND)).replace("COUNT_FILE", str(count))
        (project / "app.py").write_text(source)
        screen = Terminal(
            [str(project)], size,
            {"PYLON_STATE_DIR": str(Path(folder) / "state")},
        )  # fmt: skip
        try:
            await screen.until("0 errors")
            await _begin(project, Path(folder) / "state")
            screen.press(":")
            await screen.until("Search")
            screen.press(f"{_LINES}\r")
            await screen.until("older gone")
            before, began = _printed(count), time.monotonic()
            found = await _keys(screen, size, "lines", 5_000, r"[\d,]+ older gone")
            found.per_second = (_printed(count) - before) / (time.monotonic() - began)
            return found
        finally:
            await screen.close()


async def _begin(project: Path, state: Path) -> None:
    """Have the app begin to print."""
    for _ in range(50):
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", "call", "flood", "--project", str(project),
            env={**os.environ, "PYLON_STATE_DIR": str(state)}, stdout=PIPE, stderr=STDOUT,
        )  # fmt: skip
        said, _ = await command.communicate()
        if not command.returncode:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"it never began: {said!r}")


def _printed(file: Path) -> int:
    for _ in range(100):
        words = file.read_text().split()
        if words:
            return int(words[0])
    raise AssertionError("nothing was printed")


async def _keys(screen: Terminal, size: tuple[int, int], what: str, kept: int, says: str) -> Flood:
    """Press keys while it goes on: move, filter, go to another screen and come back.

    What is waited for is drawn for no other reason: while the list follows, its counter is full,
    and the filter lets every other row through, whatever its number (a digit would pass on
    everything that is numbered from 100,000 to 199,999).
    """
    last = rf"\b{kept}/{kept}\b"
    steps = [
        ("k", rf"\b(?!{kept}/)\d+/{kept}\b"), ("G", last), ("/", "filter"), ("v", rf"of {kept}"),
        (_ESCAPE, last), ("0", "there is nothing here|loop"),
    ]  # fmt: skip
    steps += (
        [("2", "ENTITY")]
        if what == "changes"
        else [(":", "Search"), (_LINES, "what the runtime and"), ("\r", says)]
    )
    await screen.until(last)
    before, cpu, began = screen.mib(), screen.cpu_s(), time.monotonic()
    waits: list[float] = []
    worst: dict[str, float] = {}
    said = ""
    while time.monotonic() - began < SECONDS:
        said = (await screen.until(says)).group()
        for keys, answer in steps:
            took_ms, _ = await screen.answered(keys, answer)
            if keys != _LINES:  # a word is many keys
                waits.append(took_ms)
                worst[keys] = max(took_ms, worst.get(keys, 0.0))
            # What follows an escape at once would be one key with it.
            await asyncio.sleep(0.4 if keys == _ESCAPE else 0.1)
    percent = (screen.cpu_s() - cpu) / (time.monotonic() - began) * 100
    return Flood(
        what, f"{size[0]}x{size[1]}", 0.0, waits, worst, percent, before, screen.mib(), said
    )  # fmt: skip


async def flood_lines(console: Console) -> list[Line]:
    """Measure both floods at both sizes."""
    lines = []
    for work in (of_lines, of_changes):
        for size in SIZES:
            console.print(f"a flood {work.__name__.replace('_', ' ')} at {size}", style="dim")
            found = await work(size)
            worst, more = max(found.key_ms), found.mib_after - found.mib_before
            slow = max(found.worst_ms, key=lambda key: found.worst_ms[key])
            each = ", ".join(f"{key!r} {ms:.0f}" for key, ms in found.worst_ms.items())
            console.print(f"  worst of each key, ms: {each}", style="dim", markup=False)
            lines.append(Line(
                f"{found.per_second:,.0f} {found.what}/s at {found.size}: a key is answered",
                f"{statistics.median(found.key_ms):.0f} ms, worst {worst:.0f} ms of"
                f" {len(found.key_ms)} ({slow!r}); {found.percent:.0f} % of a core,"
                f" {more:.0f} MiB more; it said {found.said!r}", "", None, "≤ 500 ms, ≤ 20 MiB",
                worst <= 500 and more <= 20, found.to_json(),
            ))  # fmt: skip
    return lines
