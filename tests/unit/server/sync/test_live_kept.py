"""What is kept of values: never more than so many bytes, and nobody misses one for it."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

import pytest

from pylon import limits_live
from pylon.server.functions.live_run import LiveOutcome
from pylon.server.sync.live_kept import Kept
from tests.unit.server.sync.test_live_answers import _must, _user, _World


def _kept(let_go: Callable[[str], None] = lambda _: None) -> Kept[str]:
    return Kept(let_go)


@pytest.mark.parametrize(("bytes_more", "gone"), [(-1, []), (0, []), (1, ["a"])])
def test_of_one_caller_so_many_bytes_are_kept(
    monkeypatch: pytest.MonkeyPatch, bytes_more: int, gone: list[str]
) -> None:
    """One less, exactly so many, and one more: the value that was used least lately goes."""
    monkeypatch.setattr(limits_live, "LIVE_KEPT_USER_BYTES_MAX", 100)
    let_go: list[str] = []
    kept = _kept(let_go.append)
    kept.keep("of another", "ben", 60)
    kept.keep("a", "ann", 40)
    kept.keep("b", "ann", 60 + bytes_more)
    assert let_go == gone
    assert kept.size_of("of another") == 60


@pytest.mark.parametrize(("bytes_more", "gone"), [(-1, []), (0, []), (1, ["a"])])
def test_of_all_callers_so_many_bytes_are_kept(
    monkeypatch: pytest.MonkeyPatch, bytes_more: int, gone: list[str]
) -> None:
    """Whoever's it is that was used least lately."""
    monkeypatch.setattr(limits_live, "LIVE_KEPT_BYTES_MAX", 100)
    let_go: list[str] = []
    kept = _kept(let_go.append)
    kept.keep("b", "ben", 10)
    kept.keep("a", "ann", 40)
    kept.use("b")
    kept.keep("c", "cid", 50 + bytes_more)
    assert let_go == gone
    assert kept.bytes <= 100


def test_the_figures_stand_for_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """However values come, change and go, at the real bounds made small."""
    monkeypatch.setattr(limits_live, "LIVE_KEPT_BYTES_MAX", 300)
    monkeypatch.setattr(limits_live, "LIVE_KEPT_USER_BYTES_MAX", 100)
    chance, there = random.Random(5), dict[str, tuple[str, int]]()
    kept = _kept(lambda name: there.pop(name) and None)
    for _ in range(3_000):
        name = f"n{chance.randrange(30)}"
        if chance.random() < 0.7:
            asker, size = chance.choice("abcde"), chance.randrange(1, 130)
            there[name] = (asker, size)
            kept.keep(name, asker, size)
        else:
            there.pop(name, None)
            kept.drop(name)
        assert kept.bytes == sum(size for _, size in there.values()) <= 300
        for asker in "abcde":
            assert sum(size for whose, size in there.values() if whose == asker) <= 100


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_who_comes_to_a_value_that_was_let_go_waits_for_one_run(
    monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    """And the others, whose value is as it was, are told nothing; a change is told to all."""
    size = LiveOutcome('"x"').size
    monkeypatch.setattr(limits_live, "LIVE_KEPT_USER_BYTES_MAX", 2 * size - more)
    world = _World()
    for name in "ab":
        world.join(name, _user("ann"), fn=f"f{name}")
        world.end(_must(world.next()), '"x"')
    is_kept = more <= 0
    assert world.answers.sizes["live_kept_bytes"] == (2 if is_kept else 1) * size
    world.join("late", _user("ann"), fn="fa")
    if not is_kept:
        assert len(world.told) == 2
        world.end(_must(world.next()), '"x"')
    assert world.next() is None
    assert world.told[2:] == [("late", '"x"')]
    world.commit("r")
    while run := world.next():
        world.end(run, '"y"')
    assert sorted(world.told[3:]) == [("a", '"y"'), ("b", '"y"'), ("late", '"y"')]


def test_a_value_that_a_busy_follower_waits_for_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was let go before he could take it."""
    world = _World()
    world.join("a")
    member = world.answers.member((None, "a"))
    assert member is not None
    monkeypatch.setattr(limits_live, "LIVE_KEPT_USER_BYTES_MAX", 1)
    monkeypatch.setattr(world.answers, "_tell", lambda _: None)
    world.end(_must(world.next()), "1")
    assert world.next() is None
    monkeypatch.setattr(world.answers, "_tell", world._tell)
    world.answers.look_after(member)
    world.end(_must(world.next()), "1")
    assert world.told == [("a", "1")]
    world.answers.look_after(member)
    assert world.next() is None


def test_many_large_values_of_one_caller_take_little_memory() -> None:
    """Of 2,000 subscriptions with values of 256 KiB, half a gigabyte, so much is kept as may be."""
    world = _World()
    for number in range(2_000):
        world.join(f"m{number}", _user("ann"), fn=f"f{number}")
    tracemalloc.start()
    try:
        while run := world.next():
            world.end(run, f'"{run.fn}{"x" * 262_144}"')
            world.told.clear()
        used, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert world.answers.runs == 2_000
    assert used > limits_live.LIVE_KEPT_USER_BYTES_MAX * 0.9
    assert peak < limits_live.LIVE_KEPT_USER_BYTES_MAX + 2_000 * 4_096
