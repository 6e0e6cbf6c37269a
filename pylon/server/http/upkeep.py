"""Upkeep, for the owner: figures of the log, trimming it, and copies of the database."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from pylon.errors import InvalidArgument
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.storage import backup as copies
from pylon.server.storage.log_stats import log_stats as figures

#: A long log takes its time to count; nobody waits for it but the owner.
_STATS_SECONDS = 120.0
_CHUNK_BYTES = 262_144


async def log_stats(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/log-stats."""
    services = exchange.services
    now_ms = services.clock.now_ms()
    found = await services.database.readers.run(
        lambda reader: figures(reader.raw, now_ms), timeout_s=_STATS_SECONDS
    )
    return json_value(found)


async def log_trim(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/log-trim {keep_changes?, keep_days?}: trim now, by the settings or these."""
    body = await exchange.json_object()
    trimmed = await exchange.services.trimmer.trim(
        _bound(body, "keep_changes"), _bound(body, "keep_days")
    )
    database = exchange.services.database
    return json_value(
        {
            "trimmed": trimmed, "horizon": str(database.cursor(database.horizon)),
            "head": str(database.cursor()),
        }
    )  # fmt: skip


def _bound(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise InvalidArgument(f"{name} is a whole number, 0 or more", field=name)
    return value


async def backup(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/backup: the database as of one seq, checked, and a hash of what it holds."""
    folder = exchange.services.database.folder / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    copy, held = await copies.make_copy(exchange.services.database.path, folder, is_live=True)
    try:
        answer = web.StreamResponse(
            headers={
                "Content-Type": "application/vnd.sqlite3", "Cache-Control": "no-store",
                "Content-Length": str(copy.stat().st_size),
                "X-Pylon-Contents": held.hash,
            }
        )  # fmt: skip
        with copy.open("rb") as stream:
            copy.unlink()  # whatever happens to this process, it does not stay
            await answer.prepare(exchange.request)
            while chunk := stream.read(_CHUNK_BYTES):
                await answer.write(chunk)
    finally:
        copy.unlink(missing_ok=True)
    return answer
