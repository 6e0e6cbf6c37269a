"""The load: a bare HTTP/1.1 client on asyncio, the same for both servers.

It sends prepared bytes over keep-alive connections and reads answers by Content-Length or chunk
framing, so that what is measured is the server and not the client.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """What one run gave: operations, seconds, and a latency per request in milliseconds."""

    operations: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def per_second(self) -> float:
        """Return operations per second."""
        return self.operations / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return the latency below which `share` of the requests lie, in milliseconds."""
        if not self.latencies_ms:
            return math.nan
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request_bytes(
    method: str, path: str, host: str, *, token: str | None = None, body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> bytes:  # fmt: skip
    """Return one ready HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body or method in ("POST", "PATCH"):
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    """One keep-alive connection; one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> Connection:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(
            self.host, self.port, limit=64 * 1024 * 1024
        )
        return self

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return status and body."""
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lower = head.lower()
        place = lower.find(b"content-length:")
        if place >= 0:
            length = int(head[place + 15 : head.index(b"\r", place)])
            return status, await self._reader.readexactly(length) if length else b""
        if b"chunked" in lower:
            return status, await self._read_chunks()
        return status, b""

    async def _read_chunks(self) -> bytes:
        assert self._reader is not None
        parts = []
        while True:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            part = await self._reader.readexactly(size + 2)
            if size == 0:
                return b"".join(parts)
            parts.append(part[:-2])

    def close(self) -> None:
        """Close without waiting."""
        if self._writer is not None:
            self._writer.close()


async def hammer(
    host: str, port: int, make_request: Callable[[int, int], bytes], *,
    connections: int, seconds: float, operations_per_request: int = 1,
    expected: tuple[int, ...] = (200, 201),
) -> Figures:  # fmt: skip
    """Keep `connections` busy for `seconds`; make_request(connection, n) gives each request."""
    lines = [await Connection(host, port).open() for _ in range(connections)]
    figures = Figures()
    clock = time.perf_counter
    # The first requests warm caches and prepared statements and are not counted.
    warm_until = clock() + min(1.0, seconds / 4)
    counted_from = [0.0]

    async def one(place: int, line: Connection) -> None:
        n = 0
        while clock() < warm_until:
            await line.ask(make_request(place, n))
            n += 1
        counted_from[0] = counted_from[0] or clock()
        end = warm_until + seconds
        while True:
            started = clock()
            if started >= end:
                return
            status, _ = await line.ask(make_request(place, n))
            figures.latencies_ms.append((clock() - started) * 1000)
            figures.operations += operations_per_request
            if status not in expected:
                figures.failures += 1
            n += 1

    await asyncio.gather(*(one(place, line) for place, line in enumerate(lines)))
    figures.seconds = clock() - counted_from[0]
    for line in lines:
        line.close()
    return figures


async def until_healthy(url_ask: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> float:
    """Poll until the server answers; returns the seconds that took."""
    started = time.perf_counter()
    while time.perf_counter() - started < timeout_s:
        try:
            if await url_ask():
                return time.perf_counter() - started
        except OSError:
            pass
        await asyncio.sleep(0.01)
    raise TimeoutError("the server did not answer")
