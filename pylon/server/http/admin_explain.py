"""Explanations over HTTP: for the owner about anybody; in development for admins of the app."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from pylon.clock import iso_ms
from pylon.errors import PolicyDenied
from pylon.server.functions.authorize import demand_signed_in
from pylon.server.functions.queries import entity_of
from pylon.server.functions.why import asked_of, explain_row, sight_of
from pylon.server.http.exchange import Exchange, json_parameter, json_value


async def explain(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/explain {entity, id, as, access?, values?, field?}: for the owner."""
    asked = asked_of(await exchange.json_object())
    services = exchange.services
    definition, now = services.definitions.current, iso_ms(services.clock.now_ms())
    found = await services.database.readers.run(
        lambda reader: explain_row(definition, reader, asked, now).to_json()
    )
    return json_value(found)


async def explain_in_dev(exchange: Exchange) -> web.StreamResponse:
    """GET /api/explain/{E}/{id}?as=&access=&values=&field=: for admins of the app, in `pylon dev`.

    Private fields are not shown to him, nor rows that he may not read.
    """
    identity = exchange.identity
    demand_signed_in(identity)
    if "admin" not in identity.roles:
        raise PolicyDenied("explanations are for users with the role admin")
    query = exchange.query(frozenset({"as", "access", "values", "field"}))
    given: dict[str, Any] = {
        "entity": exchange.parts[0], "id": exchange.parts[1],
        "as": query.get("as", identity.user_id), "access": query.get("access"),
        "values": json_parameter(query.get("values"), "values"),
        "field": query.get("field"),
    }  # fmt: skip
    asked = asked_of(given)
    services = exchange.services
    definition, now = services.definitions.current, iso_ms(services.clock.now_ms())
    entity = entity_of(definition, asked.entity)

    def explained(reader: Any) -> dict[str, Any]:
        sight = sight_of(definition, reader, identity, entity, now)
        return explain_row(definition, reader, asked, now, sight).to_json()

    return json_value(await services.database.readers.run(explained))
