"""The networks of clients, by client id: how each behaves, also over reconnects. Development only.

What does not live here: what a network does to frames (`shaping`), timers (`shaper`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from pylon import limits
from pylon.clock import Clock
from pylon.server.sync.channel import Connection
from pylon.server.sync.shaper import Shaper
from pylon.server.sync.shaping import Mode, Shape


class Switchboard:
    """Sets how clients' networks behave."""

    def __init__(self, clock: Clock, random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        #: Shape and monotonic end of its mode, by client id.
        self._shapes: dict[str, tuple[Shape, float | None]] = {}

    @property
    def size(self) -> int:
        """Return how many clients have a network of their own."""
        return len(self._shapes)

    def set(self, client_id: str, connections: list[Connection], shape: Shape) -> None:
        """Have a client's network behave so from now on; `connections` are its live ones."""
        self._shapes.pop(client_id, None)
        if not shape.is_plain:
            while len(self._shapes) >= limits.SHAPES_MAX:
                del self._shapes[next(iter(self._shapes))]
            lasts_s = None if shape.minutes is None else shape.minutes * 60
            ends_at = None if lasts_s is None else self._clock.monotonic() + lasts_s
            self._shapes[client_id] = (shape, ends_at)
        for connection in connections:
            self._apply(connection, shape)

    def shape_of(self, client_id: str) -> Shape:
        """Return how a client's network behaves now."""
        shape, ends_at = self._shapes.get(client_id, (Shape(), None))
        if ends_at is None:
            return shape
        left_s = ends_at - self._clock.monotonic()
        if left_s <= 0:
            return replace(shape, mode=Mode.OPEN, minutes=None)
        return replace(shape, minutes=left_s / 60)

    def greet(self, connection: Connection) -> bool:
        """Take a connection that has said whose it is; False where it cannot have got here."""
        shape = self.shape_of(connection.client_id)
        if not shape.is_plain:
            self._apply(connection, shape)
        return shape.mode is not Mode.OFFLINE

    def _apply(self, connection: Connection, shape: Shape) -> None:
        if shape.mode is Mode.OFFLINE:
            connection.transport.abort()
            return
        if connection.shaper is None:
            assert connection.inlet is not None
            shaper = Shaper(self._clock, self._random, connection.write_now, connection.inlet)
            shaper.listening = asyncio.get_running_loop().create_task(shaper.listen())
            connection.shaper = shaper
        connection.shaper.use(shape)
