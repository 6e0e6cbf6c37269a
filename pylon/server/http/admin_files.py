"""Files, for the owner: what there is, whose, how large; delete, sweep, verify."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from pylon import limits_files
from pylon.clock import iso_ms
from pylon.errors import InvalidArgument, NotFound
from pylon.identity import SYSTEM
from pylon.ids import is_id
from pylon.server.files.verifying import verify_blobs
from pylon.server.http.exchange import Exchange, flag, integer, json_value
from pylon.server.http.services import Services
from pylon.server.storage import file_reads, files
from pylon.server.storage.file_reads import ORDERS, STATES, FileQuery
from pylon.server.storage.files import Owner, StoredFile, Upload

_PAGE_MAX: Final = 1_000
_LEADERS: Final = 20
_UPLOADS_SHOWN: Final = 50
_VERIFY_SECONDS: Final = 120.0
_NAMES: Final = ("state", "uploader", "entity", "q", "search", "order", "after", "limit")


async def list_files(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/files?state=&uploader=&entity=&q=&search=&order=&after=&limit=, and totals.

    `order` is newest or largest. `search` is a line: words in name, type, id, hash, who brought it
    and where it is; `user:x`, `entity:x`, `state:x`; `!` turns it round.
    """
    services = exchange.services
    query = exchange.query(_NAMES)
    state, order = query.get("state"), query.get("order", "newest")
    if state is not None and state not in STATES:
        raise InvalidArgument(f"state is one of {', '.join(STATES)}", field="state")
    if order not in ORDERS:
        raise InvalidArgument(f"order is one of {', '.join(ORDERS)}", field="order")
    asked = FileQuery(
        state=state, uploader=_user(services, query.get("uploader")), entity=query.get("entity"),
        text=query.get("q") or None, search=query.get("search") or "", order=order,
        after=_after(query.get("after")),
        limit=max(1, min(integer(query.get("limit"), "limit") or 100, _PAGE_MAX)),
    )  # fmt: skip

    def read(raw: Any) -> dict[str, Any]:
        page = file_reads.list_files(raw, asked)
        return {
            "page": [(one, files.owners_of(raw, one.id)) for one in page],
            "totals": file_reads.totals(raw),
            "leaders": file_reads.by_uploader(raw, _LEADERS),
            "uploads": file_reads.newest_uploads(raw, _UPLOADS_SHOWN),
        }

    # Counting and searching take their time where there are many: not on the loop.
    found = await services.database.readers.run(lambda reader: read(reader.raw))
    page: list[tuple[StoredFile, list[Owner]]] = found["page"]
    last = page[-1][0] if len(page) == asked.limit else None
    return json_value(
        {
            "files": [_shown(services, one, owners) for one, owners in page],
            "next": last and f"{getattr(last, ORDERS[order])}:{last.id}",
            "totals": found["totals"],
            "by_uploader": [
                {"uploader": who, "email": _label(services, who), "files": count, "bytes": size}
                for who, count, size in found["leaders"]
            ],
            "uploads": [_upload_shown(services, one) for one in found["uploads"]],
            "settings": _settings(services),
        }
    )  # fmt: skip


def _upload_shown(services: Services, one: Upload) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "type": one.type, "length": one.length,
        "offset": services.files.pieces.offset(one),
        "is_under_way": services.files.pieces.is_open(one.id),
        "uploader": one.uploader, "email": _label(services, one.uploader),
        "expires_at": iso_ms(one.expires_at),
    }  # fmt: skip


def _settings(services: Services) -> dict[str, Any]:
    config = services.config
    backend = str(config["files.backend"]).partition("?")[0]
    return {
        "max_mb": config["files.max_mb"], "quota_mb": config["files.quota_mb"],
        "total_mb": config["files.total_mb"], "backend": backend,
    }  # fmt: skip


def _user(services: Services, given: str | None) -> str | None:
    """Return the principal that an e-mail, a user id or `system` names."""
    if given is None or given == "system":
        return given
    found = services.accounts.find(given)
    return given if found is None else found.id


def _label(services: Services, principal: str | None) -> str | None:
    if principal is None or principal == "system":
        return principal
    found = services.accounts.find(principal)
    return None if found is None else found.label


def _after(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    value, _, file_id = text.partition(":")
    number = integer(value, "after")
    if number is None or not is_id(file_id):
        raise InvalidArgument("after is the `next` of the page before", field="after")
    return number, file_id


def shown(services: Services, stored: StoredFile) -> dict[str, Any]:
    """Return a file as the owner sees it."""
    raw = services.database.readers.inline.raw
    return _shown(services, stored, files.owners_of(raw, stored.id))


def _shown(services: Services, stored: StoredFile, owners: list[Owner]) -> dict[str, Any]:
    leaves = {
        "fresh": limits_files.FILE_FRESH_SECONDS,
        "released": limits_files.FILE_RELEASED_SECONDS,
    }
    keep_s = leaves.get(stored.state)
    return {
        **stored.to_object(), "state": stored.state, "since": iso_ms(stored.since),
        "created_at": iso_ms(stored.created_at), "uploader": stored.uploader,
        "email": _label(services, stored.uploader),
        "leaves_at": None if keep_s is None else iso_ms(stored.since + round(keep_s * 1000)),
        "owners": [asdict(one) for one in owners],
    }  # fmt: skip


def _file(exchange: Exchange) -> StoredFile:
    found = files.find(exchange.services.database.readers.inline.raw, exchange.parts[0])
    if found is None:
        raise NotFound("there is no such file, or none any more", hint="pylon files lists them")
    return found


async def show(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/files/{id}: one file, the fields that hold it, the widths made of it."""
    stored = _file(exchange)
    made = await exchange.services.files.images.kept(stored)
    variants = [{"width": width, "bytes": size} for width, size in made]
    return json_value({**shown(exchange.services, stored), "variants": variants})


async def delete(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/files/{id}/delete: out of the fields that hold it; nobody reads it then."""
    services = exchange.services
    stored = _file(exchange)
    if stored.state != files.RELEASED:
        await services.files.delete(SYSTEM, stored.id, cause="admin")
    return json_value(shown(services, _file(exchange)))


async def sweep(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/files/sweep {now?}: look now; with `now` released files do not wait."""
    body = await exchange.json_object()
    is_now = body.get("now") is True
    services = exchange.services
    # A millisecond on: what was released at this very moment is before it.
    swept = await services.files.sweeper.sweep(
        now_ms=services.clock.now_ms() + 1, is_full=True,
        released_seconds=0.0 if is_now else limits_files.FILE_RELEASED_SECONDS,
        orphan_seconds=0.0 if is_now else limits_files.FILE_ORPHAN_SECONDS,
    )  # fmt: skip
    return json_value(asdict(swept))


async def verify(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/files-verify?hash=1: files whose bytes are missing or others; orphans."""
    services = exchange.services
    is_deep = flag(exchange.query(("hash",)).get("hash"))
    known = await services.database.readers.run(
        lambda reader: files.hashes(reader.raw), timeout_s=_VERIFY_SECONDS
    )
    found = await verify_blobs(services.files.store.backend, known, is_deep=is_deep)
    return json_value(found)


ROUTES: Final = (
    ("GET", "/api/admin/files", list_files),
    ("GET", "/api/admin/files-verify", verify),
    ("POST", "/api/admin/files/sweep", sweep),
    ("GET", "/api/admin/files/{id}", show),
    ("POST", "/api/admin/files/{id}/delete", delete),
)
