"""Jobs whose runtime is killed, stopped and started again: none lost, none ended twice.

Each `async def` job writes to a file outside of the database when it begins and when it ends.
PYLON_TEST_SCALE=2 makes 800 jobs and 200 kills of it, 3 half as many again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError

from pylon.client.admin import AdminClient
from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.integration.jobs_app import JOBS
from tests.integration.killing import KilledProject
from tests.shell import Shell

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
SEED = int(os.environ.get("PYLON_KILL_SEED", "7"))
KILLS = 8 if SCALE == 1 else 100 * SCALE
#: Jobs of each colour that are enqueued between two kills.
BETWEEN = 6 if SCALE == 1 else 2
#: A lease that a test can wait for; the app sets it before the worker starts.
SHORT_LEASE = "import pylon.limits\npylon.limits.JOB_LEASE_SECONDS = 1.0\n"


@pytest.fixture
async def killed(tmp_path: Path) -> AsyncIterator[KilledProject]:
    project = tmp_path / "app"
    project.mkdir()
    (project / "app.py").write_text(JOBS)
    served = KilledProject(project, tmp_path / "state")
    yield served
    await served.close()


def _journal(served: KilledProject) -> list[tuple[str, int, int, int]]:
    path = served.project / "JOURNAL"
    if not path.exists():
        return []
    lines = [one.split() for one in path.read_text().splitlines()]
    return [(one[0], int(one[1]), int(one[2]), int(one[3])) for one in lines]


async def _counts(served: KilledProject) -> dict[str, int]:
    admin = AdminClient.local(served.project)
    try:
        queues = (await admin.get("admin/jobs", limit=1))["queues"]
    finally:
        await admin.close()
    total: Counter[str] = Counter()
    for one in queues:
        total.update({key: value for key, value in one.items() if isinstance(value, int)})
    return total


@pytest.mark.slow
@pytest.mark.timeout(600 * SCALE)
async def test_no_job_is_lost_and_none_ends_twice_over_kills(
    killed: KilledProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was acknowledged runs to its end; rows of `def` jobs are there once (I81-I83)."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(killed.state))
    chance, promised = random.Random(SEED), []
    await killed.start()
    ann = await killed.login("ann@example.com")
    for kill in range(KILLS):
        ann = Caller(killed, ann.token, ann.user_id)
        first, count = kill * 1_000, BETWEEN
        with suppress(ClientError, OSError):
            for fn, more in (("acts", {"wait": chance.uniform(0, 0.05)}), ("adds", {})):
                given = {"fn": fn, "first": first, "count": count, **more}
                if (await ann.call("enqueue_many", **given)).status == 200:
                    promised += [(fn, n) for n in range(first, first + count)]
            await asyncio.sleep(chance.uniform(0, 0.08))
        await killed.stop(signal.SIGKILL)
        await killed.start()
    async with asyncio.timeout(30 + 10 * SCALE):
        while (counts := await _counts(killed))["available"] + counts["running"] + counts[
            "scheduled"
        ] > 1:  # the schedule's own is none of them
            await asyncio.sleep(0.1)
    journal = _journal(killed)
    ended = {n for what, n, *_ in journal if what == "end"}
    assert {n for fn, n in promised if fn == "acts"} <= ended
    begun: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for what, n, attempt, pid in journal:
        if what == "begin":
            begun[n].append((attempt, pid))
    for n, attempts in begun.items():
        numbers = [attempt for attempt, _ in attempts]
        assert numbers == sorted(set(numbers)), (n, attempts)  # counted before it ran
        pids = [pid for _, pid in attempts]
        assert len(set(pids)) == len(pids), (n, attempts)  # again only where it had died
    asked = {"limit": 1000, "where": {"text": {"startsWith": "added"}}}
    listed = (await ann.post("/api/query/Note", asked)).body["rows"]
    added = Counter(one["text"] for one in listed)
    assert {f"added {n}" for fn, n in promised if fn == "adds"} <= set(added)
    assert set(added.values()) <= {1}
    assert counts["dead"] == 0
    again = sum(len(attempts) - 1 for attempts in begun.values())
    print(f"{len(promised)} jobs promised, {KILLS} kills, {again} attempts cut off and run again")


async def test_a_job_that_kills_its_runtime_is_dead_in_the_end(
    killed: KilledProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempts are counted before they run; the others go on."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(killed.state))
    await killed.start()
    ann = await killed.login("ann@example.com")
    with suppress(ClientError, OSError):
        await ann.call("enqueue", fn="dies")
    assert await killed.killed(10)
    while await killed.start_until("") is not None:
        pass  # it may die before it listens
    if await killed.killed(1):
        await killed.start()
    admin = AdminClient.local(killed.project)
    (found,) = (await admin.get("admin/jobs", name="dies"))["jobs"]
    await admin.close()
    assert (found["state"], found["attempt"]) == ("dead", 2)
    assert found["error"] == "the process that ran it ended in attempt 2 of 2"
    ann = await killed.login("ann@example.com")
    job_id = (await ann.call("enqueue", fn="write", args={"text": "x"})).body["value"][0]
    async with asyncio.timeout(60):
        while (await ann.call("job", id=job_id)).body["value"]["state"] != "completed":
            await asyncio.sleep(0.02)


async def test_who_was_stopped_for_longer_than_the_lease_ends_nothing(serve: Serve) -> None:
    """SIGSTOP and SIGCONT: the attempt writes nothing more, and another one ends the job (I82)."""
    served = await serve(JOBS + SHORT_LEASE)
    ann = await served.login("ann@example.com")
    job_id = (await ann.call("enqueue", fn="acts", args={"n": 1, "wait": 0.6})).body["value"][0]
    journal = served.project / "JOURNAL"
    async with asyncio.timeout(60):
        while not journal.exists():
            await asyncio.sleep(0.01)
    os.kill(served.pid, signal.SIGSTOP)
    await asyncio.sleep(1.4)
    os.kill(served.pid, signal.SIGCONT)
    async with asyncio.timeout(60):
        while (await ann.call("job", id=job_id)).body["value"]["state"] != "completed":
            await asyncio.sleep(0.02)
    lines = [one.split()[:3] for one in journal.read_text().splitlines()]
    assert lines == [["begin", "1", "1"], ["begin", "1", "2"], ["end", "1", "2"]]
    rows = (await ann.get("/api/entities/Note")).body["rows"]
    assert [one["text"] for one in rows] == ["acted 1"]


async def test_two_hundred_racing_enqueues_of_a_key_make_one_job(serve: Serve) -> None:
    """Over real sockets, each a connection of its own: all get the id of the one job (I84)."""
    served = await serve(JOBS)
    callers = [await served.login(f"{name}@example.com") for name in ("ann", "bob")]
    given = {"fn": "once", "args": {"name": "x"}, "key": "the one", "delay": 3600}
    answers = await asyncio.gather(
        *(caller.call("enqueue", **given) for caller in callers for _ in range(100))
    )
    assert {one.status for one in answers} == {200}
    (job_id,) = {one.body["value"][0] for one in answers}
    listed = json.loads(await Shell(served)("jobs", "list", "--name", "once", "--json"))["jobs"]
    assert [(one["id"], one["attempt"]) for one in listed] == [(job_id, 0)]


async def test_the_command_line_shows_and_mends(serve: Serve) -> None:
    """list, show, retry, cancel, pause, resume, each with --json; a job that spins is stopped."""
    served = await serve(JOBS)
    pylon = Shell(served)
    ann = await served.login("ann@example.com")

    async def enqueue(fn: str, **more: Any) -> str:
        return str((await ann.call("enqueue", fn=fn, **more)).body["value"][0])

    spins, refuses = await enqueue("spins"), await enqueue("refuses")
    async with asyncio.timeout(60):
        for one in (spins, refuses):
            while (await ann.call("job", id=one)).body["value"]["state"] != "dead":
                await asyncio.sleep(0.02)
    listed = json.loads(await pylon("jobs", "--json"))
    assert {one["id"] for one in listed["jobs"]} == {spins, refuses}
    assert [one["name"] for one in listed["schedules"]] == ["tick"]
    shown = await pylon("jobs", "list", "--state", "dead")
    assert "NO: never" in shown
    assert "FUNCTION_TIMEOUT" in shown
    assert "*/10 * * * *" in shown
    found = json.loads(await pylon("jobs", "list", "--search", "state:dead refus", "--json"))
    assert [one["id"] for one in found["jobs"]] == [refuses]
    assert json.loads(await pylon("jobs", "pause", "default", "--json"))["paused"] is True
    assert "run again" in await pylon("jobs", "retry", "--all", "--name", "refuses")
    waits = await enqueue("hangs")
    await served.stop()
    await served.start()  # paused over restarts
    for job_id in (waits, refuses):
        assert (await ann.call("job", id=job_id)).body["value"]["state"] == "available"
    assert "cancelled" in await pylon("jobs", "cancel", waits)
    assert "has ended" in await pylon("jobs", "cancel", waits, code=1)
    assert "did you mean default?" in await pylon("jobs", "pause", "defualt", code=1)
    await pylon("jobs", "resume", "default")
    async with asyncio.timeout(60):
        while (await ann.call("job", id=refuses)).body["value"]["state"] != "dead":
            await asyncio.sleep(0.02)
    assert "never" in json.loads(await pylon("jobs", "show", refuses, "--json"))["error"]
    await pylon("jobs", "retry", code=2)
