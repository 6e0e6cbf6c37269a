"""Waiting before the next try."""

from __future__ import annotations

from collections import Counter

import pytest

from pylon.client.backoff import go_away_ms, reconnect_ms, retry_ms


def test_a_crowd_spreads_over_the_first_window() -> None:
    """At most a fifth of it comes in any one second (I37)."""
    crowd = 10_000
    seconds = Counter(reconnect_ms(1, at / crowd) // 1000 for at in range(crowd))
    assert max(seconds.values()) <= crowd // 5


@pytest.mark.parametrize("attempt", range(1, 60))
def test_waiting_has_a_cap(attempt: int) -> None:
    """However long it lasts, the next try is at most half a minute away."""
    assert 0 <= reconnect_ms(attempt, 0.0) <= reconnect_ms(attempt, 0.999) < 30_000


def test_goaway_waits_what_the_server_asks_and_spreads() -> None:
    """All are told the same time, and do not come back at the same time."""
    assert go_away_ms(500, 0.0) == 500
    assert go_away_ms(500, 0.999) > 5_000
    assert go_away_ms(-1, 0.0) == 0


def test_pushing_again_backs_off() -> None:
    """The pause grows, and is never nothing."""
    assert retry_ms(1, 0.0) == 100
    assert retry_ms(1, 0.5) < retry_ms(5, 0.5) <= 30_100
    assert retry_ms(50, 0.999) <= 30_100
