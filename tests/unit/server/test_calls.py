"""Calls as they are remembered and counted: bounds, rates, percentiles, nesting."""

from __future__ import annotations

from pylon import limits
from pylon.server.calls import CURRENT, Call, CallBook, Statement, inside
from pylon.testing.manual_clock import ManualClock


class _Time:
    now = 100.0


def _book() -> tuple[CallBook, _Time]:
    time, clock = _Time(), ManualClock()
    return CallBook(clock.now_ms, lambda: time.now), time


def _call(book: CallBook, time: _Time, name: str = "f", *, seconds: float = 0.01) -> Call:
    call = book.begin(name, "query", "ada", "http")
    time.now += seconds
    book.end(call)
    return call


def test_a_call_says_how_long_it_waited_and_ran() -> None:
    """From its begin to its turn, and from there to its end; run again, the last run counts."""
    book, time = _book()
    call = book.begin("f", "mutation", "ada", "push")
    assert list(book.running.values()) == [call]
    time.now += 1.0
    call.runs()
    time.now += 1.0
    call.runs()
    time.now += 0.5
    book.end(call, "rejected", "CONFLICT", "taken")
    shown = call.to_json()
    assert (shown["ms"], shown["wait_ms"], shown["run_ms"]) == (2500.0, 2000.0, 500.0)
    assert (shown["outcome"], shown["code"], shown["error"]) == ("rejected", "CONFLICT", "taken")
    assert book.running == {}


def test_a_nested_call_names_the_one_around_it() -> None:
    """Also beyond one that is nested itself; outside of all it names none."""
    book, _ = _book()
    outer = book.begin("outer", "action", "ada", "http")
    with inside(outer):
        inner = book.begin("inner", "action", "ada", "function:outer")
        with inside(inner):
            innermost = book.begin("look", "query", "ada", "function:inner")
    assert (outer.parent, inner.parent, innermost.parent) == (None, outer.id, inner.id)
    assert CURRENT.get() is None


def test_a_function_is_counted_by_what_became_of_its_calls() -> None:
    """What is wrong here is an error, what the caller did is refused; the last error is kept."""
    book, time = _book()
    for outcome, code in (
        ("done", None), ("rejected", "INTERNAL"), ("retry", "FUNCTION_TIMEOUT"),
        ("rejected", "POLICY_DENIED"),
    ):  # fmt: skip
        call = book.begin("f", "mutation", "ada", "http")
        call.rows_written = 2
        time.now += 0.01
        book.end(call, outcome, code, code and "said")
    counts = book.stats["f"].to_json(time.now)
    assert (counts["calls"], counts["errors"], counts["refused"]) == (4, 2, 1)
    assert counts["last_error"]["code"] == "FUNCTION_TIMEOUT"
    assert counts["rows_written"] == 8
    assert sum(book.stats["f"].buckets) == 4


def test_the_rate_is_of_the_last_minute() -> None:
    """Calls leave it after sixty seconds, also where nothing is called any more."""
    book, time = _book()
    for _ in range(5):
        _call(book, time)
    time.now += 30
    _call(book, time)
    stats = book.stats["f"]
    assert stats.to_json(time.now)["per_minute"] == 6
    assert stats.to_json(time.now + 31)["per_minute"] == 1
    assert stats.to_json(time.now + 10_000)["per_minute"] == 0
    assert stats.calls == 6


def test_percentiles_are_of_the_last_calls() -> None:
    """One slow call of a hundred is the p99, and leaves with time."""
    book, time = _book()
    for n in range(100):
        _call(book, time, seconds=1.0 if n == 50 else 0.01)
    counts = book.stats["f"].to_json(time.now)
    assert (counts["p50_ms"], counts["p99_ms"]) == (10.0, 1000.0)
    for _ in range(256):
        _call(book, time)
    assert book.stats["f"].to_json(time.now)["p99_ms"] == 10.0


def test_only_a_slow_call_keeps_its_statements() -> None:
    """Those that took longest, first; how many rows they read is known of every call."""
    book, time = _book()
    for seconds in (limits.SLOW_CALL_MS / 1000 - 0.001, limits.SLOW_CALL_MS / 1000 + 0.001):
        call = book.begin("f", "query", "ada", "http")
        for n in range(limits.SLOW_STATEMENTS_KEPT_MAX + 5):
            statement = Statement(f"SELECT {n}", 0)
            statement.count, statement.rows, statement.seconds = 2, 3, n / 1000
            call.statements[statement.sql] = statement
        time.now += seconds
        book.end(call)
        assert call.statement_count == 50
        assert call.rows_read == 75
        assert call.statements == {}
    assert list(book.slow) == [call]
    assert len(call.slowest) == limits.SLOW_STATEMENTS_KEPT_MAX
    assert call.slowest[0].sql == "SELECT 24"


def test_everything_kept_is_bounded() -> None:
    """Calls, slow ones, functions; names that somebody made up are not counted at all."""
    book, time = _book()
    for n in range(limits.FUNCTIONS_COUNTED_MAX + 50):
        _call(book, time, f"f{n}", seconds=0.1)
    stranger = book.begin("made up", "call", "ada", "http")
    book.end(stranger, "rejected", "NOT_FOUND", "there is no function made up")
    assert len(book.newest) == limits.CALLS_KEPT_MAX
    assert len(book.slow) == limits.SLOW_CALLS_KEPT_MAX
    assert len(book.stats) == limits.FUNCTIONS_COUNTED_MAX
    assert "made up" not in book.stats
