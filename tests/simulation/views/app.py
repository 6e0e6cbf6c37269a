"""An app whose rows come into view and leave it because others change: every kind of reason."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pylon import App, Entity, Ref, actor, field, index

app = App("views")

SIGNED_IN = "auth.userId != null"
SEATED = "exists Seat(roomId == data.roomId, userId == auth.userId)"
PUBLIC = "exists Room(id == data.roomId, isPrivate == false)"


@app.entity(
    read=f"data.isPrivate == false || isOwner() || {SEATED.replace('data.roomId', 'data.id')}",
    insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN,
)  # fmt: skip
class Room(Entity):
    """Open, or for those who have a seat."""

    name: str = ""
    isPrivate: bool = False
    ownerId: Ref[User] = field(default=actor)


@app.entity(
    read=f"auth.userId == data.userId || {SEATED}",
    insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN,
)  # fmt: skip
class Seat(Entity):
    """Shows a room, its lines and its other seats: an entity that looks at itself."""

    roomId: Ref[Room] = field(on_delete="cascade")
    userId: Ref[User] = field(default=actor)
    role: Literal["owner", "editor", "guest"] = "guest"
    note: str = ""

    by_room = index("roomId", "userId")


@app.entity(
    read=f"{SIGNED_IN} && ({PUBLIC} || {SEATED})",
    insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN,
)  # fmt: skip
class Line(Entity):
    """Two reasons to be seen; one of them is for everybody."""

    roomId: Ref[Room] | None = field(on_delete="cascade")
    body: str = ""
    rank: int = field(default=0, min=0, max=5)

    by_room = index("roomId")


@app.entity(
    read="exists Seat(roomId == data.roomId, userId == auth.userId, role in ['owner', 'editor'])"
    " || hasRole('auditor')",
    insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN,
)  # fmt: skip
class Draft(Entity):
    """For some roles in the room only; does not go with it."""

    roomId: str | None
    body: str = ""

    by_room = index("roomId")


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Ban(Entity):
    topic: str
    userId: Ref[User] = field(default=actor)

    by_topic = index("topic", "userId")


@app.entity(
    read="!exists Ban(topic == data.topic, userId == auth.userId)",
    insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN,
)  # fmt: skip
class Story(Entity):
    """Hidden by a row, not shown by one; never for those who are not signed in."""

    topic: str
    body: str = ""
    isLong: bool = False

    by_topic = index("topic")


@app.entity(
    read="data.since <= now && (data.until == null || now < data.until) || isOwner()",
    insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN,
)  # fmt: skip
class Offer(Entity):
    """Comes and goes with the time."""

    since: datetime
    until: datetime | None = None
    body: str = ""
    ownerId: Ref[User] = field(default=actor)

    by_since = index("since")
    by_until = index("until")


@app.mutation
def closeRooms(ctx, isPrivate: bool) -> int:
    """Change many looked-at rows in one transaction."""
    with ctx.as_system():
        rooms = ctx.db.list("Room", limit=100)
        for room in rooms:
            ctx.db.update("Room", room.id, isPrivate=isPrivate)
        return len(rooms)


@app.mutation
def moveSeats(ctx, roomId: str, to: str) -> int:
    """Take all seats of a room to another one, and a line of it as well."""
    with ctx.as_system():
        if ctx.db.get("Room", to) is None:
            return 0
        seats = ctx.db.list("Seat", where={"roomId": roomId}, limit=100)
        for seat in seats:
            ctx.db.update("Seat", seat.id, roomId=to)
        for line in ctx.db.list("Line", where={"roomId": roomId}, limit=1):
            ctx.db.update("Line", line.id, roomId=to)
        return len(seats)
