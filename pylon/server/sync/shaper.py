"""A shaped connection: both its lanes, the timer that lets frames out, and the way on.

What does not live here: what the network does (`shaping`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from pylon.clock import Clock
from pylon.server.sync.shaping import Lane, Mode, Shape, split_frames

_CHANGES: Final = b'{"type":"changes"'
#: Its pages stay whole: the cursor waits for the last, and no client could miss one before it.
_REFRESH: Final = b'"kind":"refresh"'
_DOUBLED_DOWN: Final = (
    _CHANGES, b'{"type":"snapshot"', b'{"type":"window"', b'{"type":"results"'
)  # fmt: skip
#: A client's members stand in any order.
_DOUBLED_UP: Final = (b'"push"', b'"stored"')
_TYPE_WITHIN: Final = 256


class Shaper:
    """Stands in one connection's way out and in until the connection ends."""

    def __init__(
        self, clock: Clock, random: Callable[[], float], write: Callable[[bytes], None],
        take: Callable[[bytes], Awaitable[None]],
    ) -> None:  # fmt: skip
        """Make a shaper.

        Args:
            clock: tells the time.
            random: numbers from 0 to 1.
            write: puts a frame on the wire.
            take: has the server handle a message of the client; called in order.
        """
        self._clock = clock
        self._write = write
        self._take = take
        self._out, self._in = Lane(random), Lane(random)
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        #: What runs `listen`.
        self.listening: asyncio.Task[None] | None = None

    @property
    def shape(self) -> Shape:
        """Return how the network behaves."""
        return self._out.shape

    @property
    def mode(self) -> Mode:
        """Return the mode of this moment."""
        return self._out.mode_at(self._clock.monotonic())

    @property
    def held_bytes(self) -> int:
        """Return how much waits on its way to the client."""
        return self._out.held_bytes

    def use(self, shape: Shape) -> None:
        """Behave differently from now on."""
        now = self._clock.monotonic()
        self._out.use(shape, now)
        self._in.use(shape, now)
        self._move()

    def send(self, data: bytes) -> None:
        """Take frames that the server sends."""
        now = self._clock.monotonic()
        for one in split_frames(data):
            payload = one[one.find(b"{") :][:_TYPE_WITHIN] if b"{" in one[:11] else b""
            may_vanish = payload.startswith(_CHANGES) and _REFRESH not in one
            self._out.take(
                one, now, may_vanish=may_vanish,
                may_double=payload.startswith(_DOUBLED_DOWN),
            )  # fmt: skip
        self._move()

    def hear(self, data: bytes) -> None:
        """Take a message that the client sent."""
        beginning = data[:_TYPE_WITHIN]
        self._in.take(
            data, self._clock.monotonic(), may_double=any(one in beginning for one in _DOUBLED_UP)
        )
        self._move()

    async def listen(self) -> None:
        """Hand on what arrives from the client, until cancelled."""
        while True:
            await self._take(await self._inbox.get())

    def stop(self) -> None:
        """Let nothing through any more: the connection is over."""
        self._stop_timer()
        if self.listening is not None:
            self.listening.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _move(self) -> None:
        """Let out what has arrived, and come again for the next."""
        self._stop_timer()
        now = self._clock.monotonic()
        for data in self._out.due(now):
            self._write(data)
        for data in self._in.due(now):
            self._inbox.put_nowait(data)
        times = [at for lane in (self._out, self._in) if (at := lane.next_at(now)) is not None]
        if times:
            wait_s = max(0.0, min(times) - now)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._move)
