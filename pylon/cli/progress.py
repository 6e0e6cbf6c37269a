"""How far a long command is, on stderr: on a terminal only, and a few times a second at most."""

from __future__ import annotations

import sys
from typing import Final, Self

from pylon.clock import SystemClock

_SECONDS: Final = 0.2


class Progress:
    """Counts; the line that it shows is gone when it ends."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._clock = SystemClock()
        self._is_shown = sys.stderr.isatty()
        self._due = self._clock.monotonic() + _SECONDS
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def step(self, count: int = 1) -> None:
        """Count on, and show it now and then."""
        self.count += count
        if self._is_shown and (now := self._clock.monotonic()) >= self._due:
            self._due = now + _SECONDS
            sys.stderr.write(f"\r\x1b[K{self.count} {self._what}")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
