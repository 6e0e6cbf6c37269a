"""Cursors: what was given comes back; what was not is refused, never read as zero (I18)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.ids import Epoch, Seq
from pylon.protocol.change import Cursor, parse_cursor


@given(
    epoch=st.text("0123456789abcdefABZ_-", min_size=1, max_size=32),
    seq=st.integers(0, limits.SAFE_INTEGER_MAX),
)
def test_a_cursor_comes_back_from_its_text(epoch: str, seq: int) -> None:
    """Any epoch of ours and any seq that a browser keeps."""
    cursor = Cursor(Epoch(epoch), Seq(seq))
    assert parse_cursor(str(cursor)) == cursor


@pytest.mark.parametrize("text", [None, "0"])
def test_the_beginning_is_said_in_two_ways(text: str | None) -> None:
    """No cursor and the text `0` start from the beginning."""
    assert parse_cursor(text) is None


@pytest.mark.parametrize(
    "text",
    ["", ":", "e:", ":1", "1", "00", "e:01", "e:-1", "e:+1", "e:1.0", "e:1e3", "e: 1", "e:1 ",
     "e:1\n", "e:١", f"e:{2**53}", "e:" + "9" * 400, "e" * 33 + ":1", "e e:1", "e:1:2", 0, 7,
     True, ["e:1"], {"epoch": "e"}],
)  # fmt: skip
def test_anything_else_is_refused(text: object) -> None:
    """A malformed cursor names its field; it is no fresh start and no crash."""
    with pytest.raises(InvalidArgument) as refused:
        parse_cursor(text)
    assert refused.value.details["field"] == "cursor"
    assert len(refused.value.message) < 200
