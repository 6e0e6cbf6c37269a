"""A coroutine driven by hand against a journal: same records, same place; else it says so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.errors import Refused, WorkflowDiverged, WorkflowMisuse
from pylon.server.storage.workflow_records import StepKind, StepRecord
from pylon.server.workflows.commands import Command, Gather
from pylon.server.workflows.failures import failure_text
from pylon.server.workflows.replay import Ending, Replay

Code = Callable[["Ctx"], Any]


class Ctx:
    """As little of a context as the code needs."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.version = replay.version

    def _made(self, one: Any) -> Any:
        self.replay.made(one)
        return one

    def step(self, name: str) -> Any:
        return self._made(
            Command(owner=self.replay, kind=StepKind.STEP, name=name, place="app.py:1")
        )

    def sleep(self, seconds: float) -> Any:
        return self._made(
            Command(
                owner=self.replay, kind=StepKind.SLEEP, name="", place="app.py:2", seconds=seconds
            )
        )

    def gather(self, *branches: Any, return_exceptions: bool = False) -> Any:
        return self._made(Gather(self.replay, branches, return_exceptions, "app.py:3"))


def _replay(code: Code, journal: list[StepRecord]) -> Replay:
    replay = Replay(journal, 1_000, lambda piece: piece())
    replay.begin(code(Ctx(replay)))
    while replay.advance():
        pass
    return replay


def _ended(command: Command, seq: int, value: Any = None, error: Exception | None = None) -> Any:
    assert command.path is not None
    return StepRecord(
        path=command.path, seq=seq, kind=command.kind.value, name=command.name,
        result=None if value is None else str(value), place=command.place, ended_at=seq * 1_000,
        error=None if error is None else failure_text(error),
    )  # fmt: skip


def _run(code: Code, chance: random.Random, journal: list[StepRecord]) -> tuple[Ending, int]:
    """Carry out what the code asks for in any order, killed now and then; returns how it ended."""
    kills = 0
    while True:
        replay = _replay(code, journal)
        open_commands: list[Command] = []
        while True:
            open_commands += replay.fresh
            for name in replay.fresh_versions:
                journal.append(
                    StepRecord(path=f"version:{name}", seq=len(journal) + 1, kind="version",
                               name=name)
                )  # fmt: skip
            replay.fresh, replay.fresh_versions = [], []
            if replay.outcome is not None:
                assert not open_commands
                return replay.outcome, kills
            command = open_commands.pop(chance.randrange(len(open_commands)))
            error = Refused("NO", command.name) if command.name.startswith("bad") else None
            journal.append(_ended(command, len(journal) + 1, len(command.name), error))
            if chance.random() < 0.3:
                kills += 1
                break
            replay.feed(journal[-1:])
            while replay.advance():
                pass
        replay.discard()


async def _saga(ctx: Ctx, depth: int, seen: list[Any]) -> Any:
    seen.append(await ctx.step(f"a{depth}"))
    if depth == 0:
        return 0
    try:
        seen.append(await ctx.step("bad"))
    except Refused as refused:
        seen.append(refused.message)
    finally:
        await ctx.step("undo")
    if ctx.version(f"v{depth}"):
        await ctx.sleep(1)
    return await ctx.gather(
        _saga(ctx, depth - 1, seen), ctx.step("bad"), _saga(ctx, depth - 1, seen),
        return_exceptions=True,
    )  # fmt: skip


@given(st.integers(0, 10_000), st.integers(0, 3))
def test_code_ends_alike_however_often_it_is_killed(seed: int, depth: int) -> None:
    """Any order of outcomes, any kills: from its journal alone it comes to the same end (I86)."""

    async def code(ctx: Ctx) -> Any:
        seen: list[Any] = []
        found = await _saga(ctx, depth, seen)
        return str(found), seen, ctx.replay.now_ms

    journal: list[StepRecord] = []
    outcome, _ = _run(code, random.Random(seed), journal)
    assert outcome.error is None
    assert _replay(code, journal).outcome == outcome


def test_records_are_handed_over_in_their_order() -> None:
    """Not in that of the branches: what they share is the same in every replay."""

    async def code(ctx: Ctx) -> list[str]:
        seen: list[str] = []

        async def line(name: str) -> None:
            await ctx.step(name)
            seen.append(name)

        await ctx.gather(line("a"), line("b"), line("c"))
        return seen

    commands = {one.name: one for one in _replay(code, []).fresh}
    assert {one.path for one in commands.values()} == {"1.1.1", "1.2.1", "1.3.1"}
    journal = [_ended(commands[name], seq) for seq, name in enumerate("cab", 1)]
    assert _replay(code, journal).outcome == Ending(["c", "a", "b"])


def test_the_first_failure_of_a_gather_is_that_of_its_first_branch() -> None:
    """All come to their end before it is raised, whichever failed sooner."""

    async def code(ctx: Ctx) -> None:
        await ctx.gather(ctx.step("good"), ctx.step("bad1"), ctx.step("bad2"))

    good, first, second = _replay(code, []).fresh
    journal = [
        _ended(second, 1, error=Refused("B", "2")),
        _ended(first, 2, error=Refused("A", "1")),
    ]
    assert _replay(code, journal).outcome is None
    outcome = _replay(code, [*journal, _ended(good, 3, 1)]).outcome
    assert outcome is not None
    assert isinstance(outcome.error, Refused)
    assert outcome.error.code == "A"


async def _two_steps(ctx: Ctx) -> None:
    await ctx.step("one")
    await ctx.step("two")


async def _other_step(ctx: Ctx) -> None:
    await ctx.step("one")
    await ctx.step("deux")


async def _sleeps(ctx: Ctx) -> None:
    await ctx.step("one")
    await ctx.sleep(1)


async def _one_step(ctx: Ctx) -> None:
    await ctx.step("one")


async def _raises(ctx: Ctx) -> None:
    await ctx.step("one")
    raise ValueError


@pytest.mark.parametrize(
    ("code", "got"),
    [
        (_other_step, 'the step "deux" at app.py:1'),
        (_sleeps, "a sleep at app.py:2"),
        (_one_step, "its end"),
        (_raises, "its end with ValueError"),
    ],
)
@pytest.mark.parametrize("is_pending", [True, False])
def test_a_divergence_names_the_step_and_both_sides(code: Code, got: str, is_pending: bool) -> None:
    """Whether the line has ended or not."""
    first = StepRecord(path="1", seq=1, kind="step", name="one", place="app.py:9")
    second = StepRecord(
        path="2", seq=None if is_pending else 2, kind="step", name="two", place="app.py:9"
    )
    with pytest.raises(WorkflowDiverged) as caught:
        _replay(code, [first, second])
    assert caught.value.message == (
        f'step 2: the run recorded the step "two" (app.py:9), and its code asks for {got}'
    )
    assert caught.value.details["step"] == "2"


def test_a_version_is_asked_once_and_kept() -> None:
    """Yes where nothing lies ahead, no where something does; each branch looks ahead of itself."""

    async def code(ctx: Ctx) -> list[bool]:
        before = ctx.version("a")
        await ctx.step("one")
        return [before, ctx.version("a"), ctx.version("b")]

    new = _replay(code, [])
    assert new.fresh_versions == ["a"]
    old = _replay(code, [_ended(new.fresh[0], 1)])
    assert old.outcome == Ending([False, False, True])
    assert old.fresh_versions == ["b"]
    marked = StepRecord(path="version:a", seq=1, kind="version", name="a")
    assert _replay(code, [marked, _ended(new.fresh[0], 2)]).outcome == Ending([True, True, True])


def test_a_version_that_the_code_lost_is_no_divergence() -> None:
    """Once no old run is left, the line may go."""
    marked = StepRecord(path="version:a", seq=1, kind="version", name="a")
    assert _replay(_one_step, [marked]).fresh[0].path == "1"


def test_time_is_that_of_the_last_outcome_and_sleeps_count_from_it() -> None:
    """Not from when anybody came to look."""
    replay = _replay(
        _sleeps, [StepRecord(path="1", seq=1, kind="step", name="one", ended_at=5_000)]
    )
    assert replay.now_ms == 5_000
    assert replay.fresh[0].until_ms == 6_000


async def test_what_is_not_its_own_is_refused_with_its_place() -> None:
    """A sleep of asyncio's, a command awaited twice, or by a task."""

    async def foreign(ctx: Ctx) -> None:
        await asyncio.sleep(1)

    with pytest.raises(WorkflowMisuse, match=r"test_replay\.py:\d+ awaits Future"):
        _replay(foreign, [])
    command = Ctx(Replay([], 0, lambda piece: piece())).sleep(1)
    with pytest.raises(WorkflowMisuse, match="outside of its workflow"):
        await command

    async def forgets(ctx: Ctx) -> None:
        ctx.sleep(1)

    with pytest.raises(WorkflowMisuse, match="never awaited"):
        _replay(forgets, [])


def test_a_discarded_run_does_nothing_more() -> None:
    """Its `finally` finds that nothing counts, and a coroutine that was never begun is closed."""
    seen = []

    async def code(ctx: Ctx) -> None:
        try:
            await ctx.gather(_one_step(ctx), ctx.step("x"))
        finally:
            seen.append("finally")
            await ctx.step("undo")
            seen.append("undone")

    replay = _replay(code, [])
    assert len(replay.fresh) == 2
    replay.discard()
    assert seen == ["finally"]
    assert len(replay.fresh) == 2


def test_replaying_ends_with_the_last_record() -> None:
    """What is logged before it was logged before."""
    seen = []

    async def code(ctx: Ctx) -> None:
        for name in ("one", "two"):
            seen.append(ctx.replay.is_replaying)
            await ctx.step(name)
        seen.append(ctx.replay.is_replaying)

    first = _replay(code, []).fresh[0]
    seen.clear()
    _replay(code, [_ended(first, 1)])
    assert seen == [True, False]
