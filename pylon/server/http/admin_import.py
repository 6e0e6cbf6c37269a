"""Rows that the owner brings in, a part at a time."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pylon.server.functions.import_parts import take_parts
from pylon.server.functions.importing import ImportPart, part_of
from pylon.server.http.exchange import Exchange, json_value


async def take_part(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/import {op_id, records: [{entity, values, …}], updates?, …}: a transaction.

    Answers how many were inserted, updated and unchanged, and which wait for a row to refer to.
    With {parts: [{op_id, records}, …]} each is a transaction, and what they met is answered, too.
    """
    services = exchange.services
    body, writer = await exchange.json_object(), services.database.writer
    if "parts" in body:
        return json_value(
            await take_parts(writer, services.clock, body, services.ids.uuid7, has_policies=True)
        )
    part = ImportPart(*part_of(body), services.ids.uuid7, has_policies=True)
    committed = await writer.submit_work(part)
    return json_value(committed.value.to_json())


ROUTES: Final = (("POST", "/api/admin/import", take_part),)
