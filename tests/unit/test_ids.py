"""Ids: in the order in which they were minted, whatever the clock does; one rule of spelling."""

from __future__ import annotations

import re
import secrets

import pytest

from pylon.ids import IdSource, RepeatedIds, is_id, is_operation_id, uuid7_time_ms


class _Clock:
    """A wall clock that says what it is told."""

    def __init__(self, now_ms: int) -> None:
        self.at = now_ms

    def now_ms(self) -> int:
        return self.at

    def machine_ms(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("ids do not wait")


def test_ids_keep_their_order_within_one_millisecond_and_beyond_its_counter() -> None:
    """More ids than one millisecond's counter holds are still minted in order, none twice."""
    ids = IdSource(_Clock(1_767_225_600_000), secrets.token_bytes)
    minted = [ids.uuid7() for _ in range(5_000)]
    assert minted == sorted(set(minted))


def test_ids_do_not_step_back_with_the_clock() -> None:
    """After the clock was set back, ids go on from where they were."""
    clock = _Clock(1_767_225_600_000)
    ids = IdSource(clock, secrets.token_bytes)
    minted = [ids.uuid7()]
    for step in (-3_600_000, -1, 0, 1, 3_600_000):
        clock.at = 1_767_225_600_000 + step
        minted += [ids.uuid7(), ids.uuid7()]
    assert minted == sorted(set(minted))


def test_the_ids_of_an_operation_are_the_same_where_it_is_run_again() -> None:
    """Each once, and others for another operation; a seed may be longer than a key."""
    made = []
    for seed in (b"a" * 70, b"a" * 70, b"b"):
        ids = RepeatedIds(seed)
        made.append([ids.uuid7(1_767_225_600_123) for _ in range(100)])
    assert made[0] == made[1]
    assert len({*made[0], *made[2]}) == 200
    assert {uuid7_time_ms(one) for one in made[0]} == {1_767_225_600_123}


@pytest.mark.parametrize("byte", range(0, 256, 5))
def test_ids_are_uuids_whatever_chance_says(byte: int) -> None:
    """Version, variant and time are in their places for every random byte."""
    ids = IdSource(_Clock(1_767_225_600_123), lambda count: bytes([byte]) * count)
    made = ids.uuid7()
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made
    )
    assert uuid7_time_ms(made) == 1_767_225_600_123


@pytest.mark.parametrize("text", ["", "a" * 65, "a b", "a\n", "ä", "a/b", "a.b", "a:b", None, 7])
def test_what_is_no_id(text: object) -> None:
    """A row's id is 1 to 64 of a few characters, and a line break at its end is none of them."""
    assert not is_id(text)


def test_operation_ids_may_have_points_and_colons() -> None:
    """They are a little wider than ids of rows, and as short."""
    assert is_operation_id("shop:order.17_a-b")
    assert not any(map(is_operation_id, ("", "a" * 65, "a b", "a\n", "ä", None)))
    assert uuid7_time_ms("01a223ac-142e-4000-a02a-21b074ca5ecc") is None  # version 4
