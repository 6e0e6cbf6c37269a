"""Mistakes: line, column, caret, and the nearest known name."""

from __future__ import annotations

import pytest

from pylon.policy.mistakes import mistake_at, nearest
from pylon.schema.model import Position


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("chanelId", "did you mean channelId?"),
        ("BODY", "did you mean body?"),
        ("nothing", None),
        ("", None),
    ],
)
def test_nearest(name: str, hint: str | None) -> None:
    """The nearest name is offered where one is near, whatever its case."""
    assert nearest(name, ("channelId", "body")) == hint


def test_the_caret_stands_below_the_word() -> None:
    """The excerpt is one line of the text without its indent; spaces are skipped."""
    text = "a\n     && bb == 1"
    found = mistake_at(text, 9, "odd", where="E.read", position=Position("app.py", 7, 3))
    assert found.render().splitlines() == [
        "app.py:8:9: E.read: odd", "    && bb == 1", "       ^"
    ]  # fmt: skip


def test_a_mistake_at_the_end_stays_in_the_text() -> None:
    """What is missing at the end is shown behind the last word."""
    found = mistake_at("a &&", 99, "ends", where="w", position=None)
    assert found.render().splitlines() == ["w: ends", "    a &&", "        ^"]


def test_long_lines_are_cut_around_the_mistake() -> None:
    """A line of any length shows the hundred characters that matter, the caret below its word."""
    text = " || ".join(f"data.a{number} == 1" for number in range(100))
    at = text.index("data.a50")
    shown, caret = mistake_at(text, at, "odd", where="w", position=None).render().splitlines()[1:]
    assert len(shown) <= 104
    assert shown[caret.index("^") :].startswith("data.a50")
    assert shown.strip().startswith("…")
    assert shown.endswith("…")
