"""Followed functions over SIGKILL of the runtime, reloads, other roles and ended sessions.

Two clients follow the same calls: the browser's in Chromium, and the one of scripts. Whatever
happens each comes to what a call answers now, and is told nothing where that is what it shows.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from pylon.client import PylonClient, ServerRefused, connect
from pylon.client.admin import AdminClient
from pylon.client.live import Live
from pylon.testing.served import Caller, ServedProject
from tests.browser.conftest import signed_in, visit
from tests.conftest import Serve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SEED = int(os.environ.get("PYLON_KILL_SEED", "7"))
KILLS = 5 * int(os.environ.get("PYLON_TEST_SCALE", "1"))
APP = """
from __future__ import annotations

from pylon import App, Entity, actor, field

app = App("tiny")


@app.entity(read="auth.userId != null", insert="auth.userId != null", update="auth.userId != null")
class Score(Entity):
    team: str
    points: int = 0


@app.query
def best(ctx, team: str) -> list:
    where = {"team": team}
    return [one.points for one in ctx.db.list("Score", where=where, order="-points", limit=3)]


@app.query
def mine(ctx) -> list:
    return [ctx.auth.email, "chief" in ctx.auth.roles, ctx.db.count("Score", where={"team": "red"})]
"""
PAGE = """<!doctype html><html><head><title>tiny</title><link rel="icon" href="data:,"></head>
<body><script type="module">
import { connect } from "/_pylon/client.js";
window.db = await connect();
window.told = { best: [], mine: [] };
window.followed = { best: db.live("best", { team: "red" }), mine: db.live("mine", {}) };
for (const [name, live] of Object.entries(followed)) {
  live.watch(() => {
    const { value, ready, error } = live.getSnapshot();
    if (error) told[name].push(error.code);
    else if (ready) told[name].push(value);
  });
}
window.isUp = true;
</script></body></html>"""
CALLS: dict[str, dict[str, Any]] = {"best": {"team": "red"}, "mine": {}}


class Script:
    """The client of scripts, and what it was told."""

    def __init__(self, client: PylonClient) -> None:
        self.client = client
        self._told: dict[str, list[Any]] = {name: [] for name in CALLS}
        self._following = [
            asyncio.create_task(self._follow(name, client.live(name, **args)))
            for name, args in CALLS.items()
        ]

    async def _follow(self, name: str, live: Live) -> None:
        while True:
            try:
                async for value in live:
                    self._told[name].append(value)
            except ServerRefused as refused:
                self._told[name].append(refused.code)
                await live._wait()

    async def told(self) -> dict[str, list[Any]]:
        """Return all that was told, by function."""
        return {name: list(values) for name, values in self._told.items()}

    async def close(self) -> None:
        """Follow nothing more."""
        for one in self._following:
            one.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)


class Stage:
    """A runtime that is killed, two who follow, and one who writes."""

    def __init__(self, served: ServedProject, page: Page, script: Script, ann: Caller) -> None:
        self.served, self.page, self.script, self.ann = served, page, script, ann

    async def told(self) -> list[dict[str, list[Any]]]:
        """Return what each client was told."""
        return [await self.page.evaluate("told"), await self.script.told()]

    async def truth(self) -> dict[str, Any]:
        """Return what a call answers now."""
        answers = {name: await self.ann.call(name, **args) for name, args in CALLS.items()}
        return {name: one.body["value"] for name, one in answers.items()}

    async def converged(self) -> None:
        """Return once each client shows what a call answers now."""

        async def is_true() -> bool:
            truth = await self.truth()
            return all(
                {name: (values or [None])[-1] for name, values in one.items()} == truth
                for one in await self.told()
            )  # fmt: skip

        await self.until(is_true)

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something."""
        for _ in range(600):
            if await is_so():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"told {await self.told()}")

    async def connected(self) -> None:
        """Return once both clients are live again, and were told where they are."""

        async def is_live() -> bool:
            state = await self.page.evaluate("db.status.state")
            found = (await self.admin("GET", "admin/clients"))["clients"]
            live = [one for one in found if one["connection_id"] and one["state"] == "live"]
            followed = sum(len(one["subscriptions"]) for one in live)
            return state == "live" and len(live) == 2 and followed == 4

        await self.until(is_live)

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask as the owner."""
        socket = next((self.served.state / "run").glob("*/admin.sock"))
        admin = AdminClient("http://127.0.0.1", socket_path=socket)
        try:
            return await (admin.get(path) if method == "GET" else admin.post(path, body))
        finally:
            await admin.close()

    async def kill(self) -> None:
        """SIGKILL."""
        assert await self.served.stop(signal.SIGKILL) == -signal.SIGKILL

    @asynccontextmanager
    async def elsewhere(self) -> AsyncIterator[Caller]:
        """Run the project where nobody follows: what is changed there is changed meanwhile."""
        other = ServedProject(self.served.project, self.served.state)
        await other.start()
        try:
            yield Caller(other, self.ann.token, self.ann.user_id)
        finally:
            await other.close()


@pytest.fixture
async def stage(serve: Serve, browser: Browser) -> AsyncIterator[Stage]:
    """Both clients follow both functions, and were told the first values."""
    served = await serve(APP, is_started=False, is_warm=False)
    (served.project / "web").mkdir()
    (served.project / "web" / "index.html").write_text(PAGE)
    await served.start()
    ann = await served.login("ann@example.com")
    context = await browser.new_context()
    await signed_in(context, served, ann)
    async with connect(served.url, token=ann.token) as client:
        script = Script(client)
        found = Stage(served, await visit(context, served), script, ann)
        await found.converged()
        yield found
        await script.close()
    await context.close()


async def test_what_is_unchanged_is_not_told_again_and_what_changed_is(stage: Stage) -> None:
    """Killed with nothing to do, and killed while another changes it: old, and new."""
    await stage.ann.insert("Score", team="red", points=5)
    await stage.converged()
    before = await stage.told()
    await stage.kill()
    await stage.served.start()
    await stage.connected()
    await stage.ann.insert("Score", team="blue", points=99)
    await stage.converged()
    assert await stage.told() == before, "nobody is told what it shows"
    await stage.kill()
    async with stage.elsewhere() as ann:
        await ann.insert("Score", team="red", points=7)
    assert await stage.told() == before
    await stage.served.start()
    await stage.converged()
    for told, was in zip(await stage.told(), before, strict=True):
        assert told["best"] == [*was["best"], [7, 5]]
        assert told["mine"] == [*was["mine"], ["ann@example.com", False, 2]]


@pytest.mark.slow
async def test_kills_in_the_middle_of_writes_end_in_the_truth(stage: Stage) -> None:
    """Whenever it dies, both clients come to what a call answers, and never to what was not."""
    chance = random.Random(SEED)

    async def write() -> None:
        while True:
            await stage.ann.insert("Score", team="red", points=chance.randrange(1_000))

    for _ in range(KILLS):
        writing = asyncio.create_task(write())
        await asyncio.sleep(chance.uniform(0, 0.4))
        await stage.kill()
        with suppress(Exception):
            await writing
        await stage.served.start()
        await stage.converged()
    for told in await stage.told():
        counts = [value[2] for value in told["mine"]]
        assert counts == sorted(set(counts)), "in order, and no count twice"
        assert all(one != other for one, other in zip(told["best"], told["best"][1:], strict=False))


async def test_a_reload_tells_what_is_another_value_and_nothing_else(stage: Stage) -> None:
    """The same result by other code is no news; another is; and one that is gone says so."""
    path = stage.served.project / "app.py"
    await stage.ann.insert("Score", team="red", points=5)
    await stage.converged()
    before = await stage.told()

    async def reload(text: str) -> None:
        path.write_text(text)
        await stage.admin("POST", "admin/reload", {})

    await reload(APP.replace("limit=3", "limit=4"))
    await stage.ann.insert("Score", team="blue", points=1)
    await stage.converged()
    assert await stage.told() == before
    await reload(APP.replace("[one.points for", "[one.points * 2 for"))
    await stage.converged()
    for told, was in zip(await stage.told(), before, strict=True):
        assert told == {**was, "best": [*was["best"], [10]]}
    await reload(APP.replace("def best", "def other"))

    async def is_gone() -> bool:
        return all(one["best"][-1] == "NOT_FOUND" for one in await stage.told())

    await stage.until(is_gone)
    await reload(APP)
    await stage.converged()


async def test_another_role_is_told_and_lasts_over_a_kill(stage: Stage) -> None:
    """Granted while it runs; revoked where nobody follows."""
    await stage.admin(
        "POST", "admin/roles", {"user": "ann@example.com", "role": "chief", "grant": True}
    )
    await stage.converged()
    assert [one["mine"][-1][1] for one in await stage.told()] == [True, True]
    await stage.kill()
    await stage.served.start()
    await stage.connected()
    await stage.converged()
    assert [one["mine"][-1][1] for one in await stage.told()] == [True, True]
    await stage.admin(
        "POST", "admin/roles", {"user": "ann@example.com", "role": "chief", "grant": False}
    )
    await stage.kill()
    await stage.served.start()
    await stage.converged()
    assert [one["mine"][-1][1] for one in await stage.told()] == [False, False]


async def test_a_session_that_ended_meanwhile_is_told_nothing_more(stage: Stage) -> None:
    """It expired while the runtime was dead: no value of what came since reaches its clients."""
    await stage.kill()
    with closing(sqlite3.connect(stage.served.project / ".pylon" / "app.db")) as database:
        database.execute("UPDATE _pylon_sessions SET expires_at = 1")
        database.commit()
    before = await stage.told()
    await stage.served.start()
    ben = await stage.served.login("ben@example.com")
    await ben.insert("Score", team="red", points=1_000)

    async def is_out() -> bool:
        page = await stage.page.evaluate("db.status")
        return page["userId"] is None if "userId" in page else page["state"] != "live"

    await stage.until(is_out)
    await asyncio.sleep(1)
    await ben.insert("Score", team="red", points=2_000)
    for told, was in zip(await stage.told(), before, strict=True):
        assert "2000" not in str(told)
        assert "1000" not in str(told)
        assert told["mine"][: len(was["mine"])] == was["mine"]
