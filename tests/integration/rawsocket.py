"""A WebSocket spoken by hand: frames as they are, also those that no library would send."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from typing import Any

from pylon.testing.served import Caller

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(payload: bytes, kind: int = TEXT) -> bytes:
    """Return a client's frame, masked and final."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, size)
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


class RawSocket:
    """One socket to a runtime; answers no ping by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, caller: Caller, *headers: str, port: int | None = None) -> RawSocket:
        """Upgrade; raises AssertionError where that is refused."""
        port = port or caller.served.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return await cls.upgrade(reader, writer, caller, *headers)

    @classmethod
    async def upgrade(
        cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caller: Caller,
        *headers: str,
    ) -> RawSocket:  # fmt: skip
        """Upgrade a connection that is open; raises AssertionError where that is refused."""
        lines = [
            "GET /api/sync/ws HTTP/1.1", f"Host: 127.0.0.1:{caller.served.port}",
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers,
        ]  # fmt: skip
        lines += [f"{name}: {value}" for name, value in caller.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return cls(reader, writer)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self.writer.write(frame(json.dumps(message).encode()))

    def hello(self, *subscriptions: dict[str, Any], **members: Any) -> None:
        """Say hello."""
        self.send(
            {"type": "hello", "protocol": 1, "client_id": "raw",
             "subscriptions": list(subscriptions), **members}
        )  # fmt: skip

    async def next(self, timeout_s: float = 60.0) -> tuple[int, bytes]:
        """Return kind and payload of the next frame; kind -1 where the connection ended."""
        try:
            async with asyncio.timeout(timeout_s):
                first, size = await self.reader.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 0x0F, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return -1, b""

    async def until(self, kind: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Return the next message of a type; a close comes as {"type": "closed", "code": …}."""
        async with asyncio.timeout(timeout_s):
            while True:
                found, payload = await self.next(timeout_s)
                message: dict[str, Any] = {"type": "ping"}
                if found == TEXT:
                    message = json.loads(payload)
                elif found == CLOSE:
                    message = {"type": "closed", "code": int.from_bytes(payload[:2])}
                elif found == -1:
                    message = {"type": "closed", "code": 1006}
                if message["type"] in (kind, "closed"):
                    return message

    def close(self) -> None:
        """End the connection without a word."""
        self.writer.close()
