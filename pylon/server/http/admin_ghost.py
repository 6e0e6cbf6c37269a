"""Ghosts: the owner looks as a user, with a cursor of his choice, and changes nothing.

A ghost asks the same paths as any client, below `/api/admin/ghost/{user}`. It has no session and
touches none; the runtime's log says who was looked at.
"""

from __future__ import annotations

import logging

from aiohttp import web

from pylon.identity import Identity
from pylon.server.http import openapi
from pylon.server.http.acting import acting
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.http.pull import pull_as
from pylon.server.http.sync import serve_socket

_log = logging.getLogger("pylon.admin")


def _who(exchange: Exchange) -> Identity:
    return acting(exchange, exchange.parts[0])


async def about(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/ghost/{user}: who that is, and where the log stands."""
    identity, database = _who(exchange), exchange.services.database
    entities = exchange.services.definitions.current.schema.entities.values()
    return json_value(
        {
            "user_id": identity.user_id, "email": identity.email, "roles": sorted(identity.roles),
            "head": str(database.cursor()), "horizon": str(database.cursor(database.horizon)),
            "entities": [one.name for one in entities if one.sync],
        }
    )  # fmt: skip


async def socket(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/ghost/{user}/api/sync/ws: the sync socket as this user, reading only."""
    identity = _who(exchange)
    _log.warning("ghost.came as %s", identity.email or "anonymous")
    try:
        return await serve_socket(exchange, identity, is_ghost=True)
    finally:
        _log.info("ghost.left as %s", identity.email or "anonymous")


async def pull(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/ghost/{user}/api/sync/pull: a pull as this user."""
    return await pull_as(exchange, _who(exchange))


async def schema(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/ghost/{user}/api/schema: the manifest."""
    return await openapi.schema(exchange)
