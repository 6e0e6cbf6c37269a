"""Who is there: requests under way, and since when there was none.

A supervisor asks it before it lets a runtime sleep. Its own question does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pylon.clock import Clock


@dataclass(slots=True)
class Presence:
    """Requests of one runtime; open sockets and event streams are requests under way."""

    clock: Clock
    #: Requests that have no answer yet.
    open: int = 0
    #: When the last one came or ended, monotonic seconds.
    last_at: float = field(default=0.0)

    def __post_init__(self) -> None:
        """Begin with this moment."""
        self.last_at = self.clock.monotonic()

    def enter(self) -> None:
        """Note that a request came."""
        self.open += 1
        self.last_at = self.clock.monotonic()

    def leave(self) -> None:
        """Note that a request has its answer, or has lost its caller."""
        self.open -= 1
        self.last_at = self.clock.monotonic()

    def idle_seconds(self) -> float:
        """Return for how long nobody has been there; 0 while somebody is."""
        return 0.0 if self.open else self.clock.monotonic() - self.last_at
