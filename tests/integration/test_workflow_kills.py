"""Workflows whose runtime is killed over and over, in processes of their own, and mended by hand.

PYLON_TEST_SCALE multiplies: 25 makes 200 kills.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError

from pylon.client.admin import AdminClient
from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.integration.killing import KilledProject
from tests.integration.workflows_app import WORKFLOWS
from tests.shell import Shell

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
SEED = int(os.environ.get("PYLON_KILL_SEED", "7"))
KILLS = 8
RUNS_EACH = 5


@pytest.fixture
async def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KilledProject]:
    project = tmp_path / "app"
    project.mkdir()
    (project / "app.py").write_text(WORKFLOWS)
    served = KilledProject(project, tmp_path / "state")
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    yield served
    await served.close()


async def _admin(served: KilledProject, path: str, **params: Any) -> Any:
    admin = AdminClient.local(served.project)
    try:
        return await admin.get(path, **params)
    finally:
        await admin.close()


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * SCALE)
async def test_no_run_is_lost_and_no_step_recorded_twice_over_kills(killed: KilledProject) -> None:
    """Each that was acknowledged ends as without kills; mutations happened exactly once (I86)."""
    chance, promised = random.Random(SEED), []
    await killed.start()
    ann = await killed.login("ann@example.com")
    for kill in range(KILLS * SCALE):
        ann = Caller(killed, ann.token, ann.user_id)
        with suppress(ClientError, OSError):
            for n in range(kill * RUNS_EACH, (kill + 1) * RUNS_EACH):
                given = {"n": n, "wait": round(chance.uniform(0, 0.03), 3)}
                answer = await ann.call("start", fn="mixes", args=given, key=str(n))
                if answer.status == 200:
                    promised.append((answer.body["value"], n))
            await asyncio.sleep(chance.uniform(0, 0.08))
        await killed.stop(signal.SIGKILL)
        await killed.start()
    states: dict[str, int] = {}
    async with asyncio.timeout(40 + 10 * SCALE):
        while True:
            (states,) = (
                one
                for one in (await _admin(killed, "admin/workflows", name="mixes"))["workflows"]
                if one["name"] == "mixes"
            )
            if states["running"] + states["parked"] == 0:
                break
            await asyncio.sleep(0.1)
    assert states["failed"] == states["diverged"] == states["cancelled"] == 0
    for run, n in promised:
        found = await _admin(killed, f"admin/workflows/{run}")
        assert found["result"] == [f"M{n}.0", [f"0.{n}"[::-1], f"M{n}.1"], f"M{n}.2"], found
    ann = Caller(killed, ann.token, ann.user_id)
    rows: list[str] = []
    after = ""
    while True:
        page = (
            await ann.post(
                "/api/query/Note", {"limit": 1000, **({"after": after} if after else {})}
            )
        ).body
        rows += [one["text"] for one in page["rows"]]
        after = page.get("next")
        if not after:
            break
    assert set(Counter(rows).values()) == {1}
    assert {f"m{n}.{k}" for _, n in promised for k in range(3)} <= set(rows)
    lines = (killed.project / "JOURNAL").read_text().splitlines()
    print(f"{len(promised)} runs, {KILLS * SCALE} kills, {len(lines)} lines of actions")


async def test_a_step_that_kills_its_runtime_does_not_kill_it_for_ever(
    killed: KilledProject,
) -> None:
    """From its second time on it waits, so that others go on meanwhile; by hand it can be ended."""
    await killed.start()
    ann = await killed.login("ann@example.com")
    run = (await ann.call("start", fn="kills")).body["value"]
    assert await killed.killed(10)
    while await killed.start_until("") is not None:
        pass  # it may die before it listens
    if await killed.killed(1):
        await killed.start()
    found = await _admin(killed, f"admin/workflows/{run}")
    assert (found["state"], found["lost"]) == ("parked", 2)
    ann = await killed.login("ann@example.com")
    other = (await ann.call("start", fn="saga", args={})).body["value"]
    async with asyncio.timeout(60):
        while (await ann.call("run", id=other)).body["value"]["state"] != "failed":
            await asyncio.sleep(0.02)
    assert (await ann.call("cancel", run=run)).body["value"] is True


async def test_the_command_line_shows_and_mends(serve: Serve) -> None:
    """list, show, start, signal, cancel, retry, rerun, each with --json; a body that spins ends."""
    served = await serve(WORKFLOWS)
    pylon = Shell(served)
    ann = await served.login("ann@example.com")

    async def until(run: str, *states: str) -> Any:
        async with asyncio.timeout(60):
            while (found := (await ann.call("run", id=run)).body["value"])["state"] not in states:
                await asyncio.sleep(0.02)
        return found

    spins = (await ann.call("start", fn="misuse", args={"how": "spins"})).body["value"]
    assert "FUNCTION_TIMEOUT" in (await until(spins, "failed"))["error"]
    started = json.loads(
        await pylon("workflows", "start", "cancellable", "--key", "k", "--json")
    )  # fmt: skip
    await until(started["id"], "parked")
    shown = await pylon("workflows", "show", started["id"])
    for part in ("waits", "step 2: wait never", "reserve", "app.py:", "RESERVED"):
        assert part in shown
    assert "is parked" in await pylon("workflows", "start", "cancellable", "--key", "k")
    assert "nothing to try" in await pylon("workflows", "retry", started["id"], code=1)
    assert "no workflow" in await pylon("workflows", "start", "cancelable", code=1)
    await pylon("workflows", "signal", started["id"], "never", "{oops", code=2)
    signalled = await pylon("workflows", "signal", started["id"], "other", '{"a": 1}', "--json")
    assert json.loads(signalled)["id"] == started["id"]
    assert "is cancelled" in await pylon("workflows", "cancel", started["id"])
    assert "has ended" in await pylon("workflows", "cancel", started["id"], code=1)
    # A failed step, mended: the run goes on there; what was undone is not.
    run = (await ann.call("start", fn="mended")).body["value"]
    await until(run, "failed")
    (served.project / "MENDED").touch()
    await pylon("workflows", "retry", run)
    assert (await until(run, "completed"))["result"] == ["FIRST", "mended"]
    saga = (await ann.call("start", fn="saga", args={})).body["value"]
    await until(saga, "failed")
    assert "after the one that failed" in await pylon("workflows", "retry", saga, code=1)
    again = json.loads(await pylon("workflows", "rerun", run, "--from", "2", "--json"))
    assert again["origin"] == run
    assert (await until(again["id"], "completed"))["result"] == ["FIRST", "mended"]
    assert "no step 9" in await pylon("workflows", "rerun", run, "--from", "9", code=1)
    listed = json.loads(await pylon("workflows", "--json"))
    assert listed["runs"][0]["id"] == again["id"]
    table = await pylon("workflows", "list", "--state", "failed")
    assert "SOLD_OUT: no money" in table
    texts = [one["text"] for one in (await ann.get("/api/entities/Note")).body["rows"]]
    assert texts.count("first") == 1


async def test_the_stream_of_the_dashboard_tells_of_runs_that_moved(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, with the figures; an unknown state is refused."""
    served = await serve(WORKFLOWS)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    ann = await served.login("ann@example.com")
    admin = AdminClient.local(served.project)
    try:
        messages = admin.stream()
        run = None
        async with asyncio.timeout(60):
            async for message in messages:
                if message["type"] != "workflows":
                    continue
                if run is None:
                    assert message["runs"] == []
                    run = (await ann.call("start", fn="saga", args={})).body["value"]
                elif message["runs"][0]["state"] == "failed":
                    assert [one["id"] for one in message["runs"]] == [run]
                    (saga,) = (one for one in message["workflows"] if one["name"] == "saga")
                    assert saga["failed"] == 1
                    break
        with pytest.raises(Exception, match="state is one of"):
            await admin.get("admin/workflows", state="asleep")
    finally:
        await admin.close()
