"""A shaped direction: late, slow, deaf or asleep, but never out of order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import limits
from pylon.errors import InvalidArgument
from pylon.server.sync.channel import close_frame, frame
from pylon.server.sync.shaping import Lane, Mode, Shape, shape_of, split_frames


def _lane(shape: Shape, now: float = 0.0, *chances: float) -> Lane:
    given_chances = iter(chances)
    lane = Lane(lambda: next(given_chances, 0.5))
    lane.use(shape, now)
    return lane


_SHAPES = st.builds(
    Shape, latency_ms=st.floats(0, 500), jitter_ms=st.floats(0, 500), loss=st.floats(0, 1),
    duplicate=st.floats(0, 1), bandwidth=st.sampled_from([0.0, 100.0, 10_000.0]),
)  # fmt: skip


@given(
    _SHAPES, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 300)), max_size=30),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_frames_stay_in_order_and_none_is_early(shape, sent, chance) -> None:  # type: ignore[no-untyped-def]
    """Whatever the shape: what arrives is in the order sent, late by at least the latency."""
    lane = Lane(chance.random)
    lane.use(shape, 0.0)
    now, arrived, times = 0.0, [], []
    for number, (pause, size) in enumerate(sent):
        now += pause
        lane.take(b"%d:" % number + b"x" * size, now, may_vanish=True, may_double=True)
        times.append(now)
        lane.check()
    while (at := lane.next_at(now)) is not None:
        now = max(now, at)
        for data in lane.due(now):
            number = int(data.partition(b":")[0])
            arrived.append(number)
            assert now >= times[number] + shape.latency_ms / 1000 - 1e-9
        lane.check()
    assert arrived == sorted(arrived)
    assert all(arrived.count(number) <= 2 for number in arrived)
    assert lane.held_bytes == 0
    if shape.loss == 0:
        assert set(arrived) == set(range(len(sent)))


def test_only_what_may_vanish_vanishes() -> None:
    """With a loss of everything, frames that the connection needs still arrive."""
    lane = _lane(Shape(loss=1.0, duplicate=1.0))
    lane.take(b"batch", 0.0, may_vanish=True)
    lane.take(b"welcome", 0.0)
    lane.take(b"push", 0.0, may_double=True)
    assert lane.due(0.0) == [b"welcome", b"push", b"push"]


def test_a_bandwidth_makes_frames_queue() -> None:
    """1,000 bytes at 1,000 bytes a second take a second, and the next waits for them."""
    lane = _lane(Shape(bandwidth=1_000.0, latency_ms=100.0))
    lane.take(b"x" * 1_000, 0.0)
    lane.take(b"y" * 500, 0.0)
    assert lane.due(1.0) == []
    assert lane.due(1.11) == [b"x" * 1_000]
    assert lane.due(1.59) == []
    assert lane.due(1.61) == [b"y" * 500]


def test_half_open_swallows_and_asleep_keeps() -> None:
    """Half-open frames are gone for good; a sleeper gets everything when the time is over."""
    deaf = _lane(Shape(mode=Mode.HALF_OPEN))
    deaf.take(b"lost", 0.0)
    deaf.use(Shape(), 1.0)
    deaf.take(b"heard", 1.0)
    assert deaf.due(1.0) == [b"heard"]
    sleeper = _lane(Shape(mode=Mode.ASLEEP, minutes=2.0))
    sleeper.take(b"one", 0.0)
    assert sleeper.due(119.0) == []
    assert sleeper.next_at(119.0) == 120.0
    sleeper.take(b"two", 119.0)
    assert sleeper.due(120.0) == [b"one", b"two"]
    assert sleeper.mode_at(120.0) is Mode.OPEN


def test_what_is_held_is_bounded() -> None:
    """A sleeper's frames beyond the limit are lost, not kept."""
    lane = _lane(Shape(mode=Mode.ASLEEP))
    for _ in range(limits.SHAPE_HELD_BYTES_MAX // limits.MIB + 3):
        lane.take(b"x" * limits.MIB, 0.0)
    assert lane.held_bytes == limits.SHAPE_HELD_BYTES_MAX


@pytest.mark.parametrize(
    ("given_shape", "member"),
    [({"loss": 1.5}, "loss"), ({"loss": math.nan}, "loss"), ({"latency_ms": True}, "latency_ms"),
     ({"mode": "gone"}, "mode"), ({"latencey": 1}, "latencey"), ({"minutes": -1}, "minutes"),
     ({"jitter_ms": "5"}, "jitter_ms")],
)  # fmt: skip
def test_a_wrong_shape_names_its_member(given_shape: dict[str, object], member: str) -> None:
    """Each mistake is refused with the member's name."""
    with pytest.raises(InvalidArgument) as refused:
        shape_of(given_shape)
    assert refused.value.details["field"] == member


def test_shapes_are_read() -> None:
    """What is right becomes a shape; nothing at all is a plain one."""
    assert shape_of({}).is_plain
    assert shape_of({"mode": "asleep", "minutes": 3, "loss": 0.25}) == Shape(
        mode=Mode.ASLEEP, minutes=3.0, loss=0.25
    )


@given(st.lists(st.integers(0, 70_000), max_size=6))
def test_frames_written_together_are_told_apart(sizes: list[int]) -> None:
    """Of any length, and a close frame among them."""
    frames = [frame(b"x" * size) for size in sizes] + [close_frame(1001, "bye")]
    assert split_frames(b"".join(frames)) == frames
