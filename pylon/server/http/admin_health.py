"""Health, for the owner: figures of the last minutes, what is held, what is slow, and the disk."""

from __future__ import annotations

import shutil
from functools import cache
from typing import Any, Final

from aiohttp import web

from pylon import sqlite
from pylon.errors import PylonError
from pylon.server.calls import Call, FunctionStats
from pylon.server.http.admin_jobs import overview_of
from pylon.server.http.exchange import Exchange, integer, json_value
from pylon.server.http.held import held_by
from pylon.server.http.services import Services
from pylon.server.vitals import FIGURES

#: Functions, queries and subscriptions that are named: those that cost most.
_SHOWN: Final = 10
_SQL_CHARACTERS: Final = 400


async def health(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/health?since=: everything; of the figures, what came after so many samples."""
    services, given = exchange.services, exchange.query(("since",)).get("since")
    found = health_of(services, integer(given, "since") or 0)
    return json_value({**found, "jobs": await _job_queues(services)})


def health_of(services: Services, since: int) -> dict[str, Any]:
    """Return how a runtime is doing, as plain values."""
    database = services.database
    disk = shutil.disk_usage(database.folder)
    storage = database.status
    return {
        **services.vitals.since(since), "units": dict(FIGURES),
        "held": [one.to_json() for one in held_by(services)],
        "slow_functions": _slow_functions(services), "slow_queries": _slow_queries(services),
        "subscriptions": services.hub.costs(_SHOWN),
        "followed": services.hub.live.costs(None, "ms", _SHOWN),
        "queues": _queues(services),
        "sqlite": {
            "version": storage.sqlite, "journal_mode": storage.journal_mode,
            "synchronous": storage.synchronous, "health": storage.health,
            "faults": [one.to_json() for one in sqlite.known_faults()],
        },
        "disk": {
            "free_bytes": disk.free, "total_bytes": disk.total,
            "database_bytes": storage.database_bytes, "wal_bytes": storage.wal_bytes,
        },
    }  # fmt: skip


async def _job_queues(services: Services) -> list[dict[str, Any]] | None:
    """Return how deep each queue of jobs is; None where storage does not tell, as it may here."""
    try:
        found: list[dict[str, Any]] = (await overview_of(services))["queues"]
    except PylonError:
        return None
    return found


def _queues(services: Services) -> dict[str, int]:
    database = services.database
    return {
        "writer": database.writer.queued, "readers": database.readers.waiting,
        "jobs_running": len(services.worker.running),
        "workflows_active": len(services.workflows.active),
        "calls_running": len(services.observer.calls.running),
        "unsent_bytes": _unsent(services),
    }  # fmt: skip


def _unsent(services: Services) -> int:
    return sum(one.queued_bytes for one in services.hub.connections())


def _slow_functions(services: Services) -> list[dict[str, Any]]:
    """Return the functions that took most time in all."""
    now = services.clock.monotonic()
    found = sorted(services.observer.calls.stats.values(), key=_seconds, reverse=True)
    return [
        {"name": one.name, "seconds": round(one.seconds, 3), **_timing(one, now)}
        for one in found[:_SHOWN]
    ]


def _seconds(one: FunctionStats) -> float:
    return one.seconds


def _timing(one: FunctionStats, now: float) -> dict[str, Any]:
    shown = one.to_json(now)
    keys = ("calls", "errors", "per_minute", "p50_ms", "p99_ms", "rows_read", "rows_written")
    return {key: shown[key] for key in keys}


def _slow_queries(services: Services) -> list[dict[str, Any]]:
    """Return the statements of slow calls that took longest; never their values."""
    found: dict[str, dict[str, Any]] = {}
    for call in services.observer.calls.slow:
        for one in call.slowest:
            shown = found.setdefault(
                one.sql,
                {"sql": one.sql[:_SQL_CHARACTERS], "seconds": 0.0, "count": 0, "rows": 0,
                 "function": _name_of(call)},
            )  # fmt: skip
            shown["seconds"] = round(shown["seconds"] + one.seconds, 4)
            shown["count"] += one.count
            shown["rows"] += one.rows
    return sorted(found.values(), key=lambda one: -one["seconds"])[:_SHOWN]


def _name_of(call: Call) -> str:
    return call.name


def take_sample(services: Services) -> None:
    """Take the figures of this second."""
    database, hub = services.database, services.hub
    connections = list(hub.connections())
    process = _process()
    services.vitals.take(
        {
            "wal_bytes": database.status.wal_bytes,
            "memory_mb": process.memory_info().rss / 1_048_576,
            "cpu_percent": process.cpu_percent(),
            "writer_queue": database.writer.queued, "readers_waiting": database.readers.waiting,
            "jobs_running": len(services.worker.running),
            "workflows_active": len(services.workflows.active),
            "clients": sum(not one.is_ghost for one in connections),
            "unsent_bytes": sum(one.queued_bytes for one in connections),
        },
        {
            "commits": database.writer.batches, "writes": database.writer.operations,
            "commit_s": database.writer.commit_s, "calls": services.observer.counters["calls"],
            "pushed": hub.deliveries,
        },
    )  # fmt: skip


@cache
def _process() -> Any:
    import psutil

    return psutil.Process()
