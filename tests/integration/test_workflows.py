"""Workflows of a running app, in process, on a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.app.loader import load_app
from pylon.server.storage import workflows
from pylon.server.workflows.run import Drive
from pylon.testing import ServerRefused, running
from pylon.testing.harness import Member, Running
from tests.integration.workflows_app import WORKFLOWS

HOUR = 3_600


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Running]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(WORKFLOWS)
    async with running(folder) as started:
        yield started


async def _start(who: Member, fn: str, **args: Any) -> str:
    return str(await who.call("start", fn=fn, args=args))


async def _run(who: Member, run: str) -> Any:
    return await who.call("run", id=run)


async def _ended(rt: Running, who: Member, run: str) -> Any:
    """Return a run once it has ended, however long that takes by its own clock."""
    await rt.settled()
    while (found := await _run(who, run))["state"] in ("running", "parked"):
        await rt.advance(30)
        await rt.settled()
    return found


def _notes(who: Member) -> list[str]:
    return [one.text for one in who.rows("Note", order=["_seq"])]


def _journal(rt: Running) -> list[str]:
    path = rt.runtime.config.project / "JOURNAL"
    return path.read_text().splitlines() if path.exists() else []


async def test_a_run_goes_from_step_to_step_over_sleeps_signals_and_gathers(rt: Running) -> None:
    """Each step once, with the values that it returned; an early signal is kept."""
    ann = await rt.user("ann@example.com")
    run = await _start(ann, "order", item="tea")
    await rt.settled()
    assert (await _run(ann, run))["state"] == "parked"
    assert not rt.runtime.services.workflows.active
    assert rt.runtime.services.workflows.next_due_ms() == rt.clock.now_ms() + 60_000
    assert await ann.call("signal", run=run, event="paid", data={"by": "ann"})
    await rt.advance(59)
    assert (await _run(ann, run))["state"] == "parked"
    found = await _ended(rt, ann, run)
    assert found["result"] == {
        "first": "RESERVE TEA", "second": "aet", "paid": {"by": "ann"},
        "both": ["liam", "SHIP TEA"],
    }  # fmt: skip
    assert _notes(ann) == ["reserve tea", "ship tea"]
    assert _journal(rt) == ["begin tea", "end tea", "begin mail", "end mail"]
    assert not await ann.call("signal", run=run, event="paid")


async def test_runs_that_sleep_have_no_task(rt: Running) -> None:
    """However many; all that wake at once go on, some at a time."""
    ann = await rt.user("ann@example.com")
    await rt.settled()
    before = len(asyncio.all_tasks())
    await ann.call("start_many", fn="sleepy", count=400, args={"seconds": 60})
    await rt.settled()
    assert len(asyncio.all_tasks()) <= before + 1  # the one timer
    assert not rt.runtime.services.workflows.active
    await rt.advance(61)
    await rt.settled()
    raw = rt.runtime.services.database.readers.inline.raw
    states = raw.execute("SELECT state, count(*) FROM _pylon_workflows GROUP BY 1").fetchall()
    assert states == [("completed", 400)]


async def test_a_start_and_a_signal_share_the_fate_of_their_transaction(rt: Running) -> None:
    """Rolled back there is no run; from an action each is stored by itself."""
    ann = await rt.user("ann@example.com")
    with pytest.raises(ServerRefused, match="on purpose"):
        await ann.call("start", fn="order", args={"item": "x"}, fail=True)
    await rt.settled()
    assert _notes(ann) == []
    run, name = await ann.call("from_action", item="y")
    assert name == "order"
    assert (await _ended(rt, ann, run))["result"]["paid"] == 1
    for wrong in ({"fn": "note"}, {"fn": "oder"}, {"fn": "order", "args": {"itm": 1}}):
        with pytest.raises(ServerRefused):
            await ann.call("start", **wrong)
    with pytest.raises(ServerRefused, match="no such run"):
        await ann.call("signal", run="nobody", event="x")


async def test_racing_starts_with_one_key_make_one_run(rt: Running) -> None:
    """While it lives; once it has ended the key is free."""
    ann, bob = await rt.user("ann@example.com"), await rt.user("bob@example.com")
    given = {"fn": "sleepy", "key": "k", "args": {"seconds": 60}}
    runs = await asyncio.gather(
        *(who.call("start", **given) for who in (ann, bob) for _ in range(50))
    )
    (one,) = set(runs)
    await _ended(rt, ann, one)
    assert await ann.call("start", **given) != one


async def test_a_failure_runs_what_undoes_it_and_a_cancel_runs_nothing(rt: Running) -> None:
    """`finally` steps of a run that fails are steps like any other; cancel is final (I87)."""
    ann = await rt.user("ann@example.com")
    failed = await _ended(rt, ann, await _start(ann, "saga"))
    assert (failed["state"], failed["error"]) == ("failed", "SOLD_OUT: no money")
    assert _notes(ann) == ["reserved", "released"]
    run = await _start(ann, "cancellable")
    await rt.settled()
    assert await ann.call("cancel", run=run)
    assert not await ann.call("cancel", run=run)
    await rt.advance(HOUR)
    assert (await _run(ann, run))["state"] == "cancelled"
    assert _notes(ann) == ["reserved", "released", "reserved"]


async def test_a_cancel_in_the_middle_of_an_action_records_nothing_more(rt: Running) -> None:
    """The action is cancelled, and so are children."""
    ann = await rt.user("ann@example.com")
    run = await _start(ann, "acts", n=1, wait=HOUR)
    family = await _start(ann, "parent", names=["a", "b"])
    async with asyncio.timeout(60):
        while not _journal(rt):
            await asyncio.sleep(0.001)
    for one in (run, family):
        assert await ann.call("cancel", run=one)
    await rt.settled()
    await rt.advance(60)
    assert _journal(rt) == ["begin 1.0"]
    assert _notes(ann) == []
    raw = rt.runtime.services.database.readers.inline.raw
    assert raw.execute("SELECT count(*) FROM _pylon_journal WHERE seq IS NOT NULL").fetchone() == (
        0,
    )
    states = raw.execute("SELECT DISTINCT state FROM _pylon_workflows").fetchall()
    assert states == [("cancelled",)]


async def test_an_action_that_outlives_its_run_reaches_nothing(rt: Running) -> None:
    """One that does not let itself be cancelled can neither write nor be recorded (I87)."""
    ann = await rt.user("ann@example.com")
    run = await _start(ann, "stuck")
    async with asyncio.timeout(5):
        while not _journal(rt):
            await asyncio.sleep(0.001)
        assert await ann.call("cancel", run=run)
        while "beyond" not in _journal(rt):
            await asyncio.sleep(0.001)
    await rt.settled()
    assert _notes(ann) == []
    raw = rt.runtime.services.database.readers.inline.raw
    assert raw.execute("SELECT seq FROM _pylon_journal").fetchall() == [(None,)]


async def test_failures_reach_the_code_as_what_they_were(rt: Running) -> None:
    """Refused as refused at once; the rest after its tries; a wait that was in vain."""
    ann = await rt.user("ann@example.com")
    found = await _ended(rt, ann, await _start(ann, "handles"))
    assert found["result"] == [
        ["SOLD_OUT", "no", {"left": 0}],
        ["STEP_FAILED", "breaks", "breaks failed: ValueError: broken"],
        "no nothing came in time",
    ]
    tries = rt.runtime.config.project / "TRIES"
    assert len(tries.read_text()) == 3
    assert _notes(ann) == []
    tries.unlink()
    assert (await _ended(rt, ann, await _start(ann, "comes_round")))["result"] == 3
    assert _notes(ann) == ["undone"]


async def test_children_run_beside_each_other_and_answer_their_parent(rt: Running) -> None:
    """One that refuses refuses its parent; one below the deepest fails."""
    ann = await rt.user("ann@example.com")
    good = await _ended(rt, ann, await _start(ann, "parent", names=["a", "b"]))
    assert good["result"] == ["A", "B"]
    assert {one.by for one in ann.rows("Note")} == {ann.user_id}
    bad = await _ended(rt, ann, await _start(ann, "parent", names=["c", "bad", "d"]))
    assert (bad["state"], bad["error"]) == ("failed", "BAD: a bad child")
    assert sorted(_notes(ann)) == ["a", "b", "c", "d"]
    deep = await _ended(rt, ann, await _start(ann, "endless"))
    assert "deep" in deep["error"]


async def test_branches_are_replayed_as_they_went(rt: Running) -> None:
    """Coroutines of the app's own run side by side; time, chance and ids are those of the run."""
    ann = await rt.user("ann@example.com")
    run = await _start(ann, "branches")
    for _ in range(6):
        await rt.settled()
        await rt.advance(1)
    found = await _run(ann, run)
    seen, (first, second, third), now = found["result"]
    assert seen == ["b", "B", "a", "A"]
    assert (first[0], second[0], third) == ("a", "b", "c")
    assert now == "2026-01-01T00:00:06+00:00"


async def test_a_run_asks_policies_as_who_started_it_and_is_now(rt: Running) -> None:
    """Roles are those of the step; an account that is gone fails it (I62)."""
    ann = await rt.user("ann@example.com", roles=["old"])
    run, other = await _start(ann, "who"), await _start(ann, "who")
    system = await ann.call("start", fn="saga", args={}, as_system=True)
    await rt.set_roles("ann@example.com", ["new"])
    ann = await rt.user("ann@example.com")
    await rt.advance(6)
    assert (await _run(ann, run))["result"] == [ann.user_id, ["new"]]
    assert (await _run(ann, other))["result"] == [ann.user_id, ["new"]]
    await _ended(rt, ann, system)
    assert {one.by for one in ann.rows("Note")} == {"nobody"}
    bob = await rt.user("bob@example.com")
    gone = await _start(bob, "who")
    await rt.settled()
    await rt.runtime.services.people.set_disabled("bob@example.com", disabled=True)
    await rt.advance(6)
    found = await _run(ann, gone)
    assert found["state"] == "failed"
    assert "UNAUTHENTICATED" in found["error"]


MISUSED = {
    "foreign": ("WORKFLOW_MISUSE", "app.py:"),
    "forgotten": ("WORKFLOW_MISUSE", "never awaited (app.py:"),
    "twice": ("WORKFLOW_MISUSE", "awaited twice"),
    "db": ("WORKFLOW_MISUSE", "no ctx.db"),
    "no function": ("WORKFLOW_MISUSE", "_append is no function"),
    "cancels": ("INTERNAL", "CancelledError"),
    "exits": ("INTERNAL", "SystemExit"),
    "not json": ("INTERNAL", "has no JSON"),
    "big": ("PAYLOAD_TOO_LARGE", "262144 bytes"),
    "big result": ("STEP_FAILED", "a step's result has at most 262144 bytes"),
    "forever": ("WORKFLOW_TOO_LONG", "at most"),
}


async def test_what_cannot_be_replayed_fails_loudly(
    rt: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it did, where, and what to do; one run's end harms no other."""
    monkeypatch.setattr(limits, "WORKFLOW_STEPS_MAX", 20)
    ann = await rt.user("ann@example.com")
    runs = {how: await _start(ann, "misuse", how=how) for how in MISUSED}
    for how, (code, said) in MISUSED.items():
        found = await _ended(rt, ann, runs[how])
        assert found["state"] == "failed", how
        assert found["error"].startswith(code), (how, found)
        assert said in found["error"], (how, found)
    assert len(_notes(ann)) == 20
    found = await _ended(rt, ann, await _start(ann, "slow"))
    assert "ran longer than 0.05 s" in found["error"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_code_that_lets_nothing_end_it_is_left_where_it_stands(rt: Running) -> None:
    """A loop that swallows everything can be parked, woken and cancelled all the same."""
    ann = await rt.user("ann@example.com")
    run = await _start(ann, "misuse", how="swallows")
    await rt.advance(2_500)
    assert (await _run(ann, run))["state"] == "parked"
    assert await ann.call("cancel", run=run)


async def _reload(rt: Running, before: str, after: str) -> None:
    path = rt.runtime.config.project / "app.py"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    assert (await rt.runtime.services.reload())["ok"]
    await rt.settled()


async def test_code_that_fits_no_more_stops_the_run_until_it_fits_again(rt: Running) -> None:
    """It names the step, what was recorded and what is asked for; nothing is lost."""
    ann = await rt.user("ann@example.com")
    run = await _start(ann, "order", item="tea")
    await rt.settled()
    before, after = 'ctx.step("charge", act', 'ctx.step("bill", act'
    await _reload(rt, before, after)
    await rt.advance(61)
    found = await _run(ann, run)
    assert found["state"] == "diverged"
    for part in ("step 2", 'the step "charge" (app.py:', 'the step "bill"', "at app.py:"):
        assert part in found["error"], found
    assert await ann.call("signal", run=run, event="paid")
    await _reload(rt, after, before)
    assert (await _ended(rt, ann, run))["state"] == "completed"
    assert _notes(ann) == ["reserve tea", "ship tea"]


async def test_a_workflow_that_is_gone_waits_for_its_return(rt: Running) -> None:
    """Its run is kept and shown; so is one whose arguments have changed."""
    ann = await rt.user("ann@example.com")
    run = await _start(ann, "sleepy", seconds=60)
    await rt.settled()
    await _reload(
        rt, "async def sleepy(ctx, seconds: float)", "async def dozy(ctx, seconds: float)"
    )
    await rt.advance(61)
    assert "there is no workflow sleepy" in (await _run(ann, run))["error"]
    await _reload(rt, "async def dozy(ctx, seconds: float)", "async def sleepy(ctx, s: float)")
    assert "seconds" in (await _run(ann, run))["error"]
    await _reload(rt, "async def sleepy(ctx, s: float)", "async def sleepy(ctx, seconds: float)")
    assert (await _run(ann, run))["state"] == "completed"


async def test_versions_keep_the_old_way_for_old_runs(rt: Running) -> None:
    """A run that had passed the place before says no for good; a new one yes, over replays."""
    ann = await rt.user("ann@example.com")
    old = await _start(ann, "cancellable")
    await rt.settled()
    await _reload(
        rt, 'await ctx.wait_for("never")',
        'if ctx.version("twice"):\n            await ctx.step("again", note, text="again")\n'
        '        await ctx.wait_for("never")\n        await ctx.sleep(1)\n'
        '        return str(ctx.version("twice"))',
    )  # fmt: skip
    new = await _start(ann, "cancellable")
    await rt.settled()
    for one, answer in ((old, "False"), (new, "True")):
        await ann.call("signal", run=one, event="never")
        assert (await _ended(rt, ann, one))["result"] == answer
    assert _notes(ann) == ["reserved", "reserved", "again", "released", "released"]


async def test_ended_runs_are_forgotten_in_time(rt: Running) -> None:
    """With their journals."""
    ann = await rt.user("ann@example.com")
    run = await _ended_id(rt, ann)
    await rt.advance(limits.WORKFLOWS_KEPT_DAYS * 86_400 + 120)
    raw = rt.runtime.services.database.readers.inline.raw
    assert workflows.by_id(raw, run) is None
    assert raw.execute("SELECT count(*) FROM _pylon_journal").fetchone() == (0,)


async def test_time_warp_passes_through_each_wake_up(rt: Running) -> None:
    """In order, each at its time; `next` is the first of them."""
    ann = await rt.user("ann@example.com")
    late, soon = await _start(ann, "sleepy", seconds=86_400), await _start(ann, "branches")
    await rt.settled()
    found = await rt.travel("next")
    assert (found["offset_ms"], found["last"]["ran"]) == (1_000, {"branches": 1})
    assert found["next"]["name"] == "branches"
    found = await rt.travel("+2d")
    assert found["last"]["ran"] == {"branches": 3, "sleepy": 1}
    for run in (late, soon):
        assert (await _run(ann, run))["state"] == "completed"
    assert (await _run(ann, soon))["result"][0] == ["b", "B", "a", "A"]


async def test_of_two_executions_of_a_run_one_record_wins(rt: Running) -> None:
    """An action that both began is recorded once, and both go on with that (I85)."""
    ann = await rt.user("ann@example.com")
    engine = rt.runtime.services.workflows
    run = await _start(ann, "acts", n=1, wait=0.01)
    async with asyncio.timeout(60):
        while not _journal(rt):
            await asyncio.sleep(0.001)
    (first,) = engine.active.values()
    await Drive(engine.tools, first.n, first.id, first.name).drive()
    found = await _ended(rt, ann, run)
    assert found["result"] == ["0.1", "1.1", "2.1"]
    assert _journal(rt).count("begin 1.0") == 2
    raw = rt.runtime.services.database.readers.inline.raw
    assert raw.execute("SELECT seq, path FROM _pylon_journal ORDER BY seq").fetchall() == [
        (1, "1"), (2, "2"), (3, "3"),
    ]  # fmt: skip


async def _ended_id(rt: Running, who: Member) -> str:
    run = await _start(who, "saga")
    await _ended(rt, who, run)
    return run


def test_mistakes_of_workflows_are_told_at_load(tmp_path: Path) -> None:
    """Their colour, their keywords, and the names that start() takes for itself."""
    (tmp_path / "app.py").write_text(
        "from pylon import App\napp = App('x')\n"
        "@app.workflow(retries=1)\nasync def a(ctx, key: str): ...\n"
        "@app.workflow\ndef b(ctx): ...\n"
    )
    with pytest.raises(Exception, match="a workflow is async def") as caught:
        load_app(tmp_path, generation=1)
    for part in ("@app.workflow has no retries", "no argument named key"):
        assert part in str(caught.value)
