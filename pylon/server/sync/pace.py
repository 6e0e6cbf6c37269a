"""Pacing those who come all at once, as after a restart: a few at a time, the others told when.

Pure. A place in line is a moment; places are `1/per_second` apart once a burst is used up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pylon import limits


@dataclass(slots=True)
class Pace:
    """A line in which everybody knows when it is his turn."""

    per_second: float = limits.WELCOMES_PER_SECOND
    burst: float = limits.WELCOMES_AT_ONCE
    _next: float = -math.inf

    def take(self, now: float) -> float:
        """Take a place; returns after how many seconds it is due."""
        self._next = max(self._next, now - self.burst / self.per_second) + 1 / self.per_second
        return max(0.0, self._next - now)

    def length(self, now: float) -> float:
        """Return how many seconds the line is long."""
        return max(0.0, self._next - now)


def goodbye_ms(place: int, count: int) -> int:
    """Return when the one at `place` of `count` connections should come back, in milliseconds.

    Evenly spread: as slowly as they are welcomed, and of many at most a fifth in any second
    (I37); a few are back at once.
    """
    window = max(count / limits.WELCOMES_PER_SECOND, min(count / 10, limits.RECONNECT_SECONDS))
    return 200 + int(1000 * window * place / count)
