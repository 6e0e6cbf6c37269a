"""Real worlds that disprove a claim, and the claims that none disproves."""

from __future__ import annotations

import dataclasses

from pylon.policy.abstract import TRUE, Who
from pylon.policy.witness import find_world
from pylon.policy.worlds import NOT_TRUE
from pylon.schema.model import Field, FieldKind, Schema
from tests.unit.policy.schemas import MESSAGE, SCHEMA, policy


def test_a_world_has_what_the_policy_asks() -> None:
    """Caller, row and the rows that an exists finds are made up to fit."""
    text = (
        "data.count == 77 && hasRole('clerk')"
        " && exists Membership(channelId == data.channelId, userId == auth.userId, role == 'owner')"
    )
    scene = find_world([(policy(text).condition, TRUE)], SCHEMA, MESSAGE, Who.ANYBODY)
    assert scene is not None
    world, data = scene.world, scene.world.data
    assert data is not None
    assert data["count"] == 77
    assert "clerk" in world.identity.roles
    found = [
        row
        for row in scene.rows["Membership"]
        if row["userId"] == world.identity.user_id and row["channelId"] == data["channelId"]
    ]
    assert "owner" in {row["role"] for row in found}


def test_rows_keep_the_bounds_of_their_fields() -> None:
    """No world has a row that could not be stored."""
    text = policy("data.count > 5").condition
    bounded = dataclasses.replace(
        MESSAGE,
        fields=tuple(
            Field(name="count", kind=FieldKind.INT, max=5) if one.name == "count" else one
            for one in MESSAGE.fields
        ),
    )
    schema = Schema(entities={**SCHEMA.entities, "Message": bounded})
    assert find_world([(text, TRUE)], SCHEMA, MESSAGE, Who.ANYBODY) is not None
    assert find_world([(text, TRUE)], schema, bounded, Who.ANYBODY) is None


def test_nothing_is_found_where_there_is_nothing() -> None:
    """A contradiction has no world, and what looks at its own entity is not tried."""
    owner = policy("isOwner()").condition
    assert find_world([(owner, TRUE), (owner, NOT_TRUE)], SCHEMA, MESSAGE, Who.ANYBODY) is None
    own = policy("exists Message(channelId == data.channelId)").condition
    assert find_world([(own, TRUE)], SCHEMA, MESSAGE, Who.ANYBODY) is None


def test_the_same_world_is_found_every_time() -> None:
    """Chance is not from outside."""
    wants = [(policy("data.count > 5 || hasRole('a')").condition, TRUE)]
    one, other = (find_world(wants, SCHEMA, MESSAGE, Who.SIGNED_IN) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.world.data == other.world.data
