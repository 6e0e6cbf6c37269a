"""The clock that policies of replicas are asked by: it notices where it was set back.

What somebody holds was judged at some moment. Judged at an earlier one, a row that he got may be
hidden, and nothing would name it when it goes. So no answer may come of a time before that of
another one without notice; what follows from it is in `passing`.
"""

from __future__ import annotations

import threading

from pylon.clock import Clock


class AskedClock:
    """Another clock, read in turn by whoever asks policies for replicas."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Pages are read on threads: of two that ask at once, who asked first has the earlier time.
        self._lock = threading.Lock()
        #: The last time that was told, Unix ms; and how often that was before the one before it.
        self.last_ms = 0
        self.times_back = 0

    def now_ms(self) -> int:
        """Return the wall time as Unix milliseconds."""
        with self._lock:
            now_ms = self._clock.now_ms()
            self.times_back += now_ms < self.last_ms
            self.last_ms = now_ms
            return now_ms

    def machine_ms(self) -> int:
        """Return the machine's wall time as Unix milliseconds."""
        return self._clock.machine_ms()

    def monotonic(self) -> float:
        """Return the other clock's monotonic seconds."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many of the other clock's seconds."""
        await self._clock.sleep(seconds)
