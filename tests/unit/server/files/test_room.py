"""Quotas count what is stored and what is on its way, each caller for himself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import limits
from pylon.errors import QuotaExceeded, Unavailable
from pylon.server.files.room import Room


def _room(stored: dict[str | None, int], quota: int = 0, total: int = 0) -> Room:
    return Room(
        quota_bytes=quota, total_bytes=total, used=lambda who: stored.get(who, 0),
        used_by_all=lambda: sum(stored.values()),
    )  # fmt: skip


def test_what_is_on_its_way_counts() -> None:
    """Two uploads at once can't pass a quota that each alone would fit into."""
    room = _room({"ann": 50}, quota=100)
    with room.reserve("ann", 40):
        with pytest.raises(QuotaExceeded), room.reserve("ann", 11):
            pass
        with room.reserve("bob", 100), room.reserve("ann", 10):
            pass
    with room.reserve("ann", 50):
        pass


def test_all_together_have_a_bound() -> None:
    """Beyond it nobody brings more, and it is nobody's fault."""
    room = _room({"ann": 50}, total=100)
    with room.reserve("bob", 50), pytest.raises(Unavailable), room.reserve("eve", 1):
        pass


@given(st.lists(st.integers(1, 3 * limits.MIB), max_size=8), st.integers(1, 8 * limits.MIB))
def test_of_unknown_length_it_fits_where_it_would(chunks: list[int], quota: int) -> None:
    """Growing piece by piece, what fits is taken and what does not is refused; all comes back."""
    room = _room({}, quota=quota)
    total = 0
    with room.reserve("ann", 0) as reservation:
        for chunk in chunks:
            total += chunk
            if total > quota:
                with pytest.raises(QuotaExceeded):
                    reservation.grow(total)
                break
            reservation.grow(total)
    with room.reserve("ann", quota):
        pass
