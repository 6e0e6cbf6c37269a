"""A large file, measured: what it costs in memory, and what it costs everybody else.

The file goes and comes over one connection as fast as it can, sent by a process of its own
(`python -m benchmarks.file_works send|take …`), while short requests are asked at a fixed rate.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import sys
import time
from dataclasses import dataclass

import psutil

from benchmarks.load import Connection, Figures, request_bytes
from benchmarks.pylon_runtime import PylonRuntime

MIB = int(os.environ.get("PYLON_BENCH_FILE_MIB", "1024"))
PER_SECOND = 200
_ALONE_SECONDS = 10.0


@dataclass(slots=True)
class Transfer:
    """One way of one file, and how short requests and memory did meanwhile."""

    seconds: float
    p50_ms: float
    p99_ms: float
    grown_mib: float
    #: The bytes were what they should be.
    is_right: bool


@dataclass(slots=True)
class LargeFile:
    """Short requests alone, and beside a file on its way in and out."""

    mib: int
    alone_p50_ms: float
    alone_p99_ms: float
    up: Transfer
    down: Transfer


async def large_file(server: PylonRuntime, mib: int) -> LargeFile:
    """Send a file of so many MiB and take it back."""
    row = await server.ask("POST", "/api/entities/Item", server.item(0))
    request = request_bytes("GET", f"/api/entities/Item/{row['id']}", server.host,
                            token=server.token)  # fmt: skip
    await _probe(server, request, 2.0)
    alone = await _probe(server, request, _ALONE_SECONDS)
    up, said = await _transfer(server, request, "send", str(mib))
    made = json.loads(said)
    wanted = hashlib.sha256()
    for _ in range(mib):
        wanted.update(_first(mib))
    up.is_right = made["size"] == mib << 20 and made["sha256"] == wanted.hexdigest()
    down, said = await _transfer(server, request, "take", made["url"])
    down.is_right = said == made["sha256"]
    return LargeFile(mib, alone.percentile(0.5), alone.percentile(0.99), up, down)


def _first(mib: int) -> bytes:
    """Return the MiB that a file is made of, the same in both processes."""
    return hashlib.shake_256(str(mib).encode()).digest(1 << 20)


async def _probe(
    server: PylonRuntime,
    request: bytes,
    seconds: float,
    until: asyncio.Future[object] | None = None,
) -> Figures:
    """Ask at a fixed rate, each at its time: what waits for another counts as waiting."""
    figures = Figures()
    lines = [await Connection("127.0.0.1", server.port).open() for _ in range(8)]
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for one in lines:
        free.put_nowait(one)

    async def ask(due: float) -> None:
        line = await free.get()
        status, _ = await line.ask(request)
        figures.failures += status != 200
        figures.latencies_ms.append((time.perf_counter() - due) * 1000)
        free.put_nowait(line)

    started = time.perf_counter()
    tasks, n = [], 0
    while time.perf_counter() - started < seconds and not (until is not None and until.done()):
        due = started + n / PER_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(time.perf_counter())))
        n += 1
    await asyncio.gather(*tasks)
    figures.operations, figures.seconds = n, time.perf_counter() - started
    for one in lines:
        one.close()
    return figures


async def _transfer(
    server: PylonRuntime, request: bytes, way: str, what: str
) -> tuple[Transfer, str]:
    process = psutil.Process(server.pid)
    before = highest = process.memory_info().rss
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.file_works", way, str(server.port), server.token, what,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    started = time.perf_counter()
    said = asyncio.ensure_future(running.communicate())

    async def watch() -> None:
        nonlocal highest
        while not said.done():
            highest = max(highest, process.memory_info().rss)
            await asyncio.sleep(0.02)

    figures, _ = await asyncio.gather(_probe(server, request, 600.0, said), watch())
    out, _ = await said
    grown = (highest - before) / (1 << 20)
    return Transfer(
        time.perf_counter() - started, figures.percentile(0.5), figures.percentile(0.99), grown,
        is_right=False,
    ), out.decode().strip()  # fmt: skip


def _send(port: int, token: str, mib: int) -> None:
    chunk = _first(mib)
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(
            f"POST /api/files HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/zip\r\n"
            f"X-Filename: large.zip\r\nContent-Length: {mib << 20}\r\n\r\n".encode()
        )
        for _ in range(mib):
            line.sendall(chunk)
        answer = b""
        while more := line.recv(65536):
            answer += more
    print(answer.partition(b"\r\n\r\n")[2].decode())


def _take(port: int, token: str, url: str) -> None:
    found = hashlib.sha256()
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(
            f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += line.recv(65536)
        found.update(head.partition(b"\r\n\r\n")[2])
        while more := line.recv(1 << 20):
            found.update(more)
    print(found.hexdigest())


if __name__ == "__main__":
    way, port, token, what = sys.argv[1:5]
    if way == "send":
        _send(int(port), token, int(what))
    else:
        _take(int(port), token, what)
