"""Chat: public and private channels, messages that can be edited and deleted, unread counts."""

from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, File, Ref, Text, actor, field, index, now, unique

app = App("chat", version="1")

MEMBER = "exists Membership(channelId == data.channelId, userId == auth.userId)"
OPEN = "exists Channel(id == data.channelId, isPrivate == false)"


@app.entity(
    read="""
        auth.userId != null && (
            data.isPrivate == false
            || isOwner()
            || exists Membership(channelId == data.id, userId == auth.userId)
        )
    """,
    insert="isOwner()",
    update="isOwner()",
    delete="isOwner()",
)
class Channel(Entity):
    name: str = field(min_length=1, max_length=40)
    isPrivate: bool = False
    ownerId: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    createdAt: datetime = field(default=now)

    by_name = unique("name")


@app.entity(
    read=f"auth.userId == data.userId || {MEMBER}",
    # Anybody joins a public channel; into a private one its owner invites.
    insert=f"(auth.userId == data.userId && {OPEN})"
    " || exists Channel(id == data.channelId, ownerId == auth.userId)",
    delete="auth.userId == data.userId"
    " || exists Channel(id == data.channelId, ownerId == auth.userId)",
)
class Membership(Entity):
    channelId: Ref["Channel"] = field(on_delete="cascade")
    userId: Ref["User"] = field(on_delete="cascade")
    joinedAt: datetime = field(default=now)

    one_each = unique("channelId", "userId")
    by_user = index("userId")


@app.entity(
    read=f"auth.userId != null && ({OPEN} || {MEMBER})",
    insert=f"isOwner() && ({OPEN} || {MEMBER})",
    update="isOwner()",
    delete="isOwner() || hasRole('moderator')",
)
class Message(Entity):
    channelId: Ref["Channel"] = field(on_delete="cascade", immutable=True)
    authorId: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    body: Text = field(min_length=1, max_length=10_000)
    attachment: File | None = None
    editedAt: datetime | None = None
    sentAt: datetime = field(default=now, immutable=True)

    by_channel = index("channelId", "sentAt")


@app.entity(read="isOwner()", insert="isOwner()", update="isOwner()", delete="isOwner()")
class ReadMark(Entity):
    """How far somebody has read a channel."""

    channelId: Ref["Channel"] = field(on_delete="cascade", immutable=True)
    userId: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    readAt: datetime = field(default=now)

    one_each = unique("channelId", "userId")


@app.query
def unreadCounts(ctx) -> dict[str, int]:
    """By channel id, how many messages of others came after my read mark."""
    marks = {mark.channelId: mark.readAt for mark in ctx.db.list("ReadMark", limit=1000)}
    counts = {}
    for channel in ctx.db.list("Channel", limit=1000):
        where = {"channelId": channel.id, "authorId": {"!=": ctx.auth.user_id}}
        if channel.id in marks:
            where["sentAt"] = {">": marks[channel.id]}
        counts[channel.id] = ctx.db.count("Message", where=where)
    return counts


@app.mutation
def markRead(ctx, channelId: str) -> None:
    """Move my read mark of a channel to now."""
    mark = ctx.db.first("ReadMark", channelId=channelId, userId=ctx.auth.user_id)
    if mark is None:
        ctx.db.insert("ReadMark", channelId=channelId)
    else:
        ctx.db.update("ReadMark", mark.id, readAt=ctx.now)
