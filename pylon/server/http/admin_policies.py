"""The owner's view of the policies: the matrix with its flags, and what the last reload changed."""

from __future__ import annotations

from aiohttp import web

from pylon.server.http.exchange import Exchange, json_value


async def policies(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/policies: who may do what, in words, and what deserves a look."""
    return json_value(
        {
            **await exchange.services.policies.current(),
            "change": exchange.services.observer.policy_change,
        }
    )
