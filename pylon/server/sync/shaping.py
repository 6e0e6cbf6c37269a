"""What a bad network does to one direction of a connection, as a pure core.

Frames, a monotonic time and random numbers in; frames out, each when it is due. A `Lane` keeps
the order of frames, as the transport below a WebSocket does: it is late, slow and sometimes dead,
but it swaps nothing. What it may lose or double are frames of the kinds that it is told, because
a client must be able to notice: a gap between batches, an operation that comes twice.

What does not live here: sockets and timers (`shaper`), whose connection it is (`switchboard`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any

from pylon import limits
from pylon.errors import InvalidArgument


class Mode(StrEnum):
    """What state the network of a client is in."""

    OPEN = "open"
    #: Nothing passes in either direction, and nobody is told.
    HALF_OPEN = "half_open"
    #: The connection is cut and every new one with it.
    OFFLINE = "offline"
    #: Nothing passes until the end; then everything that waited does.
    ASLEEP = "asleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a client's network behaves; the default changes nothing."""

    latency_ms: float = 0.0
    #: Up to so much more, at random, for each frame.
    jitter_ms: float = 0.0
    #: The share of `changes` frames that never arrive.
    loss: float = 0.0
    #: The share of frames that arrive twice: batches, pages, results, and pushed operations.
    duplicate: float = 0.0
    #: Bytes per second in each direction; 0 is without a bound.
    bandwidth: float = 0.0
    mode: Mode = Mode.OPEN
    #: How long the mode lasts; None until it is changed.
    minutes: float | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether it changes nothing."""
        return self == Shape()


_RANGES = {
    "latency_ms": (0.0, limits.SHAPE_DELAY_MS_MAX), "jitter_ms": (0.0, limits.SHAPE_DELAY_MS_MAX),
    "loss": (0.0, 1.0), "duplicate": (0.0, 1.0), "bandwidth": (0.0, 1e12),
    "minutes": (0.0, 1_440.0),
}  # fmt: skip


def shape_of(given: dict[str, Any]) -> Shape:
    """Return the shape that a request describes; raises InvalidArgument naming the member."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name == "mode":
            if value not in tuple(Mode):
                raise InvalidArgument(f"mode is one of {', '.join(Mode)}", field="mode")
            values["mode"] = Mode(value)
            continue
        if name not in _RANGES:
            raise InvalidArgument(f"there is no {name[:40]} in a shape", field=name[:40])
        low, high = _RANGES[name]
        if name == "minutes" and value is None:
            continue
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not isfinite(value) or not low <= value <= high:
            raise InvalidArgument(f"{name} is a number from {low:g} to {high:g}", field=name)
        values[name] = float(value)
    return Shape(**values)


@dataclass(slots=True)
class Lane:
    """One direction. `take` frames as they come, `due` returns those that arrive by now."""

    random: Callable[[], float]
    shape: Shape = field(default_factory=Shape)
    #: Monotonic time at which the mode ends; None while nobody knows.
    ends_at: float | None = None
    held_bytes: int = 0
    _waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    _free_at: float = 0.0
    _last_due: float = 0.0

    def use(self, shape: Shape, now: float) -> None:
        """Behave differently from now on; frames on their way keep their time."""
        self.shape = shape
        self.ends_at = None if shape.minutes is None else now + shape.minutes * 60

    def mode_at(self, now: float) -> Mode:
        """Return the mode at a time: one that has ended is over."""
        if self.ends_at is not None and now >= self.ends_at:
            return Mode.OPEN
        return self.shape.mode

    def take(
        self, data: bytes, now: float, *, may_vanish: bool = False, may_double: bool = False
    ) -> None:
        """Take a frame that was sent now."""
        if self.mode_at(now) in (Mode.HALF_OPEN, Mode.OFFLINE):
            return
        if may_vanish and self.random() < self.shape.loss:
            return
        if self.held_bytes + len(data) > limits.SHAPE_HELD_BYTES_MAX:
            return
        self._send(data, now)
        if may_double and self.random() < self.shape.duplicate:
            self._send(data, now)

    def _send(self, data: bytes, now: float) -> None:
        shape = self.shape
        start = max(now, self._free_at)
        self._free_at = start + (len(data) / shape.bandwidth if shape.bandwidth else 0.0)
        late_ms = shape.latency_ms + (self.random() * shape.jitter_ms if shape.jitter_ms else 0.0)
        # In order: a frame that was lucky waits for the one before it.
        self._last_due = max(self._last_due, self._free_at + late_ms / 1000)
        self._waiting.append((self._last_due, data))
        self.held_bytes += len(data)

    def due(self, now: float) -> list[bytes]:
        """Return the frames that arrive by now, in order."""
        mode = self.mode_at(now)
        if mode is Mode.ASLEEP:
            return []
        if mode in (Mode.HALF_OPEN, Mode.OFFLINE):
            self._waiting.clear()
            self.held_bytes = 0
        arrived = []
        while self._waiting and self._waiting[0][0] <= now:
            arrived.append(self._waiting.popleft()[1])
        self.held_bytes -= sum(map(len, arrived))
        return arrived

    def next_at(self, now: float) -> float | None:
        """Return when to ask `due` again; None where nothing waits."""
        if not self._waiting:
            return None
        if self.mode_at(now) is Mode.ASLEEP:
            return self.ends_at
        return self._waiting[0][0]

    def check(self) -> None:
        """Assert what must hold after every step."""
        times = [at for at, _ in self._waiting]
        assert times == sorted(times), "a lane swaps nothing"
        assert self.held_bytes == sum(len(data) for _, data in self._waiting)


def split_frames(data: bytes) -> list[bytes]:
    """Return the unmasked WebSocket frames that are written together."""
    frames, start = [], 0
    while start < len(data):
        size, head = data[start + 1], 2
        if size == 126:
            size, head = int.from_bytes(data[start + 2 : start + 4]), 4
        elif size == 127:
            size, head = int.from_bytes(data[start + 2 : start + 10]), 10
        frames.append(data[start : start + head + size])
        start += head + size
    return frames
