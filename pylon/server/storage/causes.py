"""From a change back to what asked for it: step, run, job, function, request.

The log says of each change what caused it; a job and a run of a workflow say what enqueued or
started them. Followed one after the other, as far as they are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pylon.clock import iso_ms
from pylon.sqlite import RawConnection

#: A chain is followed so far: jobs enqueue jobs without end.
LINKS_MAX: Final = 20
_JOB = re.compile(r"job:(?P<name>[^#]*)#(?P<id>.+)\Z")
_STEP = re.compile(r"workflow:(?P<name>[^#]*)#(?P<id>[^:]+)(?::(?P<step>.*))?\Z")
_CALL = re.compile(r"(?P<door>[a-z]+):(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One cause: a step, run, job, function, request, schedule or the owner's tools."""

    kind: str
    name: str
    id: str | None = None
    #: When it was asked for, Unix ms, and what became of it; None where that is not kept.
    at_ms: int | None = None
    state: str | None = None
    user_id: str | None = None
    #: It is no longer there: what asked for it is not known.
    is_gone: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for the wire."""
        return {
            "kind": self.kind, "name": self.name, "id": self.id, "state": self.state,
            "at": None if self.at_ms is None else iso_ms(self.at_ms), "user_id": self.user_id,
            "gone": self.is_gone,
        }  # fmt: skip


def read_chain(raw: RawConnection, cause: str | None) -> list[Link]:
    """Return what a change came of, the nearest first, a request or schedule last."""
    links: list[Link] = []
    while cause is not None and len(links) < LINKS_MAX:
        found, cause = _links(raw, cause)
        links += found
    return links[:LINKS_MAX]


def _links(raw: RawConnection, cause: str) -> tuple[list[Link], str | None]:
    """Return the links that one cause names, and what caused the last of them."""
    if (step := _STEP.match(cause)) is not None:
        steps = [Link(kind="step", name=step["step"])] if step["step"] else []
        run, before = _stored(raw, "workflow", step["name"], step["id"])
        return [*steps, run], before
    if (job := _JOB.match(cause)) is not None:
        link, before = _stored(raw, "job", job["name"], job["id"])
        return [link], before
    if cause.startswith("cron:"):
        return [Link(kind="schedule", name=cause.removeprefix("cron:"))], None
    if (call := _CALL.match(cause)) is not None:
        if call["door"] == "function":
            return [Link(kind="function", name=call["name"])], None
        return [Link(kind="function", name=call["name"]), _door(call["door"])], None
    return [_door(cause)], None


def _door(name: str) -> Link:
    kind = "request" if name in ("http", "ws", "push", "cli") else "tool"
    return Link(kind=kind, name=name)


def _stored(raw: RawConnection, kind: str, name: str, key: str) -> tuple[Link, str | None]:
    table = "_pylon_jobs" if kind == "job" else "_pylon_workflows"
    row = raw.execute(
        f"SELECT created_at, state, user_id, cause FROM {table} WHERE id = ?", (key,)
    ).fetchone()
    if row is None:
        return Link(kind=kind, name=name, id=key, is_gone=True), None
    at_ms, state, user_id, cause = row
    link = Link(kind=kind, name=name, id=key, at_ms=at_ms, state=state, user_id=user_id)
    return link, cause
