"""Many sync sockets in a process of their own, read with as little work as Python allows.

    python -m benchmarks.readers HOST PORT TOKEN

It takes one JSON command a line on stdin and answers each with one JSON line:
`open {count, subscriptions, stalled}` · `reset` · `wait {changes, seconds}` · `stop`. In texts of
subscriptions `%n` stands for the number of the socket.
"""

from __future__ import annotations

import json
import math
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sockets import frame, upgrade_request

_DONE = b'"done":true'
_CHANGE = b'{"seq":'
_FRAME = b'{"type":"changes"'
_PING = b"\x89\x00"
_PONG = b"\x8a\x80\x00\x00\x00\x00"
_DUE = re.compile(rb'"title":"due (\d+)')
#: Of every so many sockets one is looked into for how late changes come.
_SAMPLED = 10


@dataclass(slots=True)
class _Peer:
    socket: socket.socket
    is_sampled: bool
    tail: bytes = b""


@dataclass(slots=True)
class _Counts:
    changes: int = 0
    frames: int = 0
    last: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Return the latency below which a share of the samples lie."""
        if not self.latencies_ms:
            return math.nan
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Readers:
    """The sockets, and what came."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port, self._token = host, port, token
        self._epoll = select.epoll()
        self._peers: dict[int, _Peer] = {}
        self._stalled: list[socket.socket] = []
        self._buffer = bytearray(1 << 20)
        self._counts = _Counts()

    def open(self, count: int, subscriptions: Any, stalled: bool = False) -> dict[str, Any]:
        """Open sockets and wait until they are hydrated; stalled ones are never read again."""
        for _ in range(count):
            number = len(self._peers) + len(self._stalled)
            opened = self._one(number, subscriptions, stalled)
            if stalled:
                self._stalled.append(opened)
                continue
            opened.settimeout(0)
            self._peers[opened.fileno()] = _Peer(opened, number % _SAMPLED == 0)
            self._epoll.register(opened.fileno(), select.EPOLLIN)
            self._poll(0.0)  # those that are open want their pings answered
        return {"open": len(self._peers), "stalled": len(self._stalled)}

    def _one(self, number: int, subscriptions: Any, stalled: bool) -> socket.socket:
        made = socket.socket()
        if stalled:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        made.connect((self._host, self._port))
        made.sendall(upgrade_request("/api/sync/ws", f"{self._host}:{self._port}", self._token))
        hello = {"type": "hello", "protocol": 1, "client_id": f"reader-{number}",
                 "subscriptions": subscriptions}  # fmt: skip
        text = json.dumps(hello).replace('"%n"', str(number))
        made.sendall(frame(text.encode()))
        done, tail = 0, b""
        while done < len(subscriptions):
            data = made.recv(1 << 18)
            if not data:
                raise ConnectionError(f"closed: {tail!r}")
            if _PING in data:
                made.send(_PONG)
            data = tail + data
            done += data.count(_DONE)
            tail = data[-len(_DONE) + 1 :]
        return made

    def idle(self) -> None:
        """Read for a moment."""
        self._poll(0.02)

    def reset(self) -> dict[str, Any]:
        """Count anew."""
        self._counts = _Counts()
        return {}

    def wait(self, changes: int, seconds: float) -> dict[str, Any]:
        """Read until so many changes came since the reset, or the time is over."""
        end = time.monotonic() + seconds
        while self._counts.changes < changes and time.monotonic() < end:
            self._poll(0.05)
        counts = self._counts
        return {
            "changes": counts.changes, "frames": counts.frames, "last": counts.last,
            "p50_ms": counts.percentile(0.5), "p99_ms": counts.percentile(0.99),
            "samples": len(counts.latencies_ms),
        }  # fmt: skip

    def _poll(self, seconds: float) -> None:
        for number, _ in self._epoll.poll(seconds):
            if number in self._peers:
                self._read(self._peers[number])

    def _read(self, peer: _Peer) -> None:
        size = peer.socket.recv_into(self._buffer)
        if not size:
            raise ConnectionError("a socket was closed")
        data = peer.tail + bytes(memoryview(self._buffer)[:size])
        if _PING in data:
            peer.socket.send(_PONG)
        counts = self._counts
        counts.changes += data.count(_CHANGE)
        counts.frames += data.count(_FRAME)
        counts.last = now = time.monotonic()
        if peer.is_sampled:
            # A title cut in two is no sample; counts are exact all the same.
            counts.latencies_ms += [now * 1000 - int(one) / 1e6 for one in _DUE.findall(data)]
        # Shorter than what is counted, so that nothing is counted twice; and longer where no
        # count could end in it would miss a frame's start.
        keep = len(_CHANGE) - 1
        peer.tail = data[-keep:]


def main() -> None:
    """Take commands until `stop`."""
    host, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    readers = Readers(host, port, token)
    while True:
        # Whoever is open is read while no command comes: pings want their answers.
        while not select.select([sys.stdin], [], [], 0)[0]:
            readers.idle()
        line = sys.stdin.readline()
        command = json.loads(line or '{"do":"stop"}')
        name = command.pop("do")
        if name == "stop":
            return
        sys.stdout.write(json.dumps(getattr(readers, name)(**command)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
