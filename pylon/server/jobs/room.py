"""How many jobs may start now: bounds of a queue, of a function, of all, and a queue's rate."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pylon import limits

_QUEUE: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9_-]{0,63})\s+([0-9]{1,4})(?:\s+([0-9]{1,7})/([smh]))?\Z", re.ASCII
)
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """What one queue may do: jobs at a time, and starts per second (None: no bound)."""

    concurrency: int
    per_second: float | None = None


def parse_queue(text: str) -> tuple[str, QueueBounds]:
    """Return name and bounds of `import 2` or `import 2 10/s`; raises ValueError."""
    found = _QUEUE.match(text.strip())
    if found is None:
        raise ValueError(f'{text!r} is no queue: name, jobs at a time, rate: "import 2 10/s"')
    concurrency = int(found[2])
    if not 1 <= concurrency <= limits.JOBS_RUNNING_MAX:
        raise ValueError(f"{found[1]} runs 1 to {limits.JOBS_RUNNING_MAX} jobs at a time")
    if found[3] is None:
        return found[1], QueueBounds(concurrency)
    if int(found[3]) == 0:
        raise ValueError(f"{found[1]}: a rate is at least 1; `pylon jobs pause` stops a queue")
    return found[1], QueueBounds(concurrency, int(found[3]) / _SECONDS[found[4]])


def parse_queues(texts: Sequence[str]) -> dict[str, QueueBounds]:
    """Return the bounds of the queues that a setting names; raises ValueError."""
    found: dict[str, QueueBounds] = {}
    for text in texts:
        name, bounds = parse_queue(text)
        if name in found:
            raise ValueError(f"{name} stands twice")
        found[name] = bounds
    return found


class Room:
    """Counts what runs, and says what may start."""

    def __init__(self, queues: Mapping[str, QueueBounds], concurrency: int) -> None:
        self._queues = queues
        self._default = QueueBounds(concurrency)
        self._by_queue: Counter[str] = Counter()
        #: Tokens left of a queue with a rate, and when that was so.
        self._tokens: dict[str, tuple[float, float]] = {}

    @property
    def running(self) -> int:
        """Return how many run."""
        return self._by_queue.total()

    @property
    def named(self) -> set[str]:
        """Return the queues that the setting names."""
        return set(self._queues)

    def bounds(self, queue: str) -> QueueBounds:
        """Return what a queue may do."""
        return self._queues.get(queue, self._default)

    def free(self, queue: str, now: float) -> int:
        """Return how many jobs of a queue may start at a moment (monotonic seconds)."""
        bounds = self.bounds(queue)
        room = min(
            bounds.concurrency - self._by_queue[queue], limits.JOBS_RUNNING_MAX - self.running
        )
        if bounds.per_second is not None:
            room = min(room, int(self._tokens_of(queue, bounds.per_second, now)))
        return max(room, 0)

    def wait_s(self, queue: str, now: float) -> float | None:
        """Return after how long the rate of a queue lets another start; None: at once."""
        per_second = self.bounds(queue).per_second
        if per_second is None:
            return None
        missing = 1 - self._tokens_of(queue, per_second, now)
        return None if missing <= 0 else missing / per_second

    def may_start(self, queue: str, now: float) -> int:
        """Return how many the bounds of a queue let start, were none of its jobs running."""
        bounds = self.bounds(queue)
        if bounds.per_second is None:
            return bounds.concurrency
        return min(bounds.concurrency, int(self._tokens_of(queue, bounds.per_second, now)))

    def start(self, queue: str, now: float) -> None:
        """Count a job that starts."""
        self._by_queue[queue] += 1
        per_second = self.bounds(queue).per_second
        if per_second is not None:
            self._tokens[queue] = (self._tokens_of(queue, per_second, now) - 1, now)

    def end(self, queue: str) -> None:
        """Count a job that ended."""
        self._by_queue[queue] -= 1
        if self._by_queue[queue] <= 0:
            del self._by_queue[queue]

    def _tokens_of(self, queue: str, per_second: float, now: float) -> float:
        burst = max(1.0, per_second)
        left, at = self._tokens.get(queue, (burst, now))
        return min(burst, left + (now - at) * per_second)
