"""Jobs, for the owner: what waits, runs, failed and comes next; run again, cancel, pause."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon.app.jobs import is_queue_name
from pylon.clock import iso_ms
from pylon.errors import Conflict, InvalidArgument, NotFound
from pylon.server.http.admin import labels_of
from pylon.server.http.exchange import Exchange, integer, json_value
from pylon.server.http.services import Services
from pylon.server.jobs.states import JobState
from pylon.server.storage import job_reads, jobs
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import IntegrityError

_PAGE_MAX: Final = 1_000
_RETRIED_AT_ONCE_MAX: Final = 10_000


async def list_jobs(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/jobs?queue=&state=&name=&search=&before=&limit=: the newest, and the queues.

    `search` is a line: words in name, id, error and more, `state:x`, `queue:x`; `!` turns it round.
    """
    services = exchange.services
    query = exchange.query(("queue", "state", "name", "search", "before", "limit"))
    state = query.get("state")
    if state is not None and state not in set(JobState):
        raise InvalidArgument(f"state is one of {', '.join(JobState)}", field="state")
    limit = min(integer(query.get("limit"), "limit") or 100, _PAGE_MAX)
    before = integer(query.get("before"), "before")

    def read(raw: Any) -> tuple[list[job_reads.StoredJob], dict[str, dict[str, int]]]:
        page = job_reads.list_jobs(
            raw, queue=query.get("queue"), state=state, name=query.get("name"),
            search=query.get("search") or "", before=before, limit=limit,
        )  # fmt: skip
        return page, job_reads.count_jobs(raw)

    page, counts = await services.database.readers.run(lambda reader: read(reader.raw))
    labels = labels_of(services, (one.user_id for one in page))
    return json_value(
        {
            "jobs": [
                {**_shown(services, one), "email": labels.get(one.user_id or "")} for one in page
            ],
            "next": page[-1].n if len(page) == limit else None,
            **_overview(services, counts),
        }
    )  # fmt: skip


async def overview_of(services: Services) -> dict[str, Any]:
    """Return queues with their counts, schedules, and how many attempts have ended how."""
    read = job_reads.count_jobs
    return _overview(services, await services.database.readers.run(lambda one: read(one.raw)))


def _overview(services: Services, counts: dict[str, dict[str, int]]) -> dict[str, Any]:
    return {
        "queues": _queues(services, counts), "schedules": _schedules(services),
        "ended": dict(services.worker.ended),
    }  # fmt: skip


def _shown(
    services: Services, job: job_reads.StoredJob, *, is_whole: bool = False
) -> dict[str, Any]:
    shown = job.to_json(is_whole=is_whole)
    running = services.worker.running.get(job.id)
    if running is not None and running.progress is not None:
        shown["progress"], shown["progress_text"] = running.progress
    return shown


def _queues(services: Services, counts: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    paused, room = services.worker.paused, services.worker.room
    names = sorted({*counts, *paused, *room.named, *services.worker.known_queues()})
    return [
        {
            "queue": name, "concurrency": room.bounds(name).concurrency,
            "per_second": room.bounds(name).per_second,
            "paused_at": iso_ms(paused[name]) if name in paused else None,
            **{state.value: counts.get(name, {}).get(state.value, 0) for state in JobState},
        }
        for name in names
    ]  # fmt: skip


def _schedules(services: Services) -> list[dict[str, Any]]:
    functions = services.definitions.current.functions
    found = []
    for name, slot in services.worker.slots.upcoming().items():
        job = functions[name].job if name in functions else None
        if job is not None and job.schedule is not None:
            found.append(
                {"name": name, "schedule": job.schedule.expression, "tz": job.schedule.zone,
                 "queue": job.queue, "next": None if slot is None else iso_ms(slot)}
            )  # fmt: skip
    return sorted(found, key=lambda one: one["next"] or "~")


def _job(exchange: Exchange) -> job_reads.StoredJob:
    raw = exchange.services.database.readers.inline.raw
    found = job_reads.read_job(raw, exchange.parts[0])
    if found is None:
        raise NotFound("there is no such job, or none any more", hint="pylon jobs lists them")
    return found


async def show(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/jobs/{id}: one job with arguments, result, traceback, its user's address."""
    services, job = exchange.services, _job(exchange)
    account = None if job.user_id is None else services.accounts.find(job.user_id)
    email = None if account is None else account.label
    return json_value({**_shown(services, job, is_whole=True), "email": email})


async def retry(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/jobs/{id}/retry: run a dead, cancelled or waiting job now."""
    job = _job(exchange)

    def work(transaction: Transaction) -> bool:
        return _retry(transaction, job.id)

    if not (await exchange.services.database.writer.submit(work)).value:
        why = "its arguments were not kept" if job.is_secret else f"it is {job.state}"
        raise Conflict(f"the job can't be run again: {why}")
    return json_value(_shown(exchange.services, _job(exchange)))


def _retry(transaction: Transaction, job_id: str) -> bool:
    try:
        return jobs.retry(transaction, job_id)
    except IntegrityError as error:
        raise Conflict("another job with its key waits or runs", hint="cancel that one") from error


async def retry_dead(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/jobs/retry {queue?, name?}: run all dead jobs again."""
    body = await exchange.json_object()
    queue, name = body.get("queue"), body.get("name")
    for member, given in (("queue", queue), ("name", name)):
        if given is not None and not isinstance(given, str):
            raise InvalidArgument(f"{member} is a text", field=member)

    def work(transaction: Transaction) -> list[str]:
        return jobs.dead_ids(transaction, queue, name, _RETRIED_AT_ONCE_MAX)

    writer = exchange.services.database.writer
    ids = (await writer.submit(work)).value
    # Each its own transaction: one whose key is taken keeps no other from running.
    again = await writer.submit_group([_Retry(one) for one in ids])
    return json_value({"retried": sum(1 for one in again if one is True), "dead": len(ids)})


class _Retry:
    """One job to be run again, as an operation of the writer."""

    is_plain = False

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id

    def run(self, transaction: Transaction) -> bool:
        return _retry(transaction, self._job_id)

    def refuse(self, transaction: Transaction, error: Exception) -> None:
        """Leave it as it is."""


async def cancel(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/jobs/{id}/cancel: end a job that has not ended; one that runs is stopped."""
    job = _job(exchange)

    def work(transaction: Transaction) -> bool:
        return jobs.cancel(transaction, job.id)

    if not (await exchange.services.database.writer.submit(work)).value:
        raise Conflict(f"the job has ended: it is {job.state}")
    return json_value(_shown(exchange.services, _job(exchange)))


async def pause(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/queues/{queue}/pause: start nothing more of it, over restarts too."""
    return await _set_paused(exchange, is_paused=True)


async def resume(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/queues/{queue}/resume."""
    return await _set_paused(exchange, is_paused=False)


async def _set_paused(exchange: Exchange, *, is_paused: bool) -> web.StreamResponse:
    queue = exchange.parts[0]
    if not is_queue_name(queue):
        raise InvalidArgument("this is no name of a queue", field="queue")
    await exchange.services.worker.set_paused(queue, is_paused=is_paused)
    return json_value({"queue": queue, "paused": is_paused})


ROUTES: Final = (
    ("GET", "/api/admin/jobs", list_jobs),
    ("POST", "/api/admin/jobs/retry", retry_dead),
    ("GET", "/api/admin/jobs/{id}", show),
    ("POST", "/api/admin/jobs/{id}/retry", retry),
    ("POST", "/api/admin/jobs/{id}/cancel", cancel),
    ("POST", "/api/admin/queues/{queue}/pause", pause),
    ("POST", "/api/admin/queues/{queue}/resume", resume),
)
