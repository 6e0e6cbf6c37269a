"""Sync without a socket: pull, push, snapshot and server-sent events.

The same batches as the socket's, by the same routine.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from pylon import limits
from pylon.clock import iso_ms
from pylon.errors import InvalidArgument, ResyncRequired, Unauthenticated
from pylon.identity import IdentityKind
from pylon.policy.sqlclause import both
from pylon.protocol.change import Cursor, parse_cursor
from pylon.protocol.messages import Operation, SubscriptionSpec
from pylon.server.functions.queries import entity_of, filter_of, read_clause
from pylon.server.http.exchange import Exchange, integer, json_parameter, json_text
from pylon.server.storage.change_log import read_head
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.sync_select import snapshot_page
from pylon.server.sync.catch_up import Page, read_page
from pylon.server.sync.projection import batch_text
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import View, make_view, whole_view

_SSE_POLL_SECONDS = 0.1


class PushBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /api/sync/push."""

    operations: list[Operation]
    client_id: str | None = None
    atomic: bool = False


def _view(exchange: Exchange, subscriptions: str | None) -> View:
    definition = exchange.services.definitions.current
    if subscriptions is None:
        return whole_view(definition, exchange.identity)
    given = json_parameter(subscriptions, "subscriptions")
    try:
        specs = msgspec.convert(given, list[SubscriptionSpec])
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"subscriptions: {error}", field="subscriptions") from error
    if len(specs) > limits.SUBSCRIPTIONS_MAX:
        raise InvalidArgument(
            f"at most {limits.SUBSCRIPTIONS_MAX} subscriptions", field="subscriptions"
        )
    made = [make_subscription(spec, definition, is_resuming=True) for spec in specs]
    return make_view(definition, exchange.identity, made)


def _start(exchange: Exchange, text: str | None) -> Cursor:
    """Return where to read from: the cursor, or the log's beginning while it holds it."""
    database = exchange.services.database
    cursor = parse_cursor(text)
    if cursor is not None:
        return cursor
    if database.horizon > 0:
        raise ResyncRequired(
            reason="cursor_too_old", horizon=str(database.cursor(database.horizon)),
            head=str(database.cursor()),
        )  # fmt: skip
    return database.cursor(0)


async def _read(exchange: Exchange, view: View, cursor: Cursor, limit: int) -> Page:
    database = exchange.services.database
    now = iso_ms(exchange.services.clock.now_ms())
    return await database.readers.run(
        lambda reader: read_page(reader, view, cursor, database.epoch, limit, now)
    )


async def pull(exchange: Exchange) -> web.StreamResponse:
    """GET /api/sync/pull."""
    query = exchange.query()
    limit = integer(query.get("limit"), "limit") or limits.PULL_LIMIT_MAX
    if not 1 <= limit <= limits.PULL_LIMIT_MAX or query.get("limit") == "0":
        raise InvalidArgument(f"limit is 1 to {limits.PULL_LIMIT_MAX}", field="limit")
    view = _view(exchange, query.get("subscriptions"))
    cursor = _start(exchange, query.get("cursor"))
    page = await _read(exchange, view, cursor, limit)
    epoch = exchange.services.database.epoch
    return json_text(batch_text(epoch, page.after, page.through, page.tail, more=page.more))


async def push(exchange: Exchange) -> web.StreamResponse:
    """POST /api/sync/push."""
    identity = exchange.identity
    body = await exchange.json()
    try:
        parsed = msgspec.convert(body, PushBody)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error), field="operations") from error
    outcomes = await exchange.services.executor.push(
        identity, parsed.operations, atomic=parsed.atomic, cause="push"
    )
    results = ",".join(
        [one.to_json(op.op_id) for one, op in zip(outcomes, parsed.operations, strict=True)]
    )
    head = exchange.services.database.cursor()
    return json_text(f'{{"results":[{results}],"head":"{head}"}}')


async def snapshot(exchange: Exchange) -> web.StreamResponse:
    """GET /api/sync/snapshot."""
    query = exchange.query()
    services = exchange.services
    definition, identity = services.definitions.current, exchange.identity
    if "entity" not in query:
        raise InvalidArgument("entity is required", field="entity")
    entity = entity_of(definition, query["entity"])
    if not entity.sync:
        raise InvalidArgument(f"{entity.name} is kept off the live path", field="entity")
    now = iso_ms(services.clock.now_ms())
    where = json_parameter(query.get("where"), "where")
    clause = both(
        read_clause(definition, identity, entity, now),
        filter_of(entity, where).clause(identity, alias="t", now=now),
    )
    after = query.get("after", "")

    def read(reader: ReadConnection) -> tuple[str, str | None, int]:
        head, _ = read_head(reader.raw)
        rows, last, _ = snapshot_page(reader.raw, entity, clause, after, limits.SNAPSHOT_PAGE_ROWS)
        return rows, last, head

    rows, last, head = await services.database.readers.run(read)
    following = "null" if last is None else f'"{last}"'
    at = services.database.cursor(head)
    return json_text(f'{{"rows":[{rows}],"at":"{at}","next":{following}}}')


async def events(exchange: Exchange) -> web.StreamResponse:
    """GET /api/sync/events: batches as server-sent events, `id:` their `through`."""
    query = exchange.query()
    services = exchange.services
    identity = exchange.identity
    services.hub.admit(identity, exchange.address)
    view = _view(exchange, query.get("subscriptions"))
    text = exchange.request.headers.get("Last-Event-ID") or query.get("cursor")
    cursor = _start(exchange, text)
    definition = services.definitions.current
    answer = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream", "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )  # fmt: skip
    page = await _read(exchange, view, cursor, limits.PULL_LIMIT_MAX)
    await answer.prepare(exchange.request)
    last_sent = services.clock.monotonic()
    while True:
        epoch = services.database.epoch
        is_due = services.clock.monotonic() - last_sent > services.hub.heartbeat_s
        if page.tail or page.more or is_due:
            batch = batch_text(epoch, cursor.seq, page.through, page.tail, more=page.more)
            await _send(answer, "changes", batch, f"{epoch}:{page.through}")
            last_sent = services.clock.monotonic()
            cursor = services.database.cursor(page.through)
        if services.is_stopping:
            await _send(answer, "goaway", '{"reason":"stopping","retry_ms":500}')
            return answer
        if services.definitions.current is not definition:
            definition = services.definitions.current
            await _send(answer, "schema", f'{{"schema":"{definition.hash}"}}')
            view = _view(exchange, query.get("subscriptions"))
        if not page.more:
            await _until_newer(exchange, cursor.seq, last_sent)
        _demand_session(exchange)
        try:
            page = await _read(exchange, view, cursor, limits.PULL_LIMIT_MAX)
        except ResyncRequired as error:
            reason = error.details["reason"]
            await _send(
                answer, "resync", f'{{"reason":"{reason}","head":"{services.database.cursor()}"}}'
            )
            return answer


async def _until_newer(exchange: Exchange, seq: int, last_sent: float) -> None:
    services = exchange.services
    while services.database.head <= seq and not services.is_stopping:
        await asyncio.sleep(_SSE_POLL_SECONDS)
        if services.clock.monotonic() - last_sent > services.hub.heartbeat_s:
            return
        _demand_session(exchange)


def _demand_session(exchange: Exchange) -> None:
    """End the stream of a session that has ended."""
    identity = exchange.identity
    if identity.kind is not IdentityKind.USER or identity.user_id is None:
        return
    now = exchange.services.sessions.identity_now(identity.user_id, identity.session_id)
    if now is None or now.auth_version != identity.auth_version:
        raise Unauthenticated("the session has ended")


async def _send(answer: web.StreamResponse, event: str, data: str, id_: Any = None) -> None:
    head = f"id: {id_}\n" if id_ is not None else ""
    await answer.write(f"{head}event: {event}\ndata: {data}\n\n".encode())
