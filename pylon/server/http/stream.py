"""GET /api/admin/stream: what the dashboard shows live, batched at most 15 times a second."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from aiohttp import WSMsgType, web

from pylon import jsonvalue
from pylon.errors import PylonError
from pylon.server.calls import Call
from pylon.server.http.admin import change_of, demand_owner, emails_of, status_of
from pylon.server.http.admin_clients import clients_of
from pylon.server.http.admin_functions import counts_of, functions_of
from pylon.server.http.admin_jobs import overview_of
from pylon.server.http.admin_workflows import workflows_of
from pylon.server.http.exchange import Exchange
from pylon.server.storage import change_log, file_reads
from pylon.server.storage.change_log import LogRecord

_FLUSH_SECONDS = 1 / 15
_STATUS_SECONDS = 0.5
_FILES_SECONDS = 2.0
_BATCH_MAX = 500
#: Runs of workflows in one message: those that moved last.
_RUNS_MAX = 100
#: Round trips are measured so often while somebody looks.
_PING_SECONDS = 5.0
#: Of many clients the list rests so many times as long as it took: others need the loop, too.
_CLIENTS_REST = 30.0
#: Counting jobs is done by a reader, off the loop; where nothing moved, old ones may be forgotten.
_JOBS_REST = 5.0
_RECOUNT_SECONDS = 10.0


async def stream(exchange: Exchange) -> web.StreamResponse:
    """Serve one dashboard until it leaves."""
    demand_owner(exchange)
    socket = web.WebSocketResponse(heartbeat=15, compress=False)
    await socket.prepare(exchange.request)
    feed = _Feed(exchange, socket)
    feed.start()
    try:
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                break
    finally:
        await feed.stop()
    return socket


class _Feed:
    """Collects what happens and sends it in batches; a slow dashboard loses the oldest."""

    def __init__(self, exchange: Exchange, socket: web.WebSocketResponse) -> None:
        self._services = exchange.services
        self._socket = socket
        self._changes: deque[LogRecord] = deque(maxlen=_BATCH_MAX)
        self._dropped = 0
        self._others: dict[str, deque[Any]] = {
            name: deque(maxlen=_BATCH_MAX)
            for name in ("calls", "mail", "logs", "reload", "policy_change")
        }
        #: Lines that came faster than they are sent.
        self._lines_dropped = 0
        #: What was sent of the functions: of which generation, and the counts of each.
        self._generation = self._services.definitions.current.generation
        self._timed: dict[str, dict[str, Any]] = {}
        #: Queues as they were counted last, of which version of the worker, and when.
        self._jobs: dict[str, Any] = {}
        self._jobs_version = -1
        self._jobs_at = 0.0
        #: Runs of workflows that moved, the newest last; each once, however often it did.
        self._moved: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Any = None
        #: The head when it was last looked at the files.
        self._files_at = -1

    def start(self) -> None:
        services = self._services
        services.database.writer.on_commit(self._committed)
        self._stop_listening = services.observer.listen(self._noted)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        self._services.database.writer.off_commit(self._committed)
        self._stop_listening()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _committed(self, records: list[LogRecord], head: int) -> None:
        overflow = len(self._changes) + len(records) - _BATCH_MAX
        self._dropped += max(0, overflow)
        self._changes.extend(records)

    def _noted(self, kind: str, value: Any) -> None:
        if kind == "workflows":
            self._moved.pop(value, None)
            self._moved[value] = None
            if len(self._moved) > _RUNS_MAX:
                del self._moved[next(iter(self._moved))]
            return
        waiting = self._others.get(kind)
        if waiting is not None:
            self._lines_dropped += kind == "logs" and len(waiting) == waiting.maxlen
            waiting.append(value)

    async def _run(self) -> None:
        services = self._services
        await self._send({"type": "status", **status_of(services)})
        records = change_log.read_last(
            services.database.readers.inline.raw, 200, services.database.schema
        )
        await self._send_changes(records, 0)
        for name, values in (
            ("calls", [one.to_json() for one in services.observer.calls.newest]),
            ("mail", list(services.observer.mails)),
            ("logs", list(services.observer.lines)),
        ):
            await self._send_others(name, values)
        if services.observer.policy_change is not None:
            change = {"type": "policy_change", **services.observer.policy_change, "is_news": False}
            await self._send(change)
        await self._send({"type": "functions", "functions": functions_of(services)})
        await self._send(await workflows_of(services, None))
        next_status = next_clients = next_jobs = next_files = 0.0
        while not self._socket.closed:
            if services.is_stopping:
                await self._socket.close(code=1001, message=b"stopping")
                return
            if services.clock.monotonic() >= next_status:
                next_status = services.clock.monotonic() + _STATUS_SECONDS
                await self._send({"type": "status", **status_of(services)})
                await self._send_timings()
                if self._moved:
                    moved, self._moved = list(self._moved), {}
                    await self._send(await workflows_of(services, moved))
            if services.clock.monotonic() >= next_clients:
                next_clients = services.clock.monotonic() + await self._send_clients()
            if services.clock.monotonic() >= next_jobs:
                next_jobs = services.clock.monotonic() + await self._send_jobs()
            if services.clock.monotonic() >= next_files:
                next_files = services.clock.monotonic() + await self._send_files()
            if self._changes:
                records, dropped = list(self._changes), self._dropped
                self._changes.clear()
                self._dropped = 0
                await self._send_changes(records, dropped)
            for name, waiting in self._others.items():
                if waiting:
                    values = [one.to_json() if isinstance(one, Call) else one for one in waiting]
                    waiting.clear()
                    await self._send_others(name, values)
            await asyncio.sleep(_FLUSH_SECONDS)

    async def _send_timings(self) -> None:
        """Send the counts of functions that moved since; all functions after a reload.

        They also move where nobody calls: what runs begins, and the calls of a minute get fewer.
        """
        services, book = self._services, self._services.observer.calls
        generation = services.definitions.current.generation
        if generation != self._generation:
            self._generation = generation
            await self._send({"type": "functions", "functions": functions_of(services)})
            return
        now, timed = services.clock.monotonic(), self._timed
        looked_at = {one.name for one in book.running.values()}
        looked_at &= services.definitions.current.functions.keys()  # no names of strangers
        for name, stats in book.stats.items():
            before = timed.get(name)
            if before is None or before["calls"] != stats.calls:
                looked_at.add(name)
        looked_at |= {name for name, one in timed.items() if one["running"] or one["per_minute"]}
        looked_at |= set(services.hub.live.followed)
        timings = []
        for name in sorted(looked_at):
            counts = counts_of(services, name, now)
            if timed.get(name) != counts:
                timed[name] = counts
                timings.append({"name": name, **counts})
        if timings:
            await self._send({"type": "timings", "timings": timings})

    async def _send_clients(self) -> float:
        """Send all clients; returns after how many seconds again, the later the more they are."""
        services = self._services
        started = services.clock.monotonic()
        services.hub.measure(services.hub.connections(), every_s=_PING_SECONDS)
        await self._send({"type": "clients", "clients": clients_of(services)})
        took_s = services.clock.monotonic() - started
        return max(_STATUS_SECONDS, took_s * _CLIENTS_REST)

    async def _send_jobs(self) -> float:
        """Send the queues, counted anew where a job moved; returns after how many seconds again."""
        services, started = self._services, self._services.clock.monotonic()
        version = services.worker.version
        if version != self._jobs_version or started - self._jobs_at > _RECOUNT_SECONDS:
            try:
                self._jobs = await overview_of(services)
            except PylonError:  # the dashboard says that there is no news
                return _STATUS_SECONDS
            self._jobs_version, self._jobs_at = version, started
        await self._send({"type": "jobs", "version": version, **self._jobs})
        took_s = services.clock.monotonic() - started
        return max(_STATUS_SECONDS, took_s * _JOBS_REST)

    async def _send_files(self) -> float:
        """Send what files there are, if anything changed; returns after how many seconds again."""
        services = self._services
        if services.database.head == self._files_at:
            return _FILES_SECONDS
        self._files_at = services.database.head
        started = services.clock.monotonic()
        found = file_reads.totals(services.database.readers.inline.raw)
        await self._send({"type": "files", "totals": found})
        return max(_FILES_SECONDS, (services.clock.monotonic() - started) * _CLIENTS_REST)

    async def _send_changes(self, records: list[LogRecord], dropped: int) -> None:
        emails = emails_of(self._services, records)
        schema = self._services.database.schema
        changes = [change_of(one, emails, schema) for one in records]
        await self._send({"type": "changes", "changes": changes, "dropped": dropped})

    async def _send_others(self, name: str, values: list[Any]) -> None:
        if name in ("reload", "policy_change"):
            for one in values:
                await self._send({"type": name, **one})
        elif values:
            member = {"calls": "calls", "mail": "mails", "logs": "lines"}[name]
            message: dict[str, Any] = {"type": name, member: values}
            if name == "logs":
                message["dropped"], self._lines_dropped = self._lines_dropped, 0
            await self._send(message)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_str(jsonvalue.encode_text(message))
