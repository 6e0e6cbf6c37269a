"""The past, for the owner: points of the log, what differs between two, one row's history.

Nothing here looks at what was trimmed: 410 NOT_RETAINED says how far the log reaches back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Any, Final

from aiohttp import web

from pylon import limits_data
from pylon.clock import iso_ms
from pylon.errors import InvalidArgument, PylonError
from pylon.schema.model import Entity, Row, Schema
from pylon.schema.times import datetime_ms, parse_datetime
from pylon.schema.wire import whole_row
from pylon.server.functions.owner_reads import cut_row
from pylon.server.functions.queries import entity_of
from pylon.server.functions.replaying import moved, portable, replay
from pylon.server.http.admin import change_of, emails_of
from pylon.server.http.exchange import Exchange, integer, json_value
from pylon.server.http.services import Services
from pylon.server.storage import change_log
from pylon.server.storage.causes import Link, read_chain
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.log_range import LogRange, read_range
from pylon.server.storage.point_diff import RowDiff, count_diff, page_diff
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.row_history import Blame, changed_fields, read_blame, read_history
from pylon.server.storage.time_travel import (
    PAST_SECONDS,
    Point,
    Retained,
    dropped_at,
    read_point,
    read_retained,
    seq_at,
)  # fmt: skip

_LIMIT: Final = 100


def shown_image(entity: Entity, row: Row | None) -> dict[str, Any] | None:
    """Return an image as lists show it: private fields too, long values cut."""
    return None if row is None else cut_row(whole_row(entity, row))


def limit_of(text: str | None) -> int:
    """Return how much of a page is asked for; raises InvalidArgument."""
    limit = integer(text, "limit")
    if limit is None:
        return _LIMIT
    if not 1 <= limit <= limits_data.HISTORY_LIMIT_MAX:
        raise InvalidArgument(f"limit is 1 to {limits_data.HISTORY_LIMIT_MAX}", field="limit")
    return limit


def retained_json(held: Retained) -> dict[str, Any]:
    """Return what the log still has: states from `floor` to `head`."""
    return {
        "floor": held.floor, "head": held.head,
        "oldest_at": None if held.oldest_ms is None else iso_ms(held.oldest_ms),
    }  # fmt: skip


# --- a point -----------------------------------------------------------------------------


async def at(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/at?seq=|time=: a place in the log; without either, its end."""
    query, services = exchange.query(("seq", "time")), exchange.services
    seq, time = integer(query.get("seq"), "seq"), query.get("time")
    if seq is not None and time is not None:
        raise InvalidArgument("a point is a seq or a time, not both", field="time")
    at_ms = None if time is None else _time_ms(time)

    def read(reader: ReadConnection) -> tuple[Point, LogRecord | None]:
        wanted = seq
        if at_ms is not None:
            wanted = seq_at(reader.raw, at_ms)
        if wanted is None:
            wanted = read_retained(reader.raw).head
        point = read_point(reader.raw, wanted)
        return point, change_log.read_upto(reader.raw, wanted, reader.schema)

    point, record = await services.database.readers.run(read, timeout_s=PAST_SECONDS)
    return json_value(
        {
            "seq": point.seq, "at": None if point.at_ms is None else iso_ms(point.at_ms),
            "previous": point.previous, "following": point.following,
            "rewritten": point.rewritten, "retained": retained_json(point.retained),
            "change": None if record is None else _change(services, record),
        }
    )  # fmt: skip


def _time_ms(text: str) -> int:
    try:
        return datetime_ms(parse_datetime(text))
    except ValueError as error:
        raise InvalidArgument(
            f"time: {error}", field="time", hint="such as 2026-11-29T13:30:00Z"
        ) from error


def _change(services: Services, record: LogRecord) -> dict[str, Any]:
    return change_of(record, emails_of(services, [record]), services.database.schema)


# --- two points --------------------------------------------------------------------------


async def diff(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/diff?from=&to=&entity=&after=&limit=: what differs between two points.

    By entity, in counts; with `entity` a page of its rows, by id. Without `to`: to now.
    """
    query = exchange.query(("from", "to", "entity", "after", "limit"))
    services, limit = exchange.services, limit_of(query.get("limit"))
    start, end = integer(query.get("from"), "from"), integer(query.get("to"), "to")
    if start is None:
        raise InvalidArgument("from is the number of a change", field="from")
    end = services.database.head if end is None else end
    if end < start:
        raise InvalidArgument("from is before to", field="from")
    name = query.get("entity")
    if name is None:
        found = await services.database.readers.run(
            lambda one: count_diff(one.raw, one.schema, start, end), timeout_s=PAST_SECONDS
        )
        shown = [
            {"entity": one.entity, **dict.fromkeys(("inserted", "updated", "deleted", "same"), 0),
             **one.counts, "changes": one.changes, "known": one.is_known}
            for one in found
        ]  # fmt: skip
        return json_value({"from": start, "to": end, "entities": shown})
    entity = entity_of(services.definitions.current, name)
    rows, following = await services.database.readers.run(
        lambda one: page_diff(
            one.raw, entity, start, end, limit=limit, after=query.get("after") or ""
        ),
        timeout_s=PAST_SECONDS,
    )
    return json_value({
        "from": start, "to": end, "entity": name, "next": following,
        "rows": [_row_diff(entity, one) for one in rows],
    })  # fmt: skip


def _row_diff(entity: Entity, one: RowDiff) -> dict[str, Any]:
    before, after = one.before or {}, one.after or {}
    fields = [each.name for each in entity.fields if before.get(each.name) != after.get(each.name)]
    return {
        "id": one.row_id, "what": one.what, "fields": fields, "changes": one.changes,
        "first_seq": one.first_seq, "last_seq": one.last_seq,
        "before": shown_image(entity, one.before), "after": shown_image(entity, one.after),
    }  # fmt: skip


# --- one row -----------------------------------------------------------------------------


async def history(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/history/{E}/{id}?before=&limit=: a row's changes, newest first, and blame.

    Each change with its images, the fields that it moved, and what it came of.
    """
    query, services = exchange.query(("before", "limit")), exchange.services
    entity = entity_of(services.definitions.current, exchange.parts[0])
    row_id, limit = exchange.parts[1], limit_of(query.get("limit"))
    before = integer(query.get("before"), "before")

    def read(reader: ReadConnection) -> tuple[Any, list[Blame], Retained, int, Any]:
        raw, schema = reader.raw, reader.schema
        changes, more = read_history(raw, schema, entity, row_id, limit=limit, before=before)
        blame = read_blame(raw, schema, entity, row_id)
        told = {one.cause for one in changes} | {one.record.cause for one in blame if one.record}
        chains = {cause: read_chain(raw, cause) for cause in told}
        held = read_retained(raw)
        return (changes, more), blame, held, dropped_at(raw, entity.name), chains

    (changes, more), blame, held, dropped, chains = await services.database.readers.run(
        read, timeout_s=PAST_SECONDS
    )
    blamed = [one.record for one in blame if one.record is not None]
    emails = emails_of(services, [*changes, *blamed])

    def shown(record: LogRecord) -> dict[str, Any]:
        told = change_of(record, emails, services.database.schema)
        return {**told, "chain": _chain(services, chains[record.cause])}

    return json_value({
        "entity": entity.name, "id": row_id, "retained": retained_json(held),
        "dropped_at": dropped or None,
        "blame": {one.field: _blamed(one, shown) for one in blame},
        "changes": [
            {**shown(one), "fields": changed_fields(entity, one), "erased": _is_erased(one),
             "before": shown_image(entity, one.before), "after": shown_image(entity, one.after)}
            for one in changes
        ],
        "more": more,
    })  # fmt: skip


def _blamed(
    one: Blame, shown: Callable[[LogRecord], dict[str, Any]]
) -> dict[str, Any] | None:  # fmt: skip
    if one.added_after is not None:
        return {"added_after": one.added_after}
    return None if one.record is None else shown(one.record)


def _is_erased(record: LogRecord) -> bool:
    return (record.before is None) is not (record.kind == "insert") or (
        (record.after is None) is not (record.kind == "delete")
    )


def _chain(services: Services, links: list[Link]) -> list[dict[str, Any]]:
    shown = []
    for one in links:
        account = None if one.user_id is None else services.accounts.find(one.user_id)
        shown.append({**one.to_json(), "user": one.user_id if account is None else account.label})
    return shown


# --- a stretch, to take along -------------------------------------------------------------


async def log_range(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/log-range?from=&to=: changes, the rows they start from, and where they end.

    Whole transactions. Fields that hold files are empty: files stay where they are.
    """
    query, services = exchange.query(("from", "to")), exchange.services
    first, last = integer(query.get("from"), "from"), integer(query.get("to"), "to")
    found = await _range(services, first, last)
    emails, schema = emails_of(services, found.changes), services.database.schema
    return json_value({
        "from": found.first, "to": found.last,
        "before": [
            {"entity": entity.name, "id": row["id"], "values": portable(entity, row)}
            for entity, row in found.before
        ],
        "changes": [_taken_change(one, emails, schema) for one in found.changes],
        "after": [
            {"entity": entity.name, "id": row_id, "values": row and portable(entity, row)}
            for entity, row_id, row in found.after
        ],
    })  # fmt: skip


def _taken_change(record: LogRecord, emails: dict[str, str], schema: Schema) -> dict[str, Any]:
    entity, told = schema.entities[record.entity], change_of(record, emails, schema)
    values = None if record.after is None else portable(entity, record.after)
    if record.after is not None and record.before is not None:
        values = moved(entity, record.before, record.after)
    names = ("seq", "tx", "at", "entity", "kind", "user", "cause")
    return {**{name: told[name] for name in names}, "id": record.row_id, "values": values}


async def _range(services: Services, first: object, last: object) -> LogRange:
    if type(first) is not int or type(last) is not int or not 1 <= first <= last:
        raise InvalidArgument("from and to are the first and the last change", field="from")
    return await services.database.readers.run(
        lambda reader: read_range(reader, first, last), timeout_s=PAST_SECONDS
    )


async def log_replay(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/log-replay {from, to, into}: changes once more, on a branch.

    Transaction by transaction; it ends at the first that the branch refuses, and says which.
    """
    body, services = await exchange.json_object(), exchange.services
    into = body.get("into")
    if not isinstance(into, str):
        raise InvalidArgument("into is the name of a branch", field="into")
    found = await _range(services, body.get("from"), body.get("to"))
    done, changes, refused = 0, 0, None
    async with services.branches.opened(into) as database:
        for _, together in groupby(found.changes, key=lambda one: one.tx):
            records = list(together)
            try:
                await database.writer.submit(partial(replay, records=records))
            except PylonError as error:
                if error.is_transient:
                    raise
                refused = {"seq": records[0].seq, "error": error.to_wire()}
                break
            done, changes = done + 1, changes + len(records)
    return json_value({
        "into": into, "from": found.first, "to": found.last, "transactions": done,
        "changes": changes, "refused": refused,
    })  # fmt: skip


ROUTES: Final = (
    ("GET", "/api/admin/at", at),
    ("GET", "/api/admin/diff", diff),
    ("GET", "/api/admin/log-range", log_range),
    ("POST", "/api/admin/log-replay", log_replay),
    ("GET", "/api/admin/history/{E}/{id}", history),
)
