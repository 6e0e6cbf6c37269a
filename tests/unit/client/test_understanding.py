"""What is said of an answer of another shape: where, what, and no more of it than fits."""

from __future__ import annotations

import pytest

from pylon.client.plan_text import effect_lines
from pylon.client.understanding import MISUNDERSTANDINGS, not_understood, place_of
from pylon.version import __version__


def _fault(text: str) -> Exception:
    try:
        int(text)
    except MISUNDERSTANDINGS as error:
        return error
    raise AssertionError("that is a number")


def test_both_versions_are_named() -> None:
    """The runtime's, where it told it, and this one."""
    words = not_understood("its jobs", _fault("seven"), "0.9")
    assert "0.9" in words
    assert __version__ in words
    assert "its jobs" in words
    assert "ValueError" in words


def test_what_was_sent_is_not_told_whole() -> None:
    """An error may hold megabytes of what was sent, and lines of it."""
    words = not_understood("its jobs", _fault("seven\n" * 100_000))
    assert len(words) < 400
    assert "\n" not in words


def test_the_place_is_ours() -> None:
    """The innermost line of Pylon's own: not the library's, nor the test's."""
    with pytest.raises(MISUNDERSTANDINGS) as raised:
        effect_lines({"code": 7})
    assert place_of(raised.value).startswith("plan_text.py:")
