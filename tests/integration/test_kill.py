"""Kills, at random moments and at every named point, also while the kill before is recovered from.

Somebody outside writes by four ways, reads along, and holds the runtime to every word after each
start (`kill_world`). PYLON_TEST_SCALE multiplies the kills; PYLON_KILL_SEED chooses others.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from pylon.testing.crash_points import STARTING, VARIABLE, WORKING
from pylon.testing.served import ServedProject
from tests.conftest import Serve
from tests.integration.kill_world import World, state, state_of_copy
from tests.integration.killing import APP

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
SEED = int(os.environ.get("PYLON_KILL_SEED", "7"))
#: Kills of one project; a long history makes the checks slow, not the kills.
KILLS_EACH = 34
WORLDS = 5 * SCALE


@pytest.mark.slow
@pytest.mark.timeout(600 * SCALE)
@pytest.mark.parametrize("world", range(WORLDS))
async def test_kills_lose_nothing_and_tear_nothing(tmp_path: Path, world: int) -> None:
    """Kills of one project, half of them where a point is passed, with load all the time."""
    one = World(tmp_path, SEED * 1_000 + world)
    points = [(label, number) for label in WORKING for number in (1, 2, 7)]
    chosen = one.chance.sample(points, KILLS_EACH // 2)
    try:
        await one.found()
        for label, number in chosen:
            await one.kill_at_random()
            await one.kill_at(label, number)
            await one.recover()
        assert len(one.journal.answered) > one.kills, "there was something to lose"
        load = one.driver.load()
        await asyncio.sleep(0.2)
        assert await one.served.stop() == 0, "and it stops as cleanly as ever"
        await asyncio.gather(*load)
        await one.served.start()
        await one.driver.ask_again(500)
        one.check(is_full=True)
        answers = len(one.journal.answered) + len(one.journal.written)
        print(f"seed {SEED * 1_000 + world}: {one.kills} kills, {answers} answers held")
    finally:
        await one.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_point_kills_a_start_and_the_next_start_recovers(tmp_path: Path) -> None:
    """One after the other, twice each, without a complete start in between: the same history."""
    one = World(tmp_path, SEED)
    try:
        await one.found()
        await one.kill_at_random()
        before = state_of_copy(one.database, tmp_path / "copy", 0)
        for label in STARTING:
            for _ in range(2):
                code = await one.served.start_until(f"{label}:1")
                assert code == -signal.SIGKILL, (label, code, one.served.output)
        await one.served.start()
        assert state(one.database, 0) == before
        assert (await one.head()).partition(":")[0] == one.epoch
        one.check(is_full=True)
    finally:
        await one.close()


async def test_the_variable_does_nothing_to_the_product(serve: Serve) -> None:
    """What was left in an environment kills no runtime but the test build's."""
    environment = {VARIABLE: "begin.before:1"}
    served: ServedProject = await serve(APP, environment=environment, is_warm=False)
    ada = await served.login("ada@example.com")
    for _ in range(3):
        await ada.insert("Account")
    assert served.process.returncode is None
