"""The works that are measured, one function each for both sides."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import psutil

from benchmarks.load import Connection, Figures, hammer, request_bytes
from benchmarks.pocketbase import PocketBase
from benchmarks.pylon_runtime import PylonRuntime
from benchmarks.sockets import DueListener, frame, read_frame, upgrade_request

SECONDS = 5.0
ROWS_PER_BATCH = 50
CATCH_UP_ROWS = 100_000
SOCKETS = 1_000
WRITES_PER_SECOND = 50
FAN_OUT_SECONDS = 10


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


# --- single-row create ---------------------------------------------------------------------


async def create_pylon(server: PylonRuntime) -> Figures:
    """Durable creates over HTTP, one row a request, 64 connections."""
    return await hammer(
        "127.0.0.1", server.port,
        lambda place, n: request_bytes(
            "POST", "/api/entities/Item", server.host, token=server.token,
            body=_json(server.item(n)),
        ),
        connections=64, seconds=SECONDS,
    )  # fmt: skip


async def create_pocketbase(server: PocketBase) -> Figures:
    """Creates over HTTP, one row a request, 64 connections."""
    return await hammer(
        "127.0.0.1", server.port,
        lambda place, n: request_bytes(
            "POST", "/api/collections/items/records", server.host, token=server.token,
            body=_json(server.item(n)),
        ),
        connections=64, seconds=SECONDS,
    )  # fmt: skip


# --- fifty rows a message ------------------------------------------------------------------


async def push_pylon(server: PylonRuntime) -> Figures:
    """WebSocket push, 50 operations a message, 16 connections."""
    figures = Figures()
    clock = time.perf_counter
    started = clock()
    end = started + SECONDS

    async def one(place: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, limit=64 * 1024 * 1024
        )
        writer.write(upgrade_request("/api/sync/ws", server.host, server.token))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(_json(
            {"type": "hello", "protocol": 1, "client_id": f"bench-{place}", "subscriptions": []}
        )))  # fmt: skip
        await read_frame(reader)
        n = 0
        while clock() < end:
            operations = [
                {
                    "op_id": f"bench-{started}-{place}-{n}-{i}",
                    "fn": "pylon.insert",
                    "args": {"entity": "Item", "values": server.item(n * ROWS_PER_BATCH + i)},
                }
                for i in range(ROWS_PER_BATCH)
            ]
            sent = clock()
            writer.write(frame(_json(
                {"type": "push", "request_id": str(n), "operations": operations}
            )))  # fmt: skip
            while True:
                answer = await read_frame(reader)
                if answer.startswith(b'{"type":"results"'):
                    break
            figures.latencies_ms.append((clock() - sent) * 1000)
            applied = answer.count(b'"applied"')
            figures.operations += applied
            figures.failures += ROWS_PER_BATCH - applied
            n += 1
        writer.close()

    await asyncio.gather(*(one(place) for place in range(16)))
    figures.seconds = clock() - started
    return figures


async def push_pocketbase(server: PocketBase) -> Figures:
    """The batch API, 50 creates a request, 16 connections."""
    return await hammer(
        "127.0.0.1", server.port,
        lambda place, n: request_bytes(
            "POST", "/api/batch", server.host, token=server.token,
            body=_json({"requests": [
                {
                    "method": "POST", "url": "/api/collections/items/records",
                    "body": server.item(n * ROWS_PER_BATCH + i),
                }
                for i in range(ROWS_PER_BATCH)
            ]}),
        ),
        connections=16, seconds=SECONDS, operations_per_request=ROWS_PER_BATCH,
    )  # fmt: skip


# --- point read ----------------------------------------------------------------------------


async def read_pylon(server: PylonRuntime) -> Figures:
    """Point reads over HTTP, policy checked, 64 connections."""
    listed = await server.ask("GET", "/api/entities/Item?limit=100")
    ids = [row["id"] for row in listed["rows"]]
    return await hammer(
        "127.0.0.1", server.port,
        lambda place, n: request_bytes(
            "GET", f"/api/entities/Item/{ids[(place + n) % len(ids)]}", server.host,
            token=server.token,
        ),
        connections=64, seconds=SECONDS,
    )  # fmt: skip


async def read_pocketbase(server: PocketBase) -> Figures:
    """Point reads over HTTP, rule checked, 64 connections."""
    listed = await server.ask(
        "GET", "/api/collections/items/records?perPage=100", token=server.token
    )
    ids = [row["id"] for row in listed["items"]]
    return await hammer(
        "127.0.0.1", server.port,
        lambda place, n: request_bytes(
            "GET", f"/api/collections/items/records/{ids[(place + n) % len(ids)]}", server.host,
            token=server.token,
        ),
        connections=64, seconds=SECONDS,
    )  # fmt: skip


# --- catch-up ------------------------------------------------------------------------------


async def catch_up_pylon(server: PylonRuntime) -> Figures:
    """Pull 100,000 visible changes from the beginning, parsing the JSON."""
    line = await Connection("127.0.0.1", server.port).open()
    figures, cursor = Figures(), "0"
    started = time.perf_counter()
    while figures.operations < CATCH_UP_ROWS:
        _, body = await line.ask(request_bytes(
            "GET", f"/api/sync/pull?cursor={cursor}&limit=1000", server.host, token=server.token
        ))  # fmt: skip
        batch = msgspec.json.decode(body)
        figures.operations += sum(1 for change in batch["changes"] if change.get("row"))
        cursor = batch["through"]
        if not batch["more"]:
            break
    figures.seconds = time.perf_counter() - started
    figures.failures = max(0, CATCH_UP_ROWS - figures.operations)
    line.close()
    return figures


async def catch_up_pocketbase(server: PocketBase) -> Figures:
    """List the same number of rows in the largest pages, parsing the JSON."""
    line = await Connection("127.0.0.1", server.port).open()
    figures, page = Figures(), 1
    started = time.perf_counter()
    while figures.operations < CATCH_UP_ROWS:
        _, body = await line.ask(request_bytes(
            "GET", f"/api/collections/items/records?perPage=1000&page={page}&skipTotal=1",
            server.host, token=server.token,
        ))  # fmt: skip
        items = msgspec.json.decode(body)["items"]
        if not items:
            break
        figures.operations += len(items)
        page += 1
    figures.seconds = time.perf_counter() - started
    figures.failures = max(0, CATCH_UP_ROWS - figures.operations)
    line.close()
    return figures


async def fill_pylon(server: PylonRuntime, rows: int) -> None:
    """Create rows in an empty database."""
    for start in range(0, rows, 500):
        await server.ask("POST", "/api/sync/push", {
            "client_id": "fill",
            "operations": [
                {
                    "op_id": f"fill-{time.monotonic_ns()}-{i}", "fn": "pylon.insert",
                    "args": {"entity": "Item", "values": server.item(start + i)},
                }
                for i in range(500)
            ],
        })  # fmt: skip


async def fill_pocketbase(server: PocketBase, rows: int) -> None:
    """Create rows in an empty database."""
    for start in range(0, rows, 1000):
        await server.ask("POST", "/api/batch", {"requests": [
            {
                "method": "POST", "url": "/api/collections/items/records",
                "body": server.item(start + i),
            }
            for i in range(min(1000, rows - start))
        ]}, token=server.token)  # fmt: skip


# --- fan-out -------------------------------------------------------------------------------


async def _write_on_time(send: Any, count: int, per_second: int) -> None:
    """Send `count` writes, each due at its time on a fixed grid, whether or not we are late."""
    start = time.monotonic_ns() + 200_000_000
    tasks = []
    for n in range(count):
        due = start + n * 1_000_000_000 // per_second
        wait = (due - time.monotonic_ns()) / 1e9
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.ensure_future(send(due)))
    await asyncio.gather(*tasks)


async def _settle(listeners: list[DueListener], expected: int, timeout_s: float) -> int:
    end = time.monotonic() + timeout_s
    total = 0
    while time.monotonic() < end:
        total = sum(one.received for one in listeners)
        if total >= expected:
            break
        await asyncio.sleep(0.05)
    return total


async def fan_out_pylon(server: PylonRuntime) -> Figures:
    """1,000 sockets subscribed to all rows; 50 writes/s for 10 s."""
    figures, loop = Figures(), asyncio.get_running_loop()
    listeners = []
    opening = upgrade_request("/api/sync/ws", server.host, server.token)
    for n in range(SOCKETS):
        hello = {
            "type": "hello", "protocol": 1, "client_id": f"fan-{n}",
            "subscriptions": [
                {"id": "s", "entity": "Item", "where": {"title": {"startsWith": "due "}}}
            ],
        }  # fmt: skip
        _, protocol = await loop.create_connection(
            lambda hello=hello: DueListener(  # type: ignore[misc]
                opening + frame(_json(hello)), figures.latencies_ms.append
            ),
            "127.0.0.1", server.port,
        )  # fmt: skip
        listeners.append(protocol)
        if n % 50 == 49:
            await asyncio.sleep(0.05)
    while not all(b'"done":true' in one.text for one in listeners):
        await asyncio.sleep(0.05)
    for one in listeners:
        one.is_counting = True
    lines = [await Connection("127.0.0.1", server.port).open() for _ in range(8)]
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)

    async def send(due: int) -> None:
        line = await free.get()
        body = {**server.item(0), "title": f"due {due}"}
        await line.ask(request_bytes(
            "POST", "/api/entities/Item", server.host, token=server.token, body=_json(body)
        ))  # fmt: skip
        free.put_nowait(line)

    return await _measure_fan_out(figures, listeners, send, lines)


async def fan_out_pocketbase(server: PocketBase) -> Figures:
    """1,000 realtime streams on the collection; 50 writes/s for 10 s."""
    figures, loop = Figures(), asyncio.get_running_loop()
    listeners = []
    for n in range(SOCKETS):
        opening = request_bytes("GET", "/api/realtime", server.host)
        _, protocol = await loop.create_connection(
            lambda opening=opening: DueListener(opening, figures.latencies_ms.append),  # type: ignore[misc]
            "127.0.0.1", server.port,
        )  # fmt: skip
        listeners.append(protocol)
        if n % 50 == 49:
            await asyncio.sleep(0.05)
    lines = [await Connection("127.0.0.1", server.port).open() for _ in range(8)]
    for one in listeners:
        while b'"clientId":"' not in one.text:
            await asyncio.sleep(0.01)
        client_id = one.text.split(b'"clientId":"')[1].split(b'"')[0].decode()
        await lines[0].ask(request_bytes(
            "POST", "/api/realtime", server.host, token=server.token,
            body=_json({"clientId": client_id, "subscriptions": ["items"]}),
        ))  # fmt: skip
        one.is_counting = True
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)

    async def send(due: int) -> None:
        line = await free.get()
        body = {**server.item(0), "title": f"due {due}"}
        await line.ask(request_bytes(
            "POST", "/api/collections/items/records", server.host, token=server.token,
            body=_json(body),
        ))  # fmt: skip
        free.put_nowait(line)

    return await _measure_fan_out(figures, listeners, send, lines)


async def _measure_fan_out(
    figures: Figures, listeners: list[DueListener], send: Any, lines: list[Connection]
) -> Figures:
    started = time.perf_counter()
    count = WRITES_PER_SECOND * FAN_OUT_SECONDS
    await _write_on_time(send, count, WRITES_PER_SECOND)
    expected = count * len(listeners)
    figures.operations = await _settle(listeners, expected, 30.0)
    figures.seconds = time.perf_counter() - started
    figures.failures = expected - figures.operations
    for one in listeners:
        if one.transport is not None:
            one.transport.abort()
    for line in lines:
        line.close()
    return figures


# --- start and memory ----------------------------------------------------------------------


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    return float(psutil.Process(pid).memory_info().rss / 1024**2)


def describe_machine() -> dict[str, Any]:
    """Return what the figures were measured on, without naming the machine."""
    import platform
    import sqlite3

    model = ""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
            model = next(
                (line.split(":")[1].strip() for line in stream if "model name" in line), ""
            )
    except OSError:
        model = platform.processor()
    return {
        "cores": psutil.cpu_count(), "cpu": model,
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "python": platform.python_version(), "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }  # fmt: skip
