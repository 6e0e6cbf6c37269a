"""POST /api/fn/{name}: call a query, mutation or action."""

from __future__ import annotations

from aiohttp import web

from pylon.server.http.exchange import Exchange, json_text, json_value


async def call_function(exchange: Exchange) -> web.StreamResponse:
    """Call a function with the body as its arguments' object."""
    identity = exchange.identity
    executor = exchange.services.executor
    executor.demand_callable(identity, exchange.parts[0])
    op_id = exchange.operation_id
    args = await exchange.json_object()
    outcome = await executor.call(identity, exchange.parts[0], args, op_id=op_id, cause="http")
    if outcome.error is not None:
        return json_value({"error": outcome.error}, outcome.http_status)
    value = outcome.value or "null"
    if outcome.seq is None:
        return json_text(f'{{"value":{value}}}')
    head = exchange.services.database.cursor(outcome.seq)
    return json_text(f'{{"value":{value},"head":"{head}"}}')
