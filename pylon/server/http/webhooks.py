"""/api/webhooks/{name}: what other services send, raw, to a function of the app."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon.errors import MethodNotAllowed, NotFound
from pylon.server.functions.webhooks import Received
from pylon.server.http.exchange import Exchange
from pylon.webhooks import WebhookRequest

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: Whatever is answered is no page of the app's.
_HEADERS: Final = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer", "Content-Security-Policy": "sandbox",
}  # fmt: skip


async def receive(exchange: Exchange) -> web.StreamResponse:
    """Hand the request to the app's webhook and answer what it returns.

    The caller is nobody: cookies and tokens are not looked at, the function checks who sent it.
    It runs to its end though the caller leaves, who would send it again anyway.
    """
    services, name = exchange.services, exchange.parts[0]
    webhook = services.definitions.current.webhooks.get(name)
    if webhook is None:
        raise NotFound(f"there is no webhook {name[:64]}")
    method = "GET" if exchange.method == "HEAD" else exchange.method
    if method not in webhook.methods:
        allow = webhook.methods
        raise MethodNotAllowed(f"this webhook takes {', '.join(sorted(allow))}", allow=allow)
    services.executor.doors.demand_rate_of(webhook.label, webhook.rate, f"a {exchange.address}")
    request = exchange.request
    received = await services.executor.receive(
        webhook,
        WebhookRequest(
            name=name, method=method, headers=request.headers, query=request.rel_url.query,
            body=await exchange.body(webhook.max_bytes), address=exchange.address,
            received_at_ms=services.clock.now_ms(),
        ),
    )  # fmt: skip
    return _answer(received)


def _answer(received: Received) -> web.Response:
    headers: dict[str, Any] = {**_HEADERS, **received.headers}
    if received.body is not None:
        headers.setdefault("Content-Type", received.content_type)
    return web.Response(status=received.status, body=received.body, headers=headers)
