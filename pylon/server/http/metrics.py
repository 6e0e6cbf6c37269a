"""GET /metrics: the figures of a runtime as Prometheus reads them, for the owner."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from aiohttp import web

from pylon.server.calls import BUCKETS, FunctionStats
from pylon.server.http.admin import status_of
from pylon.server.http.exchange import Exchange
from pylon.server.http.services import Services

#: Of the status: its key, whether it only grows, and what it is.
_FIGURES = (
    ("uptime_s", "uptime_seconds", "gauge", "Seconds since the runtime started."),
    ("head", "head", "gauge", "The newest change of the log."),
    ("clients", "clients", "gauge", "Connected sync clients."),
    ("writes", "operations_total", "counter", "Operations that were committed."),
    ("batches", "commits_total", "counter", "Commits, each of one or more operations."),
    ("errors", "log_errors_total", "counter", "Errors that the log told, each once."),
    ("commit_ms", "commit_ms", "gauge", "Milliseconds that the last commit took."),
    ("loop_lag_ms", "loop_lag_ms", "gauge", "Milliseconds that the event loop was late by."),
    ("memory_mb", "memory_mb", "gauge", "Resident memory in MiB."),
    ("database_bytes", "database_bytes", "gauge", "Size of the database file."),
    ("wal_bytes", "wal_bytes", "gauge", "Size of the write-ahead log."),
)
#: Of a function's counts, in `FunctionStats`.
_COUNTS = (
    ("calls", "calls", "Calls that ended."),
    ("errors", "call_errors", "Calls that failed: INTERNAL, FUNCTION_TIMEOUT, UNAVAILABLE."),
    ("refused", "calls_refused", "Calls that were refused."),
    ("rows_read", "rows_read", "Rows that its statements read."),
    ("rows_written", "rows_written", "Rows that it changed."),
)
#: Of runs of followed functions, in `LiveStats`.
_LIVE = (
    ("runs", "live_runs", "Runs of followed functions."),
    ("useful", "live_runs_useful", "Those that came to something else than before."),
    ("failed", "live_runs_failed", "Those that came to an error."),
    ("told", "live_values_told", "Values that followers were told."),
)


async def metrics(exchange: Exchange) -> web.StreamResponse:
    """GET /metrics."""
    text = "\n".join(_lines(exchange.services)) + "\n"
    return web.Response(
        text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


def _lines(services: Services) -> Iterator[str]:
    status = status_of(services)
    for key, name, kind, doc in _FIGURES:
        yield from _head(name, kind, doc)
        yield f"pylon_{name} {status[key]}"
    book = services.observer.calls
    yield from _head("calls_running", "gauge", "Calls under way.")
    yield f"pylon_calls_running {len(book.running)}"
    found = sorted(book.stats.values(), key=lambda one: one.name)
    for key, name, doc in _COUNTS:
        yield from _head(f"{name}_total", "counter", doc)
        for one in found:
            yield f"pylon_{name}_total{_label(one)} {getattr(one, key)}"
    for key, name, doc in _LIVE:
        yield from _head(f"{name}_total", "counter", doc)
        for function in sorted(services.hub.live.followed):
            counts = services.hub.live.counts_of(function) or {}
            yield f'pylon_{name}_total{{function="{function}"}} {counts[key]}'
    yield from _head("call_seconds", "histogram", "How long calls took.")
    for one in found:
        yield from _histogram(one)


def _head(name: str, kind: str, doc: str) -> Iterator[str]:
    yield f"# HELP pylon_{name} {doc}"
    yield f"# TYPE pylon_{name} {kind}"


def _label(one: FunctionStats) -> str:
    # A name that was declared, or a built-in one: letters, digits, `_` and `.`.
    return f'{{function="{one.name}"}}'


def _histogram(one: FunctionStats) -> Iterator[str]:
    bounds = [*map(str, BUCKETS), "+Inf"]
    for bound, count in zip(bounds, accumulate(one.buckets), strict=True):
        yield f'pylon_call_seconds_bucket{{function="{one.name}",le="{bound}"}} {count}'
    yield f"pylon_call_seconds_sum{_label(one)} {one.seconds:.6f}"
    yield f"pylon_call_seconds_count{_label(one)} {one.calls}"
