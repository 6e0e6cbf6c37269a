"""A TCP proxy that harms connections by a script: real sockets, faults at an exact byte.

Each connection gets the script of the moment in which it came. What does not live here: networks
in memory (`network`).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final

_CHUNK_BYTES: Final = 65_536
_FAREWELL_SECONDS: Final = 5.0
#: SO_LINGER of zero seconds: closing is a reset.
_RESET: Final = struct.pack("ii", 1, 0)


class Direction(Enum):
    """Which way bytes go."""

    UP = "from the client to the server"
    DOWN = "from the server to the client"


class FaultKind(Enum):
    """What happens at the byte of a fault."""

    #: Both ends see the connection closed.
    CUT = "cut"
    #: Both ends see the connection reset, and may lose what was on its way.
    RESET = "reset"
    #: The receiver sees the end; the other direction goes on.
    HALF_CLOSE = "half-close"
    #: Nothing more goes this way, and nobody is told.
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Fault:
    """After so many bytes in one direction, counted from the connection's beginning.

    After 0 bytes is when the first one came: it does not go through.
    """

    kind: FaultKind
    direction: Direction
    after_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens to a connection; nothing, unless it says so."""

    faults: tuple[Fault, ...] = ()
    #: Throughput of each direction; None for all there is.
    bytes_per_second: float | None = None
    #: The connection is accepted and leads nowhere.
    is_blackhole: bool = False
    #: What the client sends reaches the server twice, over two connections; the answers of the
    #: second are thrown away.
    is_doubled: bool = False


class Passage:
    """One connection through the proxy: how many bytes went each way so far."""

    def __init__(self) -> None:
        self.passed = {Direction.UP: 0, Direction.DOWN: 0}
        self._writers: list[asyncio.StreamWriter] = []
        self.is_over = asyncio.Event()

    def keep(self, writer: asyncio.StreamWriter) -> None:
        """Have a connection ended with this passage."""
        self._writers.append(writer)

    def end(self, *, reset: bool = False) -> None:
        """Close or reset everything that belongs to it."""
        for writer in self._writers:
            if reset:
                with suppress(OSError):
                    raw: socket.socket = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            else:
                writer.close()
        self.is_over.set()


class Proxy:
    """Listens on a port of its own and passes connections on to another port of this machine."""

    def __init__(self, port: int, script: Script | None = None) -> None:
        self._target = port
        #: For the connections to come.
        self.script = script or Script()
        self.port = 0
        #: Every connection that came, oldest first.
        self.passages: list[Passage] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for passage in self.passages:
            passage.end(reset=True)
        self._flows.set()
        if self._tasks:  # each ends with its passage
            await asyncio.wait(self._tasks, timeout=_FAREWELL_SECONDS)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def hold(self) -> None:
        """Let nothing more through on any connection, until `release`: the network is gone."""
        self._flows.clear()

    def release(self) -> None:
        """Let everything through again, what was held first."""
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        script, passage = self.script, Passage()
        passage.keep(writer)
        self.passages.append(passage)
        try:
            if script.is_blackhole:
                await passage.is_over.wait()
                return
            await self._pass(script, passage, reader, writer)
        except (ConnectionError, OSError):
            pass  # one end has gone: so does the other
        finally:
            passage.end()

    async def _pass(
        self, script: Script, passage: Passage, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        passage.keep(up_writer)
        ups = [up_writer]
        async with asyncio.TaskGroup() as group:
            if script.is_doubled:
                twin_reader, twin_writer = await asyncio.open_connection("127.0.0.1", self._target)
                passage.keep(twin_writer)
                ups.append(twin_writer)
                group.create_task(_swallow(twin_reader))
            for direction, source, targets in (
                (Direction.UP, reader, ups), (Direction.DOWN, up_reader, [writer]),
            ):  # fmt: skip
                group.create_task(
                    self._until_gone(
                        passage, self._flow(script, passage, direction, source, targets)
                    )
                )

    async def _until_gone(self, passage: Passage, flow: Awaitable[None]) -> None:
        try:
            await flow
        except (ConnectionError, OSError):
            passage.end()

    async def _flow(
        self, script: Script, passage: Passage, direction: Direction,
        source: asyncio.StreamReader, targets: list[asyncio.StreamWriter],
    ) -> None:  # fmt: skip
        fault = next((one for one in script.faults if one.direction is direction), None)
        while data := await source.read(_CHUNK_BYTES):
            await self._flows.wait()
            left = None if fault is None else fault.after_bytes - passage.passed[direction]
            strikes = left is not None and len(data) >= left
            if strikes:
                data = data[:left]
            passage.passed[direction] += len(data)
            await _send(data, targets, script.bytes_per_second)
            if strikes:
                assert fault is not None
                await self._strike(fault, passage, source, targets)
                return
        _end_of_stream(targets)

    async def _strike(
        self, fault: Fault, passage: Passage, source: asyncio.StreamReader,
        targets: list[asyncio.StreamWriter],
    ) -> None:  # fmt: skip
        match fault.kind:
            case FaultKind.CUT:
                passage.end()
            case FaultKind.RESET:
                passage.end(reset=True)
            case FaultKind.HALF_CLOSE:
                _end_of_stream(targets)
                await _swallow(source)
            case FaultKind.STALL:
                await passage.is_over.wait()


def _end_of_stream(targets: list[asyncio.StreamWriter]) -> None:
    for target in targets:
        if target.can_write_eof() and not target.is_closing():
            target.write_eof()


async def _send(
    data: bytes, targets: list[asyncio.StreamWriter], bytes_per_second: float | None
) -> None:
    step = len(data) if bytes_per_second is None else max(1, int(bytes_per_second / 50))
    for start in range(0, len(data), max(1, step)):
        part = data[start : start + step]
        for target in targets:
            target.write(part)
            await target.drain()
        if bytes_per_second is not None:
            await asyncio.sleep(len(part) / bytes_per_second)


async def _swallow(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError, OSError):
        while await reader.read(_CHUNK_BYTES):
            pass
