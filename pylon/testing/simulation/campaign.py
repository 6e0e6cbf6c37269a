"""Many seeds, over several processes; a seed that fails, shrunk to what still fails."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from pylon.app.definition import AppDefinition
from pylon.app.loader import load_app
from pylon.clock import SystemClock
from pylon.server.config import ServerConfig
from pylon.testing.inprocess import config_of
from pylon.testing.simulation.findings import LoggedErrors
from pylon.testing.simulation.machines import MakeMachine
from pylon.testing.simulation.maker import Plan, make_script
from pylon.testing.simulation.node import NodeMachines
from pylon.testing.simulation.play import play
from pylon.testing.simulation.script import Script
from pylon.testing.simulation.world import Outcome

#: Runs that shrinking may take; each is a fraction of a second.
SHRINK_RUNS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Result:
    """How one seed ended."""

    seed: int
    outcome: Outcome


class Bench:
    """An app, loaded once, on which scripts are played."""

    def __init__(self, project: Path) -> None:
        """Load an app; raises LoadFailed with every mistake."""
        with LoggedErrors():
            self.definition: AppDefinition = load_app(project, generation=1)
        self.config: ServerConfig = config_of(project, {})
        self._node: NodeMachines | None = None

    def script(self, seed: int, plan: Plan) -> Script:
        """Return the script of a seed."""
        return make_script(self.definition, seed, plan)

    def play(self, script: Script, say: Callable[[str], None] | None = None) -> Outcome:
        """Play a script."""
        machines: dict[str, MakeMachine] = {}
        if any(one.language == "typescript" for one in script.actors):
            self._node = self._node or NodeMachines()
            machines["typescript"] = self._node.make
        return play(script, self.definition, self.config, machines, say)

    def close(self) -> None:
        """End what was started besides."""
        if self._node is not None:
            self._node.close()
            self._node = None

    def shrink(self, script: Script) -> Script:
        """Return the shortest script found that breaks the same promise."""
        return _Shrinking(self, script).run()


class _Shrinking:
    def __init__(self, bench: Bench, script: Script) -> None:
        self._bench = bench
        self._best = script
        outcome = bench.play(script)
        assert outcome.finding is not None, "only a failing script can be shrunk"
        self._promise = outcome.finding.promise
        self._left = SHRINK_RUNS_MAX
        if outcome.at_step is not None:
            self._try(msgspec.structs.replace(script, steps=script.steps[: outcome.at_step + 1]))

    def run(self) -> Script:
        self._try(msgspec.structs.replace(self._best, is_stormy=False))
        self._drop_steps()
        self._drop_actors()
        self._drop_pauses()
        self._drop_steps()
        return self._best

    def _try(self, script: Script) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        found = self._bench.play(script).finding
        if found is None or found.promise != self._promise:
            return False
        self._best = script
        return True

    def _drop_steps(self) -> None:
        size = max(1, len(self._best.steps) // 2)
        while size:
            place = len(self._best.steps)
            while place > 0:
                steps = self._best.steps
                shorter = [*steps[: max(0, place - size)], *steps[place:]]
                self._try(msgspec.structs.replace(self._best, steps=shorter))
                place -= size
            size //= 2

    def _drop_actors(self) -> None:
        for actor in list(self._best.actors):
            steps = [one for one in self._best.steps if one.actor != actor.name]
            actors = [one for one in self._best.actors if one != actor]
            if actors:
                self._try(msgspec.structs.replace(self._best, actors=actors, steps=steps))

    def _drop_pauses(self) -> None:
        for place, step in enumerate(self._best.steps):
            if step.after_ms:
                steps = list(self._best.steps)
                steps[place] = msgspec.structs.replace(step, after_ms=0)
                self._try(msgspec.structs.replace(self._best, steps=steps))


# --- many processes ----------------------------------------------------------------------

_bench: Bench | None = None


def _open(project: Path) -> None:
    global _bench  # noqa: PLW0603 -- one app for each worker process
    _bench = Bench(project)


def _run(seed: int, plan: Plan) -> Result:
    assert _bench is not None
    return Result(seed, _bench.play(_bench.script(seed, plan)))


def run_seeds(
    project: Path, seeds: Iterable[int], plan: Plan, *, seconds: float | None = None,
    processes: int | None = None,
) -> Iterator[Result]:  # fmt: skip
    """Play seeds; yields results as they come.

    Args:
        project: the app's folder.
        seeds: which ones.
        plan: how big runs are.
        seconds: no seed is begun after so many; None takes all of them.
        processes: how many at once; None takes one for each core.
    """
    clock = SystemClock()
    end = None if seconds is None else clock.monotonic() + seconds
    count = processes or os.cpu_count() or 1
    waiting = iter(seeds)
    with ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), initializer=_open, initargs=(project,)
    ) as pool:
        running: set[Future[Result]] = set()
        while True:
            if end is None or clock.monotonic() < end:
                room = 2 * count - len(running)
                running |= {pool.submit(_run, seed, plan) for seed in islice(waiting, room)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                yield one.result()
