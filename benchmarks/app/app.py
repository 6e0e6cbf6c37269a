"""The app that is measured: one entity with an owner, the same shape as its PocketBase twin."""

from __future__ import annotations

from pylon import App, Entity, Text, actor, field

app = App("bench", version="1")


@app.entity(
    read="auth.userId != null",
    insert="auth.userId == data.ownerId",
    update="auth.userId == data.ownerId",
    delete="auth.userId == data.ownerId",
)
class Item(Entity):
    ownerId: str = field(default=actor)
    title: str = field(max_length=200)
    body: Text = field(max_length=5_000)
    count: int = 0
