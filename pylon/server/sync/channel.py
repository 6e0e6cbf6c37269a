"""One socket's way out: frames built once, written straight to the transport, bounded.

Server frames are not masked, so the bytes of a frame can be shared by all connections. What does
not live here: deciding what to send (`subscriber`, `hub`).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pylon import jsonvalue, limits_live
from pylon.identity import Identity
from pylon.protocol.messages import Downstream
from pylon.server.sync.shaper import Shaper
from pylon.server.sync.subscriber import Subscriber
from pylon.server.sync.subscription import FunctionSubscription, Subscription
from pylon.server.sync.view import View
from pylon.server.sync.windows import SharedWindow

_TEXT_FRAME: Final = 0x81
_CLOSE_FRAME: Final = 0x88
_PING_FRAME: Final = 0x89


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
    #: A policy changed its mind: the log is read for it in turn with others of whom that is so.
    is_refreshed: bool = False
    #: Refreshes of which pages were sent; the cursor stays before them until the last.
    paging: Mapping[Hashable, int] = field(default_factory=dict)
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
    #: Subscriptions of it that count against the quotas.
    counted: int = 0
    #: Bytes of arguments of it that do.
    counted_args: int = 0
    pushes: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    is_closed: bool = False
    #: Somebody who looks as this user: reads only, and is no client to remember.
    is_ghost: bool = False
    #: Milliseconds of the last ping and its pong; None until there was one.
    round_trip_ms: float | None = None
    #: Monotonic time of the last ping.
    pinged_at: float = float("-inf")
    #: Takes a message of the client that was held up on its way (development).
    inlet: Callable[[bytes], Awaitable[None]] | None = None
    #: A bad network in the way out and in (development).
    shaper: Shaper | None = None

    @property
    def queued_bytes(self) -> int:
        """Return how much waits on its way out."""
        if self.is_closed:
            return 0
        held = 0 if self.shaper is None else self.shaper.held_bytes
        return int(self.transport.get_write_buffer_size()) + held

    def write(self, data: bytes) -> None:
        """Write ready frames; a transport that is gone is left alone."""
        if self.is_closed or self.transport.is_closing():
            self.is_closed = True
            return
        self.written_bytes += len(data)
        if self.shaper is not None:
            self.shaper.send(data)
        else:
            self.transport.write(data)

    def write_now(self, data: bytes) -> None:
        """Write ready frames past everything that would hold them up."""
        if not self.is_closed and not self.transport.is_closing():
            self.transport.write(data)

    def ping(self, now: float, *, every_s: float) -> None:
        """Measure the round trip anew, unless that was done within `every_s`."""
        if now - self.pinged_at >= every_s:
            self.pinged_at = now
            payload = struct.pack(">d", now)
            self.write(_header(_PING_FRAME, len(payload)) + payload)

    def ponged(self, payload: bytes, now: float) -> None:
        """Take a pong; one that answers no ping of `ping` means nothing."""
        if payload == struct.pack(">d", self.pinged_at):
            self.round_trip_ms = round((now - self.pinged_at) * 1000, 1)

    def send(self, message: Downstream) -> None:
        """Encode and write one message."""
        self.write(frame(jsonvalue.encode(message)))

    def send_text(self, text: str) -> None:
        """Write one message that is ready JSON text."""
        self.write(frame(text.encode()))

    def take_live(self, kind: str, members: str) -> bool:
        """Write a `value` or an `error` of a function, unless too much waits already."""
        if self.queued_bytes > limits_live.LIVE_QUEUE_BYTES_MAX:
            return False
        self.send_text(f'{{"type":"{kind}",{members}}}')
        return True

    def close(self, code: int, reason: str, loop: asyncio.AbstractEventLoop) -> None:
        """Send a close frame and abort the transport a second later."""
        if self.is_closed:
            return
        self.write_now(close_frame(code, reason))
        self.is_closed = True
        loop.call_later(1.0, self.transport.abort)


def principal_of(identity: Identity) -> str:
    """Return the key of a caller for counts: his user id, or nothing for anonymous."""
    return identity.user_id or ""


def reached_by(connection: Connection) -> int:
    """Return the seq up to which a client misses nothing, as far as it said and was told.

    One that has stored all that was sent misses nothing of what its view was judged for since.
    """
    sent, stored = connection.subscriber.cursor, connection.stored_seq
    if stored and stored < sent:
        return stored
    return max(sent, connection.judged)


def described(subscriptions: Iterable[Subscription]) -> list[dict[str, Any]]:
    """Return what the dashboard shows of subscriptions."""
    return [
        {"id": one.id, "entity": one.entity.name, "where": one.filter_key, "done": one.is_hydrated}
        for one in subscriptions
    ]


def described_functions(those: Iterable[FunctionSubscription]) -> list[dict[str, Any]]:
    """Return what the dashboard shows of subscriptions to functions."""
    return [
        {"id": one.id, "fn": one.fn, "args": jsonvalue.encode_text(dict(one.args)), "done": True}
        for one in those
    ]


def describe(connection: Connection, head: int, now_ms: int) -> dict[str, Any]:
    """Return what the dashboard shows of a connection."""
    machine = connection.subscriber
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
        "lag_changes": max(0, head - reached_by(connection)),
        "lag_s": 0.0,
        "queued_bytes": connection.queued_bytes,
        "subscriptions": [
            *described(machine.subscriptions.values()),
            *described_functions(machine.functions.values()),
        ],
        "connected_at": connection.connected_at_ms,
        "last_seen": connection.last_seen_ms or connection.connected_at_ms,
        "last_seen_ago_s": round((now_ms - (connection.last_seen_ms or now_ms)) / 1000, 1),
        "pending": connection.pending,
        "round_trip_ms": connection.round_trip_ms,
        "is_ghost": connection.is_ghost,
        "network": None if connection.shaper is None else {
            **asdict(connection.shaper.shape), "mode": connection.shaper.mode
        },
    }  # fmt: skip
