"""Claims: proved, disproved, or left undecided."""

from __future__ import annotations

from pylon.policy.abstract import Who
from pylon.policy.claims import Judge, Verdict, is_same_meaning, roles_named, with_image
from pylon.schema.model import Access
from tests.unit.policy.schemas import MESSAGE, SCHEMA, policy

JUDGE = Judge(SCHEMA, MESSAGE)


def test_the_three_verdicts() -> None:
    """A proof holds, a world fails, and what is neither is not decided."""
    assert JUDGE.never(policy("data.count == 1 && data.count == 2").condition) is Verdict.HOLDS
    assert JUDGE.never(policy("data.count == 1").condition) is Verdict.FAILS
    # Never true, by arithmetic that the proof does not know.
    odd = policy("len(data.body) < 0").condition
    assert JUDGE.never(odd) is Verdict.NOT_DECIDED
    assert JUDGE.never(odd, Who.ANONYMOUS) is Verdict.NOT_DECIDED


def test_without_an_entity_nothing_is_disproved() -> None:
    """The guard of a function has no row."""
    assert Judge(SCHEMA, None).never(policy("hasRole('a')").condition) is Verdict.NOT_DECIDED


def test_a_policy_asked_of_another_image() -> None:
    """Only what was asked of `data` moves."""
    moved = with_image(policy("data.count == 1 && hasRole('a')").condition, "new")
    assert is_same_meaning(moved, policy("new.count == 1 && hasRole('a')", Access.UPDATE).condition)


def test_roles_are_found_however_they_are_asked_for() -> None:
    """By call, as a member of the list, below a negation."""
    text = "hasAnyRole('a', 'b') || 'c' in auth.roles || !auth.isAdmin"
    assert roles_named(policy(text).condition) == {"a", "b", "c", "admin"}


def test_meaning_is_not_spelling() -> None:
    """Other words for the same are the same; 1 and true are not."""
    same = policy("data.count == 1 and isOwner()").condition
    assert is_same_meaning(policy("data.count==1&&isOwner()  # so").condition, same)
    assert not is_same_meaning(
        policy("data.open == true").condition, policy("data.count == 1").condition
    )
