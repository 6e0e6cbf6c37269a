"""Rows over HTTP: lists, one row, insert, patch, delete. Writes are the built-in mutations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from pylon.errors import InvalidArgument, InvalidJson, NotFound
from pylon.server.functions.authorize import demand_signed_in
from pylon.server.functions.outcome import Outcome
from pylon.server.functions.queries import entity_of
from pylon.server.http.exchange import (
    Exchange,
    integer,
    json_parameter,
    json_text,
    json_value,
    listed,
    no_content,
)  # fmt: skip

_ETAG = re.compile(r'(?:W/)?"(\d{1,16})"\Z', re.ASCII)
_LIST_NAMES = frozenset({"where", "order", "limit", "after", "include"})


async def list_rows(exchange: Exchange) -> web.StreamResponse:
    """GET /api/entities/{E}."""
    identity = exchange.identity
    entity_of(exchange.services.definitions.current, exchange.parts[0])
    query = exchange.query(_LIST_NAMES)
    order = query.get("order")
    body = await exchange.services.reads.list_rows(
        identity,
        exchange.parts[0],
        where=json_parameter(query.get("where"), "where"),
        order=None if order is None else [one.strip() for one in order.split(",")],
        limit=integer(query.get("limit"), "limit"),
        after=query.get("after"),
        include=listed(query.get("include")) or None,
    )
    return json_text(body)


async def query_rows(exchange: Exchange) -> web.StreamResponse:
    """POST /api/query/{E}: the list call with a JSON body."""
    identity = exchange.identity
    entity_of(exchange.services.definitions.current, exchange.parts[0])
    body = await exchange.json_object()
    for name in body:
        if name not in _LIST_NAMES:
            raise InvalidArgument(f"a list has no {name[:64]}", field=name[:64])
    text = await exchange.services.reads.list_rows(
        identity, exchange.parts[0], where=body.get("where"), order=body.get("order"),
        limit=body.get("limit"), after=body.get("after"), include=body.get("include"),
    )  # fmt: skip
    return json_text(text)


async def get_row(exchange: Exchange) -> web.StreamResponse:
    """GET /api/entities/{E}/{id}."""
    entity, row_id = exchange.parts
    reads, identity = exchange.services.reads, exchange.identity
    include = listed(exchange.query(("include",)).get("include"))
    try:
        if include:
            wire, seq = await reads.get_with(identity, entity, row_id, include)
        else:
            wire, seq = reads.get_row(identity, entity, row_id)
    except NotFound:
        reasons = exchange.services.executor.reasons
        if reasons is not None:
            reasons.note_hidden(identity, entity, row_id)
        raise
    return json_text(wire, headers={"ETag": f'"{seq}"'})


async def insert_row(exchange: Exchange) -> web.StreamResponse:
    """POST /api/entities/{E}."""
    identity = exchange.identity
    demand_signed_in(identity)
    entity_of(exchange.services.definitions.current, exchange.parts[0])
    op_id = exchange.operation_id
    values = await exchange.json()
    if not isinstance(values, dict):
        raise InvalidArgument("the body is an object of fields")
    args = {"entity": exchange.parts[0], "values": values}
    if "id" in values:  # the same operation as a push's, which names the id beside the values
        row_id = values.pop("id")
        if row_id is not None:
            args["id"] = row_id
    outcome = await exchange.services.executor.mutate(
        identity, "pylon.insert", args, op_id=op_id, cause="http"
    )
    return _written(outcome, 201)


async def patch_row(exchange: Exchange) -> web.StreamResponse:
    """PATCH /api/entities/{E}/{id}."""
    identity = exchange.identity
    demand_signed_in(identity)
    entity, row_id = exchange.parts
    with _missing_first(exchange):
        op_id = exchange.operation_id
        values = await exchange.json()
        args = {"entity": entity, "id": row_id, "values": values, **_if_match(exchange)}
    outcome = await exchange.services.executor.mutate(
        identity, "pylon.update", args, op_id=op_id, cause="http"
    )
    return _written(outcome, 200)


async def delete_row(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/entities/{E}/{id}."""
    identity = exchange.identity
    demand_signed_in(identity)
    entity, row_id = exchange.parts
    with _missing_first(exchange):
        op_id = exchange.operation_id
        args = {"entity": entity, "id": row_id, **_if_match(exchange)}
    outcome = await exchange.services.executor.mutate(
        identity, "pylon.delete", args, op_id=op_id, cause="http"
    )
    return _written(outcome, 204)


@contextmanager
def _missing_first(exchange: Exchange) -> Iterator[None]:
    """Have a row that is not there be said before what is wrong with the request."""
    try:
        yield
    except (InvalidJson, InvalidArgument):
        exchange.services.reads.get_row(exchange.identity, *exchange.parts)
        raise


def _if_match(exchange: Exchange) -> dict[str, int]:
    given = exchange.request.headers.get("If-Match")
    if given is None:
        return {}
    found = _ETAG.match(given.strip())
    if found is None:
        raise InvalidArgument('If-Match is "<seq>", as ETag gave it', field="If-Match")
    return {"if_seq": int(found[1])}


def _written(outcome: Outcome, status: int) -> web.Response:
    if outcome.error is not None:
        return json_value({"error": outcome.error}, outcome.http_status)
    if status == 204:
        return no_content()
    return json_text(outcome.value or "null", status)
