"""The admin surface: what the dashboard and the command line ask of a running runtime.

Only the owner reaches it: over the Unix socket (0600), or with the run-time token or
PYLON_ADMIN_TOKEN; never from a page of another origin (the gate).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import Any

from aiohttp import web

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.errors import ForbiddenOrigin, InvalidArgument, NotFound, Unauthenticated
from pylon.schema.model import Schema
from pylon.schema.wire import image_text
from pylon.server.config import origin_of
from pylon.server.http.acting import acting
from pylon.server.http.effect import effect_words
from pylon.server.http.exchange import Exchange, integer, json_text, json_value, token_of
from pylon.server.http.idle import demand_idle, idle_of
from pylon.server.http.routes import Handler
from pylon.server.http.services import Services
from pylon.server.http.static import tell_pages_to_reload
from pylon.server.memory import memory_limit_mb
from pylon.server.storage import change_log
from pylon.server.storage.change_log import LogRecord
from pylon.version import ADMIN_PROTOCOL, __version__

_LOG_PAGE_MAX = 1_000
#: Calls under way that the status names, the oldest.
_RUNNING_SHOWN = 5


def admin(handler: Handler) -> Handler:
    """Let only the owner through."""

    async def guarded(exchange: Exchange) -> web.StreamResponse:
        demand_owner(exchange)
        return await handler(exchange)

    return guarded


def demand_owner(exchange: Exchange) -> None:
    """Raise Unauthenticated unless the request comes from the owner."""
    if exchange.is_local_socket:
        return
    if "Origin" in exchange.request.headers:
        raise ForbiddenOrigin("the admin surface is not for web pages")
    given = (token_of(exchange.request, "") or "").encode("utf-8", "replace")
    if not any(hmac.compare_digest(given, one.encode()) for one in exchange.services.admin_tokens):
        raise Unauthenticated("the admin token is missing or wrong")


# --- what is shown -----------------------------------------------------------------------


def status_of(services: Services) -> dict[str, Any]:
    """Return the runtime's status."""
    database, definition = services.database, services.definitions.current
    storage = database.status
    observer = services.observer
    return {
        "app": definition.name,
        "version": definition.version,
        "pylon": __version__,
        "admin_protocol": ADMIN_PROTOCOL,
        "environment": "dev" if services.config.is_dev else "production",
        "generation": definition.generation,
        "schema": definition.hash,
        "branch": database.place.branch,
        "project": str(services.config.project),
        "host": services.config["server.host"],
        "port": services.bound_port,
        "pid": _pid(),
        "epoch": database.epoch,
        "head": database.head,
        "horizon": database.horizon,
        "clients": sum(not one.is_ghost for one in services.hub.connections()),
        "writes": database.writer.operations,
        "batches": database.writer.batches,
        "commit_ms": storage.commit_ms,
        "errors": observer.counters["errors"],
        "calls": observer.counters["calls"],
        "live": services.hub.live.totals,
        "uptime_s": round((services.clock.machine_ms() - services.started_ms) / 1000, 1),
        "loop_lag_ms": round(services.loop_lag_ms, 1),
        "memory_mb": _memory_mb(),
        "memory_limit_mb": _memory_limit_mb(services.config["limits.memory_mb"]),
        "running": [one.name for one in islice(observer.calls.running.values(), _RUNNING_SHOWN)],
        "synchronous": storage.synchronous,
        "sqlite": storage.sqlite,
        "journal_mode": storage.journal_mode,
        "has_wal_reset_fault": storage.has_wal_reset_fault,
        "database_bytes": storage.database_bytes,
        "wal_bytes": storage.wal_bytes,
        "health": storage.health,
        "at": iso_ms(services.clock.now_ms()),
        "backup": services.backups.status(),
        **({} if services.warp is None else {"clock": services.warp.describe()}),
    }


def _pid() -> int:
    import os

    return os.getpid()


_memory_limit_mb = cache(memory_limit_mb)


def _memory_mb() -> float:
    import psutil

    return round(psutil.Process().memory_info().rss / 1_048_576, 1)


def change_of(record: LogRecord, emails: dict[str, str], schema: Schema) -> dict[str, Any]:
    """Return a log record as the tail shows it: without images, but in a few words."""
    entity = schema.entities.get(record.entity)
    return {
        "seq": record.seq, "tx": record.tx, "at": iso_ms(record.at_ms), "entity": record.entity,
        "row_id": record.row_id, "kind": record.kind,
        "user": emails.get(record.actor or "", record.actor), "cause": record.cause,
        "operation_id": record.operation_id,
        "effect": "" if entity is None else effect_words(entity, record),
    }  # fmt: skip


def emails_of(services: Services, records: Iterable[LogRecord]) -> dict[str, str]:
    """Return what to call those who wrote records, by user id."""
    return labels_of(services, (one.actor for one in records))


def labels_of(services: Services, users: Iterable[str | None]) -> dict[str, str]:
    """Return what to call accounts, by user id; whoever has none is left out."""
    ids = {one for one in users if one is not None and "@" not in one}
    found = (services.accounts.find(one) for one in ids)
    return {one.id: one.label for one in found if one is not None}


# --- handlers ----------------------------------------------------------------------------


async def status(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/status?idle=1: the status; `idle` also says whether it may sleep."""
    found = status_of(exchange.services)
    if exchange.query(("idle",)).get("idle"):
        found["idle"] = idle_of(exchange.services)
    return json_value(found)


async def log(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/log?after=&limit=: records without images, oldest first."""
    services, query = exchange.services, exchange.query(("after", "limit"))
    after = integer(query.get("after"), "after")
    limit = min(integer(query.get("limit"), "limit") or 100, _LOG_PAGE_MAX)
    raw, schema = services.database.readers.inline.raw, services.database.schema
    if after is None:
        records = change_log.read_last(raw, limit, schema)
    else:
        records = change_log.read_after(raw, after, limit, schema)
    emails = emails_of(services, records)
    changes = [change_of(one, emails, schema) for one in records]
    return json_value({"changes": changes, "head": services.database.head})


async def log_entry(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/log/{seq}: one record with both images."""
    services = exchange.services
    seq = integer(exchange.parts[0], "seq")
    schema = services.database.schema
    record = change_log.read_one(services.database.readers.inline.raw, seq or 0, schema)
    if record is None:
        raise NotFound()
    entity = schema.entities.get(record.entity)
    shown = change_of(record, emails_of(services, [record]), schema)
    for name, image in (("before", record.before), ("after", record.after)):
        shown[name] = (
            None
            if image is None or entity is None
            else jsonvalue.decode_trusted(image_text(entity, image))
        )
    return json_value(shown)


async def mail(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/mail: what was sent."""
    return json_value({"mails": list(exchange.services.observer.mails)})


async def logs(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/logs: the newest lines of the runtime's log."""
    return json_value({"lines": list(exchange.services.observer.lines)})


async def reload(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/reload {consent?, plan?}: load the app anew; the old one serves if it fails.

    `plan` is the hash of the plan that is agreed to: another one is refused.
    """
    body = await exchange.json_object()
    plan = body.get("plan")
    answer = await exchange.services.reload(
        consent=bool(body.get("consent")), plan=None if plan is None else str(plan)
    )
    return json_value(answer)


async def refresh_pages(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/refresh-pages: open pages of `pylon dev` load again."""
    told = tell_pages_to_reload(exchange.services.page_listeners)
    return json_value({"told": told})


async def shutdown(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/shutdown {if_idle_s?}: stop; with `if_idle_s` only where it may sleep."""
    seconds = (await exchange.json_object()).get("if_idle_s")
    if seconds is None:
        exchange.services.stop("asked by the admin surface")
        return json_value({"stopping": True})
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidArgument("if_idle_s is a number of seconds", field="if_idle_s")
    demand_idle(exchange.services, float(seconds))
    exchange.services.stop("it sleeps until it is asked for something")
    return json_value({"stopping": True})


async def token(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/token {user, days?, name?, scope?}: an API token for a user."""
    body = await exchange.json_object()
    made = await exchange.services.people.make_token(
        body.get("user"), days=body.get("days"), name=body.get("name"), scope=body.get("scope")
    )
    return json_value(made)


async def roles(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/roles {user, role, grant}: also how many connections are judged anew."""
    body = await exchange.json_object()
    changed = await exchange.services.people.change_role(
        body.get("user"), body.get("role"), grant=bool(body.get("grant", True))
    )
    count = connections_of(exchange.services, changed["user_id"])
    return json_value({**changed, "connections": count})


def connections_of(services: Services, user_id: str) -> int:
    """Return how many connections a user has now; ghosts are none."""
    return sum(
        one.identity.user_id == user_id and not one.is_ghost for one in services.hub.connections()
    )


async def login_link(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/login-link {user}: a one-time sign-in link."""
    body = await exchange.json_object()
    services = exchange.services
    origin = origin_of(services.config, services.bound_port)
    return json_value(await services.people.make_login_link(body.get("user"), origin))


async def query(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/query {entity, where?, expression?, order?, limit?, after?, as?}."""
    body = await exchange.json_object()
    text = await exchange.services.reads.list_rows(
        acting(exchange, body.get("as")), str(body.get("entity")), where=body.get("where"),
        expression=body.get("expression"), order=body.get("order"), limit=body.get("limit"),
        after=body.get("after"),
    )  # fmt: skip
    return json_text(text)
