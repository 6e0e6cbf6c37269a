"""Rates of functions, as they are written."""

from __future__ import annotations

import pytest

from pylon.app.rate import Rate
from tests.unit.app.conftest import Load, Mistaken


@pytest.mark.parametrize(
    ("text", "calls", "seconds"),
    [
        ("20/minute", 20, 60), ("20/m", 20, 60), ("1/second", 1, 1), ("5 / 10 minutes", 5, 600),
        ("1000/day", 1000, 86_400), ("3/2h", 3, 7_200), (" 7/s ", 7, 1), ("1/31d", 1, 2_678_400),
    ],
)  # fmt: skip
def test_what_a_rate_says(text: str, calls: int, seconds: int) -> None:
    """A number, a span, and one of four units by word or letter."""
    assert Rate.parse(text) == Rate(calls, seconds)


@pytest.mark.parametrize(
    "wrong",
    ["", "20", "0/minute", "-1/s", "1/0 s", "1/week", "1.5/s", "1/32 days", "٣/s", 20, None],
)
def test_what_is_no_rate(wrong: object) -> None:
    """Everything else is refused, and the message shows how it is written."""
    with pytest.raises(ValueError, match="rate is"):
        Rate.parse(wrong)


def test_a_wrong_rate_and_a_wrong_stream_are_mistakes_with_places(mistaken: Mistaken) -> None:
    """Each names its keyword or annotation."""
    found = mistaken(
        '@app.query(rate="often")\ndef a(ctx): ...\n'
        "@app.action\nasync def b(ctx) -> list[int]:\n    yield 1\n"
    )
    assert [line.split(": ", 1)[1].splitlines()[0] for line in found] == [
        'a: rate is a text such as "20/minute", "20/m" or "5/10 minutes"',
        "b: the result: an action that yields returns a stream",
    ]
    assert "app.py:8:18:" in found[0]
    assert "write AsyncIterator" in found[1]


def test_the_types_of_a_stream(load: Load) -> None:
    """What it yields is `part`, and the answer in one piece is the list of it."""
    app = load(
        "from collections.abc import AsyncIterator\n"
        "@app.action\nasync def b(ctx) -> AsyncIterator[int | None]:\n    yield 1\n"
        "@app.action\nasync def c(ctx):\n    yield 1\n"
    )
    one, other = app.manifest.functions
    assert (one.part, one.returns) == ("number | null", "(number | null)[]")
    assert (other.part, other.returns) == ("unknown", "unknown[]")
