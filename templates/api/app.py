"""A link shortener without a page: entities and functions over HTTP, for scripts and other programs."""

from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, Ref, Refused, actor, field, index, now

app = App("links", version="1")


@app.entity(
    read="isOwner()",
    insert="isOwner()",
    update="isOwner()",
    delete="isOwner()",
)
class Link(Entity):
    """A short name for an address."""

    name: str = field(unique=True, pattern="[a-z0-9-]{2,40}")
    url: str = field(pattern="https?://.+", max_length=2_000)
    visits: int = field(default=0, min=0)
    ownerId: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    madeAt: datetime = field(default=now, immutable=True)

    by_owner = index("ownerId", "madeAt")


@app.mutation(allow="true", rate="120/minute")
def visit(ctx, name: str) -> str:
    """Return where a link leads, and count the visit; anybody may follow one."""
    with ctx.as_system():
        link = ctx.db.first("Link", name=name)
        if link is None:
            raise Refused("NO_SUCH_LINK", f"there is no link {name!r}")
        ctx.db.update("Link", link.id, visits=link.visits + 1)
        return link.url


@app.query(allow="auth.userId != null")
def popular(ctx, limit: int = 10) -> list[Link]:
    """The caller's most visited links."""
    return ctx.db.list("Link", order=["-visits"], limit=min(limit, 100))
