"""When a runtime may sleep, and what wakes it: a connection on its port, or what is due.

The supervisor keeps the listening socket. While the runtime sleeps, connections wait in it, and
the runtime that the first of them starts inherits it: nobody is refused.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from pylon import limits
from pylon.clock import Clock

#: An idle runtime is asked so rarely whether it may sleep.
_LOOK_SECONDS = 5.0


class Sleep:
    """The sleep of one runtime; `wake(why)` is called once for each."""

    def __init__(self, clock: Clock, after_s: float, wake: Callable[[str], None]) -> None:
        """Make it; 0 seconds: it never falls asleep by itself."""
        self._clock = clock
        self.after_s = after_s
        self._wake = wake
        self._watched: socket.socket | None = None
        self._next_look = 0.0
        #: When it is woken for what is due, Unix ms.
        self.wake_at_ms: int | None = None

    @property
    def is_time_to_look(self) -> bool:
        """Tell whether the runtime is to be asked if it may sleep."""
        now = self._clock.monotonic()
        if not self.after_s or now < self._next_look:
            return False
        self._next_look = now + min(_LOOK_SECONDS, self.after_s)
        return True

    def may_begin(self, idle: dict[str, Any]) -> bool:
        """Tell whether what a runtime says of itself is reason to let it sleep."""
        return not idle["keeps"] and float(idle["seconds"]) >= self.after_s

    def note_due(self, idle: dict[str, Any]) -> None:
        """Note when something is due that nobody else wakes it for."""
        due_ms = idle["next_due_ms"]
        self.wake_at_ms = None if due_ms is None else int(due_ms - limits.WAKE_AHEAD_SECONDS * 1000)

    def begin(self, listener: socket.socket) -> None:
        """Watch the port: one that waits there already wakes it at once."""
        self._watched = listener
        asyncio.get_running_loop().add_reader(listener, self._somebody_came)

    def end(self) -> None:
        """Watch no more."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def look_at_the_time(self) -> None:
        """Wake it where something is about to be due."""
        if self.wake_at_ms is not None and self._clock.now_ms() >= self.wake_at_ms:
            self.wake_at_ms = None
            self._wake("something is due")

    def _somebody_came(self) -> None:
        self.end()
        self._wake("somebody came")
