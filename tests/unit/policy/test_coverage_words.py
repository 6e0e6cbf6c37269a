"""Counts of branches in words."""

from __future__ import annotations

from typing import Any

from pylon.policy.coverage_words import coverage_words, taken_of


def _branch(depth: int, words: str, true: int, false: int, unknown: int = 0) -> dict[str, Any]:
    return {"depth": depth, "words": words, "true": true, "false": false, "unknown": unknown}


def test_both_outcomes_of_each_operand_count() -> None:
    """Of a whole with operands only those are looked at; unknown is a way of not being true."""
    counts = {"asked": 3, "sampled": 0, "branches": [
        _branch(0, "all", 1, 2), _branch(1, "a", 1, 0, 2), _branch(1, "b", 0, 2),
        _branch(1, "c", 3, 0), _branch(1, "d", 0, 0),
    ]}  # fmt: skip
    assert taken_of(counts) == (4, 8)
    said = coverage_words(counts)
    assert said[0] == "coverage: 4 of 8 (asked: 3, sampled: 0)"
    assert [line.partition(":")[0].strip() for line in said[1:]] == [
        "✓  a", "✗ never true  b", "✗ always true  c", "✗ never reached  d",
    ]  # fmt: skip


def test_a_policy_without_operands_is_its_own_branch() -> None:
    """It has two outcomes, too."""
    counts = {"asked": 1, "sampled": 2, "branches": [_branch(0, "always", 3, 0)]}
    assert taken_of(counts) == (1, 2)
    assert len(coverage_words(counts)) == 2


def test_what_was_not_counted_is_said() -> None:
    """A policy that is another now, and one that nobody asked."""
    assert "not counted" in coverage_words(None)[0]
    never = {"asked": 0, "sampled": 0, "branches": [_branch(0, "x", 0, 0)]}
    assert coverage_words(never) == ["coverage: never asked about a row"]
