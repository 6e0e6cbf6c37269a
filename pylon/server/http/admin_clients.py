"""The admin surface on clients: how far each has come, what it has not seen, and its network.

What a client has not seen is judged as its own caller, by the routine that will bring it up.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from aiohttp import web

from pylon import jsonvalue, limits
from pylon.clock import iso_ms
from pylon.errors import InvalidArgument, NotFound, ResyncRequired
from pylon.identity import ANONYMOUS, SYSTEM, Identity
from pylon.protocol.change import Cursor, parse_cursor
from pylon.server.http.acting import acting
from pylon.server.http.exchange import Exchange, integer, json_body, json_value
from pylon.server.http.pull import read_batch
from pylon.server.http.services import Services
from pylon.server.storage.change_log import time_after
from pylon.server.storage.clients import KnownClient
from pylon.server.sync.channel import Connection, describe, described, reached_by
from pylon.server.sync.shaping import Mode, shape_of
from pylon.server.sync.subscriber import Phase, Subscriber
from pylon.server.sync.view import View, make_view, whole_view

_log = logging.getLogger("pylon.admin")
_KNOWN_MAX = 200


def _live(services: Services, connection: Connection) -> dict[str, Any]:
    shown = describe(connection, services.database.head, services.clock.now_ms())
    shown["connected_at"] = iso_ms(shown["connected_at"])
    shown["last_seen"] = iso_ms(shown["last_seen"])
    if shown["lag_changes"]:
        shown["lag_s"] = _behind_s(services, reached_by(connection))
    return shown


def _behind_s(services: Services, seq: int) -> float:
    """Return how old the first change above `seq` is, in seconds; 0 where there is none."""
    at_ms = time_after(services.database.readers.inline.raw, seq)
    return 0.0 if at_ms is None else round((services.clock.now_ms() - at_ms) / 1000, 1)


def _away(services: Services, known: KnownClient) -> dict[str, Any]:
    database = services.database
    is_same = known.epoch == database.epoch
    return {
        "connection_id": None, "client_id": known.client_id, "user_id": known.principal or None,
        "email": known.email, "address": None, "user_agent": known.user_agent,
        "state": "offline", "cursor": f"{known.epoch}:{known.seq}", "sent": None,
        "lag_changes": max(0, database.head - known.seq) if is_same else None,
        "lag_s": _behind_s(services, known.seq) if is_same
        else round((services.clock.now_ms() - known.last_seen_ms) / 1000, 1),
        "queued_bytes": 0,
        "subscriptions": described(services.hub.wants_of(known, SYSTEM) or ()),
        "connected_at": None,
        "last_seen": iso_ms(known.last_seen_ms), "pending": known.pending,
        "round_trip_ms": None, "is_ghost": False, "network": _network_of(services, known.client_id),
    }  # fmt: skip


def _network_of(services: Services, client_id: str) -> dict[str, Any] | None:
    if services.switchboard is None:
        return None
    shape = services.switchboard.shape_of(client_id)
    return None if shape.is_plain else asdict(shape)


def clients_of(services: Services) -> list[dict[str, Any]]:
    """Return every connection, then every known client that is not connected."""
    live = [_live(services, one) for one in services.hub.connections()]
    connected = {(one["client_id"], one["user_id"] or "") for one in live}
    connected |= {(one["client_id"], "") for one in live}  # it has signed in since
    away = [
        _away(services, one)
        for one in services.hub.known_clients(_KNOWN_MAX)
        if (one.client_id, one.principal) not in connected
    ]
    return [*live, *away]


async def clients(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/clients."""
    services = exchange.services
    services.hub.measure(services.hub.connections(), every_s=1.0)
    return json_value({"clients": clients_of(services)})


async def client(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/clients/{id}?limit=&cursor=: one client, what it has not seen, what is next.

    The id is a client's or a connection's; `cursor` asks from elsewhere than what it has stored.
    """
    services, query = exchange.services, exchange.query(("limit", "cursor"))
    limit = integer(query.get("limit", str(limits.PULL_LIMIT_MAX)), "limit")
    if limit is None or not 1 <= limit <= limits.PULL_LIMIT_MAX:
        raise InvalidArgument(f"limit is 1 to {limits.PULL_LIMIT_MAX}", field="limit")
    found = find_client(exchange, exchange.parts[0])
    connection = found if isinstance(found, Connection) else None
    if connection is not None:
        services.hub.measure([connection], every_s=1.0)
        shown = _live(services, connection)
    else:
        assert isinstance(found, KnownClient)
        shown = _away(services, found)
    cursor = parse_cursor(query.get("cursor")) or stored_by(services, found)
    view = view_of(exchange, found)
    reason = why_over(exchange, found, cursor)
    if reason is None:
        unseen = await _batch(exchange, view, cursor, limit)
    else:
        unseen = jsonvalue.encode({"resync": reason, "after": str(cursor)})
    following = b"null" if connection is None else await _next(exchange, connection, view)
    return json_body(
        b'{"client":%b,"unseen":%b,"next":%b}' % (jsonvalue.encode(shown), unseen, following)
    )


def find_client(exchange: Exchange, name: str) -> Connection | KnownClient:
    """Return a client by its name: connected, else as it was last known; raises NotFound."""
    hub = exchange.services.hub
    live = hub.clients_named(name)
    if live:
        return live[-1]
    for one in hub.known_clients(limits.CLIENTS_MAX):
        if one.client_id == name:
            return one
    raise NotFound(f"there is no client {name[:64]}", hint="`pylon cursors` lists them")


def stored_by(services: Services, found: Connection | KnownClient) -> Cursor:
    """Return up to where a client says that it has everything."""
    if isinstance(found, Connection):
        return services.database.cursor(found.stored_seq)
    return Cursor(found.epoch, found.seq)  # type: ignore[arg-type]


def view_of(exchange: Exchange, found: Connection | KnownClient) -> View:
    """Return what a client follows, or followed; if nobody remembers, all its caller may see."""
    definition, caller = exchange.services.definitions.current, _caller_of(exchange, found)
    if isinstance(found, Connection):
        return found.view or whole_view(definition, caller)
    wanted = exchange.services.hub.wants_of(found, caller)
    return whole_view(definition, caller) if wanted is None else make_view(
        definition, caller, wanted
    )  # fmt: skip


def _caller_of(exchange: Exchange, found: Connection | KnownClient) -> Identity:
    if isinstance(found, Connection):
        return found.identity
    return acting(exchange, found.principal) if found.principal else ANONYMOUS


def why_over(exchange: Exchange, found: Connection | KnownClient, cursor: Cursor) -> str | None:
    """Return why a client that is away has to start over when it comes, or None."""
    if isinstance(found, Connection):
        return None
    services, database = exchange.services, exchange.services.database
    oldest = services.sessions.oldest_cursor(_caller_of(exchange, found))
    reason = Subscriber(database.epoch).greet(
        cursor, database.head, database.horizon, database.rewritten, oldest
    )
    return None if reason is None else reason.value


async def _batch(exchange: Exchange, view: View, cursor: Cursor, limit: int) -> bytes:
    """Return the batch from a cursor as JSON, or why there is none from there."""
    try:
        page = await read_batch(exchange, view, cursor, limit)
    except ResyncRequired as error:
        return jsonvalue.encode({"resync": error.details["reason"], "after": str(cursor)})
    epoch = exchange.services.database.epoch
    return b'{"after":"%b:%d","through":"%b:%d","changes":[%b],"more":%b}' % (
        epoch.encode(), page.after, epoch.encode(), page.through, page.tail,
        b"true" if page.more else b"false",
    )  # fmt: skip


async def _next(exchange: Exchange, connection: Connection, view: View) -> bytes:
    """Return what the connection gets next: `changes`, a `page`, a `window`, or `nothing`."""
    services, machine = exchange.services, connection.subscriber
    if machine.phase is Phase.GREETING:
        return jsonvalue.encode({"kind": "welcome"})
    if machine.cursor < services.database.head:
        batch = await _batch(
            exchange, view, services.database.cursor(machine.cursor), limits.PULL_LIMIT_MAX
        )
        return b'{"kind":"changes",' + batch[1:]
    if machine.dirty_windows:
        return jsonvalue.encode({"kind": "window", "subscription": machine.dirty_windows[0]})
    for one in machine.subscriptions.values():
        if one.after is not None:
            return jsonvalue.encode({"kind": "page", "subscription": one.id, "after": one.after})
    return jsonvalue.encode({"kind": "nothing"})


def _connected(exchange: Exchange) -> list[Connection]:
    live = exchange.services.hub.clients_named(exchange.parts[0])
    if not live:
        raise NotFound("this client is not connected", hint="`pylon cursors` lists them")
    return live


async def disconnect(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/clients/{id}/disconnect: close its connections; it comes again by itself."""
    live = _connected(exchange)
    for one in live:
        exchange.services.hub.disconnect(one, "disconnected by the owner")
    _log.info("admin.disconnected %s", exchange.parts[0])
    return json_value({"disconnected": len(live)})


async def resync(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/clients/{id}/resync: have it drop its rows and start from a snapshot."""
    live = [one for one in _connected(exchange) if one.subscriber.phase is not Phase.GREETING]
    for one in live:
        exchange.services.hub.resync(one, "gap")
    _log.info("admin.resynced %s", exchange.parts[0])
    return json_value({"resynced": len(live)})


async def network(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/clients/{id}/network: how its network behaves from now on (development)."""
    services = exchange.services
    assert services.switchboard is not None
    shape = shape_of(await exchange.json_object())
    found = find_client(exchange, exchange.parts[0])
    live = services.hub.clients_named(found.client_id)
    services.switchboard.set(found.client_id, [one for one in live if not one.is_ghost], shape)
    shown = None if shape.is_plain else asdict(shape)
    _log.info("admin.network %s %s", found.client_id, jsonvalue.encode_text(shown))
    return json_value({"network": shown, "modes": list(Mode)})
