"""Rows for the owner: entities with counts, pages, one row; and his changes, with their undo.

He reads private fields, or what a user of his choice reads; he writes as the system, by the same
mutations as everybody, and the log says `studio`.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon import jsonvalue
from pylon.errors import Conflict, InvalidArgument, NotFound, PylonError
from pylon.identity import SYSTEM, Identity
from pylon.schema.describe import field_json_schema
from pylon.schema.model import Entity, Field
from pylon.server.functions.outcome import Outcome
from pylon.server.functions.owner_reads import Asked, OwnerReads
from pylon.server.functions.queries import entity_of
from pylon.server.functions.restoring import step_to
from pylon.server.functions.undoing import STUDIO, change_of
from pylon.server.http.acting import acting
from pylon.server.http.exchange import Exchange, flag, integer, json_value, listed
from pylon.server.http.services import Services
from pylon.server.storage.data_pages import REFERRERS_MAX, Referrers

_PAGE_NAMES: Final = (
    "filter", "order", "limit", "after", "before", "at", "end", "as", "count", "as_of",
)  # fmt: skip


def _reads(services: Services) -> OwnerReads:
    return OwnerReads(services.database, services.definitions, services.clock)


def _entity(exchange: Exchange) -> Entity:
    return entity_of(exchange.services.definitions.current, exchange.parts[0])


def _viewer(exchange: Exchange) -> Identity:
    return acting(exchange, exchange.query().get("as") or None)


async def entities(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/data?sizes=1&as_of=: each entity with fields, rows and, if asked for, bytes.

    `rows` or `bytes` is null where finding out takes too long.
    """
    query = exchange.query(("sizes", "as_of"))
    with_sizes, as_of = flag(query.get("sizes")), integer(query.get("as_of"), "as_of")
    services = exchange.services
    reads, found = _reads(services), []
    for one in services.definitions.current.schema.entities.values():
        shown = _described(one)
        shown["rows"] = await _count(reads, one.name, as_of)
        if with_sizes:
            shown["bytes"] = await reads.bytes_of(one)
        found.append(shown)
    return json_value({"entities": found})


async def _count(reads: OwnerReads, name: str, as_of: int | None) -> int | None:
    try:
        return await reads.count_of(SYSTEM, name, None, as_of)
    except NotFound:
        return None  # its table of then was dropped


def _described(entity: Entity) -> dict[str, Any]:
    return {
        "name": entity.name, "doc": entity.doc, "sync": entity.sync,
        "fields": [_described_field(one) for one in entity.fields],
    }  # fmt: skip


def _described_field(field: Field) -> dict[str, Any]:
    default = None if field.default is None else field.default.kind.value
    return {
        "name": field.name, "kind": field.kind.value, "nullable": field.nullable,
        "private": field.private, "guarded": field.read is not None, "ref": field.ref,
        "on_delete": field.on_delete.value, "immutable": field.immutable, "unique": field.unique,
        "required": field.is_required, "default": default, "choices": list(field.choices),
        "doc": field.doc, "schema": field_json_schema(field),
    }  # fmt: skip


async def page(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/data/{E}?filter=&order=&limit=&after=|before=|at=|end=1&as=&as_of=: a page.

    `filter` is an expression of the policy language. `count=1` answers {"count"} instead. With
    `as_of` the rows as they were after that change.
    """
    query, viewer = exchange.query(_PAGE_NAMES), _viewer(exchange)
    entity, reads = _entity(exchange), _reads(exchange.services)
    expression, as_of = query.get("filter") or None, integer(query.get("as_of"), "as_of")
    if flag(query.get("count")):
        return json_value({"count": await reads.count_of(viewer, entity.name, expression, as_of)})
    asked = Asked(
        expression=expression, order=listed(query.get("order")) or None,
        limit=integer(query.get("limit"), "limit"), after=query.get("after"),
        before=query.get("before"), at=query.get("at"), is_end=flag(query.get("end")),
        as_of=as_of,
    )  # fmt: skip
    return json_value(await reads.page(viewer, entity.name, asked))


async def row(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/data/{E}/{id}?as=&as_of=: a whole row, and how many rows refer to it."""
    as_of = integer(exchange.query(("as", "as_of")).get("as_of"), "as_of")
    entity, row_id = _entity(exchange), exchange.parts[1]
    found, referrers = await _reads(exchange.services).whole(
        _viewer(exchange), entity.name, row_id, as_of
    )
    return json_value({"entity": entity.name, "row": found, "referrers": referrers_json(referrers)})


def referrers_json(referrers: list[Referrers]) -> list[dict[str, Any]]:
    """Return who refers, as JSON: counts are exact below the limit, and `more` says so."""
    return [
        {"entity": one.entity.name, "field": one.field.name,
         "on_delete": one.field.on_delete.value, "count": min(one.count, REFERRERS_MAX),
         "more": one.count > REFERRERS_MAX}
        for one in referrers
    ]  # fmt: skip


# --- changes


async def restore(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/data/{E}/{id}/restore {to, if_seq?}: the row as it was after change `to`."""
    body, services = await exchange.json_object(), exchange.services
    to, if_seq, entity = body.get("to"), body.get("if_seq"), _entity(exchange)
    if type(to) is not int:
        raise InvalidArgument("to is the number of a change", field="to")
    if if_seq is not None and type(if_seq) is not int:
        raise InvalidArgument("if_seq is the row's _seq", field="if_seq")
    fn, args = await services.database.readers.run(
        lambda reader: step_to(reader, entity, exchange.parts[1], to, if_seq)
    )
    return await _write(exchange, fn, args)


async def insert(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/data/{E} {values, id?}: a new row."""
    body = await exchange.json_object()
    args = {"values": body.get("values"), **_given(body, "id")}
    return await _write(exchange, "pylon.insert", args)


async def update(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/data/{E}/{id}/update {values, if_seq?}."""
    body = await exchange.json_object()
    args = {"id": exchange.parts[1], "values": body.get("values"), **_given(body, "if_seq")}
    return await _write(exchange, "pylon.update", args)


async def delete(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/data/{E}/{id}/delete {if_seq?}: the row, and what goes with it."""
    body = await exchange.json_object()
    args = {"id": exchange.parts[1], **_given(body, "if_seq")}
    return await _write(exchange, "pylon.delete", args)


def _given(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: body[name]} if body.get(name) is not None else {}


async def _write(exchange: Exchange, fn: str, args: dict[str, Any]) -> web.StreamResponse:
    entity = _entity(exchange)
    demand_not_account(entity, fn)
    outcome = await exchange.services.executor.mutate(
        SYSTEM, fn, {"entity": entity.name, **args}, op_id=None, cause=STUDIO
    )
    return await _answer(exchange.services, outcome)


def demand_not_account(entity: Entity, fn: str) -> None:
    """Raise Conflict where a User would come or go without its account."""
    if entity.name == "User" and fn != "pylon.update":
        raise Conflict(
            "a User is the face of an account: it comes and goes with it",
            hint="pylon users invites and deletes accounts (U on the dashboard)",
        )  # fmt: skip


async def _answer(services: Services, outcome: Outcome) -> web.StreamResponse:
    if outcome.error is not None:
        return json_value({"error": outcome.error}, outcome.http_status)
    value = jsonvalue.decode_trusted((outcome.value or "null").encode())
    last = outcome.seq
    assert last is not None
    # The outcome is of the whole transaction; the number that the owner goes on with (its row's
    # history, its undo) is that of the change.
    try:
        seq = await services.database.readers.run(lambda reader: change_of(reader, last))
    except PylonError:
        seq = last  # it is stored: whoever is told of an error writes it twice; undo takes this one
    return json_value({"seq": seq, "row": value})


ROUTES: Final = (
    ("GET", "/api/admin/data", entities),
    ("GET", "/api/admin/data/{E}", page),
    ("POST", "/api/admin/data/{E}", insert),
    ("GET", "/api/admin/data/{E}/{id}", row),
    ("POST", "/api/admin/data/{E}/{id}/update", update),
    ("POST", "/api/admin/data/{E}/{id}/delete", delete),
    ("POST", "/api/admin/data/{E}/{id}/restore", restore),
)
