"""The project's seed.py, run by the runtime; in development only."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pylon.server.functions.seeding import run_seed
from pylon.server.http.exchange import Exchange, json_value


async def seed(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/seed {again?}: whether it ran, since it does so once."""
    body = await exchange.json_object()
    services = exchange.services
    ran = await run_seed(
        services.database, services.executor, services.definitions.current,
        again=body.get("again") is True,
    )  # fmt: skip
    return json_value({"ran": ran})


ROUTES: Final = (("POST", "/api/admin/seed", seed),)
