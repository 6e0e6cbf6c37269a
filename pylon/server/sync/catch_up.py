"""From a cursor towards the head: one routine for the socket, pull and server-sent events.

One read transaction per page; every policy question is asked of the state now, and the log's
images are only what it is asked about (SPEC.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Final

from pylon import limits
from pylon.clock import iso_ms
from pylon.errors import ResyncRequired
from pylon.policy.sqlclause import SqlClause
from pylon.protocol.change import Cursor, ResyncReason
from pylon.schema.model import Schema
from pylon.server.storage import sync_select
from pylon.server.storage.change_log import LogRecord, read_after, read_head, read_rewritten
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.sync_select import WasVisible
from pylon.server.sync.hindsight import Hindsight, read_hindsight
from pylon.server.sync.including import BOUND, IncludeReader
from pylon.server.sync.projection import newest_seqs, project
from pylon.server.sync.refreshing import Paging, Refreshes, RefreshReader, SliceTooLarge
from pylon.server.sync.view import EntityView, View

_ROWS_AT_ONCE = 250
_CAUSES: Final[Mapping[int, bytes]] = {
    WasVisible.YES: b"", WasVisible.FILTERED: b',"cause":"filtered"',
    WasVisible.HIDDEN: b',"cause":"hidden"',
}  # fmt: skip
#: seq and the text of its change.
Found = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """The changes in (after, through] as text, and whether there is more."""

    after: int
    through: int
    tail: bytes
    more: bool
    #: The head that the page was read at.
    head: int
    #: Of refreshes that go on with the next page; the cursor stays before them meanwhile.
    paging: Paging = field(default_factory=dict)


def check_cursor(
    cursor: Cursor, epoch: str, head: int, horizon: int, rewritten: int = 0
) -> None:  # fmt: skip
    """Raise ResyncRequired where a cursor cannot be continued."""
    reason = None
    if cursor.epoch != epoch:
        reason = ResyncReason.EPOCH_CHANGED
    elif cursor.seq > head:
        reason = ResyncReason.CURSOR_AHEAD
    elif cursor.seq < rewritten:
        reason = ResyncReason.SCHEMA_CHANGED
    elif cursor.seq < horizon:
        reason = ResyncReason.CURSOR_TOO_OLD
    if reason is not None:
        raise _resync(reason, epoch, head, horizon)


def _resync(reason: ResyncReason, epoch: str, head: int, horizon: int) -> ResyncRequired:
    return ResyncRequired(reason=reason.value, horizon=f"{epoch}:{horizon}", head=f"{epoch}:{head}")


def read_page(
    connection: ReadConnection, view: View, cursor: Cursor, epoch: str, limit: int, now: str, *,
    paging: Paging | None = None, listed: Mapping[str, Collection[str]] | None = None,
    anew: frozenset[str] = frozenset(),
) -> Page:  # fmt: skip
    """Return the next page of a view; inside one read transaction.

    Raises ResyncRequired: the cursor is checked here, in the transaction that reads (I20).

    Args:
        connection: inside a read transaction.
        view: whose page it is.
        cursor: where it begins.
        epoch: the lineage that the cursor must be of.
        limit: how many entries of the log are looked at.
        now: the time that policies are asked at.
        paging: large refreshes come in pages, and so far these were sent; None: whole.
        listed: by entity, ids of rows that a refresh leaves where they are.
        anew: entities of which all that is in view is sent.
    """
    head, horizon = read_head(connection.raw)
    rewritten = read_rewritten(connection.raw) if cursor.seq < horizon else 0
    check_cursor(cursor, epoch, head, horizon, rewritten)
    after = cursor.seq
    through, names, has_slices = sync_select.page_border(connection.raw, after, limit, head)
    bound = None if paging is None else paging.get(BOUND)
    border = through = through if bound is None else min(through, int(bound))
    wanted = [view.entities[name] for name in names if name in view.entities]
    wanted = [seen for seen in wanted if seen.is_followed]
    refreshes = Refreshes(through)
    reader = RefreshReader(connection, view, now, listed or {})
    includes, plan = IncludeReader(reader, anew), []
    if anew or bound is not None or not view.follows.isdisjoint(names):
        plan = includes.plan(after, border, head, paging)
        reader = replace(reader, told=frozenset(name for name, where in plan if not where))
    try:
        if has_slices and wanted:
            refreshes = reader.read(after, through, paging)
        if refreshes.paging is not None:
            [(_, text)] = refreshes.found
            return Page(after, after, text, more=True, head=head, paging=refreshes.paging)
        through = refreshes.through
        if len(wanted) == 1 and not refreshes.found:
            tail, through = _one_entity(connection, wanted[0], after, through, now)
        else:
            tail, through = _several(connection, wanted, after, through, now, refreshes.found)
        if plan or anew:
            told = includes.read(plan, through if bound is None else int(bound), paging)
            if told.paging is not None:
                text = b",".join(told.texts)
                return Page(after, after, text, more=True, head=head, paging=told.paging)
            tail = b",".join([*([tail] if tail else []), *told.texts])
    except SliceTooLarge:
        raise _resync(ResyncReason.SLICE_TOO_LARGE, epoch, head, horizon) from None
    more = through < head
    if not more:
        through = head
    return Page(after, through, tail, more, head)


def _one_entity(
    connection: ReadConnection, seen: EntityView, after: int, through: int, now: str
) -> tuple[bytes, int]:
    """Return the text of a page of one entity and where it ends."""
    image, _ = _was_visible(connection, seen, after, now)
    if image is None:
        return _several(connection, [seen], after, through, now)
    policy, matches = seen.clauses(now)
    wire = seen.wire_clause(now)
    parts: list[bytes] = []
    size, start = 0, after
    while start < through:
        end = min(start + _ROWS_AT_ONCE, through)
        text = sync_select.catch_up_text(
            connection.raw, seen.entity, start, end, policy, matches, image, wire
        )
        if size + len(text) > limits.FRAME_BYTES_MAX:
            # The page ends in this stretch: entry by entry, at the end of a transaction.
            found, through = _entity_changes(connection, seen, start, through, now, size)
            parts += [text for _, text in found]
            break
        if text:
            parts.append(text)
        size += len(text)
        start = end
    return b",".join(parts), through


def _several(
    connection: ReadConnection, wanted: list[EntityView], after: int, through: int, now: str,
    refreshes: Sequence[Found] = (),
) -> tuple[bytes, int]:  # fmt: skip
    """Return the text of a page of several entities, in the order of the log, and its end."""
    found = list(refreshes)
    for seen in wanted:
        part, through = _entity_changes(connection, seen, after, through, now)
        found += part
    if len(wanted) > 1 or refreshes:
        found.sort(key=itemgetter(0))  # pages of one refresh have one seq, and are in order
    if found and found[-1][0] > through:  # another entity's page was cut before this one's end
        found = [one for one in found if one[0] <= through]
    return b",".join([text for _, text in found]), through


def _entity_changes(
    connection: ReadConnection, seen: EntityView, after: int, through: int, now: str, size: int = 0
) -> tuple[list[Found], int]:
    """Return an entity's changes and where the page ends: earlier, where it grew too large.

    `size` is what the page holds already.
    """
    image, hindsight = _was_visible(connection, seen, after, now)
    if image is None:
        return _by_predicate(connection, seen, hindsight, after, through, now)
    policy, matches = seen.clauses(now)
    rows = sync_select.catch_up(
        connection.raw, seen.entity, after, through, policy, matches, image, seen.wire_clause(now)
    )
    return _collected(connection, _texts(seen.entity.name.encode(), rows), through, size)


def _was_visible(
    connection: ReadConnection, seen: EntityView, after: int, now: str
) -> tuple[SqlClause | None, Hindsight | None]:
    """Return what tells whether an earlier image was in view; no SQL where that isn't exact."""
    hindsight = read_hindsight(connection, seen, after, now)
    if hindsight is None:
        return seen.image_clause(now), None
    held = hindsight.clause()
    return None if held is None else seen.image_clause(now, held), hindsight


def _texts(entity: bytes, rows: sync_select.CaughtUpRows) -> Iterator[list[Found]]:
    moments: dict[int, bytes] = {}  # commits come in batches: few moments, many rows
    while chunk := rows.fetchmany(_ROWS_AT_ONCE):
        for at in {row[2] for row in chunk}:
            moments[at] = iso_ms(at).encode()
        # As `projection.change_text`, in bytes: nothing here is decoded to be encoded again.
        yield [
            (
                seq,
                b'{"seq":%d,"entity":"%b","row_id":"%b","kind":"%b","row":%b,"tx":%d,"at":"%b"}'
                % (seq, entity, row_id, b"update" if was else b"insert", wire, tx, moments[at])
                if wire is not None
                else b'{"seq":%d,"entity":"%b","row_id":"%b","kind":"delete","tx":%d,"at":"%b"%b}'
                % (seq, entity, row_id, tx, moments[at], _CAUSES[was]),
            )
            for seq, tx, at, row_id, wire, was in chunk
            if was or wire is not None
        ]


def _collected(
    connection: ReadConnection, chunks: Iterable[list[Found]], through: int, size: int = 0
) -> tuple[list[Found], int]:
    """Return the changes up to a page's size, whole transactions only, and where it ends."""
    found: list[Found] = []
    before, end = size, through
    for chunk in chunks:
        found += chunk
        if end == through:
            size += sum([len(text) for _, text in chunk])
            if size > limits.FRAME_BYTES_MAX:
                end = _end_of_page(connection, found, before)
        if end < through and found and found[-1][0] >= end:
            break
    return [one for one in found if one[0] <= end] if end < through else found, end


def _end_of_page(connection: ReadConnection, found: list[Found], size: int) -> int:
    """Return the last seq of the transaction in which a page reaches its size."""
    for seq, text in found:
        size += len(text)
        if size > limits.FRAME_BYTES_MAX:
            return sync_select.end_of_transaction(connection.raw, seq)
    raise AssertionError("only pages that are too large are cut")


def _by_predicate(
    connection: ReadConnection, seen: EntityView, hindsight: Hindsight | None, after: int,
    through: int, now: str,
) -> tuple[list[Found], int]:  # fmt: skip
    """Do the same row by row: where an image holds doubles, only Python reads them exactly."""
    schema = Schema(entities={seen.entity.name: seen.entity})
    records = [
        record
        for record in read_after(connection.raw, after, through - after, schema)
        if record.entity == seen.entity.name and record.seq <= through
    ]
    return _collected(connection, _judged(connection, seen, hindsight, records, now), through)


def _judged(
    connection: ReadConnection, seen: EntityView, hindsight: Hindsight | None,
    records: list[LogRecord], now: str,
) -> Iterator[list[Found]]:  # fmt: skip
    name = seen.entity.name

    def was_held(record: LogRecord) -> bool:
        return hindsight is not None and hindsight.held(record, connection)

    judge, wire = seen.judge(now, connection), seen.wire(now, connection.exists)
    newest = newest_seqs(records)
    for record in records:
        current = connection.get(seen.entity, record.row_id)
        # The page may end before the row's last change: what stands now says which one that is.
        is_newest = newest[name, record.row_id] == record.seq and (
            record.after is None if current is None else current["_seq"] == record.seq
        )
        if is_newest and current is not None:
            record.after = current
            record.wire = sync_select.wire_text_of(connection.raw, seen.entity, record.row_id)
        text = project(record, is_newest=is_newest, judge=judge, wire=wire, was_held=was_held)
        if text is not None:
            yield [(record.seq, text.encode())]
