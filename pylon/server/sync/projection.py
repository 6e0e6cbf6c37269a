"""A log record as one class of callers may see it: a change, or nothing.

Pure. Both images are judged by the state now (POLICY "Visibility is data too"); what leaves the
view leaves as a delete with an id and no content.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from pylon.clock import iso_ms
from pylon.schema.model import Row
from pylon.server.storage.change_log import LogRecord

_moment = lru_cache(maxsize=1024)(iso_ms)  # commits come in batches: few moments, many changes
#: Answers of a class of callers for one image: may the policy show it, does a subscription match.
Judge = Callable[[Row], tuple[bool, bool]]
#: The wire text of a record's row as a class of callers gets it.
Wire = Callable[[LogRecord], str | None]


def change_text(
    *, seq: int, entity: str, row_id: str, kind: str, tx: int, at_ms: int,
    wire: str | None = None, cause: str | None = None,
) -> str:  # fmt: skip
    """Return the JSON text of one change."""
    text = f'{{"seq":{seq},"entity":"{entity}","row_id":"{row_id}","kind":"{kind}"'
    if wire is not None:
        text += f',"row":{wire}'
    text += f',"tx":{tx},"at":"{_moment(at_ms)}"'
    return f'{text},"cause":"{cause}"}}' if cause is not None else f"{text}}}"


def whole_wire(record: LogRecord) -> str | None:
    """Return the wire text for those who get all fields of a row."""
    return record.wire


def never(record: LogRecord) -> bool:
    """Tell of no record that its row was held in spite of what the policy says now."""
    return False


def project(
    record: LogRecord, *, is_newest: bool, judge: Judge, wire: Wire = whole_wire,
    was_held: Callable[[LogRecord], bool] = never,
) -> str | None:  # fmt: skip
    """Return the change text that a class of callers gets for a record, or None.

    Args:
        record: the record with its images.
        is_newest: no later record of the same row exists at the moment of asking.
        judge: what the class may see, asked of the state now.
        wire: the row's text as the class gets it.
        was_held: whether the policy, which forbids what the row was, may have shown it.
    """
    was_visible = False
    if record.before is not None:
        is_allowed, is_matched = judge(record.before)
        was_visible = is_matched and (is_allowed or was_held(record))
    if is_newest and record.after is not None:
        is_allowed, is_matched = judge(record.after)
        if is_allowed and is_matched:
            return text_of(record, "update" if was_visible else "insert", wire=wire(record))
        if was_visible:
            return text_of(record, "delete", cause="filtered" if is_allowed else "hidden")
        return None
    return text_of(record, "delete") if was_visible else None


def text_of(
    record: LogRecord, kind: str, *, wire: str | None = None, cause: str | None = None
) -> str:
    """Return the text of a record told as this kind of change."""
    return change_text(
        seq=record.seq, entity=record.entity, row_id=record.row_id, kind=kind, tx=record.tx,
        at_ms=record.at_ms, wire=wire, cause=cause,
    )  # fmt: skip


def newest_seqs(records: list[LogRecord]) -> dict[tuple[str, str], int]:
    """Return the last seq of each row among the records."""
    return {(record.entity, record.row_id): record.seq for record in records}


def changes_frame(epoch: str, after: int, through: int, tail: bytes, *, more: bool) -> bytes:
    """Return the `changes` frame: a small prefix of the connection's own and a shared tail."""
    return b'{"type":"changes",' + batch_body(epoch, after, through, tail, more=more)[1:]


def batch_body(epoch: str, after: int, through: int, tail: bytes, *, more: bool) -> bytes:
    """Return a batch as HTTP and SSE carry it."""
    flag = "true" if more else "false"
    head = f'{{"after":"{epoch}:{after}","through":"{epoch}:{through}","changes":['
    return b"".join((head.encode(), tail, f'],"more":{flag}}}'.encode()))
