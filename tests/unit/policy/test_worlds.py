"""Proofs over all abstract worlds: what is proved, and what rightly is not."""

from __future__ import annotations

import pytest

from pylon import limits
from pylon.policy import ir
from pylon.policy.abstract import TRUE, Who
from pylon.policy.worlds import NOT_TRUE, is_impossible
from tests.unit.policy.schemas import policy

MEMBER = "exists Membership(channelId == data.channelId, userId == auth.userId"


def never_true(condition: ir.Condition, who: Who = Who.ANYBODY) -> bool:
    return is_impossible([(condition, TRUE)], who)


def always_true(condition: ir.Condition, who: Who = Who.ANYBODY) -> bool:
    return is_impossible([(condition, NOT_TRUE)], who)


def implies(one: ir.Condition, other: ir.Condition) -> bool:
    return is_impossible([(one, TRUE), (other, NOT_TRUE)])


@pytest.mark.parametrize(
    "text",
    [
        "false",
        "null == data.channelId && data.channelId == 'a'",
        "data.count > 3 && data.count < 2",
        "data.count == 1 && data.count == 2",
        "hasRole('a') && auth.userId == null",
        "auth.email != null && auth.userId == null",
        "isOwner() && auth.userId != data.authorId",
        "data.sentAt < now && data.sentAt > now",
        "lower(data.body) == 'a' && data.body == null",
        "auth.claims.x == 1 && auth.claims.x == null",
    ],
)
def test_never_true_is_proved(text: str) -> None:
    """A contradiction is one for all callers and rows."""
    assert never_true(policy(text).condition)


@pytest.mark.parametrize(
    "text", ["true", "data.body == null || data.body != null", "!(data.body == null && false)"]
)
def test_always_true_is_proved(text: str) -> None:
    """What is true of every row and caller is seen to be."""
    assert always_true(policy(text).condition)


@pytest.mark.parametrize(
    "text",
    [
        "data.count > 3 || data.count <= 3",  # unknown where count is absent
        "data.body != data.body || data.body == data.body",
        "hasRole('a') || hasRole('b')",
        "data.state in ['sent']",
    ],
)
def test_nothing_is_claimed_of_what_depends(text: str) -> None:
    """Neither always nor never."""
    assert not always_true(policy(text).condition)
    assert not never_true(policy(text).condition)


def test_callers_are_told_apart() -> None:
    """Anonymous callers have no id, no role and no claim; the others have an id."""
    for text in ("isOwner()", "hasRole('a')", f"!{MEMBER})", "auth.claims.x == 1"):
        assert never_true(policy(text).condition, Who.ANONYMOUS), text
        assert not never_true(policy(text).condition, Who.SIGNED_IN), text
    assert always_true(policy("auth.userId == null").condition, Who.ANONYMOUS)
    assert always_true(policy("auth.userId != null").condition, Who.SIGNED_IN)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("isOwner() && data.count > 3", "isOwner()"),
        ("data.count > 3", "data.count > 2"),
        ("data.count == 3", "data.count in [1, 3]"),
        (f"{MEMBER}, role == 'owner')", f"{MEMBER})"),
        (f"{MEMBER}, role == 'owner')", f"{MEMBER}, role in ['owner', 'member'])"),
        (f"{MEMBER}, role in ['owner'])", f"{MEMBER}, role in ['owner', 'member'])"),
        ("hasRole('a')", "hasAnyRole('a', 'b')"),
        ("data.sentAt < now", "data.sentAt <= now"),
        ("data.count == data.days && data.days > 3", "data.count > 3"),
    ],
)
def test_one_policy_within_another(narrow: str, wide: str) -> None:
    """The narrower is proved to be within the wider, and not the other way round."""
    assert implies(policy(narrow).condition, policy(wide).condition)
    assert not implies(policy(wide).condition, policy(narrow).condition)


def test_too_many_worlds_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound nothing is claimed, although it is so."""
    monkeypatch.setattr(limits, "POLICY_WORLDS_MAX", 3)
    assert not never_true(policy("data.count > 3 && data.count < 2").condition)
