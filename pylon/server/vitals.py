"""The figures of the last minutes, one of each second: rings that never grow.

Pure: what is sampled and when is handed in (`http.health`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from pylon import limits_keeping

#: What is sampled, and its unit.
FIGURES: Final[Mapping[str, str]] = {
    "loop_lag_ms": "ms", "commit_ms": "ms", "group_size": "operations", "commits": "/s",
    "writes": "/s", "calls": "/s", "wal_bytes": "bytes", "memory_mb": "MiB", "cpu_percent": "%",
    "writer_queue": "operations", "readers_waiting": "reads", "jobs_running": "jobs",
    "workflows_active": "runs", "clients": "connections", "unsent_bytes": "bytes",
    "pushed": "changes/s",
}  # fmt: skip


class Vitals:
    """Samples by figure, the newest last; as many as `HEALTH_SAMPLES_KEPT_MAX` seconds."""

    def __init__(self) -> None:
        kept = limits_keeping.HEALTH_SAMPLES_KEPT_MAX
        self._rings: dict[str, deque[float]] = {name: deque(maxlen=kept) for name in FIGURES}
        #: Of which the next differences are made: totals that only grow.
        self._totals: dict[str, float] = {}
        #: How many samples were taken since the start: tells a reader what is new.
        self.count = 0
        #: The latest that the loop was by since the last sample.
        self._lag_ms = 0.0

    @property
    def size(self) -> int:
        """Return how many seconds are kept."""
        return len(self._rings["loop_lag_ms"])

    def note_lag(self, lag_ms: float) -> None:
        """Note that the loop was late."""
        self._lag_ms = max(self._lag_ms, lag_ms)

    def take(self, figures: Mapping[str, float], totals: Mapping[str, float]) -> None:
        """Take one second's sample.

        Args:
            figures: values of this moment.
            totals: what only grows (`commits`, `writes`, `commit_s`, …); differences are kept.
        """
        before = self._totals
        grown = {name: max(0.0, value - before.get(name, 0.0)) for name, value in totals.items()}
        self._totals = dict(totals)
        commits = grown["commits"]
        sample = {
            **figures, "loop_lag_ms": self._lag_ms, "commits": commits, "writes": grown["writes"],
            "calls": grown["calls"], "pushed": grown["pushed"],
            "group_size": grown["writes"] / commits if commits else 0.0,
            "commit_ms": grown["commit_s"] * 1000 / commits if commits else 0.0,
        }  # fmt: skip
        self._lag_ms = 0.0
        for name, ring in self._rings.items():
            ring.append(round(sample[name], 2))
        self.count += 1

    def since(self, count: int) -> dict[str, Any]:
        """Return the samples that came after so many; all that are kept where it is 0."""
        new = min(max(0, self.count - count), self.size)
        return {
            "count": self.count,
            "samples": {name: list(ring)[len(ring) - new :] for name, ring in self._rings.items()},
        }
