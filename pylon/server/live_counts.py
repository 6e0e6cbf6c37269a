"""What runs of followed functions cost, and what came of them: by function and by answer.

Counters alone, so that a run costs next to nothing more. Pure. Slow runs are kept in detail where
calls are (`calls`).
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from pylon.clock import iso_ms
from pylon.server.calls import Call, percentile

_DURATIONS: Final = 256


class LiveCounts:
    """The counts of one answer, or of all answers of a function."""

    __slots__ = (
        "failed", "last_at_ms", "rows_read", "runs", "seconds", "statements", "told", "told_bytes",
        "useful",
    )  # fmt: skip

    def __init__(self) -> None:
        #: Runs, those that came to something else than before, and those that came to an error.
        self.runs = self.useful = self.failed = 0
        #: Values that followers were told, one for each of them, and their bytes.
        self.told = self.told_bytes = 0
        self.rows_read = self.statements = 0
        self.seconds = 0.0
        self.last_at_ms: int | None = None

    def add(self, call: Call, *, is_news: bool) -> None:
        """Count a run that ended."""
        self.runs += 1
        self.useful += is_news
        self.failed += call.code is not None
        self.seconds += call.run_ms / 1000
        self.rows_read += call.rows_read
        self.statements += call.statement_count
        self.last_at_ms = call.at_ms

    def note_told(self, size: int) -> None:
        """Count a value that a follower was told."""
        self.told += 1
        self.told_bytes += size

    def to_json(self) -> dict[str, Any]:
        """Return them as the admin surface shows them; `ms` is what all runs took."""
        return {
            "runs": self.runs, "useful": self.useful, "failed": self.failed, "told": self.told,
            "told_bytes": self.told_bytes, "ms": round(self.seconds * 1000, 2),
            "rows_read": self.rows_read, "statements": self.statements,
            "last_at": None if self.last_at_ms is None else iso_ms(self.last_at_ms),
        }  # fmt: skip


class LiveStats(LiveCounts):
    """The counts of a function, with how long its last 256 runs took."""

    __slots__ = ("_durations",)

    def __init__(self) -> None:
        super().__init__()
        self._durations: deque[float] = deque(maxlen=_DURATIONS)

    def add(self, call: Call, *, is_news: bool) -> None:
        """Count a run that ended."""
        super().add(call, is_news=is_news)
        self._durations.append(call.run_ms)

    def to_json(self) -> dict[str, Any]:
        """Return them as the admin surface shows them, with median and 99th percentile in ms."""
        durations = sorted(self._durations)
        return {
            **super().to_json(), "p50_ms": percentile(durations, 0.5),
            "p99_ms": percentile(durations, 0.99),
        }  # fmt: skip
