"""The generated predicate: the smallest parts, deep nesting, and the interpreter beside it."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.policy import reference
from pylon.policy.predicate import ascii_lower, compile_predicate, member
from tests.unit.policy.schemas import NOW, caller, policy, row


def test_lower_folds_ascii_only() -> None:
    """A to Z, and nothing else: what SQLite's lower does."""
    assert ascii_lower("AZÀİ\U00010400") == "azÀİ\U00010400"


@pytest.mark.parametrize(
    ("value", "items", "wanted"),
    [
        (1, [1], True), (1, [2], False), (1, [], False), (1, [None], None), (1, [None, 1], True),
        ("a", ("a", None), True),
    ],
)  # fmt: skip
def test_member(value: Any, items: Any, wanted: bool | None) -> None:
    """Without a match beside a null the answer is unknown."""
    assert member(value, items) is wanted


def test_the_deepest_policy_compiles() -> None:
    """And and or in turn, as deep as the language allows, nest within Python's own limits."""
    text = "(data.open || data.count == 1 && " * 31 + "true" + ")" * 31
    compiled = policy(text)
    predicate = compile_predicate(compiled.condition)
    message = row(open=False, count=1)
    assert predicate((), message, None, None, NOW, None, None) is True
    world = reference.World(
        identity=caller("u1"), data=message, now=NOW, lookup=lambda *_: False
    )  # fmt: skip
    assert reference.evaluate(compiled.condition, world) is True


def test_texts_of_the_policy_never_become_code() -> None:
    """Literals are handed in beside the generated code."""
    text = "data.body == \"'; import os #\" && contains(data.body, '{0} or True')"
    assert policy(text).predicate(caller("u1"), row(body="x"), now=NOW) is False
