"""The schema for the owner: entities, fields, indexes and their uses, the migration that waits."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon.app.migrationfiles import find_migrations
from pylon.server.functions.data_migrations import states_of
from pylon.server.functions.next_code import calls_under
from pylon.server.functions.schema_shown import entities_shown, plan_shown
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.http.services import Services
from pylon.server.storage.index_uses import index_uses
from pylon.server.storage.readers import ReadConnection
from pylon.server.sync.next_app import clients_under

_SECONDS: Final = 30.0


async def schema(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/schema: what there is, what waits, and who would load anew."""
    services = exchange.services
    database, definitions = services.database, services.definitions
    uses = await index_uses(database)
    waiting = definitions.waiting
    files = find_migrations(definitions.current.root)

    seen = services.hub.live.seen() if waiting is not None else {}

    def look(reader: ReadConnection) -> dict[str, Any]:
        plan = None if waiting is None else plan_shown(reader.raw, waiting, files, seen)
        return {
            "plan": plan,
            "data": [one.to_json() for one in states_of(reader.raw, files)],
        }

    found = await database.readers.run(look, timeout_s=_SECONDS)
    if waiting is not None:
        plan = found["plan"]
        plan["calls"] = calls_under(definitions.current, waiting)
        plan["clients"] = await clients_under(
            services.hub.connections(), waiting, rewritten=", ".join(plan["resync"]) or None
        )
    return json_value({
        "entities": entities_shown(database.schema, uses), "counts_uses": uses is not None,
        "clients": _clients(services), **found,
    })  # fmt: skip


def _clients(services: Services) -> int:
    return sum(not one.is_ghost for one in services.hub.connections())


ROUTES: Final = (("GET", "/api/admin/schema", schema),)
