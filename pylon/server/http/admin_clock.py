"""The warped clock, for the owner, in development only (I73): where time is, and moving it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pylon.errors import InvalidArgument
from pylon.server.http.exchange import Exchange, json_value


async def show(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/clock: the time, how far it is ahead, what comes next, the last journey."""
    warp = exchange.services.warp
    assert warp is not None
    return json_value(warp.describe())


async def move(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/clock {to}: `next`, `+7d`, an ISO time, `reset` or `stop`.

    Answers what GET does, at the end or after a few seconds with `journey` still under way.
    """
    body = await exchange.json_object()
    to = body.get("to")
    if not isinstance(to, str) or len(to) > 64:
        raise InvalidArgument("to is a text", field="to", hint="next, +7d, an ISO time, reset")
    warp = exchange.services.warp
    assert warp is not None
    await warp.move(to.strip())
    return json_value(warp.describe())


ROUTES: Final = (("GET", "/api/admin/clock", show), ("POST", "/api/admin/clock", move))
