"""Saying how far the replica is durably stored, at most once in a while. Pure."""

from __future__ import annotations

from typing import Final

from pylon.protocol.messages import Stored

ACK_MS: Final = 1_000


class Acknowledgement:
    """Decides when a `stored` is worth a frame."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self._said: tuple[str, int] | None = None
        self._is_paused = False

    def next(self, pending: int) -> Stored | None:
        """Return what to say, None for nothing new or too soon; saying it starts a pause."""
        if self._is_paused or self.cursor is None or (self.cursor, pending) == self._said:
            return None
        self._said = (self.cursor, pending)
        self._is_paused = True
        return Stored(cursor=self.cursor, pending=pending)

    def resume(self) -> None:
        """End the pause."""
        self._is_paused = False

    def reset(self) -> None:
        """A new connection knows nothing of what was said on the old one."""
        self._said = None
