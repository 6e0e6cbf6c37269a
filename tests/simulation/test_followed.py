"""Followed functions in the simulator: nobody is left with an old value, or told another's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon.server.functions import readset
from pylon.server.functions.asked import Asked
from pylon.server.functions.readset import ReadSet
from pylon.server.sync.live_index import LiveIndex
from pylon.testing.simulation.campaign import Bench, run_seeds
from pylon.testing.simulation.maker import Plan

APP = Path(__file__).parent / "followed"
SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
SEEDS = 40
PLAN = Plan(steps=30, devices_max=4)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench(APP)
    yield made
    made.close()


@pytest.mark.timeout(600 * SCALE)
def test_followers_show_what_their_calls_answer() -> None:
    """Rows, roles, policies, sessions, kills and crashes; each value as it leaves, and at the end.

    `python -m pylon.testing.simulation tests/simulation/followed --seed N` plays one again.
    """
    first = 0 if SCALE == 1 else int.from_bytes(os.urandom(3)) * 1000
    failed, values = [], 0
    for result in run_seeds(APP, range(first, first + SEEDS * SCALE), PLAN):
        values += result.outcome.values_checked
        if result.outcome.finding is not None:
            failed.append(f"seed {result.seed}: {result.outcome.finding}")
    assert not failed, "\n".join(failed)
    assert values > 15 * SEEDS * SCALE


# --- faults planted on purpose: the simulator must see each ------------------------------


def _findings(bench: Bench) -> Iterator[str]:
    for seed in range(40):
        finding = bench.play(bench.script(seed, PLAN)).finding
        if finding is not None:
            yield finding.promise


def test_a_value_that_was_made_for_another_is_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All share, whatever they would answer."""
    monkeypatch.setattr(Asked, "of", lambda self, identity: identity.is_system)
    assert "a followed value is what its caller gets" in _findings(bench)


def _misses_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveIndex, "concerned", lambda self, records: {})


def _misses_memberships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReadSet, "note_policy", lambda *given: None)


def _looks_behind_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = readset.stands_before
    monkeypatch.setattr(readset, "stands_before", lambda *given: not real(*given))


@pytest.mark.parametrize(
    "plant", [_misses_changes, _misses_memberships, _looks_behind_the_last],
    ids=lambda one: one.__name__.strip("_"),
)  # fmt: skip
def test_a_value_that_is_left_behind_is_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """What was read is forgotten in one way or another."""
    plant(monkeypatch)
    assert any(one.startswith("all converge") for one in _findings(bench))
