"""When something may be asked again: not while it is asked, and after a rest."""

from __future__ import annotations


class Rests:
    """When something may be asked again, by how long it took."""

    def __init__(self, every: float, rest: float) -> None:
        self._every = every
        self._rest = rest
        self.next_at = 0.0
        self.is_asking = False

    def may(self, now: float) -> bool:
        """Tell whether it may be asked now."""
        return not self.is_asking and now >= self.next_at

    def done(self, started: float, now: float) -> None:
        """Take it that an answer came."""
        self.is_asking = False
        self.next_at = now + max(self._every, (now - started) * self._rest)
