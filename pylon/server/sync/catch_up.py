"""From a cursor towards the head: one routine for the socket, pull and server-sent events.

One read transaction per page; every policy question is asked of the state now, and the log's
images are only what it is asked about (SPEC.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from pylon.errors import ResyncRequired
from pylon.protocol.change import Cursor, ResyncReason
from pylon.schema.model import Schema
from pylon.server.storage import sync_select
from pylon.server.storage.change_log import read_after, read_head
from pylon.server.storage.readers import ReadConnection
from pylon.server.sync.projection import change_text, newest_seqs, project
from pylon.server.sync.view import EntityView, View


@dataclass(frozen=True, slots=True)
class Page:
    """The changes in (after, through] as text, and whether there is more."""

    after: int
    through: int
    tail: str
    more: bool


def check_cursor(cursor: Cursor, epoch: str, head: int, horizon: int) -> None:
    """Raise ResyncRequired where a cursor cannot be continued."""
    reason = None
    if cursor.epoch != epoch:
        reason = ResyncReason.EPOCH_CHANGED
    elif cursor.seq > head:
        reason = ResyncReason.CURSOR_AHEAD
    elif cursor.seq < horizon:
        reason = ResyncReason.CURSOR_TOO_OLD
    if reason is not None:
        raise ResyncRequired(
            reason=reason.value, horizon=f"{epoch}:{horizon}", head=f"{epoch}:{head}"
        )


def read_page(
    connection: ReadConnection, view: View, cursor: Cursor, epoch: str, limit: int, now: str
) -> Page:
    """Return the next page of a view; inside one read transaction.

    Raises ResyncRequired: the cursor is checked here, in the transaction that reads (I20).
    """
    head, horizon = read_head(connection.raw)
    check_cursor(cursor, epoch, head, horizon)
    through, names = sync_select.page_border(connection.raw, cursor.seq, limit)
    parts: list[tuple[int, str]] = []
    for name in names:
        seen = view.entities.get(name)
        if seen is not None and seen.filters:
            parts += _entity_changes(connection, seen, cursor.seq, through, now)
    if len(names) > 1:
        parts.sort()
    more = through < head
    if not more:
        through = head
    return Page(cursor.seq, through, ",".join([text for _, text in parts]), more)


def _entity_changes(
    connection: ReadConnection, seen: EntityView, after: int, through: int, now: str
) -> list[tuple[int, str]]:
    image = seen.image_clause(now)
    if image is None:
        return _by_predicate(connection, seen, after, through, now)
    policy, matches = seen.clauses(now)
    rows = sync_select.catch_up(connection.raw, seen.entity, after, through, policy, matches, image)
    name = seen.entity.name
    changes: list[tuple[int, str]] = []
    for seq, tx, at_ms, row_id, wire, was_visible, is_newest, is_allowed in rows:
        if wire is not None:
            kind = "update" if was_visible else "insert"
            text = change_text(
                seq=seq, entity=name, row_id=row_id, kind=kind, tx=tx, at_ms=at_ms, wire=wire
            )
        elif was_visible:
            cause = None
            if is_newest:
                cause = "filtered" if is_allowed else "hidden"
            text = change_text(
                seq=seq, entity=name, row_id=row_id, kind="delete", tx=tx, at_ms=at_ms,
                cause=cause,
            )  # fmt: skip
        else:
            continue
        changes.append((seq, text))
    return changes


def _by_predicate(
    connection: ReadConnection, seen: EntityView, after: int, through: int, now: str
) -> list[tuple[int, str]]:
    """Do the same row by row: where an image holds doubles, only Python reads them exactly."""
    name = seen.entity.name
    schema = Schema(entities={name: seen.entity})
    records = [
        record
        for record in read_after(connection.raw, after, through - after, schema)
        if record.entity == name and record.seq <= through
    ]
    judge = seen.judge(now, connection)
    newest = newest_seqs(records)
    changes: list[tuple[int, str]] = []
    for record in records:
        current = connection.get(seen.entity, record.row_id)
        is_newest = newest[name, record.row_id] == record.seq and (
            current is None or current["_seq"] == record.seq
        )
        if is_newest and current is not None:
            record.after = current
            record.wire = sync_select.wire_text_of(connection.raw, seen.entity, record.row_id)
        text = project(record, is_newest=is_newest, judge=judge)
        if text is not None:
            changes.append((record.seq, text))
    return changes
