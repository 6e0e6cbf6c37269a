"""GET /api/admin/doctor: what deserves a look on the machine and in the project of this runtime."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pylon.server.doctor.examine import examine
from pylon.server.http.exchange import Exchange, json_value
from pylon.version import __version__


async def doctor(exchange: Exchange) -> web.StreamResponse:
    """Return findings, the worst first, and what a remote doctor compares: time and version."""
    services = exchange.services
    matrix = await services.policies.current()
    found = await examine(
        services.config.project, services.clock, is_production=not services.config.is_dev,
        is_running=True, policies=matrix["rows"],
    )  # fmt: skip
    return json_value(
        {
            "findings": [one.to_json() for one in found], "version": __version__,
            "now_ms": services.clock.machine_ms(),
        }
    )  # fmt: skip


ROUTES: Final = (("GET", "/api/admin/doctor", doctor),)
