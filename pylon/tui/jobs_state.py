"""What the Jobs screen holds: the queues as they were counted last, rates, and a page of jobs.

Pure: messages, answers and a monotonic time in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from pylon.tui.reading import OLD_SECONDS, Found

#: Seconds of throughput that are kept, one figure each.
FLOW_SECONDS: Final = 180


@dataclass(slots=True)
class JobsState(Found):
    """Queues, schedules and throughput as the stream tells them; jobs as they were asked for."""

    member: ClassVar[str] = "jobs"

    queues: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    told_at: float | None = None
    #: (whole second, attempts completed in it, failed in it), the newest last.
    flow: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=FLOW_SECONDS))
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
        if self.told_at is None or now - self.told_at <= OLD_SECONDS:
            return None
        return now - self.told_at

    def stale_note(self, now: float) -> str:
        """Return how old the counts are, where that is more than it should be."""
        age = self.age(now)
        return "" if age is None else f"queues are {age:.0f} s old"

    @property
    def is_unknown(self) -> bool:
        """Tell whether jobs or queues were not told yet."""
        return self.has_more is None or self.told_at is None

    def queue(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a queue."""
        return next((one for one in self.queues if one["queue"] == name), None)

    @property
    def total(self) -> int:
        """Return how many jobs there are, in all queues and states."""
        return sum(one[state] for one in self.queues for state in STATES)


STATES: Final = ("scheduled", "available", "running", "completed", "cancelled", "dead")
