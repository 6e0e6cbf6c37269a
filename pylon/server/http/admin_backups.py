"""Backups, for the owner: which there are, made, proven, sent, dropped, and put in place.

What takes long goes on after the answer: `doing` says what, and the record how it went.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from pylon.errors import InvalidArgument, PylonError, Unavailable
from pylon.server.backups import restoring
from pylon.server.backups.places import open_place
from pylon.server.backups.records import new_name
from pylon.server.backups.restoring import Prepared
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.http.services import Services

_log = logging.getLogger("pylon.backups")
_ACCEPTED: Final = 202


async def show_all(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/backups: all backups, the schedule, and what is done now."""
    return json_value(exchange.services.backups.describe())


async def show(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/backups/{name}: one of them, and what is done now."""
    backups = exchange.services.backups
    name = exchange.parts[0]
    now_ms = exchange.services.clock.machine_ms()
    doing = backups.doing
    if doing is not None and doing["name"] == name:
        return json_value({"name": name, "state": "doing", "doing": doing})
    return json_value({**backups.folder.find(name).to_json(now_ms), "doing": doing})


async def create(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/backups {to?}: begin one; answers 202 with its name."""
    body, services = await exchange.json_object(), exchange.services
    to = _place(services, body.get("to"))
    name = new_name(services.clock)
    await services.backups.begin(services.backups.make("hand", to, name))
    return _begun(services, name)


async def verify(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/backups/{name}/verify: begin to prove it anew; answers 202."""
    _ = await exchange.json_object()
    backups, name = exchange.services.backups, _known(exchange)
    await backups.begin(backups.verify(name))
    return _begun(exchange.services, name)


async def send(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/backups/{name}/send {to?}: begin to copy it elsewhere; answers 202."""
    body, backups = await exchange.json_object(), exchange.services.backups
    name = _known(exchange)
    to = _place(exchange.services, body.get("to")) or backups.settings.to
    if not to:
        raise InvalidArgument("to says where: file:///folder or s3://bucket/prefix", field="to")
    await backups.begin(backups.send(name, to))
    return _begun(exchange.services, name)


async def drop(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/backups/{name}/drop {confirm}: remove it; confirm is its name."""
    name = await _confirmed(exchange)
    backups = exchange.services.backups
    gone = backups.drop(name)
    return json_value(gone.to_json(exchange.services.clock.machine_ms()))


async def restore(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/backups/{name}/restore {confirm}: put it in the place of the database.

    Answers 202. Everything that takes long is done while it serves on. Then it stops for a moment,
    keeps the present database as an automatic copy, and goes on with the backup in a new epoch
    (I91). What went wrong before that is `restore` of GET /api/admin/backups.
    """
    name = await _confirmed(exchange)
    services = exchange.services
    backups = services.backups
    if services.go_on_with is None:
        raise Unavailable(
            "this runtime can't restart itself", reason="no_restart",
            hint="stop it, then: pylon restore FILE",
        )  # fmt: skip
    await backups.begin(_restore(services, name, services.go_on_with))
    return _begun(services, name)


async def _restore(services: Services, name: str, go_on_with: Callable[[Prepared], None]) -> None:
    backups = services.backups
    backups.now("being restored", name)
    backups.restore_failed = None
    try:
        prepared = await restoring.prepare(
            backups.folder.file(backups.folder.find(name).name), services.database.folder,
            has_own_files=backups.settings.has_own_files,
            schema=services.definitions.current.schema, may_migrate=services.may_migrate,
        )  # fmt: skip
    except (PylonError, OSError) as error:
        why = str(getattr(error, "message", error))
        backups.restore_failed = {"name": name, "why": why}
        _log.error("restore.failed %s: %s", name, why)
        return
    finally:
        backups.doing = None
    go_on_with(prepared)


def _begun(services: Services, name: str) -> web.Response:
    return json_value({"name": name, "doing": services.backups.doing}, _ACCEPTED)


def _known(exchange: Exchange) -> str:
    return exchange.services.backups.folder.find(exchange.parts[0]).name


async def _confirmed(exchange: Exchange) -> str:
    body, name = await exchange.json_object(), _known(exchange)
    if body.get("confirm") != name:
        raise InvalidArgument("confirm is the name of the backup", field="confirm")
    return name


def _place(services: Services, given: Any) -> str:
    """Return where a copy is to go, an empty text for nowhere; raises InvalidArgument."""
    if given is None or given == "":
        return ""
    if given is True:  # where the schedule sends its own
        given = services.backups.settings.to
    try:
        return open_place(str(given), services.backups.settings.keys).url
    except ValueError as error:
        raise InvalidArgument(f"to: {error}", field="to") from error


ROUTES: Final = (
    ("GET", "/api/admin/backups", show_all),
    ("POST", "/api/admin/backups", create),
    ("GET", "/api/admin/backups/{name}", show),
    ("POST", "/api/admin/backups/{name}/verify", verify),
    ("POST", "/api/admin/backups/{name}/send", send),
    ("POST", "/api/admin/backups/{name}/drop", drop),
    ("POST", "/api/admin/backups/{name}/restore", restore),
)
