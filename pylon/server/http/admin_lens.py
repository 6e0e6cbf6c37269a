"""The row lens: one row as the server has it, as a user reads it, and as a client holds it."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.errors import NotFound, NotRetained
from pylon.identity import SYSTEM
from pylon.schema.model import Entity
from pylon.server.functions.owner_reads import OwnerReads
from pylon.server.functions.queries import entity_of
from pylon.server.http.acting import acting
from pylon.server.http.admin_clients import find_client, stored_by, view_of, why_over
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.http.services import Services
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.row_history import seqs_after
from pylon.server.storage.select import wire_of
from pylon.server.storage.time_travel import PAST_SECONDS, stand_at
from pylon.server.sync.channel import Connection
from pylon.server.sync.view import EntityView

_SEQS_SHOWN: Final = 20


async def lens(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/lens/{E}/{id}?as=&client=: a row on the server, for a user, at a client."""
    query, services = exchange.query(("as", "client")), exchange.services
    entity, row_id = entity_of(services.definitions.current, exchange.parts[0]), exchange.parts[1]
    reads = OwnerReads(services.database, services.definitions, services.clock)
    shown: dict[str, Any] = {
        "entity": entity.name, "id": row_id, "head": services.database.head,
        "server": await _row(reads, SYSTEM, entity, row_id), "user": None, "client": None,
    }  # fmt: skip
    if query.get("as"):
        row = await _row(reads, acting(exchange, query["as"]), entity, row_id)
        shown["user"] = {"user": query["as"], "row": row, "hidden": _hidden(entity, row)}
    if query.get("client"):
        shown["client"] = await _client(exchange, query["client"], entity, row_id)
    return json_value(shown)


async def _row(
    reads: OwnerReads, identity: Any, entity: Entity, row_id: str
) -> dict[str, Any] | None:
    try:
        row, _ = await reads.whole(identity, entity.name, row_id)
    except NotFound:
        return None
    return row


def _hidden(entity: Entity, row: dict[str, Any] | None) -> list[str]:
    """Return the fields that a row was given without; of a row that nobody got: none."""
    return [] if row is None else [one.name for one in entity.fields if one.name not in row]


async def _client(exchange: Exchange, name: str, entity: Entity, row_id: str) -> dict[str, Any]:
    """Return what a client holds of a row, by the cursor that it says it has stored.

    Up to there it has everything it may see; a change above it, it may have or not.
    """
    services, found = exchange.services, find_client(exchange, name)
    is_live = isinstance(found, Connection)
    cursor = stored_by(services, found)
    view = view_of(exchange, found)
    seen = view.entities.get(entity.name)
    shown: dict[str, Any] = {
        "client_id": found.client_id, "cursor": str(cursor), "seq": cursor.seq,
        "state": "connected" if is_live else "offline", "pending": found.pending,
        "row": None, "hidden": [], "unseen": [],
    }  # fmt: skip
    reason = why_over(exchange, found, cursor)
    if reason is not None:
        return {**shown, "held": "starts_over", "reason": reason}
    if seen is None or not seen.is_followed:
        return {**shown, "held": "windows" if seen is not None else "not_subscribed"}
    try:
        held, row, unseen = await _held(services, seen, row_id, cursor.seq)
    except NotRetained as error:
        return {**shown, "held": "unknown", "reason": error.message}
    return {**shown, "held": held, "row": row, "hidden": _hidden(entity, row), "unseen": unseen}


async def _held(
    services: Services, seen: EntityView, row_id: str, seq: int
) -> tuple[str, dict[str, Any] | None, list[int]]:
    now, entity = iso_ms(services.clock.now_ms()), seen.entity
    policy, wanted = seen.clauses(now)
    wire = seen.wire_clause(now)

    def read(reader: ReadConnection) -> tuple[str, dict[str, Any] | None, list[int]]:
        unseen = seqs_after(reader.raw, entity.name, row_id, seq, _SEQS_SHOWN)
        stand_at(reader, min(seq, services.database.head))
        if reader.get(entity, row_id) is None:
            return "no_row", None, unseen
        if wire_of(reader.raw, entity, row_id, wanted) is None:
            return "not_wanted", None, unseen
        found = wire_of(reader.raw, entity, row_id, policy, wire)
        if found is None:
            return "not_visible", None, unseen
        return "row", jsonvalue.decode_trusted(found[0]), unseen

    return await services.database.readers.run(read, timeout_s=PAST_SECONDS)


ROUTES: Final = (("GET", "/api/admin/lens/{E}/{id}", lens),)
