"""Changes, cursors and batches: the only definition, for server, clients and code generation.

A *change* is one committed effect on one row as one caller may see it. A *cursor* says
"everything visible to me through this point is stored". A *batch* is a contiguous run of
changes; its `after` must equal the receiver's cursor, otherwise there is a *gap*.
What does not live here: the stored form of a change with its images (`storage.change_log`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.ids import Epoch, Seq, is_id

_SEQ = re.compile(r"(0|[1-9][0-9]{0,15})\Z", re.ASCII)


class ChangeKind(StrEnum):
    """What became true of a row, from the caller's view."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class HiddenCause(StrEnum):
    """Why a row that still exists left the caller's view."""

    #: The policy no longer lets the caller read it.
    HIDDEN = "hidden"
    #: No subscription of the connection matches it any more.
    FILTERED = "filtered"


class ResyncReason(StrEnum):
    """Why a cursor cannot be continued."""

    CURSOR_TOO_OLD = "cursor_too_old"
    CURSOR_AHEAD = "cursor_ahead"
    EPOCH_CHANGED = "epoch_changed"
    SCHEMA_CHANGED = "schema_changed"
    SLICE_TOO_LARGE = "slice_too_large"
    IDENTITY_CHANGED = "identity_changed"
    GAP = "gap"


@dataclass(frozen=True, slots=True, order=False)
class Cursor:
    """A point in one lineage of the log; written `"<epoch>:<seq>"`."""

    epoch: Epoch
    seq: Seq

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


def parse_cursor(text: object) -> Cursor | None:
    """Return the cursor of its text; None for no cursor or `"0"`, which start from the beginning.

    Raises InvalidArgument for anything malformed: it is never read as zero (I18).
    """
    if text is None or text == "0":
        return None
    if not isinstance(text, str):
        raise InvalidArgument("a cursor is a text", field="cursor")
    epoch, colon, digits = text.partition(":")
    is_wellformed = colon == ":" and is_id(epoch) and len(epoch) <= 32 and _SEQ.match(digits)
    if not is_wellformed or int(digits) > limits.SAFE_INTEGER_MAX:
        raise InvalidArgument(
            f"malformed cursor {text[:80]!r}",
            hint='a cursor is "<epoch>:<seq>", as the server gave it',
            field="cursor",
        )
    return Cursor(Epoch(epoch), Seq(int(digits)))


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One committed effect on one row. `row` is the whole row as it is now; never for a delete."""

    seq: int
    entity: str
    row_id: str
    kind: ChangeKind
    tx: int
    at: str
    row: dict[str, Any] | None = None
    cause: HiddenCause | None = None


class Refresh(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refresh"):
    """All current rows of one slice; at `done`, rows that match `where` and were not sent go."""

    seq: int
    entity: str
    where: dict[str, Any]
    rows: list[dict[str, Any]]
    done: bool


class ChangeBatch(msgspec.Struct, frozen=True, kw_only=True):
    """All that the caller may see in (after, through], whole transactions, in order."""

    after: str
    through: str
    changes: list[dict[str, Any]]
    more: bool
