"""Frames in words, for people who watch a client: one line a frame, one line a change.

Pure. Text from data is handed on as it is: whoever prints it cleans it.
"""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue
from pylon.printable import counted
from pylon.protocol import messages as m
from pylon.protocol.messages import Downstream


def frame_words(message: Downstream) -> tuple[str, str]:
    """Return the type of a frame and what it says in a few words."""
    match message:
        case m.Welcome():
            who = message.user_id or "anonymous"
            return "welcome", f"user {who}, head {message.head}"
        case m.Snapshot():
            is_whole = message.done and message.total == len(message.rows)
            of = "" if message.total is None or is_whole else f" of about {message.total}"
            end = ", done" if message.done else ""
            return "snapshot", f"{message.entity}: {counted(len(message.rows), 'row')}{of}{end}"
        case m.Changes():
            more = ", more to come" if message.more else ""
            count = len(message.changes)
            said = "nothing to see" if not count else f"{count} change{'' if count == 1 else 's'}"
            return "changes", f"({_seq(message.after)}, {_seq(message.through)}]: {said}{more}"
        case m.Window():
            return "window", f"{message.subscription}: {counted(len(message.ids), 'row')} listed"
        case m.Resync():
            return "resync", f"{message.reason}: start over from {message.head}"
        case m.SchemaChanged():
            return "schema", f"the app was loaded anew ({message.schema[:8]})"
        case m.GoAway():
            return "goaway", f"{message.reason}, come back in {message.retry_ms} ms"
        case m.ErrorMessage():
            error: Any = message.error
            return "error", jsonvalue.encode_text(error)
        case _:
            return str(type(message).__struct_config__.tag), ""


def change_words(change: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """Return (seq, kind, entity, row id, what) of a change in a batch."""
    row = change.get("row")
    if change.get("kind") == "refresh":
        count, end = len(change["rows"]), "" if change["done"] else ", more to come"
        what = (
            f"{counted(count, 'row')} {'is' if count == 1 else 'are'} all with"
            f" {jsonvalue.encode_text(change['where'])}{end}"
        )
    else:
        what = jsonvalue.encode_text(row) if row is not None else str(change.get("cause") or "")
    return (
        str(change.get("seq", "")), str(change.get("kind", "")), str(change.get("entity", "")),
        str(change.get("row_id", "")), what,
    )  # fmt: skip


def _seq(cursor: str) -> str:
    return cursor.rpartition(":")[2]
