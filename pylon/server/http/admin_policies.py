"""The owner's view of the policies: the matrix with its flags, and what the last reload changed."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from pylon.app.policy_coverage import FILE_NAME, coverage_of, read_coverage
from pylon.server.http.exchange import Exchange, json_value


async def policies(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/policies: who may do what, in words, and what deserves a look.

    Each row has the coverage of this run, or of the last one that counted.
    """
    services = exchange.services
    stored: dict[str, Any] | None
    matrix = await services.policies.current()
    if services.coverage is not None:
        stored = services.coverage.to_json()
    else:
        stored = await asyncio.to_thread(
            lambda: read_coverage(services.database.folder / FILE_NAME)
        )
    rows = [
        {**row, "coverage": coverage_of(stored, f"{row['entity']}.{row['access']}", row["policy"])}
        for row in matrix["rows"]
    ]
    return json_value(
        {
            **matrix, "rows": rows, "change": services.observer.policy_change,
            "coverage_at": stored["at"] if stored else None,
            "coverage_is_live": services.coverage is not None,
        }
    )  # fmt: skip
