"""A shared list: who adds, ticks and clears is seen by everybody at once."""

from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, Ref, Refused, actor, field, index, now

app = App("list", version="1")


@app.entity(
    read="auth.userId != null",
    insert="auth.userId == data.addedBy",
    update="auth.userId != null",
    delete="auth.userId == data.addedBy",
)
class Item(Entity):
    """Something to get done."""

    title: str = field(min_length=1, max_length=200)
    done: bool = False
    addedBy: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    addedAt: datetime = field(default=now, immutable=True)

    by_time = index("addedAt")


@app.mutation(allow="auth.userId != null")
def clearDone(ctx) -> int:
    """Delete the caller's own items that are done; returns how many there were."""
    mine = ctx.db.list("Item", where={"done": True, "addedBy": ctx.auth.user_id})
    if not mine:
        raise Refused("NOTHING_DONE", "none of your items is done")
    for item in mine:
        ctx.db.delete("Item", item.id)
    return len(mine)
