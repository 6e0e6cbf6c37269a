"""Ranges and validators of RFC 9110, by table and by chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.server.files.ranges import is_known, part_of, range_holds


@pytest.mark.parametrize(
    ("text", "size", "part"),
    [
        (None, 10, (0, 10)), ("bytes=0-0", 10, (0, 1)), ("bytes=2-4", 10, (2, 5)),
        ("bytes=2-", 10, (2, 10)), ("bytes=-3", 10, (7, 10)), ("bytes=-30", 10, (0, 10)),
        ("bytes=0-99", 10, (0, 10)), ("Bytes= 1-2 ", 10, (1, 3)), ("bytes=9-", 10, (9, 10)),
        ("bytes=10-", 10, None), ("bytes=-0", 10, None), ("bytes=0-", 0, None),
        ("bytes=-5", 0, (0, 0)), (f"bytes={'9' * 6000}-", 10, None),
        (f"bytes=1-{'9' * 6000}", 10, (1, 10)), (f"bytes=-{'9' * 6000}", 10, (0, 10)),
        # What is no range, or several, is as if it were not there.
        ("bytes=4-2", 10, (0, 10)), ("bytes=-", 10, (0, 10)), ("bytes=a-b", 10, (0, 10)),
        ("bytes=0-1,3-4", 10, (0, 10)), ("items=0-1", 10, (0, 10)), ("bytes 0-1", 10, (0, 10)),
        ("bytes=+1-2", 10, (0, 10)), ("bytes=1 -2", 10, (0, 10)), ("bytes=١-٢", 10, (0, 10)),
    ],
)  # fmt: skip
def test_the_part_that_is_asked_for(text: str, size: int, part: tuple[int, int] | None) -> None:
    """One range, cut to what is there; None where that is nothing."""
    found = part_of(text, size)
    assert (None if found is None else (found.start, found.end)) == part


@given(st.text(alphabet="bytes=-,0123456789 xX", max_size=30), st.integers(0, 200))
def test_a_part_lies_within_the_file(text: str, size: int) -> None:
    """Whatever is asked, what is answered is a part of the file, and says which."""
    found = part_of(text, size)
    if found is not None:
        assert 0 <= found.start <= found.end <= size
        assert found.is_asked or (found.start, found.end) == (0, size)
        assert not found.is_asked or found.start < found.end
        assert found.content_range.startswith(f"bytes {found.start}-")


def test_validators() -> None:
    """If-None-Match compares weakly and knows lists; If-Range wants the very tag."""
    tag = '"ab"'
    for known in ("*", '"ab"', 'W/"ab"', '"x", "ab"', '"x",W/"ab"'):
        assert is_known(tag, known)
    for unknown in (None, "", '"abc"', "ab", '"x"'):
        assert not is_known(tag, unknown)
    assert range_holds(tag, None)
    assert range_holds(tag, ' "ab" ')
    for other in ('W/"ab"', '"x"', "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert not range_holds(tag, other)
