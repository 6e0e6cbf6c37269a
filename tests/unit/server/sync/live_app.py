"""An app of query functions to follow, one for each way to depend on something."""

from __future__ import annotations

from typing import Any

from tests.unit.server.sync.hubs import Hubs, Peer

LIVE_APP = """
from __future__ import annotations

import threading
import time

from pylon import App, Entity, Refused, Text, field, index

app = App("live")


@app.entity(read="data.owner == auth.userId || data.secret == false", insert="true")
class Note(Entity):
    owner: str
    secret: bool = False
    rank: int | None = None
    text: Text = field(default="", read="data.rank == null || hasRole('chief')")


@app.entity(read="exists Member(room == data.room, userId == auth.userId)", insert="true")
class Message(Entity):
    room: str
    text: Text = ""


@app.entity(read="auth.userId != null", insert="true", sync=False)
class Member(Entity):
    room: str
    userId: str

    by_room = index("room", "userId")


@app.query(allow="true")
def notes(ctx) -> list:
    return [one.id for one in ctx.db.list("Note")]


@app.query(allow="true")
def ranked(ctx, least: int) -> list:
    return [one.id for one in ctx.db.list("Note", where={"rank": {">=": least}})]


@app.query(allow="true")
def newest(ctx, since: int) -> list:
    where = {"owner": "ann", "rank": {">": since}}
    return [one.id for one in ctx.db.list("Note", where=where, order="-rank", limit=2)]


@app.query
def messages(ctx, room: str) -> list:
    return [[one.id, one.text] for one in ctx.db.list("Message", where={"room": room})]


@app.query
def one_note(ctx, id: str) -> str:
    found = ctx.db.get("Note", id)
    return "none" if found is None else found.owner


@app.query
def me(ctx) -> list:
    return [ctx.auth.user_id, sorted(ctx.auth.roles)]


@app.query(allow="true")
def total(ctx) -> int:
    with ctx.as_system():
        return ctx.db.count("Message")


@app.query(allow="true")
def fragile(ctx) -> str:
    found = ctx.db.first("Note", owner="bomb")
    if found is None:
        return "calm"
    if found.secret is None or found.id == "x":
        raise ValueError("boom")
    raise Refused("BOMB", "a bomb")


@app.query(allow="exists Member(userId == auth.userId, room == args.room)")
def guarded(ctx, room: str) -> str:
    return "in " + room


@app.query(allow="true")
def texts(ctx) -> list:
    return [getattr(one, "text", "hidden") for one in ctx.db.list("Note")]


@app.query(allow="true")
def joined(ctx) -> list:
    return [one.id for one in ctx.db.list(
        "Message", where="exists Member(room == room, userId == args.who)", args={"who": "ann"})]


@app.query(allow="true")
def either(ctx) -> str:
    with ctx.as_system():
        is_alike = ctx.db.get("Note", "switch") is None
    if is_alike:
        return "all alike"
    return f"for {ctx.auth.user_id}"


@app.query(allow="true")
def clock(ctx) -> str:
    return ctx.now.isoformat()


@app.query(allow="true")
def chance(ctx) -> list:
    return [len(ctx.db.list("Note")) * 0, ctx.random.random()]


@app.query(allow="true")
def slow(ctx) -> int:
    with ctx.as_system():
        found = ctx.db.count("Message")
    time.sleep(0.02)
    return found


@app.query(allow="true", timeout=2)
def patient(ctx) -> list:
    with ctx.as_system():
        return [threading.current_thread() is threading.main_thread(), ctx.db.count("Message")]


@app.mutation
def write(ctx) -> None:
    pass
"""


def value_of(peer: Peer, subscription: str) -> Any:
    """Return what a client shows for a subscription: its last value, or the code of its error."""
    shown: Any = None
    for one in peer.frames:
        if one["type"] == "resync":
            shown = None
        if one.get("subscription") == subscription and one["type"] == "value":
            shown = one["value"]
        if one.get("subscription") == subscription and one["type"] == "error":
            shown = one["error"]["code"]
    return shown


async def quiet(hubs: Hubs) -> None:
    """Wait until no run is due any more."""
    live = hubs.hub.live
    await hubs.until(lambda: live._answers.is_quiet)
