"""Apps that several tests serve."""

from __future__ import annotations

NOTES = '''
"""Notes of people, some of them secret, in groups that decide who reads them."""

from __future__ import annotations

import time
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pylon import (App, BigInt, Entity, Json, Ref, Refused, Text, actor, field, index, now, unique)

app = App("notes", version="1")


@app.entity(read="auth.userId != null", insert="isOwner()", update="isOwner()", delete="isOwner()")
class Group(Entity):
    name: str = field(min_length=1, max_length=20)
    ownerId: Ref["User"] = field(default=actor, immutable=True)

    by_name = unique("name")


@app.entity(read="auth.userId != null", insert="isOwner() || auth.userId == data.userId",
            delete="auth.userId != null")
class Member(Entity):
    groupId: Ref["Group"] = field(on_delete="cascade")
    userId: Ref["User"] = field(on_delete="cascade")
    ownerId: Ref["User"] = field(default=actor)

    one_each = unique("groupId", "userId")


@app.entity(
    read="isOwner() || data.secret == false"
    " || exists Member(groupId == data.groupId, userId == auth.userId)",
    insert="isOwner()", update="isOwner()", delete="isOwner()",
)
class Note(Entity):
    ownerId: Ref["User"] = field(default=actor, immutable=True)
    groupId: Ref["Group"] | None = field(default=None, on_delete="set_null")
    text: Text = field(min_length=1, max_length=200)
    secret: bool = False
    rank: int = 0
    big: BigInt | None = None
    ratio: float | None = None
    price: Decimal | None = field(default=None, scale=2)
    day: date | None = None
    at: datetime = field(default=now)
    kind: Literal["plain", "loud"] = "plain"
    tags: list[str] = field(default_factory=list)
    extra: Json | None = None
    scar: str | None = field(default=None, private=True)

    by_group = index("groupId")
    by_rank = index("rank")


@app.entity(read="auth.userId != null", insert="auth.userId != null", delete="auth.userId != null")
class Guard(Entity):
    """A group that has a guard can't be deleted."""

    groupId: Ref["Group"] = field(on_delete="restrict")


@app.mutation
def shout(ctx, noteId: str) -> str:
    note = ctx.db.get("Note", noteId)
    if note is not None and note.kind == "loud":
        raise Refused("ALREADY_LOUD", "it shouts already")
    changed = ctx.db.update("Note", noteId, kind="loud")
    return ctx.db.update("Note", noteId, text=changed.text.upper()).text


@app.mutation
def writeThenFail(ctx) -> None:
    ctx.db.insert("Note", text="never to be seen")
    raise RuntimeError("the secret inside")


@app.mutation
def spin(ctx) -> None:
    ctx.db.insert("Note", text="spun")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass


@app.query
def mine(ctx) -> int:
    return ctx.db.count("Note", where={"ownerId": ctx.auth.user_id})


@app.action
async def double(ctx, n: int) -> int:
    return n * 2


@app.mutation(internal=True)
def hidden(ctx) -> None:
    pass
'''
