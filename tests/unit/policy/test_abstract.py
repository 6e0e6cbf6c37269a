"""Conditions as trees of small tests: outcomes under what is known so far."""

from __future__ import annotations

from pylon.policy.abstract import ANY, FALSE, TRUE, UNKNOWN, Abstraction, Who, turned
from tests.unit.policy.schemas import policy


def test_outcomes_narrow_as_variables_are_chosen() -> None:
    """A comparison can be anything, then unknown where its value is absent."""
    abstraction = Abstraction(Who.ANYBODY)
    (tree,) = abstraction.trees([policy("data.count > 3").condition])
    assert tree.outcomes({}) == ANY
    there = tree.open_variable({})
    assert tree.outcomes({there: False}) == UNKNOWN
    place = tree.open_variable({there: True})
    assert abstraction.domains[place] == (0, 1, 2)  # below, at and above the constant
    answers = [tree.outcomes({there: True, place: at}) for at in abstraction.domains[place]]
    assert answers == [FALSE, FALSE, TRUE]


def test_values_that_are_compared_lie_among_the_same_constants() -> None:
    """An order of two values that their places exclude is no world."""
    abstraction = Abstraction(Who.ANYBODY)
    abstraction.trees([policy("data.count == data.days && data.days > 3").condition])
    ((one, other),) = abstraction._pairs
    order = ("order", one, other)
    assert abstraction.contradicts({one: 0, other: 2, order: 0})
    assert abstraction.contradicts({one: 1, other: 1, order: 1})
    assert not abstraction.contradicts({one: 2, other: 2, order: 1})


def test_unknown_stays_unknown_when_negated() -> None:
    """Negation swaps true and false only."""
    assert [turned(mask) for mask in (TRUE, FALSE, UNKNOWN, ANY)] == [FALSE, TRUE, UNKNOWN, ANY]
