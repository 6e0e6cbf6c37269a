"""One socket's way out: frames built once, written straight to the transport, bounded.

Server frames are not masked, so the bytes of a frame can be shared by all connections. What does
not live here: deciding what to send (`subscriber`, `hub`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import jsonvalue
from pylon.identity import Identity
from pylon.protocol.messages import Downstream
from pylon.server.sync.subscriber import Subscriber
from pylon.server.sync.view import View
from pylon.server.sync.windows import SharedWindow

_TEXT_FRAME: Final = 0x81
_CLOSE_FRAME: Final = 0x88


def frame(payload: bytes) -> bytes:
    """Return a WebSocket text frame, final and unmasked (RFC 6455, section 5.2)."""
    return _header(_TEXT_FRAME, len(payload)) + payload


def close_frame(code: int, reason: str) -> bytes:
    """Return a WebSocket close frame."""
    payload = code.to_bytes(2) + reason.encode()[:120]
    return _header(_CLOSE_FRAME, len(payload)) + payload


def _header(kind: int, size: int) -> bytes:
    if size < 126:
        return bytes((kind, size))
    if size < 65_536:
        return bytes((kind, 126)) + size.to_bytes(2)
    return bytes((kind, 127)) + size.to_bytes(8)


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """A live connection: its caller, its machine, its transport."""

    id: str
    identity: Identity
    address: str
    user_agent: str
    transport: asyncio.WriteTransport
    subscriber: Subscriber
    connected_at_ms: int
    client_id: str = ""
    view: View | None = None
    #: The windows that it holds, by subscription.
    windows: dict[str, SharedWindow] = field(default_factory=dict)
    #: A page or the log is being read for it: live frames wait until that was sent.
    is_reading: bool = False
    #: Its socket is busy: what comes meanwhile shares a frame when it has drained.
    is_held: bool = False
    #: Through here its view was asked already: nothing beyond the cursor concerned it.
    judged: int = 0
    #: A `changes` is owed even if nothing is visible.
    owes_changes: bool = False
    stored_seq: int = 0
    pending: int | None = None
    last_seen_ms: int = 0
    last_sent: float = 0.0
    #: Monotonic time since when the socket has not drained; None while it does.
    stalled_since: float | None = None
    #: Bytes ever written, and how many of them had drained when that was last looked at.
    written_bytes: int = 0
    drained_bytes: int = 0
    reader: asyncio.Task[None] | None = None
    calls: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    pushes: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    is_closed: bool = False

    @property
    def queued_bytes(self) -> int:
        """Return how much waits in the transport."""
        return 0 if self.is_closed else int(self.transport.get_write_buffer_size())

    def write(self, data: bytes) -> None:
        """Write ready frames; a transport that is gone is left alone."""
        if self.is_closed or self.transport.is_closing():
            self.is_closed = True
            return
        self.written_bytes += len(data)
        self.transport.write(data)

    def send(self, message: Downstream) -> None:
        """Encode and write one message."""
        self.write(frame(jsonvalue.encode(message)))

    def send_text(self, text: str) -> None:
        """Write one message that is ready JSON text."""
        self.write(frame(text.encode()))

    def close(self, code: int, reason: str, loop: asyncio.AbstractEventLoop) -> None:
        """Send a close frame and abort the transport a second later."""
        if self.is_closed:
            return
        self.write(close_frame(code, reason))
        self.is_closed = True
        loop.call_later(1.0, self.transport.abort)


def principal_of(identity: Identity) -> str:
    """Return the key of a caller for counts: his user id, or nothing for anonymous."""
    return identity.user_id or ""


def describe(connection: Connection, head: int, now_ms: int) -> dict[str, Any]:
    """Return what the dashboard shows of a connection."""
    machine = connection.subscriber
    lag = max(0, head - max(connection.stored_seq, machine.cursor))
    return {
        "connection_id": connection.id,
        "client_id": connection.client_id,
        "user_id": connection.identity.user_id,
        "email": connection.identity.email,
        "address": connection.address,
        "user_agent": connection.user_agent,
        "state": machine.phase.value,
        "cursor": f"{machine.epoch}:{connection.stored_seq}",
        "sent": f"{machine.epoch}:{machine.cursor}",
        "lag_changes": lag,
        "lag_s": 0.0,
        "queued_bytes": connection.queued_bytes,
        "subscriptions": [
            {"id": one.id, "entity": one.entity.name, "where": one.filter_key,
             "done": one.is_hydrated}
            for one in machine.subscriptions.values()
        ],
        "connected_at": connection.connected_at_ms,
        "last_seen": connection.last_seen_ms or connection.connected_at_ms,
        "last_seen_ago_s": round((now_ms - (connection.last_seen_ms or now_ms)) / 1000, 1),
        "pending": connection.pending,
    }  # fmt: skip
