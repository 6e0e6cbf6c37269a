"""Calls of functions as they are traced: under way, remembered, slow, and counted by function.

All of it is in memory and bounded. Pure: the time is handed in. What does not live here: where the
statements of a call are counted (`storage.statements`) and who shows it (`http.admin_functions`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from pylon import limits
from pylon.clock import iso_ms

#: The call that this task runs in: what is called from here is nested in it.
CURRENT: Final[ContextVar[Call | None]] = ContextVar("pylon_call", default=None)
#: The cause of a run of a followed function.
LIVE: Final = "live"
#: Upper bounds, in seconds, of the buckets that durations are counted in.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Of one function, so many last durations make its percentiles, and so many seconds its rate.
_DURATIONS: Final = 256
_RATE_SECONDS: Final = 60


class Statement:
    """What one text of SQL did in one call: how often, for how long, and what it read."""

    __slots__ = ("count", "parameters", "rows", "seconds", "sql")

    def __init__(self, sql: str, parameters: int) -> None:
        self.sql = sql
        self.parameters = parameters
        self.count = self.rows = 0
        self.seconds = 0.0


class Call:
    """One call: what it is and, once it ended, what became of it. Never its values."""

    __slots__ = (
        "at_ms", "cause", "code", "error", "followers", "id", "kind", "monotonic", "ms", "name",
        "outcome", "parent", "rows_read", "rows_written", "run_from", "run_ms", "slowest",
        "started", "statement_count", "statements", "times", "user", "wait_ms",
    )  # fmt: skip

    def __init__(
        self, call_id: int, name: str, kind: str, user: str | None, cause: str,
        parent: int | None, at_ms: int, monotonic: Callable[[], float],
    ) -> None:  # fmt: skip
        self.id = call_id
        self.name = name
        self.kind = kind
        self.user = user
        self.cause = cause
        #: The call that it is nested in.
        self.parent = parent
        self.at_ms = at_ms
        self.monotonic = monotonic
        self.started = monotonic()
        self.run_from = self.started
        self.ms = self.wait_ms = self.run_ms = 0.0
        self.outcome = "running"
        self.code: str | None = None
        self.error: str | None = None
        self.rows_read = self.rows_written = self.statement_count = 0
        #: By their texts while it runs; empty for a call that was not slow.
        self.statements: dict[str, Statement] = {}
        #: Kept of a slow call: its statements, those that took longest first.
        self.slowest: tuple[Statement, ...] = ()
        #: How many calls this line stands for.
        self.times = 1
        #: Of a run of a followed function, how many share what it came to.
        self.followers: int | None = None

    def runs(self) -> None:
        """Note that its turn came; a call that is run again begins anew."""
        self.run_from = self.monotonic()
        self.statements.clear()

    def to_json(self) -> dict[str, Any]:
        """Return it as the admin surface shows it."""
        return {
            "id": self.id, "name": self.name, "kind": self.kind, "user": self.user,
            "cause": self.cause, "parent": self.parent, "at": iso_ms(self.at_ms),
            "ms": round(self.ms, 2), "wait_ms": round(self.wait_ms, 2),
            "run_ms": round(self.run_ms, 2), "outcome": self.outcome, "code": self.code,
            "error": self.error, "rows_read": self.rows_read, "rows_written": self.rows_written,
            "statements": self.statement_count, "followers": self.followers,
        }  # fmt: skip


@contextmanager
def inside(call: Call) -> Iterator[None]:
    """Have what is called in the block be nested in a call."""
    token = CURRENT.set(call)
    try:
        yield
    finally:
        CURRENT.reset(token)


class FunctionStats:
    """What is counted of one function since the runtime started."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        #: What went wrong here, and what callers were refused.
        self.errors = self.refused = 0
        self.seconds = 0.0
        self.rows_read = self.rows_written = 0
        self.last_at_ms: int | None = None
        self.last_error: Call | None = None
        #: How many took so long at most, by `BUCKETS`, and longer.
        self.buckets = [0] * (len(BUCKETS) + 1)
        self._durations: deque[float] = deque(maxlen=_DURATIONS)
        self._per_second = [0] * _RATE_SECONDS
        self._second = 0

    def add(self, call: Call, now: float) -> None:
        """Count a call that ended."""
        times = call.times
        self.calls += times
        if call.outcome != "done":
            if call.code in _FAULTS:
                self.errors += times
                self.last_error = call
            else:
                self.refused += times
        seconds = call.ms / 1000
        self.seconds += seconds * times
        self.rows_read += call.rows_read
        self.rows_written += call.rows_written
        self.last_at_ms = call.at_ms
        self.buckets[bisect_left(BUCKETS, seconds)] += times
        self._durations.append(call.ms)
        self._move_to(int(now))
        self._per_second[self._second % _RATE_SECONDS] += times

    def _move_to(self, second: int) -> None:
        for passed in range(self._second + 1, min(second, self._second + _RATE_SECONDS) + 1):
            self._per_second[passed % _RATE_SECONDS] = 0
        self._second = max(self._second, second)

    def to_json(self, now: float) -> dict[str, Any]:
        """Return it as the admin surface shows it; durations in ms, of the last 256 calls."""
        self._move_to(int(now))
        durations = sorted(self._durations)
        error = self.last_error
        return {
            "calls": self.calls, "errors": self.errors, "refused": self.refused,
            "per_minute": sum(self._per_second), "p50_ms": percentile(durations, 0.5),
            "p99_ms": percentile(durations, 0.99), "rows_read": self.rows_read,
            "rows_written": self.rows_written,
            "last_at": None if self.last_at_ms is None else iso_ms(self.last_at_ms),
            "last_error": None if error is None else {
                "at": iso_ms(error.at_ms), "code": error.code, "message": error.error,
            },
        }  # fmt: skip


def percentile(ordered: list[float], share: float) -> float | None:
    """Return the figure that a share of ordered ones lies below, rounded; None where none is."""
    if not ordered:
        return None
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 2)


class CallBook:
    """The calls of one runtime: those under way, the newest, the slow ones, and the counts."""

    def __init__(self, now_ms: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._next_id = 0
        #: By id; a call leaves it when it ends.
        self.running: dict[int, Call] = {}
        self.newest: deque[Call] = deque(maxlen=limits.CALLS_KEPT_MAX)
        self.slow: deque[Call] = deque(maxlen=limits.SLOW_CALLS_KEPT_MAX)
        self.stats: dict[str, FunctionStats] = {}

    def begin(self, name: str, kind: str, user: str | None, cause: str) -> Call:
        """Take a call that begins, nested in the one that this task runs in; `end` ends it."""
        outer = CURRENT.get()
        return self._begin(name, kind, user, cause, None if outer is None else outer.id)

    def begin_live(self, name: str, user: str | None) -> Call:
        """Take a run of a followed function, which nobody calls; `end_live` ends it."""
        return self._begin(name, "query", user, LIVE, None)

    def _begin(
        self, name: str, kind: str, user: str | None, cause: str, parent: int | None
    ) -> Call:  # fmt: skip
        self._next_id += 1
        call = Call(
            self._next_id, name, kind, user, cause, parent, self._now_ms(), self._monotonic
        )  # fmt: skip
        self.running[call.id] = call
        return call

    def end(
        self, call: Call, outcome: str = "done", code: str | None = None, error: str | None = None
    ) -> None:
        """Take the end of a call.

        Args:
            call: what ends.
            outcome: done, or what became of it.
            code: of the error.
            error: its words.
        """
        now = self._close(call, outcome, code, error)
        self.newest.append(call)
        stats = self.stats.get(call.name)
        if stats is None:
            if code in _STRANGERS or len(self.stats) >= limits.FUNCTIONS_COUNTED_MAX:
                return  # a name that somebody made up is no function
            stats = self.stats[call.name] = FunctionStats(call.name)
        stats.add(call, now)

    def end_live(self, call: Call, code: str | None = None, error: str | None = None) -> None:
        """Take the end of a run of a followed function; it is no call, and not counted as one.

        There may be thousands in a second: only those that were slow are remembered, and those that
        failed by what is wrong here.
        """
        self._close(call, "done" if code is None else "rejected", code, error)
        if self._is_slow(call) or code in _FAULTS:
            self.newest.append(call)

    def _close(self, call: Call, outcome: str, code: str | None, error: str | None) -> float:
        """Note how a call ended, and keep it where it was slow; returns the time."""
        self.running.pop(call.id, None)
        now = self._monotonic()
        call.outcome, call.code = outcome, code
        call.error = None if error is None else error[: limits.JOB_ERROR_CHARACTERS_MAX]
        call.ms = (now - call.started) * 1000
        call.wait_ms = (call.run_from - call.started) * 1000
        call.run_ms = call.ms - call.wait_ms
        self._count_statements(call)
        return now

    def _is_slow(self, call: Call) -> bool:
        return call.run_ms >= limits.SLOW_CALL_MS

    def _count_statements(self, call: Call) -> None:
        found = call.statements
        if found:
            call.statement_count = sum(one.count for one in found.values())
            call.rows_read = sum(one.rows for one in found.values())
        if self._is_slow(call):
            slowest = sorted(found.values(), key=lambda one: -one.seconds)
            call.slowest = tuple(slowest[: limits.SLOW_STATEMENTS_KEPT_MAX])
            self.slow.append(call)
        call.statements = {}

    def of(self, name: str) -> Iterable[Call]:
        """Yield the calls of a function that are remembered, the newest first."""
        return (one for one in reversed(self.newest) if one.name == name)


#: Codes of what is wrong here rather than with the call.
_FAULTS: Final = frozenset({"INTERNAL", "FUNCTION_TIMEOUT", "UNAVAILABLE", "PAYLOAD_TOO_LARGE"})
_STRANGERS: Final = frozenset({"NOT_FOUND", "UNAUTHENTICATED"})
