"""The tail of a stream behind a filter."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from pylon.tui.tailing import Tail


class _Counted:
    def __init__(self) -> None:
        self.looks = 0

    def passes(self, row: int, terms: str) -> bool:
        self.looks += 1
        return not terms or row % int(terms) == 0


@given(st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["", "", "2", "3"]))))
def test_it_is_what_a_look_at_all_rows_would_find(steps: list[tuple[int, str]]) -> None:
    """However many come between two looks, and whatever the filter was before."""
    counted = _Counted()
    tail, kept, seen = Tail(counted.passes), deque[int](maxlen=10), 0
    for coming, terms in steps:
        kept.extend(range(seen, seen + coming))
        seen += coming
        wanted = [one for one in kept if not terms or one % int(terms) == 0]
        assert tail.rows(kept, seen, terms) == wanted


def test_a_row_is_looked_at_once() -> None:
    """What goes by between two looks is not looked at, and what stays is not looked at again."""
    counted = _Counted()
    tail, kept = Tail(counted.passes), deque(range(100), maxlen=100)
    tail.rows(kept, 100, "2")
    assert counted.looks == 100
    tail.rows(kept, 100, "2")
    kept.append(100)
    tail.rows(kept, 101, "2")
    assert counted.looks == 101
    kept.extend(range(101, 50_000))
    assert tail.rows(kept, 50_000, "2")[-1] == 49_998
    assert counted.looks == 201


def test_a_stream_that_begins_anew_is_looked_at_anew() -> None:
    """Another lineage has a list of its own."""
    tail = Tail(_Counted().passes)
    assert tail.rows(deque([1, 2], maxlen=5), 2, "") == [1, 2]
    assert tail.rows(deque([7], maxlen=5), 3, "") == [7]
