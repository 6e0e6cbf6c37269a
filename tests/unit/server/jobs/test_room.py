"""How many jobs may start: bounds of queues and functions, and rates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import limits
from pylon.server.jobs.room import QueueBounds, Room, parse_queues


def test_queues_are_read_from_the_setting() -> None:
    """Name, jobs at a time, and a rate per second, minute or hour."""
    found = parse_queues(["mail 5", "import 2 10/s", "slow 1 6/m"])
    assert found == {
        "mail": QueueBounds(5), "import": QueueBounds(2, 10.0), "slow": QueueBounds(1, 0.1)
    }  # fmt: skip
    for text in ("mail", "mail 0", "mail 5 0/s", "mail 5 1/d", "a b 3", f"x {10**4 - 1}"):
        with pytest.raises(ValueError, match=r"mail|a b|x|queue"):
            parse_queues([text])
    with pytest.raises(ValueError, match="twice"):
        parse_queues(["a 1", "a 2"])


@given(st.lists(st.sampled_from(["start", "end"]), max_size=60))
def test_no_queue_has_more_than_its_bound(steps: list[str]) -> None:
    """Whatever starts and ends, what is free and what runs make the bound."""
    room, running = Room({"q": QueueBounds(3)}, 10), 0
    for step in steps:
        if step == "start" and room.free("q", 0.0) > 0:
            room.start("q", 0.0)
            running += 1
        elif step == "end" and running:
            room.end("q")
            running -= 1
        assert room.free("q", 0.0) == 3 - running
    assert room.running == running


def test_all_queues_together_have_a_bound() -> None:
    """However many queues there are."""
    room = Room({}, limits.JOBS_RUNNING_MAX)
    for n in range(limits.JOBS_RUNNING_MAX):
        room.start(f"q{n % 7}", 0.0)
    assert room.free("another", 0.0) == 0


def test_a_rate_lets_so_many_start_and_says_when_the_next_may() -> None:
    """A burst of a second, then one by one."""
    room = Room({"q": QueueBounds(50, 2.0)}, 10)
    for _ in range(room.free("q", 0.0)):
        room.start("q", 0.0)
    assert room.running == 2
    assert room.free("q", 0.0) == 0
    assert room.wait_s("q", 0.0) == 0.5
    assert room.free("q", 0.5) == 1
    assert room.may_start("q", 0.5) == 1
    assert room.wait_s("other", 0.0) is None
    assert room.may_start("other", 0.0) == 10
