"""Keys of jobs, of runs and of what is done once: one bound for all."""

from __future__ import annotations

import pytest

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.server.functions.nested import key_of, once_id


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_key_has_so_many_characters_at_most(more: int) -> None:
    """One less, exactly so many, and one more."""
    key = "ä" * (limits.KEY_CHARACTERS_MAX + more)
    if more <= 0:
        assert key_of(key) == key
        assert once_id("fn", key).startswith("once.")
        return
    for ask in (key_of, lambda given: once_id("fn", given)):
        with pytest.raises(InvalidArgument, match="1 to 200 characters"):
            ask(key)


@pytest.mark.parametrize("wrong", ["", None, 7])
def test_what_is_no_key(wrong: object) -> None:
    """Empty, or no text."""
    with pytest.raises(InvalidArgument):
        key_of(wrong)
