"""Counted branches as people read them: how much of a policy was ever taken, and what never was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def taken_of(counts: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many outcomes were taken, and of how many.

    Two count for each operand: that it was true, and that it was not (false or unknown). Of a
    policy without operands the whole is looked at.
    """
    branches = counts["branches"]
    looked_at = branches[1:] or branches
    taken = sum((one["true"] > 0) + (one["false"] + one["unknown"] > 0) for one in looked_at)
    return taken, 2 * len(looked_at)


def coverage_words(counts: Mapping[str, Any] | None) -> list[str]:
    """Return the coverage of one policy as lines: how much, then each branch with its counts."""
    if counts is None:
        return ["coverage: not counted (the policy is new, or another now)"]
    if not counts["asked"] + counts["sampled"]:
        return ["coverage: never asked about a row"]
    taken, of = taken_of(counts)
    lines = [
        f"coverage: {taken} of {of} (asked: {counts['asked']:,}, sampled: {counts['sampled']:,})"
    ]
    for one in counts["branches"]:
        if one["depth"] == 0 and len(counts["branches"]) > 1:
            continue
        total = one["true"] + one["false"] + one["unknown"]
        mark = "✗ never reached" if not total else "✗ never true" if not one["true"] else (
            "✗ always true" if one["true"] == total else "✓"
        )  # fmt: skip
        amounts = f"true {one['true']:,}, false {one['false']:,}, unknown {one['unknown']:,}"
        lines.append(f"{'  ' * max(1, one['depth'])}{mark}  {one['words']}: {amounts}")
    return lines
