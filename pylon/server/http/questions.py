"""Questions about many rows: aggregates and search, behind the read policy as every list is."""

from __future__ import annotations

from aiohttp import web

from pylon.errors import InvalidArgument
from pylon.policy.mistakes import nearest
from pylon.server.functions import aggregates
from pylon.server.functions.queries import entity_of
from pylon.server.http.exchange import (
    Exchange,
    integer,
    json_parameter,
    json_text,
    json_value,
    listed,
)

_SEARCH_NAMES = frozenset({"q", "where", "limit", "include"})


async def aggregate(exchange: Exchange) -> web.StreamResponse:
    """POST /api/aggregate/{E}."""
    identity = exchange.identity
    entity_of(exchange.services.definitions.current, exchange.parts[0])
    body = await exchange.json_object()
    for name in body:
        if name not in aggregates.MEMBERS:
            raise InvalidArgument(
                f"an aggregate has no {name[:64]}", field=name[:64],
                hint=nearest(name, aggregates.MEMBERS),
            )  # fmt: skip
    rows = await exchange.services.reads.aggregate(
        identity, exchange.parts[0], where=body.get("where"), group=body.get("group"),
        aggregates=body.get("aggregates"),
    )  # fmt: skip
    return json_value({"rows": rows})


async def search(exchange: Exchange) -> web.StreamResponse:
    """GET /api/search/{E}."""
    identity = exchange.identity
    entity_of(exchange.services.definitions.current, exchange.parts[0])
    query = exchange.query(_SEARCH_NAMES)
    body = await exchange.services.reads.search(
        identity,
        exchange.parts[0],
        query.get("q"),
        where=json_parameter(query.get("where"), "where"),
        limit=integer(query.get("limit"), "limit"),
        include=listed(query.get("include")),
    )
    return json_text(body)
