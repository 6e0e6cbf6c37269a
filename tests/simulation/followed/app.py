"""An app whose functions are followed: about rows, about their callers, and about both."""

from __future__ import annotations

from typing import Literal

from pylon import App, Entity, Ref, Refused, actor, field, index

app = App("followed")
SIGNED_IN = "auth.userId != null"
SEATED = "exists Seat(roomId == data.roomId, userId == auth.userId)"


@app.entity(read="data.open || isOwner()", insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Room(Entity):
    """Open, or its owner's."""

    name: str = ""
    open: bool = True
    ownerId: Ref[User] = field(default=actor)


@app.entity(
    read="auth.userId == data.userId || hasRole('chief')",
    insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN,
)  # fmt: skip
class Seat(Entity):
    """Lets its user see the lines of a room."""

    roomId: Ref[Room] = field(on_delete="cascade")
    userId: Ref[User] = field(default=actor)

    by_room = index("roomId", "userId")


@app.entity(read=SEATED, insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Line(Entity):
    """Seen by those who have a seat; its text by its author and by chiefs."""

    roomId: Ref[Room] = field(on_delete="cascade")
    authorId: Ref[User] = field(default=actor)
    body: str = field(default="", read="auth.userId == data.authorId || hasRole('chief')")
    state: Literal["new", "read"] = "new"
    rank: int = field(default=0, min=0, max=5)

    by_room = index("roomId")


@app.query(allow="true")
def rooms(ctx) -> list:
    """The same for all who see no room of their own."""
    return [[one.id, one.name, one.open] for one in ctx.db.list("Room")]


@app.query(allow="true")
def last_room(ctx) -> list:
    """The first of an order alone."""
    return [[one.id, one.name] for one in ctx.db.list("Room", order=["-name"], limit=1)]


@app.query
def board(ctx) -> list:
    """The first of an order, of what its caller sees."""
    rows = ctx.db.list("Line", where={"state": "new"}, order=["-rank"], limit=2)
    return [[one.id, one.rank, getattr(one, "body", "hidden")] for one in rows]


@app.query
def high(ctx, least: int = 2) -> int:
    """A range, over all lines."""
    if not 0 <= least <= 5:
        raise Refused("OUT_OF_RANGE", "from 0 to 5")
    with ctx.as_system():
        return ctx.db.count("Line", where={"rank": {">=": least}})


@app.query
def who(ctx) -> str:
    """About who calls, and no row."""
    return ctx.auth.email


@app.query
def me(ctx) -> list:
    """About who calls, and what he has."""
    seats = ctx.db.list("Seat", where={"userId": ctx.auth.user_id})
    return [ctx.auth.email, sorted(ctx.auth.roles), sorted(one.roomId for one in seats)]


@app.query(allow="hasRole('chief')")
def seats(ctx) -> int:
    """For chiefs alone."""
    return ctx.db.count("Seat")
