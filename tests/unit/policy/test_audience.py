"""Who may see a row, asked for all classes at once: what is looked up and what is judged."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.policy import audience
from pylon.policy.audience import ALL, NONE, Classes, Moment, Some
from pylon.policy.compiled import CompiledPolicy, compile_policy
from pylon.schema.model import Access, Entity, Field, FieldKind, Index, Schema

NOTE = Entity(
    name="Note",
    fields=(
        Field(name="owner", kind=FieldKind.STR, nullable=True),
        Field(name="room", kind=FieldKind.STR),
        Field(name="open", kind=FieldKind.BOOL),
        Field(name="readers", kind=FieldKind.LIST, item=FieldKind.STR, nullable=True),
    ),
)
MEMBER = Entity(
    name="Member",
    fields=(
        Field(name="room", kind=FieldKind.STR),
        Field(name="userId", kind=FieldKind.STR),
    ),
    indexes=(Index(name="by_room", fields=("room", "userId")),),
)
SCHEMA = Schema(entities={one.name: one for one in (NOTE, MEMBER)})
ROW = {"id": "n", "owner": "u1", "room": "r", "open": False, "readers": ["u2", "u3"]}


def _policy(text: str) -> CompiledPolicy:
    return compile_policy(text, entity=NOTE, access=Access.READ, schema=SCHEMA)


def _user(name: str, *roles: str) -> Identity:
    return Identity(
        kind=IdentityKind.USER, user_id=name, email=f"{name}@example.com", roles=frozenset(roles)
    )


class _Members:
    """Who is where, and how often that was asked."""

    def __init__(self, **rooms: list[str]) -> None:
        self.rooms = rooms
        self.exists_asked = self.inverse_asked = 0

    def exists(self, node: Any, values: tuple[Any, ...]) -> bool:
        self.exists_asked += 1
        return values[1] in self.rooms.get(values[0], ())

    def inverse(
        self, node: Any, place: int, values: tuple[Any, ...], at_most: int
    ) -> list[Any] | None:
        self.inverse_asked += 1
        found = self.rooms.get(values[0], [])
        return None if len(found) > at_most else list(found)


PEOPLE = [*(_user(f"u{n}") for n in range(300)), _user("boss", "admin"), ANONYMOUS]


def _seen(
    text: str, members: _Members, monkeypatch: pytest.MonkeyPatch, **row: Any
) -> tuple[set[str | None], int]:
    """Return who may see a row, and how many judgements that took."""
    policy = _policy(text)
    classes = Classes()
    for identity in PEOPLE:
        classes.add(policy.facts(identity))
    judgements: list[Any] = []
    judged = audience._judged
    with monkeypatch.context() as patch:
        patch.setattr(
            audience, "_judged",
            lambda one, answers, moment: (
                judgements.append(answers) or judged(one, answers, moment)
            ),
        )  # fmt: skip
        found = policy.audience.of(Moment(classes, "", members), {**ROW, **row})
    return {one.user_id for one in PEOPLE if policy.facts(one) in found}, len(judgements)


EVERYBODY = {one.user_id for one in PEOPLE}


@pytest.mark.parametrize(("text", "row", "wanted", "judgements"), [
    ("data.owner == auth.userId", {}, {"u1"}, 0),
    ("auth.userId == data.owner", {"owner": "boss"}, {"boss"}, 0),
    ("auth.userId == data.owner", {"owner": None}, set(), 0),
    ("auth.userId != data.owner", {}, EVERYBODY - {"u1", None}, 0),
    ("!(auth.userId == data.owner)", {}, EVERYBODY - {"u1", None}, 0),
    ("auth.userId == null", {}, {None}, 2),
    ("auth.userId != null", {}, EVERYBODY - {None}, 2),
    ("hasRole('admin')", {}, {"boss"}, 2),
    ("auth.userId in data.readers", {}, {"u2", "u3"}, 0),
    ("auth.userId in data.readers", {"readers": None}, set(), 0),
    ("data.open == true || data.owner == auth.userId", {"open": True}, EVERYBODY, 1),
    ("data.open == true || data.owner == auth.userId", {}, {"u1"}, 1),
    ("hasRole('admin') && data.owner != auth.userId && data.open == false", {}, {"boss"}, 1),
    ("lower(auth.email) == 'u7@example.com'", {}, {"u7"}, 302),
])  # fmt: skip
def test_compared_facts_are_looked_up(
    text: str, row: dict[str, Any], wanted: set[str | None], judgements: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Only what is no plain comparison is judged class by class; the row alone, once for all.

    Where callers are of two classes only, both are judged.
    """
    assert _seen(text, _Members(), monkeypatch, **row) == (wanted, judgements)


EXISTS = "exists Member(room == data.room, userId == auth.userId)"


def test_an_exists_is_turned_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """One query tells who is named there, also where it is negated."""
    members = _Members(r=["u4", "u5", "stranger"])
    assert _seen(EXISTS, members, monkeypatch) == ({"u4", "u5"}, 0)
    assert (members.inverse_asked, members.exists_asked) == (1, 0)
    others = _seen(f"!{EXISTS}", members, monkeypatch)[0]
    assert others == EVERYBODY - {"u4", "u5", None}


def test_a_crowd_of_strangers_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where far more are named than are here, those that are here are asked for."""
    members = _Members(r=[f"stranger{n}" for n in range(5_000)] + ["u9"])
    assert _seen(EXISTS, members, monkeypatch)[0] == {"u9"}
    assert members.inverse_asked == 1
    assert members.exists_asked == 301, "each user once; anonymous is unknown"


def test_rows_of_one_moment_share_what_was_asked() -> None:
    """A hundred rows of one room are one query."""
    policy, members = _policy(EXISTS), _Members(r=["u4"])
    classes = Classes()
    for n in range(20):
        classes.add(policy.facts(_user(f"u{n}")))
    moment = Moment(classes, "", members)
    for n in range(100):
        assert policy.facts(_user("u4")) in policy.audience.of(moment, {**ROW, "id": f"n{n}"})
    assert members.inverse_asked == 1


def test_classes_are_counted_and_forgotten() -> None:
    """A class is there while it has members; nothing is kept of one that has none."""
    classes = Classes()
    for facts in (("a", 1), ("a", 2), ("b", 1), ("b", 1)):
        classes.add(facts)
    assert dict(classes.by((0,))) == {("a",): {("a", 1), ("a", 2)}, ("b",): {("b", 1)}}
    classes.remove(("b", 1))
    assert ("b",) in classes.by((0,))
    classes.remove(("b", 1))
    classes.remove(("a", 1))
    assert dict(classes.by((0,))) == {("a",): {("a", 2)}}
    classes.remove(("a", 2))
    assert len(classes) == 0
    assert dict(classes.by((0,))) == {}


def test_sets_of_classes_follow_the_rules_of_sets() -> None:
    """And, or, not, over sets that are named and sets that are all but those named."""
    names = [(letter,) for letter in "abcd"]
    sets = [NONE, ALL, Some(frozenset(names[:2])), Some(frozenset(names[1:3]), is_all_but=True)]
    for one in sets:
        for other in sets:
            for facts in names:
                assert (facts in (one & other)) is (facts in one and facts in other)
                assert (facts in (one | other)) is (facts in one or facts in other)
                assert (facts in ~one) is (facts not in one)
