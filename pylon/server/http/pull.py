"""Sync without a socket: pull, push and snapshot.

The same batches as the socket's, by the same routine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import msgspec
from aiohttp import web

from pylon import limits
from pylon.errors import InvalidArgument, ResyncRequired
from pylon.identity import Identity
from pylon.policy.sqlclause import both
from pylon.protocol.change import Cursor, parse_cursor
from pylon.protocol.messages import Operation, SubscriptionSpec
from pylon.server.functions.queries import (
    entity_of,
    filter_of,
    read_clause,
    unusable_fields,
    wire_clause,
)
from pylon.server.http.exchange import (
    Exchange,
    integer,
    json_body,
    json_parameter,
    json_text,
)
from pylon.server.storage.change_log import read_head
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.sync_select import snapshot_page
from pylon.server.sync.catch_up import Page, read_page
from pylon.server.sync.channel import principal_of
from pylon.server.sync.projection import batch_body
from pylon.server.sync.read_ahead import Question
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import View, make_view, whole_view


class PushBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /api/sync/push."""

    operations: list[Operation]
    client_id: str | None = None
    atomic: bool = False


def view_of(exchange: Exchange, identity: Identity, subscriptions: str | None) -> View:
    """Return what a caller follows: the given subscriptions, or all that he may see."""
    if subscriptions is None:
        return whole_view(exchange.services.definitions.current, identity)
    return view_over(exchange, identity, specs_of(exchange, subscriptions))


def view_over(exchange: Exchange, identity: Identity, specs: Sequence[SubscriptionSpec]) -> View:
    """Return what a caller follows by subscriptions to rows."""
    definition = exchange.services.definitions.current
    made = [make_subscription(spec, definition, identity, is_resuming=True) for spec in specs]
    return make_view(definition, identity, made)


def specs_of(exchange: Exchange, subscriptions: str) -> list[SubscriptionSpec]:
    """Return the subscriptions of a parameter; raises InvalidArgument."""
    given = json_parameter(subscriptions, "subscriptions")
    try:
        specs = msgspec.convert(given, list[SubscriptionSpec])
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"subscriptions: {error}", field="subscriptions") from error
    most = exchange.services.hub.quotas.subscriptions_per_socket
    if len(specs) > most:
        raise InvalidArgument(f"at most {most} subscriptions", field="subscriptions")
    return specs


def start_of(exchange: Exchange, identity: Identity, text: str | None) -> Cursor:
    """Return where a caller reads from: the cursor, or the log's beginning while it holds it."""
    database = exchange.services.database
    cursor = parse_cursor(text)
    oldest = exchange.services.sessions.oldest_cursor(identity)
    if cursor is not None and (cursor.epoch != database.epoch or cursor.seq >= oldest):
        return cursor
    if cursor is None and database.horizon == 0:
        return database.cursor(0)
    oldest = max(database.horizon, oldest)
    raise ResyncRequired(
        reason="cursor_too_old", horizon=str(database.cursor(oldest)), head=str(database.cursor())
    )


async def read_batch(
    exchange: Exchange, view: View, cursor: Cursor, limit: int, asker: str | None = None
) -> Page:
    """Return the next page of a view, in turn among askers; raises ResyncRequired."""
    database = exchange.services.database
    await exchange.services.hub.passing.ready(view)
    clock = exchange.services.hub.asked_clock
    return await database.readers.run(
        lambda reader: read_page(reader, view, cursor, database.epoch, limit, reader.moment(clock)),
        asker=asker,
    )


async def pull(exchange: Exchange) -> web.StreamResponse:
    """GET /api/sync/pull."""
    return await pull_as(exchange, exchange.identity)


async def pull_as(exchange: Exchange, identity: Identity) -> web.StreamResponse:
    """Answer a pull as `identity`."""
    query = exchange.query(("cursor", "limit", "subscriptions"))
    limit = integer(query.get("limit", str(limits.PULL_LIMIT_MAX)), "limit")
    if limit is None or not 1 <= limit <= limits.PULL_LIMIT_MAX:
        raise InvalidArgument(f"limit is 1 to {limits.PULL_LIMIT_MAX}", field="limit")
    view = view_of(exchange, identity, query.get("subscriptions"))
    cursor = start_of(exchange, identity, query.get("cursor"))
    database = exchange.services.database

    def read(seq: int) -> Awaitable[Page]:
        return read_batch(exchange, view, database.cursor(seq), limit, identity.asker)

    if view.is_timeless and cursor.epoch == database.epoch:
        question = Question(
            identity, exchange.services.definitions.current.generation,
            query.get("subscriptions"), limit,
        )  # fmt: skip
        page = await exchange.services.hub.read_ahead.page(question, cursor.seq, read)
    else:
        page = await read_batch(exchange, view, cursor, limit, identity.asker)
    epoch = database.epoch
    return json_body(batch_body(epoch, page.after, page.through, page.tail, more=page.more))


async def push(exchange: Exchange) -> web.StreamResponse:
    """POST /api/sync/push."""
    identity = exchange.identity
    body = await exchange.json()
    try:
        parsed = msgspec.convert(body, PushBody)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error), field="operations") from error
    outcomes = await exchange.services.executor.push(
        identity, parsed.operations, atomic=parsed.atomic, cause="push", address=exchange.address
    )
    results = ",".join(
        [one.to_json(op.op_id) for one, op in zip(outcomes, parsed.operations, strict=True)]
    )
    head = exchange.services.database.cursor()
    return json_text(f'{{"results":[{results}],"head":"{head}"}}')


async def snapshot(exchange: Exchange) -> web.StreamResponse:
    """GET /api/sync/snapshot."""
    services = exchange.services
    definition, identity = services.definitions.current, exchange.identity
    query = exchange.query()
    if "entity" not in query:
        raise InvalidArgument("entity is required", field="entity")
    entity = entity_of(definition, query["entity"])
    query = exchange.query(("entity", "where", "after"))
    if not entity.sync:
        raise InvalidArgument(f"{entity.name} is kept off the live path", field="entity")
    where = json_parameter(query.get("where"), "where")
    wanted = filter_of(entity, where, unusable_fields(definition, identity, entity))
    after = query.get("after", "")

    def read(reader: ReadConnection) -> tuple[bytes, str | None, int]:
        now = reader.moment(services.hub.asked_clock)
        clause = both(
            read_clause(definition, identity, entity, now),
            wanted.clause(identity, alias="t", now=now),
        )
        wire = wire_clause(definition, identity, entity, now)
        head, _ = read_head(reader.raw)
        rows, last = snapshot_page(
            reader.raw, entity, clause, after, limits.SNAPSHOT_PAGE_ROWS, limits.FRAME_BYTES_MAX,
            wire,
        )  # fmt: skip
        return rows, last, head

    quota, user = services.hub.quotas.snapshots, principal_of(identity)
    quota.demand(user, exchange.address)
    quota.add(user, exchange.address)
    try:
        rows, last, head = await services.database.readers.run(read, asker=identity.asker)
    finally:
        quota.add(user, exchange.address, -1)
    following = "null" if last is None else f'"{last}"'
    at = services.database.cursor(head)
    end = f'],"at":"{at}","next":{following}}}'
    return json_body(b"".join((b'{"rows":[', rows, end.encode())))
