"""The `User` entity as a class, so that `Ref["User"]` and imports of it mean something.

An app that wants more fields declares its own `User`; this one is then not used.
"""

from __future__ import annotations

from pylon.app.entities import Entity


class User(Entity):
    """The public face of an account: `name` and `avatar`."""

    name: str | None
    avatar: str | None
