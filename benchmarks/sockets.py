"""Raw WebSocket and SSE clients for the load: as little work per frame as Python allows."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import time
from collections.abc import Callable
from typing import cast

_MASK = b"\x00\x00\x00\x00"
_DUE = re.compile(rb'"title":\s*"due (\d+)"')


def frame(text: bytes) -> bytes:
    """Return a masked client text frame (an all-zero mask leaves the payload as it is)."""
    size = len(text)
    if size < 126:
        head = bytes([0x81, 0x80 | size])
    elif size < 65_536:
        head = bytes([0x81, 0x80 | 126]) + size.to_bytes(2)
    else:
        head = bytes([0x81, 0x80 | 127]) + size.to_bytes(8)
    return head + _MASK + text


def upgrade_request(path: str, host: str, token: str) -> bytes:
    """Return the request that opens a sync socket with a bearer token."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: pylon.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the payload of the next data frame; answers to pings are not needed here."""
    while True:
        head = await reader.readexactly(2)
        size = head[1] & 0x7F
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2))
        elif size == 127:
            size = int.from_bytes(await reader.readexactly(8))
        payload = await reader.readexactly(size) if size else b""
        if head[0] & 0x0F in (1, 2):
            return payload
        if head[0] & 0x0F == 8:
            raise ConnectionError(f"closed: {payload!r}")


class DueListener(asyncio.Protocol):
    """Watches a stream for rows titled `due <ns>` and notes how late each came.

    It does not parse frames: titles are found in the bytes, with a tail kept for the ones that
    arrive in two pieces. The same class listens to WebSocket frames and to SSE events.
    """

    def __init__(self, on_open: bytes, note: Callable[[float], None]) -> None:
        self._on_open = on_open
        self._note = note
        self._tail = b""
        self.received = 0
        self.transport: asyncio.Transport | None = None
        self.text = b""
        self.is_counting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the opening request."""
        # uvloop's transports are asyncio's in all but ancestry.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._on_open)

    def data_received(self, data: bytes) -> None:
        """Note every due title in what came."""
        if not self.is_counting:
            self.text += data
            return
        now = time.monotonic_ns()
        data = self._tail + data
        end = 0
        for found in _DUE.finditer(data):
            self._note((now - int(found[1])) / 1e6)
            self.received += 1
            end = found.end()
        self._tail = data[max(end, len(data) - 64) :]
