"""Counting which branches of a policy were taken, with the answers left as they are."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.identity import ANONYMOUS
from pylon.policy.audience import Classes, Moment
from pylon.policy.compiled import compile_policy
from pylon.policy.coverage import Watched, watch
from pylon.schema.model import Access
from tests.properties import policies
from tests.unit.policy.schemas import NOW, caller, policy, row


def _taken(watched: Watched) -> list[tuple[int, ...]]:
    return [tuple(one) for one in watched.counts.taken]


def test_operands_are_counted_where_they_were_needed() -> None:
    """`||` stops at the first that is true; unknown is an outcome of its own."""
    one = policy("isOwner() || (hasRole('a') && data.count > 3)")
    watched = watch(one)
    for identity, values in (
        (caller("u1"), {"authorId": "u1"}),
        (caller("u2", "a"), {"authorId": "u1", "count": 5}),
        (caller("u2", "a"), {"authorId": "u1"}),
        (ANONYMOUS, {"authorId": "u1"}),
    ):
        one.allows(identity, row(**values), now=NOW)
    assert [branch.words for branch in watched.counts.branches] == [
        "its authorId is the caller or (the caller has the role a and its count is more than 3)",
        "its authorId is the caller",
        "the caller has the role a and its count is more than 3",
        "the caller has the role a",
        "its count is more than 3",
    ]
    assert _taken(watched) == [(2, 0, 2), (1, 2, 1), (1, 1, 1), (2, 1, 0), (1, 0, 1)]
    assert watched.counts.asked == 4


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(said=policies.expressions(), seed=st.integers(0, 2**32))
def test_a_policy_that_is_watched_answers_the_same(said: policies.Said, seed: int) -> None:
    """Counting changes no answer of the predicate, nor of the audience."""
    from random import Random

    plain, counted = (
        compile_policy(said.text, entity=policies.NOTE, access=Access.READ, schema=policies.SCHEMA)
        for _ in range(2)
    )
    watch(counted)
    chance = Random(seed)

    class Lookups:
        def exists(self, node: object, values: object) -> bool:
            return (repr(node) + repr(values)).__len__() % 2 == 0

        def inverse(self, *_: object) -> None:
            return None

    lookups = Lookups()
    classes = Classes()
    for identity in policies.IDENTITIES:
        classes.add(plain.facts(identity))
    for at in range(4):
        data = policies.random_row(chance, policies.NOTE, f"n{at}")
        for identity in policies.IDENTITIES:
            answers = [
                one.predicate(identity, data, now=policies.NOW, lookup=lookups.exists)
                for one in (plain, counted)
            ]
            assert answers[0] is answers[1]
        allowed = [
            {facts for facts in classes if facts in one.audience.of(moment, data)}
            for one in (plain, counted)
            for moment in [Moment(classes, policies.NOW, lookups)]
        ]
        assert allowed[0] == allowed[1]


def test_questions_to_sqlite_are_kept_once_for_each_class() -> None:
    """A list asks no predicate: it is noted, to be asked again of sampled rows."""
    one = policy("isOwner() || hasRole('a')")
    watched = watch(one)
    for identity in (caller("u1"), caller("u1"), caller("u2", "a")):
        one.clause(identity, alias="t", now=NOW)
    assert len(watched.questions) == 2
    for question in watched.questions.values():
        watched.sample(question, row(authorId="u1"), lambda *_: False)
    assert (watched.counts.asked, watched.counts.sampled) == (0, 2)
    assert _taken(watched) == [(2, 0, 0), (1, 1, 0), (1, 0, 0)]


def test_counts_of_before_are_added() -> None:
    """Those of the same text; any other shape is left."""
    first, second = (watch(policy("isOwner() || hasRole('a')")) for _ in range(2))
    first.policy.allows(caller("u1"), row(authorId="u1"), now=NOW)
    second.counts.add(first.counts.to_json())
    second.counts.add(first.counts.to_json())
    assert _taken(second) == [(2, 0, 0), (2, 0, 0), (0, 0, 0)]
    second.counts.add(watch(policy("isOwner()")).counts.to_json())
    assert second.counts.asked == 2
