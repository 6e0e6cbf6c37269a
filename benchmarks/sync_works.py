"""What sync costs: fan-out, the index of subscriptions, hydration and stalled peers beside others.

Sockets are read in a process of their own (`readers`). Rates "on one core" are per second of the
runtime's own processor time, so that a machine with other work gives the same figure.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import psutil

from benchmarks import works
from benchmarks.load import Connection, request_bytes
from benchmarks.pylon_runtime import PylonRuntime
from benchmarks.sockets import frame, read_frame, upgrade_request

SOCKETS = 1_000
DUE = {"title": {"startsWith": "due "}}


class Readers:
    """The process of the sockets."""

    def __init__(self, server: PylonRuntime, token: str | None = None) -> None:
        self._server = server
        self._token = token or server.token
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Readers:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.readers", "127.0.0.1", str(self._server.port),
            self._token, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.write(b'{"do":"stop"}\n')
        await self._process.wait()

    async def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Send one command and return its answer."""
        await self.tell(do, **command)
        return await self.answer()

    async def tell(self, do: str, **command: Any) -> None:
        """Send one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **command}).encode() + b"\n")
        await self._process.stdin.drain()

    async def answer(self) -> dict[str, Any]:
        """Return the answer of the last command."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise ConnectionError("the readers ended")
        found: dict[str, Any] = json.loads(line)
        return found


class Writer:
    """One socket that pushes, a message at a time or some in flight."""

    def __init__(self, server: PylonRuntime) -> None:
        self._server = server
        self._n = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> Writer:
        """Connect and greet."""
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._server.port, limit=64 * 1024 * 1024
        )
        self._writer.write(upgrade_request("/api/sync/ws", self._server.host, self._server.token))
        await self._reader.readuntil(b"\r\n\r\n")
        self._writer.write(frame(
            b'{"type":"hello","protocol":1,"client_id":"writer","subscriptions":[]}'
        ))  # fmt: skip
        await read_frame(self._reader)
        return self

    def send(self, rows: list[dict[str, Any]]) -> None:
        """Push rows in one message, without waiting."""
        self._n += 1
        operations = [
            {"op_id": f"sync-{time.monotonic_ns()}-{at}", "fn": "pylon.insert",
             "args": {"entity": "Item", "values": row}}
            for at, row in enumerate(rows)
        ]  # fmt: skip
        self._writer.write(frame(msgspec.json.encode(
            {"type": "push", "request_id": str(self._n), "operations": operations}
        )))  # fmt: skip

    async def answered(self) -> None:
        """Wait for the next answer; raises where something was not applied."""
        while True:
            answer = await read_frame(self._reader)
            if answer.startswith(b'{"type":"results"'):
                if b'"rejected"' in answer or b'"retry"' in answer:
                    raise RuntimeError(answer[:300].decode())
                return

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()


def _due(server: PylonRuntime, **values: Any) -> dict[str, Any]:
    return {**server.item(0), "title": f"due {time.monotonic_ns()}", **values}


def _cpu_s(server: PylonRuntime) -> float:
    used = psutil.Process(server.pid).cpu_times()
    return float(used.user + used.system)


@dataclass(slots=True)
class FanOut:
    """One run of fan-out."""

    deliveries: int
    expected: int
    seconds: float
    cpu_s: float
    frames: int
    p50_ms: float
    p99_ms: float

    @property
    def per_core_second(self) -> float:
        """Return deliveries per second of the runtime's processor time."""
        return self.deliveries / self.cpu_s if self.cpu_s else 0.0


async def fan_out(server: PylonRuntime, *, group: int, messages: int, in_flight: int) -> FanOut:
    """1,000 sockets on all due rows; messages of `group` rows, the next after an answer."""
    async with Readers(server) as readers:
        await readers.ask(
            "open", count=SOCKETS, subscriptions=[{"id": "s", "entity": "Item", "where": DUE}]
        )
        writer = await Writer(server).open()
        await asyncio.sleep(0.5)
        await readers.ask("reset")
        expected = messages * group * SOCKETS
        cpu, started = _cpu_s(server), time.monotonic()
        await readers.tell("wait", changes=expected, seconds=60)
        for n in range(messages):
            writer.send([_due(server) for _ in range(group)])
            if n + 1 >= in_flight:
                await writer.answered()
        for _ in range(min(in_flight, messages) - 1):
            await writer.answered()
        found = await readers.answer()
        cpu = _cpu_s(server) - cpu
        writer.close()
    return FanOut(
        found["changes"], expected, found["last"] - started, cpu, found["frames"],
        found["p50_ms"], found["p99_ms"],
    )  # fmt: skip


async def write_cost_ms(server: PylonRuntime, subscriptions: int, *, writes: int = 1_500) -> float:
    """Return the runtime's processor time per write, of which ten subscriptions are told."""
    per_socket = subscriptions // 10 if subscriptions > 100 else 1
    sockets = 10
    async with Readers(server) as readers:
        for n in range(sockets):
            specs = [
                {"id": f"s{k}", "entity": "Item",
                 "where": {"count": 7 if k == 0 else 1_000_000 + n * per_socket + k}}
                for k in range(min(per_socket, 100))
            ]  # fmt: skip
            await readers.ask("open", count=1, subscriptions=specs)
            rest = per_socket - len(specs)
            while rest > 0:  # a socket has a hundred at most
                more = [
                    {"id": f"r{k}", "entity": "Item",
                     "where": {"count": 9_000_000 + n * 10_000 + rest - k}}
                    for k in range(min(rest, 100))
                ]  # fmt: skip
                await readers.ask("open", count=1, subscriptions=more)
                rest -= len(more)
        writer = await Writer(server).open()
        await asyncio.sleep(0.3)
        costs = []
        for _ in range(3):
            await readers.ask("reset")
            cpu = _cpu_s(server)
            await readers.tell("wait", changes=writes * sockets, seconds=60)
            for _ in range(writes):
                writer.send([{**server.item(0), "count": 7}])
                await writer.answered()
            found = await readers.answer()
            assert found["changes"] == writes * sockets, found
            costs.append((_cpu_s(server) - cpu) * 1000 / writes)
        writer.close()
    return statistics.median(costs)


@dataclass(slots=True)
class Beside:
    """Live changes alone and beside something heavy."""

    alone_p99_ms: float
    beside_p99_ms: float
    #: The longest that the health check took beside it.
    health_max_ms: float
    megabytes: float = 0.0
    finished: int = 0


async def _on_time(
    server: PylonRuntime, writer: Writer, seconds: float, per_second: int, **values: Any
) -> int:
    """Write due rows on a fixed grid; returns how many."""
    start = time.monotonic_ns() + 100_000_000
    count = int(seconds * per_second)
    answers = asyncio.ensure_future(_answers(writer, count))
    for n in range(count):
        due = start + n * 1_000_000_000 // per_second
        await asyncio.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
        writer.send([{**server.item(0), "title": f"due {due}", **values}])
    await answers
    return count


async def _answers(writer: Writer, count: int) -> None:
    for _ in range(count):
        await writer.answered()


async def _health(server: PylonRuntime, stop: asyncio.Event) -> float:
    line = await Connection("127.0.0.1", server.port).open()
    longest = 0.0
    while not stop.is_set():
        started = time.monotonic()
        await line.ask(request_bytes("GET", "/api/health", server.host))
        longest = max(longest, time.monotonic() - started)
        await asyncio.sleep(0.01)
    line.close()
    return longest * 1000


async def _live_p99(
    server: PylonRuntime, readers: Readers, sockets: int, seconds: float, **values: Any
) -> float:
    writer = await Writer(server).open()
    await readers.ask("reset")
    expected = int(seconds * 50) * sockets
    await readers.tell("wait", changes=expected, seconds=seconds + 30)
    await _on_time(server, writer, seconds, 50, **values)
    found = await readers.answer()
    writer.close()
    assert found["changes"] == expected, (found, expected)
    return float(found["p99_ms"])


async def hydration(server: PylonRuntime, rows: int, *, seconds: float = 8.0) -> Beside:
    """Ten live sockets, while others take in all rows one after the other."""
    await works.fill_pylon(server, rows)
    async with Readers(server) as live, Readers(server) as hydrating:
        subscriptions = [{"id": "s", "entity": "Item", "where": DUE}]
        await live.ask("open", count=10, subscriptions=subscriptions)
        alone = await _live_p99(server, live, 10, seconds)
        stop = asyncio.Event()
        health = asyncio.ensure_future(_health(server, stop))
        finished = 0

        async def hydrate() -> None:
            nonlocal finished
            while not stop.is_set():
                await hydrating.ask(
                    "open", count=1, subscriptions=[{"id": "all", "entity": "Item"}]
                )
                finished += 1

        others = asyncio.ensure_future(hydrate())
        beside = await _live_p99(server, live, 10, seconds)
        stop.set()
        await others
        return Beside(alone, beside, await health, finished=finished)


async def stalled(server: PylonRuntime, *, peers: int = 300, seconds: float = 8.0) -> Beside:
    """A hundred healthy sockets; then as many rows again with 300 beside them that never read."""
    async with Readers(server) as healthy, Readers(server) as stuck:
        subscriptions = [{"id": "s", "entity": "Item", "where": DUE}]
        await healthy.ask("open", count=100, subscriptions=subscriptions)
        body = {"body": "x" * 4_900}
        alone = await _live_p99(server, healthy, 100, seconds, **body)
        before = works.memory_mib(server.pid)
        await stuck.ask("open", count=peers, subscriptions=subscriptions, stalled=True)
        stop = asyncio.Event()
        health = asyncio.ensure_future(_health(server, stop))
        # First as much as fills the system's own buffers, then what is measured.
        writer = await Writer(server).open()
        for _ in range(60):
            writer.send([_due(server, **body) for _ in range(40)])
            await writer.answered()
        writer.close()
        await asyncio.sleep(1)
        beside = await _live_p99(server, healthy, 100, seconds, **body)
        stop.set()
        return Beside(alone, beside, await health, megabytes=works.memory_mib(server.pid) - before)


async def team(server: PylonRuntime, *, rows: int = 10_000, seconds: float = 8.0) -> Beside:
    """Ten live sockets, while somebody joins and leaves a team of many rows again and again."""
    for start in range(0, rows, 500):
        await server.ask("POST", "/api/sync/push", {"operations": [
            {"op_id": f"team-{n}", "fn": "pylon.insert",
             "args": {"entity": "TeamRow", "values": {"team": "big", "body": "x" * 100}}}
            for n in range(start, start + 500)
        ]})  # fmt: skip
    joiner = await server.admin("POST", "token", {"user": "joiner@example.com", "days": 1})
    async with Readers(server) as live, Readers(server, joiner["token"]) as joining:
        await live.ask(
            "open", count=10, subscriptions=[{"id": "s", "entity": "Item", "where": DUE}]
        )
        await joining.ask("open", count=1, subscriptions=[{"id": "t", "entity": "TeamRow"}])
        alone = await _live_p99(server, live, 10, seconds)
        stop = asyncio.Event()
        health = asyncio.ensure_future(_health(server, stop))
        finished = 0

        async def join_and_leave() -> None:
            nonlocal finished
            while not stop.is_set():
                values = {"team": "big", "userId": joiner["user_id"]}
                made = await server.ask("POST", "/api/entities/Member", values)
                await asyncio.sleep(0.5)
                await server.ask("DELETE", f"/api/entities/Member/{made['id']}")
                await asyncio.sleep(0.3)
                finished += 1

        others = asyncio.ensure_future(join_and_leave())
        beside = await _live_p99(server, live, 10, seconds)
        stop.set()
        await others
        return Beside(alone, beside, await health, finished=finished)
