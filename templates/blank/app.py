"""The smallest shared thing: notes that everybody who is signed in sees at once."""

from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, Ref, Text, actor, field, now

app = App("notes", version="1")


@app.entity(
    read="auth.userId != null",
    insert="isOwner()",
    update="isOwner()",
    delete="isOwner()",
)
class Note(Entity):
    body: Text = field(min_length=1, max_length=2_000)
    authorId: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    writtenAt: datetime = field(default=now, immutable=True)
