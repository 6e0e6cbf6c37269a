"""Events of the client machine, as the stories of the conformance vectors are told in."""

from __future__ import annotations

from typing import Any, Final

Events = list[dict[str, Any]]

OPENING: Final[Events] = [{"type": "started", "client_id": "c1"}, {"type": "opened"}]


def received(**message: Any) -> dict[str, Any]:
    """Return a frame of the server."""
    return {"type": "received", "message": message}


def welcome(head: str = "e1:10", user_id: str | None = "u1") -> dict[str, Any]:
    """Return a welcome."""
    return received(
        type="welcome", connection_id="k", head=head, user_id=user_id, roles=[], schema="h1",
        heartbeat_s=15, limits={},
    )  # fmt: skip


def subscribed(subscription_id: str, entity: str = "Note", **definition: Any) -> dict[str, Any]:
    """Return the app's wish for rows."""
    where = definition.pop("where", {})
    return {
        "type": "subscribed",
        "id": subscription_id,
        "definition": {"entity": entity, "where": where, **definition},
    }


def row(row_id: str, seq: int, **values: Any) -> dict[str, Any]:
    """Return a row."""
    return {"id": row_id, "_seq": seq, **values}


def page(
    subscription: str, at: int, *rows: dict[str, Any], done: bool = True, entity: str = "Note"
) -> dict[str, Any]:
    """Return a page of a subscription."""
    return received(
        type="snapshot", subscription=subscription, entity=entity, rows=list(rows),
        at=f"e1:{at}", done=done,
    )  # fmt: skip


def upsert(entity: str, row: dict[str, Any], kind: str = "update") -> dict[str, Any]:
    """Return a change that brings a row."""
    return {
        "seq": row["_seq"], "entity": entity, "row_id": row["id"], "kind": kind, "row": row,
        "tx": row["_seq"], "at": "2026-11-24T12:00:00.000Z",
    }  # fmt: skip


def delete(entity: str, row_id: str, seq: int, **members: Any) -> dict[str, Any]:
    """Return a change that takes a row away."""
    return {
        "seq": seq, "entity": entity, "row_id": row_id, "kind": "delete", "tx": seq,
        "at": "2026-11-24T12:00:00.000Z", **members,
    }  # fmt: skip


def refresh(seq: int, where: dict[str, Any], *rows: dict[str, Any], done: bool) -> dict[str, Any]:
    """Return a page of a refresh."""
    return {
        "seq": seq, "kind": "refresh", "entity": "Note", "where": where, "rows": list(rows),
        "done": done,
    }  # fmt: skip


def batch(after: int, through: int, *changes: dict[str, Any], more: bool = False) -> dict[str, Any]:
    """Return a batch."""
    return {
        "after": f"e1:{after}", "through": f"e1:{through}", "changes": list(changes), "more": more
    }  # fmt: skip


def changes(
    after: int, through: int, *changes: dict[str, Any], more: bool = False
) -> dict[str, Any]:
    """Return a batch as a frame of the server."""
    return received(type="changes", **batch(after, through, *changes, more=more))


def mutated(op_id: str, fn: str, row_id: str, **values: Any) -> dict[str, Any]:
    """Return the app's own write."""
    args: dict[str, Any] = {"entity": "Note", "id": row_id}
    effect: dict[str, Any] = {"kind": fn, "entity": "Note", "id": row_id}
    if fn != "delete":
        args["values"] = effect["values"] = values
    return {
        "type": "mutated",
        "mutation": {
            "op_id": op_id, "fn": f"pylon.{fn}", "args": args, "effects": [effect],
            "at": "2026-11-24T12:00:00.000Z", "size": 40,
        },
    }  # fmt: skip


def results(request: str, head: int, *results: dict[str, Any]) -> dict[str, Any]:
    """Return the answers to a push."""
    return received(type="results", request_id=request, results=list(results), head=f"e1:{head}")


def result(op_id: str, status: str, seq: int | None, **members: Any) -> dict[str, Any]:
    """Return the answer to one operation."""
    return {"op_id": op_id, "status": status, "seq": seq, **members}


def fired(timer: str) -> dict[str, Any]:
    """Return the end of a timer."""
    return {"type": "fired", "timer": timer}


LIVE: Final[Events] = [
    *OPENING, subscribed("s1"), welcome(), page("s1", 10, row("a", 3, text="one")),
    changes(10, 10),
]  # fmt: skip
