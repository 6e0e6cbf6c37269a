"""Looked-at rows in memory, for tests of explanations."""

from __future__ import annotations

from typing import Any

from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.explain import Explanation, explain
from pylon.policy.matching import matches, satisfied
from pylon.policy.scene import Question, Scene, Sight
from pylon.schema.model import Access, Row
from tests.unit.policy.schemas import MESSAGE, NOW, SCHEMA, policy


class Members:
    """Memberships in a list."""

    def __init__(self, *rows: Row) -> None:
        self.rows = rows
        self.asked = 0

    def find(
        self, node: ir.ExistsNode, values: tuple[Any, ...], without: str | None = None
    ) -> Row | None:
        self.asked += 1
        found = (one for one in self.rows if matches(node, values, one))
        return next((one for one in found if one["id"] != without), None)

    def near(self, node: ir.ExistsNode, values: tuple[Any, ...]) -> list[Row]:
        return [one for one in self.rows if any(satisfied(node, values, one))]


def member(row_id: str, channel: str, user: str, role: str | None = None, **rest: Any) -> Row:
    """Return a Membership."""
    values = {"channelId": channel, "userId": user, "role": role, "until": None, "secret": None}
    return {"id": row_id, **values, "_seq": 1, **rest}


def why(
    text: str, identity: Identity, row: Row, *members: Row, access: Access = Access.READ,
    after: Row | None = None, read: str = "true", now: str = NOW, sight: Sight | None = None,
    is_disabled: bool = False,
) -> Explanation:  # fmt: skip
    """Return why a caller may do something with a Message, or may not."""
    question = Question(
        schema=SCHEMA, policy=policy(text, access), read=policy(read), entity=MESSAGE,
        access=access,
    )  # fmt: skip
    if access is Access.UPDATE and after is None:
        after = row
    scene = Scene(
        identity=identity, now=now, row=row, after=after, rows=Members(*members),
        is_disabled=is_disabled,
    )  # fmt: skip
    return explain(question, scene, sight)


def flip(text: str, identity: Identity, row: Row, *members: Row, **rest: Any) -> str | None:
    """Return the nearest flip without its first words; None where there is none."""
    found = why(text, identity, row, *members, **rest)
    return found.flips[0].text.removeprefix("would pass if ") if found.flips else None
