"""The schema that the tests of policies speak of."""

from __future__ import annotations

from typing import Any

from pylon.identity import Identity, IdentityKind
from pylon.policy.compiled import CompiledPolicy, PolicyMistakes, compile_policy
from pylon.schema.model import (
    Access,
    Default,
    DefaultKind,
    Entity,
    Field,
    FieldKind,
    Index,
    Position,
    Schema,
)

NOW = "2026-11-23T12:00:00.000Z"
MESSAGE = Entity(
    name="Message",
    fields=(
        Field(name="authorId", kind=FieldKind.REF, ref="User", default=Default(DefaultKind.ACTOR)),
        Field(name="channelId", kind=FieldKind.STR),
        Field(name="body", kind=FieldKind.TEXT, nullable=True),
        Field(name="state", kind=FieldKind.ENUM, choices=("sent", "edited")),
        Field(name="count", kind=FieldKind.INT),
        Field(name="big", kind=FieldKind.BIGINT, nullable=True),
        Field(name="ratio", kind=FieldKind.FLOAT, nullable=True),
        Field(name="price", kind=FieldKind.DECIMAL, scale=2, nullable=True),
        Field(name="open", kind=FieldKind.BOOL, nullable=True),
        Field(name="sentAt", kind=FieldKind.DATETIME),
        Field(name="day", kind=FieldKind.DATE, nullable=True),
        Field(name="days", kind=FieldKind.INT, nullable=True),
        Field(name="tags", kind=FieldKind.LIST, item=FieldKind.STR, nullable=True),
        Field(name="ratios", kind=FieldKind.LIST, item=FieldKind.FLOAT, nullable=True),
        Field(name="json", kind=FieldKind.JSON, nullable=True),
        Field(name="secret", kind=FieldKind.STR, private=True, nullable=True),
    ),
    indexes=(Index(name="by_channel", fields=("channelId", "sentAt")),),
)
MEMBERSHIP = Entity(
    name="Membership",
    fields=(
        Field(name="channelId", kind=FieldKind.STR),
        Field(name="userId", kind=FieldKind.REF, ref="User"),
        Field(name="role", kind=FieldKind.ENUM, choices=("member", "owner"), nullable=True),
        Field(name="until", kind=FieldKind.DATETIME, nullable=True),
        Field(name="secret", kind=FieldKind.STR, private=True, nullable=True),
    ),
    indexes=(Index(name="by_channel", fields=("channelId", "userId")),),
)
USER = Entity(name="User", fields=(Field(name="name", kind=FieldKind.STR, nullable=True),))
SCHEMA = Schema(entities={one.name: one for one in (MESSAGE, MEMBERSHIP, USER)})


def policy(text: str, access: Access = Access.READ) -> CompiledPolicy:
    """Return the compiled policy of a Message."""
    return compile_policy(
        text, entity=MESSAGE, access=access, schema=SCHEMA, position=Position("app.py", 10, 5)
    )


def mistakes(text: str, access: Access = Access.READ) -> list[str]:
    """Return the mistakes of a text as people read them."""
    try:
        policy(text, access)
    except PolicyMistakes as found:
        return [one.render() for one in found.mistakes]
    return []


def caller(user_id: str | None, *roles: str, email: str | None = None, **claims: Any) -> Identity:
    """Return an identity; no user id is an anonymous caller."""
    kind = IdentityKind.ANONYMOUS if user_id is None else IdentityKind.USER
    return Identity(kind=kind, user_id=user_id, email=email, roles=frozenset(roles), claims=claims)


def row(**values: Any) -> dict[str, Any]:
    """Return a Message with these values; the others are absent."""
    return {"id": "m1", **dict.fromkeys(MESSAGE.by_name), "_seq": 1, **values}


def answer(text: str, identity: Identity | None = None, **values: Any) -> bool | None:
    """Return what a policy says of a Message with these values."""
    return policy(text).predicate(identity or caller("u1"), row(**values), now=NOW)
