"""Runs of followed functions are seen: what each costs, what it was good for, and who shares it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon import limits
from pylon.client.admin import AdminError
from pylon.server.http.admin import status_of
from pylon.server.http.admin_functions import functions_of, slow_calls
from pylon.testing import Running, running
from pylon.testing.served import ServedProject
from tests.conftest import Serve
from tests.integration.test_containment import admin_of

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("board")


@app.entity(read="true", insert="auth.userId != null", update="true")
class Score(Entity):
    team: str
    points: int = 0


@app.query
def best(ctx, team: str) -> int:
    if ctx.db.count("Score", where={"points": 13}):
        raise ValueError("thirteen")
    return max((one.points for one in ctx.db.list("Score", where={"team": team})), default=0)


@app.query
def mine(ctx) -> str:
    return f"{ctx.auth.email} {ctx.db.count('Score')}"
"""


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Running]:
    """Run the app of scores."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as found:
        yield found


async def test_runs_are_counted_by_function_and_by_followed_call(rt: Running) -> None:
    """Three runs, two of them with news, for two who share; and what is about its caller apart."""
    services = rt.runtime.services
    live, book = services.hub.live, services.observer.calls
    ann, ben = await rt.user("ann@example.com"), await rt.user("ben@example.com")
    followed = [one.client.live("best", team="red") for one in (ann, ben)]
    own = [one.client.live("mine") for one in (ann, ben)]
    for one in (*followed, *own):
        await one.ready()
    await ann.insert("Score", team="red", points=5)
    await ann.insert("Score", team="red", points=3)
    await rt.settled()
    assert followed[1].value == 5
    (cost,) = live.costs("best", "ms", 10)
    assert (cost["args"], cost["followers"]) == ('{"team":"red"}', 2)
    assert cost["users"] == ["ann@example.com", "ben@example.com"]
    assert (cost["runs"], cost["useful"], cost["told"]) == (3, 2, 4)
    assert cost["rows_read"] > 0
    assert cost["kept_bytes"] > 0
    assert [one["followers"] for one in live.costs("mine", "ms", 10)] == [1, 1]
    function = next(one for one in functions_of(services) if one["name"] == "best")
    assert function["calls"] == 0, "a run is no call"
    assert (function["live"]["runs"], function["live"]["followers"]) == (3, 2)
    totals = status_of(services)["live"]
    assert (totals["followers"], totals["answers"], totals["runs"]) == (4, 3, live.runs)
    assert book.running == {}
    followed[0].close()
    followed[1].close()
    await rt.settled()
    assert live.costs("best", "ms", 10) == []
    assert (live.counts_of("best") or {})["followers"] == 0


async def test_slow_runs_and_faults_are_remembered_and_others_are_not(
    rt: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their statements, plans, and for how many; a thousand quick ones push no call out."""
    services = rt.runtime.services
    book = services.observer.calls
    ann = await rt.user("ann@example.com")
    best = ann.client.live("best", team="red")
    await best.ready()
    assert [one for one in book.newest if one.cause == "live"] == []
    monkeypatch.setattr(limits, "SLOW_CALL_MS", 0.0)
    await ann.insert("Score", team="red", points=5)
    await rt.settled()
    (slow,) = await slow_calls(services, [one for one in book.slow if one.cause == "live"])
    assert (slow["name"], slow["kind"], slow["user"]) == ("best", "query", "ann@example.com")
    assert slow["followers"] == 1
    assert any("SCAN" in step for one in slow["slowest"] for step in one["plan"])
    monkeypatch.undo()
    await ann.insert("Score", team="red", points=13)
    await rt.settled()
    fault = [one for one in book.newest if one.cause == "live"][-1]
    assert (fault.code, fault.outcome) == ("INTERNAL", "rejected")
    assert (services.hub.live.counts_of("best") or {})["failed"] == 1


def _pylon(served: ServedProject, *arguments: str) -> str:
    """Run a command about the project and return what it prints."""
    environment = {**os.environ, "PYLON_STATE_DIR": str(served.state)}
    return subprocess.run(
        [sys.executable, "-m", "pylon", *arguments, "--project", str(served.project)],
        check=True, capture_output=True, text=True, env=environment,
    ).stdout  # fmt: skip


async def test_the_owner_sees_what_following_costs(serve: Serve) -> None:
    """Over HTTP, in /metrics and by `pylon functions --live`; what is wrong is refused."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    admin = admin_of(served)
    nobody = await asyncio.to_thread(_pylon, served, "functions", "--live")
    assert "best" not in nobody
    socket = await ada.sync({"id": "b", "fn": "best", "args": {"team": "red"}})
    await socket.until("value")
    await ada.insert("Score", team="red", points=5)
    await socket.until("value")
    found = await admin.get("admin/live?function=best&order=useless")
    assert [one["runs"] for one in found["live"]] == [2]
    assert (found["followers"], found["told"]) == (1, 2)
    for wrong in ("order=x", "limit=0", "limit=1001", "more=1"):
        with pytest.raises(AdminError) as refused:
            await admin.get(f"admin/live?{wrong}")
        assert refused.value.code == "INVALID_ARGUMENT"
    assert (await ada.get("/api/admin/live")).status in (401, 403)
    text = await asyncio.to_thread(_pylon, served, "functions", "--live", "best")
    assert "ada@example.com" in text
    assert "1 followers of 1 values; since the start 2 runs, 2 with news, 2 values told" in text
    one = await asyncio.to_thread(_pylon, served, "functions", "best")
    assert "followed: 1 follower · 2 runs, 2 with news · 2 values told" in one
    await socket.close()
    await admin.close()
