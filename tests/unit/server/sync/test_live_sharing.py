"""What many callers of one call cost, and that they share again what once asked more of them."""

from __future__ import annotations

import pytest

from pylon.identity import Identity
from pylon.server.functions.asked import Asked
from tests.unit.server.sync.test_live_answers import _must, _user, _World


@pytest.mark.parametrize("callers", [10, 100, 1_000, 5_000])
def test_each_caller_more_is_asked_a_few_times_more(
    monkeypatch: pytest.MonkeyPatch, callers: int
) -> None:
    """All come at once to a function about its caller: six questions each, one later; not n of n.

    It was cubic: 171,700 questions for a hundred callers.
    """
    asked, real = [0], Asked.of

    def counted(self: Asked, identity: Identity) -> object:
        asked[0] += 1
        return real(self, identity)

    monkeypatch.setattr(Asked, "of", counted)
    world = _World()
    for number in range(callers):
        world.join(f"m{number}", _user(f"u{number}"))
    while run := world.next():
        world.end(run, f"for {run.identity.user_id}", about_caller=True)
    assert asked[0] <= 6 * callers
    assert world.answers.runs == callers
    assert sorted(world.told) == sorted((f"m{n}", f"for u{n}") for n in range(callers))
    asked[0] = 0
    world.commit("r")
    while run := world.next():
        world.end(run, f"again for {run.identity.user_id}", about_caller=True)
    assert asked[0] <= callers
    assert world.answers.runs == 2 * callers


def test_those_who_were_parted_share_again() -> None:
    """A reload made the function ask nothing of its caller: from then on one run does for all."""
    world = _World()
    for name in ("ann", "ben", "cid"):
        world.join(name, _user(name))
    while run := world.next():
        world.end(run, run.identity.user_id or "", about_caller=True)
    assert world.answers.sizes["live_answers"] == 3
    world.answers.doubt_all()
    while run := world.next():
        world.end(run, "all")
    assert world.answers.sizes["live_answers"] == 1
    assert world.told[3:] == [("ann", "all"), ("ben", "all"), ("cid", "all")]
    runs = world.answers.runs
    world.commit("r")
    world.end(_must(world.next()), "all 2")
    assert world.next() is None
    assert world.answers.runs == runs + 1
    assert len(world.told) == 9


def test_two_whose_values_differ_are_not_united() -> None:
    """What is not a function of what was asked, as the time is not, stays each one's own."""
    world = _World()
    world.join("ann", _user("ann"))
    world.join("ben", _user("ben"))
    while run := world.next():
        world.end(run, run.identity.user_id or "", about_caller=True)
    world.answers.doubt_all()
    world.end(_must(world.next()), "1")
    world.end(_must(world.next()), "2")
    assert world.answers.sizes["live_answers"] == 2
    assert world.told[2:] == [("ann", "1"), ("ben", "2")]


def test_who_is_asked_less_shares_though_others_are_asked_more() -> None:
    """What a run asks may turn on what it found: those who come later find whose they share."""
    world = _World()
    world.join("ann", _user("ann"))
    world.end(_must(world.next()), "for ann", about_caller=True)
    world.join("ben", _user("ben"))
    world.end(_must(world.next()), "for all")
    world.join("cid", _user("cid"))
    world.join("ann2", _user("ann"))
    assert world.next() is None
    assert world.told[2:] == [("cid", "for all"), ("ann2", "for ann")]
