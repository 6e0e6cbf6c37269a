"""Facts about callers: slots, and claims of the wanted type only."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from pylon.policy.ir import Slot, SlotKind, TypeKind
from pylon.policy.slots import answer
from tests.unit.policy.schemas import caller, policy


@pytest.mark.parametrize(
    ("value", "wanted", "found"),
    [
        ("a", TypeKind.TEXT, "a"), (1, TypeKind.TEXT, None), ("a\0", TypeKind.TEXT, None),
        ("\ud800", TypeKind.TEXT, None), (1, TypeKind.NUMBER, 1), (1.5, TypeKind.NUMBER, 1.5),
        (True, TypeKind.NUMBER, None), ("1", TypeKind.NUMBER, None),
        (2**63 - 1, TypeKind.NUMBER, 2**63 - 1), (2**63, TypeKind.NUMBER, None),
        (float("nan"), TypeKind.NUMBER, None), (float("inf"), TypeKind.NUMBER, None),
        (True, TypeKind.BOOL, True), (1, TypeKind.BOOL, None),
        ("2026-11-23T13:00:00+01:00", TypeKind.DATETIME, "2026-11-23T12:00:00.000Z"),
        ("2026-11-23T13:00:00", TypeKind.DATETIME, None), (0, TypeKind.DATETIME, None),
        ("2026-11-23", TypeKind.DATE, "2026-11-23"), ("2026-02-30", TypeKind.DATE, None),
        (["a"], TypeKind.LIST, None), ("a", None, None),
    ],
)  # fmt: skip
def test_claims_are_of_the_wanted_type_or_absent(
    value: Any, wanted: TypeKind | None, found: Any
) -> None:
    """No claim is converted, and none that Python and SQLite hold differently is used."""
    slot = Slot(SlotKind.CLAIM, ("x",), wanted)
    given = answer(slot, caller("u1", x=value))
    assert given == found
    assert type(given) is type(found)


def test_claims_have_parts() -> None:
    """A dotted claim goes down through objects, and is absent where there is none."""
    slot = Slot(SlotKind.CLAIM, ("a", "b"), TypeKind.TEXT)
    assert answer(slot, caller("u1", a=MappingProxyType({"b": "x"}))) == "x"
    for other in ("b", None, {"c": "x"}, ["b"]):
        assert answer(slot, caller("u1", a=other)) is None


def test_each_fact_is_asked_once() -> None:
    """A fact that is named twice is one slot."""
    compiled = policy("auth.userId == data.authorId || auth.userId == data.channelId")
    assert compiled.slots == (Slot(SlotKind.USER_ID),)


def test_presence_is_never_unknown() -> None:
    """Whether somebody is signed in, has an address, a claim, a role is yes or no."""
    nobody, somebody = caller(None), caller("u1", "b", email="a@b.c", x=False)
    for slot in (
        Slot(SlotKind.HAS_USER), Slot(SlotKind.HAS_EMAIL), Slot(SlotKind.HAS_CLAIM, ("x",)),
        Slot(SlotKind.HAS_ANY_ROLE, ("a", "b")),
    ):  # fmt: skip
        assert answer(slot, nobody) is False
        assert answer(slot, somebody) is True


def test_roles_are_a_sorted_list() -> None:
    """Equal roles give equal answers, in whatever order they were granted."""
    assert answer(Slot(SlotKind.ROLES), caller("u1", "b", "a")) == ("a", "b")
