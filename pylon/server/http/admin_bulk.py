"""Many rows at once for the owner: changes, the undo of his changes, and exports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from pylon import limits_data
from pylon.clock import iso_ms
from pylon.errors import Conflict, InvalidArgument, PylonError
from pylon.identity import SYSTEM
from pylon.protocol.messages import Operation
from pylon.server.functions.bulk import (
    Bulk,
    gone_before,
    missing_json,
    op_ids_of,
    preview_of,
)
from pylon.server.functions.outcome import Outcome
from pylon.server.functions.owner_export import CSV, JSON, JSONL, Format, export_text
from pylon.server.functions.owner_reads import Asked, OwnerReads
from pylon.server.functions.queries import entity_of
from pylon.server.functions.undoing import STUDIO, Anyway, Dependent, Step, parts_of, undo_of
from pylon.server.http.acting import acting
from pylon.server.http.admin_data import demand_not_account, referrers_json
from pylon.server.http.exchange import Exchange, integer, json_value, listed
from pylon.server.http.services import Services
from pylon.server.storage.readers import ReadConnection

#: Looking at what depends on thousands of changes takes its time.
_LOOK_SECONDS: Final = 30.0


async def bulk(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/data-bulk/{E} {ids, values | delete, look?, group?, part?}.

    All of it in one transaction, or nothing. `look` says what it would do instead.
    """
    services, body = exchange.services, await exchange.json_object()
    entity = entity_of(services.definitions.current, exchange.parts[0])
    asked = Bulk.of(entity, body)
    if asked.values is None:
        demand_not_account(entity, "pylon.delete")
    if body.get("look") is True:
        found = await services.database.readers.run(lambda reader: preview_of(reader, asked))
        return json_value({
            "rows": found.found, **missing_json(found), "fields": found.fields,
            "referrers": referrers_json(found.referrers),
        })  # fmt: skip
    steps = asked.steps()
    op_ids = op_ids_of(body, len(steps))
    gone = await services.database.readers.run(lambda reader: gone_before(reader, asked, body))
    if op_ids is not None and gone:
        left = [
            pair for pair in zip(op_ids, steps, strict=True) if pair[1][1]["id"] not in gone
        ]  # fmt: skip
        op_ids, steps = [one for one, _ in left], [one for _, one in left]
    outcomes = await _run(services, steps, op_ids) if steps else []
    if (failed := _failed(outcomes, steps)) is not None:
        return failed
    # A row that went with another one before it has no change of its own.
    seq = max((one.seq for one in outcomes if one.seq is not None), default=None)
    return json_value({"seq": seq, "rows": len(asked.ids)})


async def _run(
    services: Services, steps: Sequence[Step], op_ids: list[str] | None
) -> list[Outcome]:
    ids = op_ids or [services.ids.uuid7() for _ in steps]
    batch = [
        Operation(op_id=op_id, fn=fn, args=args)
        for op_id, (fn, args) in zip(ids, steps, strict=True)
    ]
    return await services.executor.push(SYSTEM, batch, atomic=True, cause=STUDIO)


def _failed(outcomes: Sequence[Outcome], steps: Sequence[Step]) -> web.Response | None:
    """Return the answer of a batch that was refused, with the rows that are why; None for none."""
    refused = [
        (one, args) for one, (_, args) in zip(outcomes, steps, strict=True) if one.error is not None
    ]
    if not refused:
        return None
    own = [each for each in refused if (each[0].error or {})["code"] != "ABORTED"] or refused
    first = own[0][0]
    error = dict(first.error or {})
    rows = [
        {
            "id": args["id"],
            "code": (one.error or {})["code"],
            "message": (one.error or {})["message"],
        }
        for one, args in own
    ]
    error["details"] = {**error.get("details", {}), "rows": rows}
    return json_value({"error": error}, first.http_status)


async def undo(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/data-undo {seq, anyway?, look?, group?, part?}: take a change back anew.

    `anyway` is `skip` or `force`, where something depends on it. `look` says what there is to do:
    the transactions that were made together (`parts`), and what depends on them.
    """
    services, body = exchange.services, await exchange.json_object()
    seq, anyway = body.get("seq"), body.get("anyway", "refuse")
    if type(seq) is not int:
        raise InvalidArgument("seq is the number of a change", field="seq")
    if anyway not in set(Anyway):
        raise InvalidArgument("anyway is skip or force", field="anyway")
    if body.get("look") is True:
        return json_value(await _look(services, seq))
    plan = await services.database.readers.run(lambda reader: undo_of(reader, seq, Anyway(anyway)))
    if plan.depends and anyway == Anyway.REFUSE:
        raise _depends(services, plan.depends)
    changes = [
        {"kind": fn.removeprefix("pylon."), "entity": args["entity"], "id": args["id"]}
        for fn, args in plan.steps
    ]
    left = [_told(services, one) for one in plan.depends if anyway == Anyway.SKIP]
    if not plan.steps:
        return json_value({"seq": None, "changes": [], "left": left})
    outcomes = await _run(services, plan.steps, op_ids_of(body, len(plan.steps)))
    if (failed := _failed(outcomes, plan.steps)) is not None:
        return failed
    return json_value({"seq": outcomes[-1].seq, "changes": changes, "left": left})


async def _look(services: Services, seq: int) -> dict[str, Any]:
    def look(reader: ReadConnection) -> tuple[list[int], int, list[Dependent]]:
        parts, steps, depends = parts_of(reader, seq), 0, list[Dependent]()
        for one in parts:
            found = undo_of(reader, one, Anyway.FORCE)
            steps += len(found.steps)
            depends += found.depends
        return parts, steps, depends

    parts, steps, depends = await services.database.readers.run(look, timeout_s=_LOOK_SECONDS)
    shown = depends[: limits_data.UNDO_DEPENDENTS_SHOWN]
    return {
        "parts": parts, "changes": steps, "depends": [_told(services, one) for one in shown],
        "more": len(depends) - len(shown),
    }  # fmt: skip


def _depends(services: Services, found: Sequence[Dependent]) -> PylonError:
    shown = found[: limits_data.UNDO_DEPENDENTS_SHOWN]
    return Conflict(
        found[0].words, hint="skip undoes the rest, force writes over what came since",
        depends=[_told(services, one) for one in shown], more=len(found) - len(shown),
        **({"seq": found[0].by[0][0]} if found[0].by else {}),
    )  # fmt: skip


def _told(services: Services, one: Dependent) -> dict[str, Any]:
    return {
        "entity": one.entity, "id": one.row_id, "kind": one.kind, "why": one.why,
        "fields": one.fields, "words": one.words,
        "by": [
            {"seq": seq, "at": iso_ms(at), "kind": kind, "user": _name(services, actor),
             "cause": cause}
            for seq, at, kind, actor, cause in one.by
        ],
        "referrers": [
            {"entity": entity, "field": field, "count": count}
            for entity, field, count in one.referrers
        ],
    }  # fmt: skip


def _name(services: Services, actor: str | None) -> str | None:
    found = services.accounts.find(actor) if actor is not None and "@" not in actor else None
    return actor if found is None else found.label


_EXPORT_NAMES: Final = ("filter", "order", "fields", "format", "as", "as_of")
_TYPES: Final = {
    CSV: "text/csv; charset=utf-8",
    JSONL: "application/x-ndjson",
    JSON: "application/json",
}


async def export(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/data-export/{E}?filter=&order=&fields=&format=&as=&as_of=: all of it.

    An answer that was cut off ends without its last chunk, so that nobody takes it as whole.
    """
    services, query = exchange.services, exchange.query(_EXPORT_NAMES)
    entity = entity_of(services.definitions.current, exchange.parts[0])
    form = Format.of(entity, query.get("format"), listed(query.get("fields")))
    asked = Asked(
        expression=query.get("filter") or None, order=listed(query.get("order")) or None,
        as_of=integer(query.get("as_of"), "as_of"),
    )  # fmt: skip
    reads = OwnerReads(services.database, services.definitions, services.clock)
    viewer = acting(exchange, query.get("as") or None)
    parts = export_text(reads, viewer, asked, form)
    first = await anext(parts)
    answer = web.StreamResponse(
        headers={"Content-Type": _TYPES[form.name], "Cache-Control": "no-store",
                 "X-Content-Type-Options": "nosniff"}
    )  # fmt: skip
    try:
        await answer.prepare(exchange.request)
        await _send(answer, first)
        async for part in parts:
            await _send(answer, part)
    except (PylonError, TimeoutError) as error:
        transport = exchange.request.transport
        if transport is not None:
            transport.abort()
        raise ConnectionResetError("the export was cut off") from error
    finally:
        await parts.aclose()
    return answer


async def _send(answer: web.StreamResponse, text: str) -> None:
    if text:
        async with asyncio.timeout(limits_data.EXPORT_STALL_SECONDS):
            await answer.write(text.encode())


ROUTES: Final = (
    ("GET", "/api/admin/data-export/{E}", export),
    ("POST", "/api/admin/data-bulk/{E}", bulk),
    ("POST", "/api/admin/data-undo", undo),
)
