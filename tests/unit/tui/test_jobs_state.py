"""What the Jobs screen holds: rates that come of counters, and pages that grow."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pylon.tui.jobs_state import JobsState
from pylon.tui.reading import PAGE, ROWS_MAX


def _told(completed: int, failed: int = 0) -> dict[str, Any]:
    return {"queues": [], "schedules": [], "version": 1,
            "ended": {"completed": completed, "failed": failed}}  # fmt: skip


@given(st.lists(st.tuples(st.floats(0.05, 3), st.integers(0, 50), st.integers(0, 5)), max_size=40))
def test_every_attempt_is_in_the_flow_once(steps: list[tuple[float, int, int]]) -> None:
    """Whenever the messages come: the sums are those of the counters, but for what was before."""
    state, now, done, bad = JobsState(), 1_000.0, 77, 7
    state.fold(_told(done, bad), now)
    for wait, more, worse in steps:
        now, done, bad = now + wait, done + more, bad + worse
        state.fold(_told(done, bad), now)
    completed, failed = state.rates(now + 1, 150)
    assert (sum(completed), sum(failed)) == (done - 77, bad - 7)
    assert len(completed) == 150


def test_another_process_counts_from_nothing() -> None:
    """A counter that fell is no negative rate."""
    state = JobsState()
    for now, count in ((1.0, 5), (2.0, 900), (3.0, 3), (4.0, 5)):
        state.fold(_told(count), now)
    assert state.rates(5.0, 4) == ([0, 0, 0, 2], [0, 0, 0, 0])
    assert state.age(5.0) is None
    assert state.age(7.0) == 3.0


def test_a_process_that_failed_less_than_the_one_before_counts_from_nothing() -> None:
    """It may have completed more already; how often it failed is no negative number."""
    state = JobsState()
    for now, done, failed in ((1.0, 5, 9), (2.0, 8, 1), (3.0, 9, 2)):
        state.fold(_told(done, failed), now)
    assert state.rates(4.0, 3) == ([0, 0, 1], [0, 0, 1])


def test_a_list_without_its_queues_is_not_known_yet() -> None:
    """Jobs may be answered before the stream has told of queues; nothing is said to be missing."""
    state = JobsState()
    assert state.is_unknown
    assert state.take(state.question, {"jobs": [], "next": None})
    assert state.is_unknown
    state.fold(_told(0), 1.0)
    assert not state.is_unknown


def test_a_page_is_asked_for_once_and_there_is_a_last_one() -> None:
    """However often the cursor is looked at; an answer to another question is not taken."""
    state, limit = JobsState(), PAGE
    state.begin("x")
    other = {"search": "y", "limit": PAGE}
    assert not state.take(other, {"jobs": [{}], "next": 1})
    while True:
        assert state.take(state.question, {"jobs": [{}] * state.limit, "next": 1})
        assert not state.come_near(0)
        if not state.come_near(state.limit - 1):
            break
        assert not state.come_near(limit - 1)  # it is asked for
        limit += PAGE
        assert state.limit == limit
    assert state.limit == ROWS_MAX
