"""Random workflows on the real engine and a real file, killed at commits: they end alike (I86).

What is in the files when a commit returns is what `kill -9` leaves; the next life starts on a copy
of that. PYLON_TEST_SCALE multiplies the programs.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.app.loader import load_app
from pylon.identity import SYSTEM
from pylon.server.storage import workflows
from pylon.server.storage.folder import DATABASE_NAME
from pylon.sqlite import Connection, InlineEngine, RawConnection
from pylon.testing.harness import seeded_ids
from pylon.testing.inprocess import InProcessRuntime, config_of
from pylon.testing.manual_clock import ManualClock
from pylon.testing.network import MemoryNetwork

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
SEED = int(os.environ.get("PYLON_WORKFLOW_SEED", "1"))
PROGRAMS = 6
APP = """
from __future__ import annotations

from pylon import App, Entity, Refused, StepFailed

app = App("programs")
ACTED = []


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str


@app.mutation
def note(ctx, text: str) -> str:
    return ctx.db.insert("Note", text=text).text.upper()


@app.mutation
def refuse(ctx, text: str):
    ctx.db.insert("Note", text="undone")
    raise Refused("NO", text)


@app.action
async def act(ctx, text: str) -> str:
    ACTED.append(text)
    return text[::-1]


@app.action
async def breaks(ctx, text: str):
    raise ValueError(text)


async def run(ctx, program):
    found = []
    for op, *rest in program:
        match op:
            case "note":
                found.append(await ctx.step(f"note {rest[0]}", note, text=rest[0]))
            case "act":
                found.append(await ctx.step("act", act, text=rest[0]))
            case "refuse":
                try:
                    await ctx.step("refuse", refuse, text=rest[0])
                except Refused as refused:
                    found.append([refused.code, refused.message])
            case "breaks":
                try:
                    await ctx.step("breaks", breaks, text=rest[0], retries=1, backoff=1)
                except StepFailed as failed:
                    found.append(failed.message)
            case "sleep":
                await ctx.sleep(rest[0])
            case "wait":
                try:
                    found.append(await ctx.wait_for(rest[0], timeout=rest[1]))
                except TimeoutError:
                    found.append("late")
            case "gather":
                found.append(await ctx.gather(*(run(ctx, one) for one in rest)))
            case "child":
                found.append(await ctx.child(interpret, program=rest[0]))
            case "undo":
                try:
                    found.append(await run(ctx, rest[0]))
                    raise ValueError("undo")
                except ValueError:
                    found.append("caught")
                finally:
                    found.append(await run(ctx, rest[1]))
            case "version":
                if ctx.version(rest[0]):
                    found.append(await run(ctx, rest[1]))
            case "chance":
                found.append(ctx.random.random())
    return found


@app.workflow
async def interpret(ctx, program: list) -> list:
    return await run(ctx, program)


@app.mutation
def start(ctx, program: list, signals: list) -> str:
    started = ctx.workflows.start(interpret, program=program)
    for one in signals:
        ctx.workflows.signal(started, one, {"to": one})
    return started
"""


class Killed(InlineEngine):
    """Keeps a copy of the files as they are after a number of commits."""

    def __init__(self, folder: Path, target: Path | None, commits: int) -> None:
        super().__init__(_no_time)
        self._folder = folder
        self._target = target
        self._left = commits
        self.is_dead = False

    async def open_writer(self, path: Path, *, synchronous: str) -> Connection:
        connection = await super().open_writer(path, synchronous=synchronous)
        run = connection.run

        async def watched(function: Any) -> Any:
            def then_look(raw: RawConnection) -> Any:
                result = function(raw)
                if not raw.in_transaction:
                    self._committed()
                return result

            return await run(then_look)

        connection.run = watched  # type: ignore[method-assign]
        return connection

    def _committed(self) -> None:
        self._left -= 1
        if self._target is None or self._left != 0:
            return
        self._target.mkdir()
        for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal"):
            if (self._folder / name).exists():
                shutil.copyfile(self._folder / name, self._target / name)
        self.is_dead = True


async def _no_time() -> None:
    return None


class Maker:
    """Makes programs."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._count = itertools.count()
        self.signals: list[str] = []

    def program(self, depth: int = 2, *, is_alone: bool = True) -> list[Any]:
        """Return a program; `is_alone`: nothing of the run goes on beside it."""
        return [self._op(depth, is_alone) for _ in range(self._chance.randint(1, 4))]

    def _op(self, depth: int, is_alone: bool) -> list[Any]:
        name, chance = f"n{next(self._count)}", self._chance
        ops = ["note", "note", "act", "refuse", "breaks", "sleep", "wait"]
        if is_alone:
            ops.append("chance")
        if depth:
            ops += ["gather", "gather", "child", "undo", "version"]
        match op := chance.choice(ops):
            case "sleep":
                return [op, chance.choice([0, 1, 5])]
            case "wait":
                if chance.random() < 0.6:
                    self.signals.append(name)
                return [op, name, chance.choice([1, 30])]
            case "gather":
                count = chance.randint(0, 3)
                return [op, *(self.program(depth - 1, is_alone=False) for _ in range(count))]
            case "child":
                return [op, self.program(depth - 1)]
            case "undo":
                return [op, *(self.program(depth - 1, is_alone=is_alone) for _ in range(2))]
            case "version":
                return [op, name, self.program(depth - 1, is_alone=is_alone)]
            case "chance":
                return [op]
            case _:
                return [op, name]


class World:
    """One program from its start to its end, in as many lives as its kills leave it."""

    def __init__(self, project: Path, root: Path, definition: AppDefinition) -> None:
        self._project = project
        self._root = root
        self._definition = definition
        self._clock = ManualClock()
        self._ids = seeded_ids(self._clock)
        self.lives = 0

    async def run(
        self, program: list[Any], signals: list[str], kills: random.Random | None
    ) -> tuple[Any, list[str]]:
        """Return what the run came to, and the notes that it left."""
        folder, run_id = self._root / "life0", None
        while True:
            self.lives += 1
            target = None if kills is None else self._root / f"life{self.lives}"
            # A start has some commits of its own.
            commits = 0 if kills is None else kills.randint(1 if run_id else 8, 14)
            engine = Killed(folder, target, commits)
            runtime = InProcessRuntime(
                config_of(self._project, {}), folder, MemoryNetwork(), clock=self._clock,
                ids=self._ids, engine=engine, definition=self._definition,
            )  # fmt: skip
            await runtime.start(may_migrate=True)
            try:
                if run_id is None:
                    outcome = await runtime.services.executor.mutate(
                        SYSTEM, "start", {"program": program, "signals": signals}, op_id=None,
                        cause="test",
                    )  # fmt: skip
                    run_id = jsonvalue.decode_trusted(outcome.value or "null")
                found = await self._until(runtime, engine, run_id)
            finally:
                await runtime.stop()
            if found is not None:
                return found
            assert target is not None
            if not _has_run(target, run_id):
                return await World(self._project, self._root / "again", self._definition).run(
                    program, signals, kills
                )
            folder = target

    async def _until(
        self, runtime: InProcessRuntime, engine: Killed, run_id: str
    ) -> tuple[Any, list[str]] | None:
        services = runtime.services
        async with asyncio.timeout(20):
            while not engine.is_dead:
                raw = services.database.readers.inline.raw
                run = workflows.by_id(raw, run_id)
                assert run is not None
                if run.ended_at is not None:
                    assert run.state == "completed", run.error
                    rows = raw.execute('SELECT "text" FROM "Note"').fetchall()
                    return jsonvalue.decode_trusted(run.result or "null"), sorted(
                        text for (text,) in rows
                    )
                if services.workflows.is_idle:
                    await self._clock.advance_to_next()
                await asyncio.sleep(0)
        return None


def _has_run(folder: Path, run_id: str) -> bool:
    import sqlite3

    connection = sqlite3.connect(folder / DATABASE_NAME)
    try:
        return bool(
            connection.execute("SELECT 1 FROM _pylon_workflows WHERE id = ?", (run_id,)).fetchall()
        )
    finally:
        connection.close()


@pytest.mark.timeout(60 + 30 * SCALE)
async def test_a_program_ends_alike_however_often_it_is_killed(tmp_path: Path) -> None:
    """The same output and the same rows, each mutation once, with kills at any commits."""
    project = tmp_path / "app"
    project.mkdir()
    (project / "app.py").write_text(APP)
    definition = load_app(project, generation=1)
    lives = 0
    for n in range(PROGRAMS * SCALE):
        chance = random.Random(f"{SEED} {n}")
        maker = Maker(chance)
        program = maker.program()
        alone = World(project, tmp_path / f"{n}a", definition)
        killed = World(project, tmp_path / f"{n}b", definition)
        for one in (f"{n}a", f"{n}b", f"{n}b/again"):
            (tmp_path / one).mkdir()
        expected = await alone.run(program, maker.signals, None)
        found = await killed.run(program, maker.signals, chance)
        assert found == expected, (SEED, n, program)
        assert set(Counter(found[1]).values()) <= {1}
        lives += killed.lives
    print(f"{PROGRAMS * SCALE} programs, {lives} lives")
