"""An app with every kind of policy, reference and function that sync has to survive."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pylon import App, Entity, Json, Ref, Refused, actor, field, index, now, unique

app = App("torment")


@app.entity(
    read="auth.userId == data.ownerId || data.isOpen == true || hasRole('auditor')",
    insert="auth.userId != null",
    update="auth.userId == data.ownerId || hasRole('editor')",
    delete="auth.userId == data.ownerId || hasRole('editor')",
)
class Note(Entity):
    ownerId: Ref[User] = field(default=actor)
    body: str = ""
    isOpen: bool = False
    state: Literal["draft", "done"] = "draft"
    secret: str | None = field(default=None, private=True)
    memo: str = field(default="", read="auth.userId == data.ownerId || hasRole('auditor')")
    writtenAt: datetime = field(default=now)


@app.entity(
    read="true",
    insert="auth.userId != null",
    update="auth.userId != null",
    delete="auth.userId != null",
)
class Post(Entity):
    """Open to the world; unique titles conflict, numbers are added up."""

    title: str = field(min_length=1, max_length=5)
    votes: int = 0
    ratio: float | None = None
    price: Decimal | None = field(default=None, scale=2)
    extra: Json | None = None
    hidden: str = field(default="", private=True)

    by_title = unique("title")


@app.entity(
    read="auth.userId != null",
    insert="auth.userId != null",
    update="isOwner()",
    delete="auth.userId != null",
)
class Comment(Entity):
    """Goes with its post."""

    postId: Ref[Post] = field(on_delete="cascade")
    noteId: Ref[Note] | None = field(default=None, on_delete="set_null")
    authorId: Ref[User] = field(default=actor, immutable=True)
    text: str = ""


@app.entity(
    read="auth.userId == data.userId || hasRole('auditor')",
    insert="auth.userId != null",
    delete="auth.userId != null",
)
class Member(Entity):
    team: str
    userId: Ref[User] = field(default=actor)

    by_team = index("team", "userId")


@app.entity(
    read="exists Member(team == data.team, userId == auth.userId)",
    insert="auth.userId != null",
    update="auth.userId != null",
    delete="auth.userId != null",
)
class Task(Entity):
    """Seen by the members of its team."""

    team: str
    title: str = ""
    rank: int = field(default=0, min=0, max=9)


@app.mutation
def shuffle(ctx, state: Literal["draft", "done"]) -> int:
    """Change many rows in one transaction."""
    notes = ctx.db.list("Note", where={"ownerId": ctx.auth.user_id}, limit=100)
    for note in notes:
        ctx.db.update("Note", note.id, state=state, isOpen=ctx.random.random() < 0.5)
    return len(notes)


@app.mutation
def vote(ctx, postId: str, count: int) -> int:
    """Write twice to one row in one transaction."""
    with ctx.as_system():
        post = ctx.db.get("Post", postId)
        if post is None:
            raise Refused("GONE", "there is no such post")
        ctx.db.update("Post", postId, votes=post.votes + count)
        return ctx.db.update("Post", postId, votes=post.votes + count + 1).votes


@app.mutation
def replace(ctx, postId: str) -> None:
    """Delete and create again under the same id, in one transaction."""
    with ctx.as_system():
        post = ctx.db.get("Post", postId)
        if post is not None:
            ctx.db.delete("Post", postId)
            ctx.db.insert("Post", id=postId, title=post.title, votes=-1)


@app.mutation
def fail(ctx, noteId: str) -> None:
    """Write, and then break: nothing of it may stay."""
    ctx.db.update("Note", noteId, body="never to be seen")
    raise Refused("NO", "changed my mind")
