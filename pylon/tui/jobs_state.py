"""What the Jobs screen holds: the queues as they were counted last, rates, and a page of jobs.

Pure: messages, answers and a monotonic time in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

#: Jobs that are read at first, by how many more as the cursor comes near the end, and at most.
PAGE: Final = 200
ROWS_MAX: Final = 1_000
_NEAR: Final = 40
#: Seconds of throughput that are kept, one figure each.
FLOW_SECONDS: Final = 180
_OLD_SECONDS: Final = 2.0


@dataclass(slots=True)
class JobsState:
    """Queues, schedules and throughput as the stream tells them; jobs as they were asked for."""

    queues: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    #: The version of the worker that the queues are of; the jobs are read again when it rises.
    version: int = -1
    told_at: float | None = None
    #: (whole second, attempts completed in it, failed in it), the newest last.
    flow: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=FLOW_SECONDS))
    search: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    #: There are more behind the last one; None before the search was answered.
    has_more: bool | None = None
    limit: int = PAGE
    _before: tuple[int, int] | None = None

    def fold(self, message: dict[str, Any], now: float) -> None:
        """Take a message of the stream: queues, schedules, and what has ended since the start."""
        self.queues, self.schedules = message["queues"], message["schedules"]
        self.version, self.told_at = int(message["version"]), now
        ended = (int(message["ended"]["completed"]), int(message["ended"]["failed"]))
        before, self._before = self._before, ended
        if before is None or ended[0] < before[0] or ended[1] < before[1]:
            self.flow.clear()  # another process counts from nothing
            before = ended
        second, done, failed = int(now), ended[0] - before[0], ended[1] - before[1]
        if self.flow and self.flow[-1][0] == second:
            _, *kept = self.flow.pop()
            done, failed = done + kept[0], failed + kept[1]
        self.flow.append((second, done, failed))

    def rates(self, now: float, seconds: int) -> tuple[list[int], list[int]]:
        """Return attempts (completed, failed) in each of the last whole seconds, oldest first."""
        by_second = {second: (done, failed) for second, done, failed in self.flow}
        span = range(int(now) - seconds, int(now))
        found = [by_second.get(second, (0, 0)) for second in span]
        return [done for done, _ in found], [failed for _, failed in found]

    def age(self, now: float) -> float | None:
        """Return how old the counts are, in seconds, where that is more than it should be."""
        if self.told_at is None or now - self.told_at <= _OLD_SECONDS:
            return None
        return now - self.told_at

    def begin(self, search: str) -> None:
        """Begin another search; what is held stays in sight until it is answered."""
        self.search, self.has_more, self.limit = search, None, PAGE

    def come_near(self, cursor: int) -> bool:
        """Ask for more rows where the cursor comes near the last one; tells whether that is so."""
        is_asked = len(self.rows) < self.limit or self.limit >= ROWS_MAX
        if not self.has_more or is_asked or cursor + _NEAR < len(self.rows):
            return False
        self.limit = min(self.limit + PAGE, ROWS_MAX)
        return True

    def take(self, search: str, limit: int, answer: dict[str, Any]) -> bool:
        """Take jobs that were asked for; False for an answer to another question."""
        if (search, limit) != (self.search, self.limit):
            return False
        self.rows, self.has_more = list(answer["jobs"]), answer["next"] is not None
        return True

    def queue(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a queue."""
        return next((one for one in self.queues if one["queue"] == name), None)

    @property
    def total(self) -> int:
        """Return how many jobs there are, in all queues and states."""
        return sum(one[state] for one in self.queues for state in STATES)


STATES: Final = ("scheduled", "available", "running", "completed", "cancelled", "dead")
