"""GET /api/admin/settings: every setting in force, what named it, and what would stop a start."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from pylon.server.config import outer_environment
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.settings_shown import settings_shown


async def settings(exchange: Exchange) -> web.StreamResponse:
    """Return the settings that this runtime started with; secrets are not in it."""
    config = exchange.services.config
    # Files are read for it, and a screen asks every second.
    shown = await asyncio.to_thread(
        settings_shown, config.project, outer_environment(), is_dev=config.is_dev, in_force=config
    )
    return json_value(shown)


ROUTES: Final = (("GET", "/api/admin/settings", settings),)
