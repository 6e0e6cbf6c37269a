"""Quotas at their edges: one less, exactly, one more; by user, by address, in all."""

from __future__ import annotations

import pytest

from pylon.errors import RateLimited
from pylon.server.quota import Quota


def _take(quota: Quota, user: str, address: str, more: int = 1) -> bool:
    try:
        quota.demand(user, address, more)
    except RateLimited:
        return False
    quota.add(user, address, more)
    return True


@pytest.mark.parametrize(
    ("total", "per_user", "per_address", "whose"),
    [(100, 3, 100, "of one user"), (100, 100, 3, "of one address"), (3, 100, 100, "in all")],
)
def test_the_one_beyond_is_refused(total: int, per_user: int, per_address: int, whose: str) -> None:
    """Three of three fit; the fourth does not, and fits where one of them has gone."""
    quota = Quota("things", total, per_user, per_address)
    assert [_take(quota, "ada", "here") for _ in range(3)] == [True] * 3
    with pytest.raises(RateLimited, match=f"too many things {whose}"):
        quota.demand("ada", "here")
    assert quota.count == 3
    quota.add("ada", "here", -1)
    assert _take(quota, "ada", "here")
    assert not _take(quota, "ada", "here")


def test_several_at_once_count_as_many() -> None:
    """Two more where one fits are refused whole, and nothing of them is counted."""
    quota = Quota("things", 100, 5, 100)
    assert _take(quota, "ada", "here", 4)
    assert not _take(quota, "ada", "here", 2)
    assert _take(quota, "ada", "here", 1)
    quota.demand("ada", "here", 0)


def test_one_does_not_use_up_what_another_may_have() -> None:
    """Users and addresses are counted apart; who is anonymous counts by his address alone."""
    quota = Quota("things", 100, 2, 4)
    assert _take(quota, "ada", "here", 2)
    assert not _take(quota, "ada", "there")
    assert _take(quota, "bob", "here", 2)
    assert not _take(quota, "", "here")
    assert _take(quota, "", "there", 4)


def test_nothing_is_kept_of_those_who_have_gone() -> None:
    """The tables are empty again: addresses without number leave nothing behind (I52)."""
    quota = Quota("things", 1_000_000, 2, 2)
    for number in range(1_000):
        quota.add(f"u{number}", f"a{number}")
        quota.add(f"u{number}", f"a{number}", -1)
    assert (quota.count, quota._users, quota._addresses) == (0, {}, {})
