"""The job table against a model: whatever happens in whatever order, every job is where it must be.

The model is the transition table of `jobs.states`; the store must take each transition from the
state that it names, by the holder of the current claim only, and refuse every other.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pylon import limits
from pylon.identity import SYSTEM
from pylon.schema.model import Schema
from pylon.server.jobs.states import LIVE, JobState, after_loss
from pylon.server.storage import completions, jobs, schedules
from pylon.server.storage.job_reads import count_jobs, list_jobs, read_job
from pylon.server.storage.jobs import ClaimedJob, JobCancelled, JobsDue, NewJob
from pylon.server.storage.system_tables import STATEMENTS
from pylon.server.storage.transaction import Transaction


def _database() -> sqlite3.Connection:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    for statement in STATEMENTS:
        raw.execute(statement)
    return raw


def _transaction(raw: sqlite3.Connection, now_ms: int = 0) -> Transaction:
    transaction = Transaction(raw, Schema(entities={}), {})
    transaction.begin(now_ms, now_ms, 0)
    return transaction


def _available(raw: sqlite3.Connection) -> int:
    return sum(one.get("available", 0) for one in count_jobs(raw).values())


def _new(job_id: str, **options: Any) -> NewJob:
    given: dict[str, Any] = {"name": "f", "queue": "q", "args": "{}", "retries": 2, **options}
    return NewJob(id=job_id, identity=SYSTEM, **given)


@dataclass
class _Model:
    name: str
    queue: str
    priority: int
    due: int
    key: str | None
    order: int
    state: JobState = JobState.AVAILABLE
    attempt: int = 0


class JobTable(RuleBasedStateMachine):
    """Random operations; `claims` holds every claim ever made, the stale ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = _database()
        self.now = 1_000
        self.jobs: dict[str, _Model] = {}
        self.claims: list[ClaimedJob] = []
        self.count = 0

    def tx(self) -> Transaction:
        return _transaction(self.raw, self.now)

    def teardown(self) -> None:
        self.raw.close()

    @rule(
        name=st.sampled_from("fg"), queue=st.sampled_from(["q", "r"]),
        delay=st.sampled_from([0, 7]), key=st.sampled_from([None, "k", "l"]),
        priority=st.integers(-1, 1),
    )  # fmt: skip
    def enqueue(self, name: str, queue: str, delay: int, key: str | None, priority: int) -> None:
        self.count += 1
        job_id, transaction = f"j{self.count}", self.tx()
        given = _new(
            job_id, name=name, queue=queue, key=key, priority=priority,
            due_ms=self.now + delay if delay else None,
        )  # fmt: skip
        found = jobs.enqueue(transaction, given)
        holders = [
            one for one, job in self.jobs.items()
            if key is not None and (job.name, job.key) == (name, key) and job.state in LIVE
        ]  # fmt: skip
        if holders:
            assert [found] == holders
            assert transaction.notices == []
            return
        assert found == job_id
        assert transaction.notices == [JobsDue(queue, self.now + delay)]
        state = JobState.SCHEDULED if delay else JobState.AVAILABLE
        self.jobs[job_id] = _Model(
            name, queue, priority, self.now + delay, key, self.count, state
        )  # fmt: skip

    @rule(step=st.integers(1, 9))
    def time_passes(self, step: int) -> None:
        self.now += step
        promoted, has_more = set[str](), True
        while has_more:
            before = _available(self.raw)
            queues, has_more = jobs.promote(self.tx(), at_most=2)
            made = _available(self.raw) - before
            assert (made == 2) == has_more
            assert made <= 2
            promoted |= queues
        due = [
            one for one in self.jobs.values()
            if one.state is JobState.SCHEDULED and one.due <= self.now
        ]  # fmt: skip
        assert promoted == {one.queue for one in due}
        for one in due:
            one.state = JobState.AVAILABLE

    @rule(
        queue=st.sampled_from(["q", "r"]), at_most=st.integers(1, 4),
        room=st.dictionaries(st.sampled_from("fg"), st.integers(0, 2), max_size=2),
    )  # fmt: skip
    def claim(self, queue: str, at_most: int, room: dict[str, int]) -> None:
        found, has_more = jobs.claim(self.tx(), queue, at_most, room)
        waiting = sorted(
            (
                (-job.priority, job.due, job.order, job_id)
                for job_id, job in self.jobs.items()
                if job.queue == queue and job.state is JobState.AVAILABLE
            )
        )
        left, expected = dict(room), []
        for *_, job_id in waiting:
            name = self.jobs[job_id].name
            if left.get(name, 1) > 0 and len(expected) < at_most:
                expected.append(job_id)
                if name in left:
                    left[name] -= 1
        assert [one.id for one in found] == expected
        assert has_more or len(expected) == len(waiting)
        for one in found:
            job = self.jobs[one.id]
            job.state, job.attempt = JobState.RUNNING, job.attempt + 1
            assert one.attempt == job.attempt  # counted before it runs
            self.claims.append(one)

    def _is_current(self, claim: ClaimedJob) -> bool:
        is_newest = all(
            one.token <= claim.token for one in self.claims if one.id == claim.id
        )  # fmt: skip
        return is_newest and self.jobs[claim.id].state is JobState.RUNNING

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "dead", "lost", "release"]))
    def end(self, data: st.DataObject, how: str) -> None:
        """Whoever is not the holder of the claim changes nothing (I82)."""
        claim = data.draw(st.sampled_from(self.claims))
        is_current, job, transaction = self._is_current(claim), self.jobs[claim.id], self.tx()
        before = read_job(self.raw, claim.id)
        match how:
            case "complete":
                done = completions.complete(transaction, claim, "1")
                state, due = JobState.COMPLETED, job.due
            case "release":
                done = jobs.release(transaction, claim)
                state, due = JobState.AVAILABLE, job.due
            case _:
                if how == "lost":
                    verdict = after_loss(
                        attempt=claim.attempt, retries=claim.retries, now_ms=self.now
                    )
                    state, due = verdict.state, verdict.due_ms
                else:
                    state = JobState.DEAD if how == "dead" else JobState.SCHEDULED
                    due = self.now + 3
                done = jobs.end_attempt(transaction, claim, state.value, due, "broken")
        assert done == is_current
        if done:
            job.state, job.due = state, due
            job.attempt -= how == "release"
        else:
            assert read_job(self.raw, claim.id) == before

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def complete_together(self, data: st.DataObject) -> None:
        """One statement completes all, or says that not all were as they were claimed."""
        chosen = data.draw(
            st.lists(st.sampled_from(self.claims), unique_by=lambda one: one.id, max_size=4)
        )
        are_current = all(self._is_current(one) for one in chosen)
        transaction = self.tx()
        transaction.is_deferring = True
        self.raw.execute("SAVEPOINT together")
        assert all(completions.complete(transaction, one, '"ä"', (0.5, "half")) for one in chosen)
        transaction.unsettled += transaction.completed
        completions.settle(transaction)
        assert transaction.is_spoiled == (not are_current)
        if not are_current:
            self.raw.execute("ROLLBACK TO together")
        self.raw.execute("RELEASE together")
        for one in chosen if are_current else ():
            self.jobs[one.id].state = JobState.COMPLETED
            stored = read_job(self.raw, one.id)
            assert stored is not None
            assert (stored.result, stored.progress, stored.progress_text) == ('"ä"', 0.5, "half")

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        held = jobs.extend(self.tx(), [(claim.id, claim.token)])
        assert held == ({claim.id} if self._is_current(claim) else set())

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        job, transaction = self.jobs[job_id], self.tx()
        done = jobs.cancel(transaction, job_id)
        assert done == (job.state in LIVE)
        assert transaction.notices == ([JobCancelled(job_id)] if done else [])
        if done:
            job.state = JobState.CANCELLED

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        job = self.jobs[job_id]
        is_taken = job.key is not None and any(
            (one.name, one.key) == (job.name, job.key) and one.state in LIVE
            for other, one in self.jobs.items()
            if other != job_id
        )
        can = job.state in (JobState.DEAD, JobState.CANCELLED, JobState.SCHEDULED)
        try:
            done = jobs.retry(self.tx(), job_id)
        except sqlite3.IntegrityError:
            assert is_taken
            return
        assert done == can
        assert not (done and is_taken)
        if done:
            job.state, job.attempt, job.due = JobState.AVAILABLE, 0, self.now

    @invariant()
    def the_table_is_the_model(self) -> None:
        stored = {one.id: one for one in list_jobs(self.raw, limit=10_000)}
        assert {one: stored[one].state for one in stored} == {
            one: job.state.value for one, job in self.jobs.items()
        }
        assert {one: stored[one].attempt for one in stored} == {
            one: job.attempt for one, job in self.jobs.items()
        }
        scheduled = [one.due for one in self.jobs.values() if one.state is JobState.SCHEDULED]
        assert jobs.next_due(self.raw) == min(scheduled, default=None)

    @invariant()
    def no_key_is_live_twice(self) -> None:
        live = [
            (one.name, one.key) for one in self.jobs.values() if one.key and one.state in LIVE
        ]  # fmt: skip
        assert len(live) == len(set(live))


TestJobTable = JobTable.TestCase
TestJobTable.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_secret_arguments_do_not_outlive_the_job_and_are_not_read() -> None:
    """Completed, dead or cancelled, nothing of them is left; and nobody runs it again."""
    raw = _database()
    for n, end in enumerate(("complete", "dead", "cancel")):
        jobs.enqueue(_transaction(raw), _new(f"s{n}", args='{"code":"ABC"}', is_secret=True))
        (claimed,), _ = jobs.claim(_transaction(raw), "q", 1, {})
        shown = read_job(raw, f"s{n}")
        assert shown is not None
        assert shown.args is None
        if end == "complete":
            assert completions.complete(_transaction(raw), claimed, "null")
        elif end == "dead":
            assert jobs.end_attempt(_transaction(raw), claimed, "dead", 0, "no")
        else:
            assert jobs.cancel(_transaction(raw), claimed.id)
        assert raw.execute("SELECT args FROM _pylon_jobs WHERE id = ?", (f"s{n}",)).fetchone() == (
            "{}",
        )
        assert not jobs.retry(_transaction(raw), f"s{n}")


def test_ended_jobs_are_forgotten_by_age_and_number(monkeypatch: Any) -> None:
    """Dead ones are kept longer than completed ones, and live ones for ever."""
    monkeypatch.setattr(limits, "JOBS_KEPT_MAX", 3)
    raw, day = _database(), 86_400_000
    for n in range(6):
        jobs.enqueue(_transaction(raw, n), _new(f"c{n}"))
    claimed, _ = jobs.claim(_transaction(raw, 10), "q", 6, {})
    for n, one in enumerate(claimed):
        assert completions.complete(_transaction(raw, 10 + n), one, "1")
    jobs.enqueue(_transaction(raw), _new("dead"))
    jobs.enqueue(_transaction(raw), _new("waits"))
    (one,), _ = jobs.claim(_transaction(raw, 20), "q", 1, {})
    jobs.end_attempt(_transaction(raw, 20), one, "dead", 0, "no")
    assert jobs.forget(_transaction(raw, 30), at_most=100) == 3
    assert count_jobs(raw) == {"q": {"completed": 3, "dead": 1, "available": 1}}
    kept = limits.JOBS_KEPT_DAYS
    assert jobs.forget(_transaction(raw, kept * day + 20), at_most=100) == 3
    assert jobs.forget(_transaction(raw, limits.DEAD_JOBS_KEPT_DAYS * day + 20), at_most=100) == 1
    assert count_jobs(raw) == {"q": {"available": 1}}


def test_a_slot_is_taken_once() -> None:
    """By whoever comes first, and never one before it."""
    raw = _database()
    assert [schedules.take_slot(_transaction(raw), "f", slot) for slot in (5, 5, 3, 8)] == [
        True, False, False, True
    ]  # fmt: skip
    assert schedules.last_slots(raw) == {"f": 8}


def test_a_search_line_finds_by_words_columns_and_their_opposite() -> None:
    """Words anywhere, `state:x` at the beginning of one column, `!` turns the line round."""
    raw = _database()
    for job_id, options in (
        ("a1", {"name": "ship", "queue": "mail"}), ("a2", {"name": "Shipped", "key": "order-7"}),
        ("a3", {"name": "resize", "due_ms": 50}),
    ):  # fmt: skip
        jobs.enqueue(_transaction(raw), _new(job_id, **options))
    (claimed,), _ = jobs.claim(_transaction(raw), "mail", 1, {})
    jobs.end_attempt(_transaction(raw), claimed, "dead", 0, "ValueError: 100%_off")

    def found(line: str) -> list[str]:
        return [one.id for one in list_jobs(raw, search=line)]

    for line, ids in (
        ("", ["a3", "a2", "a1"]), ("ship", ["a2", "a1"]), ("SHIP mail", ["a1"]),
        ("name:ship", ["a2", "a1"]), ("name:hip", []), ("state:dea", ["a1"]),
        ("state:scheduled", ["a3"]), ("queue:q", ["a3", "a2"]), ("key:order", ["a2"]),
        ("user:system", ["a3", "a2", "a1"]), ("100%_off", ["a1"]), ("!state:dead", ["a3", "a2"]),
        ("!", ["a3", "a2", "a1"]), ("nothing:x", []), ("' OR 1 --", []),
        ("a " * 30, ["a3", "a2", "a1"]),
    ):  # fmt: skip
        assert found(line) == ids, line
    raw.close()
