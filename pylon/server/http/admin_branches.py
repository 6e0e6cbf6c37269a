"""Branches of the database, for the owner: list, create, compare, switch, drop."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from pylon.app.shown_code import literals_of
from pylon.errors import InvalidArgument
from pylon.server.http.exchange import Exchange, integer, json_value
from pylon.server.storage.masked import Mask

_ROWS: Final = 100


async def listed(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/branches: which there are, which is in use, and the one being made."""
    return json_value(await exchange.services.branches.list())


async def create(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/branches {name, of?, masked?, keep?}: copy the database in use, or another.

    `masked` puts pseudonyms in the place of what people wrote, but for the fields of `keep`.
    """
    body = await exchange.json_object()
    mask, keep, is_masked = None, body.get("keep", []), body.get("masked", False)
    # Of a slip here nobody may get a copy with everything in it.
    if not isinstance(is_masked, bool):
        raise InvalidArgument("masked is true or false", field="masked")
    if not isinstance(keep, list) or not all(isinstance(one, str) for one in keep):
        raise InvalidArgument("keep is a list of fields, such as Note.title", field="keep")
    if keep and not is_masked:
        raise InvalidArgument("keep goes with masked", field="keep")
    if is_masked:
        root = exchange.services.definitions.current.root
        literals = await asyncio.to_thread(literals_of, root)
        mask = Mask(keep=tuple(keep), literals=literals)
    made = await exchange.services.branches.create(body.get("name"), body.get("of"), mask)
    return json_value(made, 202 if "making" in made else 201)


async def diff(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/branches-diff?old=&new=&entity=&after=&limit=: counts, or a page of rows."""
    query = exchange.query(("old", "new", "entity", "after", "limit"))
    branches = exchange.services.branches
    old, new, entity = query.get("old"), query.get("new"), query.get("entity")
    if entity is None:
        return json_value(await branches.diff(old, new))
    limit = integer(query.get("limit"), "limit")
    page = await branches.diff_rows(
        old, new, entity, after=query.get("after") or "",
        limit=_ROWS if limit is None else limit,
    )  # fmt: skip
    return json_value(page)


async def switch(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/branches/{name}/switch {consent?}: go on with it, under a new epoch."""
    body = await exchange.json_object()
    done = await exchange.services.branches.switch(
        exchange.parts[0], consent=body.get("consent") is True
    )
    return json_value(done)


async def drop(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/branches/{name}/drop {confirm}: remove it; `confirm` is its name."""
    body = await exchange.json_object()
    return json_value(await exchange.services.branches.drop(exchange.parts[0], body.get("confirm")))


ROUTES: Final = (
    ("GET", "/api/admin/branches", listed),
    ("POST", "/api/admin/branches", create),
    ("GET", "/api/admin/branches-diff", diff),
    ("POST", "/api/admin/branches/{name}/switch", switch),
    ("POST", "/api/admin/branches/{name}/drop", drop),
)
