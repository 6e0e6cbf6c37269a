"""Jobs of a running app, in process, on a clock that stands still."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.errors import NotFound
from pylon.server.observe import set_up_logging
from pylon.server.storage import jobs, schedules
from pylon.testing import ServerRefused, running
from pylon.testing.harness import Member, Running
from tests.integration.jobs_app import JOBS

HOUR = 3_600


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Running]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(JOBS)
    async with running(folder) as started:
        yield started


async def _enqueue(who: Member, name: str, **options: Any) -> str:
    found = await who.call("enqueue", fn=name, **options)
    return str(found[0])


async def _ended(rt: Running, who: Member, job_id: str, *, state: str | None = None) -> Any:
    """Return a job once it has a state, or is not live any more; for jobs that need real time."""
    async with asyncio.timeout(60):
        while True:
            found = await who.call("job", id=job_id)
            live = ("available", "running", "scheduled")
            if found["state"] == state or (state is None and found["state"] not in live):
                return found
            await asyncio.sleep(0.005)


async def _attempt(rt: Running) -> Any:
    """Return the one attempt under way."""
    async with asyncio.timeout(60):
        while not rt.runtime.services.worker.running:
            await asyncio.sleep(0.001)
    (attempt,) = rt.runtime.services.worker.running.values()
    return attempt


def _notes(who: Member) -> list[str]:
    return sorted(one.text for one in who.rows("Note"))


async def test_a_job_shares_the_fate_of_its_transaction(rt: Running) -> None:
    """Committed it runs, with its result kept; rolled back it never does (I81)."""
    ann = await rt.user("ann@example.com")
    job_id = await _enqueue(ann, "write", args={"text": "yes"})
    with pytest.raises(ServerRefused):
        await _enqueue(ann, "write", args={"text": "no"}, fail=True)
    await rt.settled()
    assert await ann.call("job", id=job_id) == {
        "state": "completed", "result": "YES", "error": None, "attempt": 1, "progress": 1.0,
        "said": "written",
    }  # fmt: skip
    await rt.advance(HOUR)
    assert [one for one in _notes(ann) if "tick" not in one] == ["yes"]


async def test_a_job_runs_as_who_enqueued_it_and_is_now(rt: Running) -> None:
    """Roles are those of the run, for both colours; a queue makes nobody the system (I62)."""
    ann = await rt.user("ann@example.com", roles=["old"])
    ids = [await _enqueue(ann, one, delay=5) for one in ("as_admin", "as_admin_later")]
    system = await _enqueue(ann, "write", args={"text": "as system"}, as_system=True)
    mine = await _enqueue(ann, "write", args={"text": "as me"})
    await rt.set_roles("ann@example.com", ["new"])
    ann = await rt.user("ann@example.com")
    await rt.advance(6)
    for one in ids:
        assert (await ann.call("job", id=one))["result"] == ["new"]
    await rt.settled()
    by = {one.text: one.by for one in ann.rows("Note")}
    assert by == {"as system": "nobody", "as me": ann.user_id}
    assert {(await ann.call("job", id=one))["state"] for one in (system, mine)} == {"completed"}


async def test_a_failed_job_is_undone_tried_again_and_kept_dead(rt: Running) -> None:
    """With its error; each pause is about twice the one before."""
    ann = await rt.user("ann@example.com")
    job_id = await _enqueue(ann, "fails")
    seen = []
    for seconds in (0, 2, 4, 4, 8):
        await rt.advance(seconds)
        await rt.settled()
        found = await ann.call("job", id=job_id)
        seen.append((found["attempt"], found["state"]))
    assert seen[0] == (1, "scheduled")
    assert seen[-1] == (3, "dead")
    found = await ann.call("job", id=job_id)
    assert found["error"] == "ValueError: broken"
    assert "undone" not in _notes(ann)
    await rt.advance(HOUR)
    assert (await ann.call("job", id=job_id))["attempt"] == 3


async def test_a_job_that_refuses_is_dead_at_once(rt: Running) -> None:
    """Trying again is of no use, and nobody does."""
    ann = await rt.user("ann@example.com")
    job_id = await _enqueue(ann, "refuses")
    await rt.settled()
    found = await ann.call("job", id=job_id)
    assert (found["state"], found["attempt"], found["error"]) == ("dead", 1, "NO: never")


async def test_delay_and_time_are_kept(rt: Running) -> None:
    """Not a moment before; a time that has passed is now."""
    ann = await rt.user("ann@example.com")
    later = await _enqueue(ann, "write", args={"text": "later"}, delay=60)
    at = await ann.call("enqueue_at", at="2026-01-01T00:30:00Z")
    past = await ann.call("enqueue_at", at="2020-01-01T00:00:00Z")
    await rt.settled()
    assert (await ann.call("job", id=past))["state"] == "completed"
    await rt.advance(59.5)
    assert (await ann.call("job", id=later))["state"] == "scheduled"
    await rt.advance(1)
    assert (await ann.call("job", id=later))["state"] == "completed"
    assert (await ann.call("job", id=at))["state"] == "scheduled"
    await rt.advance(30 * 60)
    assert (await ann.call("job", id=at))["state"] == "completed"


async def test_many_at_once_with_one_key_make_one_job(rt: Running) -> None:
    """200 racing enqueues, by a key and by arguments (I84); once it ended the key is free."""
    ann, bob = await rt.user("ann@example.com"), await rt.user("bob@example.com")
    for options in ({"key": "k", "args": {"text": "x"}}, {"args": {"name": "x", "wait": 0.2}}):
        name = "write" if "key" in options else "once"
        ids = await asyncio.gather(
            *(_enqueue(who, name, **options) for who in (ann, bob) for _ in range(100))
        )
        (one,) = set(ids) if name == "once" else {*ids[:1]}
        if name == "once":
            await _ended(rt, ann, one)
            assert await _enqueue(ann, name, **options) != one
    in_one = await ann.call("enqueue", fn="once", args={"name": "y", "wait": 0.1}, count=50)
    assert len(set(in_one)) == 1


async def test_priority_goes_first_and_then_who_came_first(rt: Running) -> None:
    """In a queue that is paused meanwhile."""
    ann = await rt.user("ann@example.com")
    worker = rt.runtime.services.worker
    await worker.set_paused("narrow", is_paused=True)
    for n, priority in ((1, 0), (2, -5), (3, 5), (4, 0)):
        await _enqueue(ann, "counts", args={"n": n}, priority=priority)
    await rt.settled()
    assert _notes(ann) == []
    await worker.set_paused("narrow", is_paused=False)
    async with asyncio.timeout(60):
        while len(ann.rows("Note")) < 8:
            await asyncio.sleep(0.01)
            await rt.settled()
    log = sorted(ann.rows("Note"), key=lambda one: one["_seq"])
    order = [3, 1, 4, 2]  # and never two at a time, as the function says
    assert [one.text for one in log] == [f"{w} {n}" for n in order for w in ("begin", "end")]


async def test_a_queue_starts_no_more_than_its_bounds_and_its_rate(tmp_path: Path) -> None:
    """`jobs at a time` and `starts per second` of the settings, in an app that runs (I82)."""
    (tmp_path / "app.py").write_text(JOBS)
    (tmp_path / "pylon.toml").write_text('[jobs]\nqueues = ["default 3", "limited 5 2/s"]\n')
    async with running(tmp_path) as rt:
        ann, worker = await rt.user("ann@example.com"), rt.runtime.services.worker
        for _ in range(5):
            await _enqueue(ann, "hangs")
        for _ in range(3):
            await rt.advance(1)
            assert len(worker.running) == 3
        for n in range(7):
            await _enqueue(ann, "limited", args={"n": n})
        seen = []
        for _ in range(8):
            seen.append(len(_notes(ann)))
            await rt.advance(0.505)
        # A burst of a second's worth, then one each half second.
        assert seen == [2, 3, 4, 5, 6, 7, 7, 7]
        assert len(worker.running) == 3


async def test_only_a_queue_that_there_is_can_be_paused(rt: Running) -> None:
    """A wrong name is told, with the right one; a paused queue can be opened in any case."""
    worker = rt.runtime.services.worker
    for is_paused in (True, False):
        with pytest.raises(NotFound, match="there is no queue narow") as refused:
            await worker.set_paused("narow", is_paused=is_paused)
        assert refused.value.hint == "did you mean narrow?"
    await worker.set_paused("mail", is_paused=True)  # the runtime's own
    await worker.set_paused("mail", is_paused=False)
    writer = rt.runtime.services.database.writer
    await writer.submit(lambda transaction: jobs.pause(transaction, "of-an-old-version"))
    worker.paused = jobs.paused(rt.runtime.services.database.readers.inline.raw)  # as at a start
    await worker.set_paused("of-an-old-version", is_paused=False)
    assert worker.paused == {}


async def test_a_job_is_claimed_in_the_commit_that_enqueues_it(rt: Running) -> None:
    """Two commits from the call to the end: enqueued and claimed, run and completed."""
    ann = await rt.user("ann@example.com")
    writer = rt.runtime.services.database.writer
    before = writer.batches
    job_id = await _enqueue(ann, "as_admin")
    await rt.settled()
    assert (await ann.call("job", id=job_id))["state"] == "completed"
    assert writer.batches == before + 2
    ids = [await _enqueue(ann, "hangs") for _ in range(12)]  # more than the queue has room for
    for _ in range(3):
        await rt.advance(0.1)
    states = [(await ann.call("job", id=one))["state"] for one in ids]
    assert states == ["running"] * 10 + ["available"] * 2
    assert not rt.runtime.services.worker._has_strangers


async def test_what_is_claimed_as_the_app_stops_is_given_back(tmp_path: Path) -> None:
    """It was claimed with its enqueue, and nobody had begun it: its attempt does not count."""
    (tmp_path / "app.py").write_text(JOBS)
    async with running(tmp_path) as rt:
        ann = await rt.user("ann@example.com")
        worker = rt.runtime.services.worker
        raw = rt.runtime.services.database.readers.inline
        enqueued = asyncio.ensure_future(_enqueue(ann, "hangs"))
        async with asyncio.timeout(5):
            while worker._carried is None:
                await asyncio.sleep(0)
        await worker.stop()
        job_id = await enqueued
        found = raw.rows("SELECT state, attempt FROM _pylon_jobs WHERE id = ?", (job_id,))
        assert found == [("available", 0)]


async def test_many_due_at_once_are_no_one_transaction(
    rt: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They become available some at a time, and all of them run."""
    monkeypatch.setattr("pylon.server.jobs.claims._DUE_AT_ONCE", 4)
    ann = await rt.user("ann@example.com")
    for n in range(11):
        await _enqueue(ann, "write", args={"text": f"{n:02}"}, delay=5)
    await rt.advance(6)
    await rt.settled()
    assert _notes(ann) == [f"{n:02}" for n in range(11)]


async def test_a_cancelled_job_stores_nothing_more(rt: Running) -> None:
    """Waiting or running: it is over, for good."""
    ann = await rt.user("ann@example.com")
    waits = await _enqueue(ann, "write", args={"text": "x"}, delay=5)
    hangs = await _enqueue(ann, "hangs")
    await _ended(rt, ann, hangs, state="running")
    assert await ann.call("cancel", id=waits)
    assert await ann.call("cancel", id=hangs)
    assert not await ann.call("cancel", id=hangs)
    await rt.settled()
    await rt.advance(60)
    assert {(await ann.call("job", id=one))["state"] for one in (waits, hangs)} == {"cancelled"}
    assert rt.runtime.services.worker.running == {}
    assert "x" not in _notes(ann)


async def test_jobs_that_are_claimed_together_have_each_their_own_end(rt: Running) -> None:
    """One fails, one is not available, one cancels another: it stores nothing, the rest do.

    Who looks at one before him sees that it has ended, and undoes nothing of it when he fails.
    """
    ann = await rt.user("ann@example.com")
    worker = rt.runtime.services.worker
    await worker.set_paused("default", is_paused=True)
    ids = {"first": await _enqueue(ann, "write", args={"text": "a"}, priority=2)}
    ids["looks"] = await _enqueue(ann, "looks", args={"other": ids["first"]}, priority=1)
    ids |= {name: await _enqueue(ann, name) for name in ("fails", "unavailable")}
    ids["write"] = await _enqueue(ann, "write", args={"text": "x"}, priority=-2)
    ids["cancels"] = await _enqueue(ann, "cancels", args={"other": ids["write"]}, priority=-1)
    ids["last"] = await _enqueue(ann, "write", args={"text": "y"}, priority=-3)
    await worker.set_paused("default", is_paused=False)
    await rt.settled()
    found = {name: await ann.call("job", id=one) for name, one in ids.items()}
    assert found["looks"]["error"] == "SEEN: completed"
    assert {name: one["state"] for name, one in found.items()} == {
        "first": "completed", "looks": "dead", "fails": "scheduled", "unavailable": "dead",
        "cancels": "completed", "write": "cancelled", "last": "completed",
    }  # fmt: skip
    assert _notes(ann) == ["a", "y"]
    assert (worker.running, worker.room.running) == ({}, 0)


async def test_a_job_that_takes_too_long_is_stopped_and_reaches_nothing_more(rt: Running) -> None:
    """Also one that does not let itself be cancelled at once (I82)."""
    ann = await rt.user("ann@example.com")
    slow = await _enqueue(ann, "too_slow")
    found = await _ended(rt, ann, slow)
    assert found["state"] == "dead"
    assert found["error"].startswith("FUNCTION_TIMEOUT")
    await asyncio.sleep(0.1)
    await rt.settled()
    assert "from beyond" not in _notes(ann)


async def test_progress_is_seen_while_the_job_runs(rt: Running) -> None:
    """By the app, a second later at most."""
    ann = await rt.user("ann@example.com")
    job_id = await _enqueue(ann, "hangs")
    await _ended(rt, ann, job_id, state="running")
    for _ in range(3):
        await rt.advance(1.1)
    found = await ann.call("job", id=job_id)
    assert (found["progress"], found["said"]) == (0.25, "hanging")


async def test_an_attempt_that_lost_its_lease_ends_nothing(rt: Running) -> None:
    """Its completion comes too late; the job is run again by somebody else (I82)."""
    ann = await rt.user("ann@example.com")
    job_id = await _enqueue(ann, "once", args={"name": "x", "wait": 0.15})
    await _ended(rt, ann, job_id, state="running")
    attempt = await _attempt(rt)
    attempt.expires_at = 0.0  # as after a stop of the whole process
    async with asyncio.timeout(60):
        while (await ann.call("job", id=job_id))["state"] == "running":
            await asyncio.sleep(0.01)
    found = await ann.call("job", id=job_id)
    assert (found["state"], found["attempt"]) == ("dead", 1)  # it had no attempt left
    assert found["error"] == "its lease ended in attempt 1 of 1"


async def test_leases_of_long_jobs_are_extended(rt: Running) -> None:
    """Minutes later it is still the same attempt."""
    ann = await rt.user("ann@example.com")
    job_id = await _enqueue(ann, "hangs")
    await _ended(rt, ann, job_id, state="running")
    for _ in range(12):
        await rt.advance(10)
    attempt = await _attempt(rt)
    assert attempt.is_held
    assert (await ann.call("job", id=job_id))["attempt"] == 1


async def test_a_disabled_account_runs_no_more_jobs(rt: Running) -> None:
    """What it enqueued is dead, not dropped; both colours."""
    ann, bob = await rt.user("ann@example.com"), await rt.user("bob@example.com")
    ids = [
        await _enqueue(ann, "write", args={"text": "x"}, delay=5),
        await _enqueue(ann, "as_admin_later", delay=5),
    ]

    def disable(transaction: Any) -> None:
        transaction.execute(
            "UPDATE _pylon_accounts SET disabled = 1, auth_version = auth_version + 1"
            " WHERE id = ?", (ann.user_id,),
        )  # fmt: skip
        transaction.batch_facts.clear()

    await rt.runtime.services.database.writer.submit(disable)
    await rt.advance(6)
    for one in ids:
        found = await bob.call("job", id=one)
        assert (found["state"], found["attempt"]) == ("dead", 1)
        assert found["error"].startswith("UNAUTHENTICATED")
    assert _notes(bob) == []


async def test_each_slot_has_one_run_and_missed_ones_have_the_newest(rt: Running) -> None:
    """As time passes, after a leap of the clock, and however often it is looked at."""
    ann = await rt.user("ann@example.com")
    for _ in range(35):
        await rt.advance(60)
    assert _notes(ann) == ["tick 00:10", "tick 00:20", "tick 00:30"]
    await rt.advance(3 * HOUR)  # a machine that slept
    await rt.settled()
    assert len(_notes(ann)) == 4
    rt.runtime.services.worker.app_reloaded()
    await rt.settled()
    assert len(_notes(ann)) == 4


async def test_a_slot_has_no_second_run_after_a_restart_or_a_clock_that_went_back(
    rt: Running,
) -> None:
    """The last slot is in the database; one of a clock that was far ahead is forgotten."""
    ann = await rt.user("ann@example.com")
    await rt.advance(10 * 60)
    await rt.settled()
    services = rt.runtime.services
    slots, database = services.worker.slots, services.database
    await slots.start()  # as the next process does
    now = rt.clock.now_ms()
    assert schedules.last_slots(database.readers.inline.raw) == {"tick": now}
    await slots.fire()
    await rt.settled()
    assert len(_notes(ann)) == 1
    await database.writer.submit(lambda tx: schedules.set_slot(tx, "tick", now + 5 * HOUR * 1000))
    await slots.start()
    await rt.advance(HOUR)
    assert len(_notes(ann)) == 1
    await database.writer.submit(lambda tx: schedules.set_slot(tx, "tick", now + 100 * HOUR * 1000))
    await slots.start()
    await slots.fire()
    await rt.advance(11 * 60)
    await rt.settled()
    assert len(_notes(ann)) == 2


async def test_a_slot_waits_for_no_other_that_has_not_begun(rt: Running) -> None:
    """A paused queue gathers one run of a schedule, not one for each slot."""
    ann = await rt.user("ann@example.com")
    worker = rt.runtime.services.worker
    await worker.set_paused("default", is_paused=True)
    for _ in range(6):
        await rt.advance(10 * 60)
    await worker.set_paused("default", is_paused=False)
    await rt.settled()
    assert len(_notes(ann)) == 1


async def test_what_cannot_be_enqueued_is_refused_at_once(rt: Running) -> None:
    """Unknown jobs, wrong arguments, impossible times: nothing is stored."""
    ann = await rt.user("ann@example.com")
    for given, code in (
        ({"fn": "wriet"}, "NOT_FOUND"), ({"fn": "note"}, "INVALID_ARGUMENT"),
        ({"fn": "write"}, "INVALID_ARGUMENT"),
        ({"fn": "write", "args": {"text": 3}}, "INVALID_ARGUMENT"),
        ({"fn": "hangs", "delay": -1}, "INVALID_ARGUMENT"),
        ({"fn": "hangs", "delay": 1e12}, "INVALID_ARGUMENT"),
        ({"fn": "hangs", "priority": 101}, "INVALID_ARGUMENT"),
        ({"fn": "hangs", "key": ""}, "INVALID_ARGUMENT"),
        ({"fn": "write", "args": {"text": "x" * 300_000}}, "PAYLOAD_TOO_LARGE"),
    ):  # fmt: skip
        with pytest.raises(ServerRefused) as refused:
            await ann.call("enqueue", **given)
        assert refused.value.code == code, given
    rows = rt.runtime.services.database.readers.inline.rows
    assert rows("SELECT count(*) FROM _pylon_jobs") == [(0,)]


async def test_jobs_are_not_called_and_actions_enqueue(rt: Running) -> None:
    """From outside there is no such function; an action's enqueue is its own transaction."""
    ann = await rt.user("ann@example.com")
    with pytest.raises(ServerRefused) as refused:
        await ann.call("write", text="x")
    assert refused.value.code == "NOT_FOUND"
    job_id = await ann.call("from_action", text="acted")
    await rt.settled()
    assert (await ann.call("job", id=job_id))["result"] == "ACTED"


async def test_the_log_says_which_job_wrote_a_row(rt: Running) -> None:
    """The cause of the change names the function and the job, for both colours."""
    ann = await rt.user("ann@example.com")
    job_id = await _enqueue(ann, "write", args={"text": "x"})
    acting = await _enqueue(ann, "acts", args={"n": 1})
    await rt.settled()
    rows = rt.runtime.services.database.readers.inline.rows
    causes = rows("SELECT cause FROM _pylon_log WHERE entity = 'Note' ORDER BY cause")
    assert causes == [(f"job:acts#{acting}",), (f"job:write#{job_id}",)]


async def test_what_a_lost_claim_left_running_is_found(rt: Running) -> None:
    """A commit whose outcome nobody knows may have claimed a job: it is run again."""
    ann = await rt.user("ann@example.com")
    worker, writer = rt.runtime.services.worker, rt.runtime.services.database.writer
    await worker.set_paused("default", is_paused=True)
    job_id = await _enqueue(ann, "write", args={"text": "x"})
    await writer.submit(lambda transaction: jobs.claim(transaction, "default", 1, {}))
    await worker.set_paused("default", is_paused=False)
    worker._lost()
    await rt.settled()
    found = await ann.call("job", id=job_id)
    assert (found["state"], found["attempt"]) == ("completed", 2)


async def test_a_dead_job_is_one_error(rt: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the function threw is counted, and that the job died of it is no second error."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    set_up_logging(rt.runtime.services.observer, as_json=False)
    ada = await rt.user("ada@example.com")
    before = rt.runtime.services.observer.counters["errors"]
    job = await _enqueue(ada, "spoils")
    assert (await _ended(rt, ada, job))["state"] == "dead"
    await rt.settled()  # the log tells it after it is stored
    assert rt.runtime.services.observer.counters["errors"] == before + 1
    # One that nothing was said of before is an error of its own.
    job = await _enqueue(ada, "refuses")
    assert (await _ended(rt, ada, job))["state"] == "dead"
    await rt.settled()  # the log tells it after it is stored
    assert rt.runtime.services.observer.counters["errors"] == before + 2
