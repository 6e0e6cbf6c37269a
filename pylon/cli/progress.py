"""How far a long command is, on stderr: on a terminal only, and a few times a second at most."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from pylon.clock import Clock, SystemClock
from pylon.printable import clean

_SECONDS: Final = 0.2
#: What is left is told by the pace of these last seconds: what an earlier run did goes by fast.
_PACE_SECONDS: Final = 10.0
#: Before that, nobody knows the pace.
_PACE_LEAST_SECONDS: Final = 1.0
#: An answer that takes longer is said to be waited for, anew with every tick.
_LATE_SECONDS: Final = 2.0
_TICK_SECONDS: Final = 0.5


class Progress:
    """Counts; the line that it shows is gone when it ends."""

    def __init__(
        self, what: str, *, share: Callable[[], float] | None = None, clock: Clock | None = None
    ) -> None:
        """Make it; `share` tells how much of all was looked at, 0 to 1."""
        self._what = what
        self._share = share
        self._clock = clock or SystemClock()
        self._is_shown = sys.stderr.isatty()
        now = self._clock.monotonic()
        self._due = now + _SECONDS
        self.count = 0
        #: (time, count, share) of the last seconds.
        self._passed = deque([(now, 0, 0.0)])

    def __enter__(self) -> Self:
        return self

    def step(self, count: int = 1) -> None:
        """Count on, and show it now and then."""
        self.count += count
        if self._is_shown and (now := self._clock.monotonic()) >= self._due:
            self._due = now + _SECONDS
            sys.stderr.write(f"\r\x1b[K{self._line(now)}")
            sys.stderr.flush()

    def _line(self, now: float) -> str:
        if self._share is None:
            return f"{self.count} {self._what}"
        share = min(1.0, self._share())
        self._passed.append((now, self.count, share))
        while now - self._passed[0][0] > _PACE_SECONDS:
            self._passed.popleft()
        since, count, before = self._passed[0]
        words = f"{self.count:,} {self._what}, {share:.0%}"
        if now - since < _PACE_LEAST_SECONDS or share <= before:
            return words
        words += f", {(self.count - count) / (now - since):,.0f}/s"
        left = (1.0 - share) * (now - since) / (share - before)
        return f"{words}, {left_text(left)} left"

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def meanwhile(words: str) -> Iterator[None]:
    """Show on a terminal what a wait is for; nothing of it stays."""
    is_shown = sys.stderr.isatty()
    if is_shown:
        sys.stderr.write(f"\r\x1b[K{clean(words)}")
        sys.stderr.flush()
    try:
        yield
    finally:
        if is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Waiting:
    """Tells on a terminal what is waited for, once that takes a while; nothing of it stays.

    `with waiting():` around each request. What answers now and then is not told of: a command that
    asks again and again shows how far that is itself.
    """

    def __init__(
        self, what: str, clock: Clock | None = None, *, ends: str = "the wait"
    ) -> None:  # fmt: skip
        """Make it; `ends` is what ctrl+c ends."""
        self._what, self._ends = clean(what), ends
        self._clock = clock or SystemClock()
        self._asked = 0
        self._since = 0.0
        self._is_shown = False
        self._ticking: asyncio.Task[None] | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Say so from `_LATE_SECONDS` on, until the block ends; inside a running loop."""
        if not sys.stderr.isatty():
            yield
            return
        self._asked += 1
        if self._ticking is None:
            self._since = self._clock.monotonic()
            self._ticking = asyncio.get_running_loop().create_task(self._tick())
        try:
            yield
        finally:
            self._asked -= 1
            self._since = self._clock.monotonic()
            self._wipe()
            if not self._asked:
                self._ticking.cancel()
                self._ticking = None

    async def _tick(self) -> None:
        while True:
            passed = self._clock.monotonic() - self._since
            if passed >= _LATE_SECONDS:
                self._is_shown = True
                words = f"{self._what}: {int(passed)} s (ctrl+c ends {self._ends})"
                width = shutil.get_terminal_size().columns - 1
                sys.stderr.write(f"\r\x1b[K{words[:width]}")
                sys.stderr.flush()
            await self._clock.sleep(_TICK_SECONDS)

    def _wipe(self) -> None:
        if self._is_shown:
            self._is_shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def left_text(seconds: float) -> str:
    """Return how long something still takes, for people: `2 min 10 s`."""
    whole = round(seconds)
    hours, minutes = whole // 3_600, whole % 3_600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
