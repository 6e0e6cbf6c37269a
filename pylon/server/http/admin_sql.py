"""The SQL line of the owner: one statement that reads, with its plan and its time."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from pylon import limits_data
from pylon.errors import InvalidArgument, PayloadTooLarge
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.storage.sql_line import ask_sql

#: So often it is looked whether who asked is still there.
_POLL_SECONDS: Final = 0.2


async def sql(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/sql {sql, limit?, plan?}: {"columns", "rows", "more", "cut", "ms", "plan"}.

    Whoever leaves interrupts it.
    """
    body = await exchange.json_object()
    statement, limit = body.get("sql"), body.get("limit", limits_data.SQL_ROWS_MAX)
    if not isinstance(statement, str) or not statement.strip():
        raise InvalidArgument(
            "sql is one statement", field="sql", hint="such as: SELECT count(*) FROM User"
        )
    if len(statement.encode()) > limits_data.SQL_BYTES_MAX:
        raise PayloadTooLarge(f"a statement has at most {limits_data.SQL_BYTES_MAX} bytes")
    if type(limit) is not int or not 1 <= limit <= limits_data.SQL_ROWS_MAX:
        raise InvalidArgument(f"limit is 1 to {limits_data.SQL_ROWS_MAX}", field="limit")
    services = exchange.services
    asking = asyncio.ensure_future(
        ask_sql(
            services.database.readers, services.clock,
            services.definitions.current.schema.entities, statement, limit=limit,
            with_plan=body.get("plan") is True,
        )
    )  # fmt: skip
    try:
        while not (await asyncio.wait((asking,), timeout=_POLL_SECONDS))[0]:
            if exchange.has_left:
                raise ConnectionResetError("who asked has left")
        return json_value(asking.result().to_wire())
    finally:
        asking.cancel()


ROUTES: Final = (("POST", "/api/admin/sql", sql),)
