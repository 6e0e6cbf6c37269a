"""The log is trimmed under people who read it: each gets every page, or is told to start over."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from typing import Any

import pytest

from pylon.client import PylonClient
from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.ids import IdSource
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("trim")
SIGNED_IN = "auth.userId != null"


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Thing(Entity):
    n: int


@app.mutation
def many(ctx, place: int, count: int, n: int) -> None:
    for key in range(place, place + count):
        row = ctx.db.get("Thing", f"t{key}")
        if row is None:
            ctx.db.insert("Thing", id=f"t{key}", n=n)
        elif n % 3 == 0:
            ctx.db.delete("Thing", row.id)
        else:
            ctx.db.update("Thing", row.id, n=n)
"""


class Trimmer:
    """The owner, who trims over the admin protocol as `pylon log trim` does."""

    def __init__(self, served: ServedProject, token: str) -> None:
        self._admin = AdminClient(served.url, token=token)

    async def trim(self, keep: int) -> int:
        """Keep the newest changes; returns the seq of the horizon."""
        done = await self._admin.post("admin/log-trim", {"keep_changes": keep, "keep_days": 0})
        return _seq(done["horizon"])

    async def close(self) -> None:
        await self._admin.close()


def _seq(cursor: str) -> int:
    return int(cursor.rpartition(":")[2])


class Pager:
    """A replica that pulls a few entries at a time and starts over only when it is told to."""

    def __init__(self, caller: Caller, limit: int) -> None:
        self._caller = caller
        self._limit = limit
        self.cursor = ""
        self.rows: dict[str, dict[str, Any]] = {}
        self.pages = self.resyncs = 0

    async def step(self) -> bool:
        """Take one page; tells whether there is more."""
        if not self.cursor:
            await self._hydrate()
        answer = await self._caller.get(f"/api/sync/pull?cursor={self.cursor}&limit={self._limit}")
        if answer.status == 410:
            assert answer.body["error"]["details"]["reason"] == "cursor_too_old"
            assert _seq(self.cursor) < _seq(answer.body["error"]["details"]["horizon"])
            self.cursor, self.rows = "", {}
            self.resyncs += 1
            return True
        assert answer.status == 200, answer
        assert answer.body["after"] == self.cursor
        for one in answer.body["changes"]:
            local = self.rows.get(one["row_id"])
            if one["kind"] == "delete":
                if local is not None and local["_seq"] < one["seq"]:
                    del self.rows[one["row_id"]]
            elif local is None or local["_seq"] < one["seq"]:
                self.rows[one["row_id"]] = one["row"]
        self.cursor = answer.body["through"]
        self.pages += 1
        return bool(answer.body["more"])

    async def _hydrate(self) -> None:
        after: str | None = ""
        while after is not None:
            page = (await self._caller.get(f"/api/sync/snapshot?entity=Thing&after={after}")).body
            self.cursor = self.cursor or page["at"]
            for row in page["rows"]:
                if row["_seq"] >= self.rows.get(row["id"], {"_seq": 0})["_seq"]:
                    self.rows[row["id"]] = row
            after = page["next"]


async def test_whoever_reads_while_it_is_trimmed_ends_right(serve: Serve) -> None:
    """Slow pagers, a quick one and a live client over a log that is cut all the time (I20, I21)."""
    token = "owner" * 8
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": token})
    ada = await served.login("ada@example.com")
    owner, chance = Trimmer(served, token), random.Random(4)
    pagers = [Pager(served.anonymous(), limit) for limit in (1, 3, 50)]
    is_over = asyncio.Event()

    async def write() -> None:
        for n in range(120):
            place, count = chance.randrange(40), chance.choice([1, 1, 2, 9])
            assert (await ada.call("many", place=place, count=count, n=n)).status == 200

    async def trim() -> None:
        while not is_over.is_set():
            await owner.trim(chance.randrange(60))
            await asyncio.sleep(0.01)

    async def page(pager: Pager, rest_s: float) -> None:
        while not is_over.is_set():
            await pager.step()
            await asyncio.sleep(rest_s)
        # What was asked before the end may have been answered before the last write.
        while await pager.step():
            await asyncio.sleep(rest_s)

    async with PylonClient(served.url) as client:
        client.query("Thing")
        await client.settled()
        reading = [
            asyncio.create_task(page(one, rest))
            for one, rest in zip(pagers, (0.02, 0.01, 0), strict=True)
        ]
        trimming = asyncio.create_task(trim())
        await write()
        is_over.set()
        await asyncio.gather(trimming, *reading)
        listed = (await ada.get("/api/entities/Thing?limit=1000")).body["rows"]
        truth = {row["id"]: row for row in listed}
        head = (await ada.get("/api/health")).body["head"]
        await client.until_cursor(_seq(head))
        assert {row["id"]: row for row in client.rows("Thing")} == truth
    for pager in pagers:
        assert pager.rows == truth
        assert pager.cursor == head
        assert pager.pages > 1
    assert pagers[0].resyncs > 0, "somebody was overtaken"
    await owner.close()


@pytest.mark.parametrize("away", [-1, 0, 1])
async def test_the_edge_is_the_same_by_every_way(serve: Serve, away: int) -> None:
    """At the horizon one goes on by pull, socket and events; before it one starts over (I17)."""
    token = "owner" * 8
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": token})
    ada = await served.login("ada@example.com")
    owner = Trimmer(served, token)
    for n in range(1, 12):
        await ada.call("many", place=n, count=1, n=1)
    horizon = await owner.trim(5)
    await owner.close()
    head = (await ada.get("/api/health")).body["head"]
    assert horizon == _seq(head) - 5
    cursor = f"{head.partition(':')[0]}:{horizon + away}"
    pulled = await ada.get(f"/api/sync/pull?cursor={cursor}")
    socket = await ada.sync(
        {"id": "s", "entity": "Thing", "have": True}, cursor=cursor, client_id="c"
    )
    events = await served.session.get(f"{served.url}/api/sync/events?cursor={cursor}")
    if away < 0:
        assert pulled.body["error"]["details"]["reason"] == "cursor_too_old"
        assert (await socket.until("resync"))["reason"] == "cursor_too_old"
        assert events.status == 410
        nothing = await ada.get("/api/sync/pull")
        assert nothing.body["error"]["details"]["reason"] == "cursor_too_old", "no loop at zero"
    else:
        seqs = [one["seq"] for one in pulled.body["changes"]]
        assert seqs == list(range(horizon + away + 1, _seq(head) + 1))
        assert (await socket.until("changes"))["changes"] == pulled.body["changes"]
        assert events.status == 200
        first = (await events.content.readuntil(b"\n\n")).decode()
        assert first.startswith(f"id: {head}\nevent: changes\n")
    events.close()
    await socket.close()


async def test_an_id_from_before_memory_is_refused_whatever_the_clock_says(serve: Serve) -> None:
    """What was forgotten is never done again; newer ids and other ids are new (I42)."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    clock = SystemClock()
    ids = IdSource(clock, os.urandom)
    old, other = ids.uuid7(), "op-1"

    async def push(op_id: str, n: int) -> dict[str, Any]:
        args = {"place": n, "count": 1, "n": 1}
        body = {"client_id": "c", "operations": [{"op_id": op_id, "fn": "many", "args": args}]}
        result: dict[str, Any] = (await ada.post("/api/sync/push", body)).body["results"][0]
        return result

    assert (await push(old, 1))["status"] == "applied"
    assert (await push(other, 2))["status"] == "applied"
    await served.stop()
    with sqlite3.connect(served.project / ".pylon" / "app.db") as database:
        database.execute("DELETE FROM _pylon_ops")
        database.execute("INSERT INTO _pylon_meta VALUES ('ops_forgotten', ?)", (clock.now_ms(),))
    await served.start()
    refused = await push(old, 1)
    assert (refused["status"], refused["error"]["code"]) == ("rejected", "OPERATION_EXPIRED")
    await asyncio.sleep(0.005)
    assert (await push(ids.uuid7(), 3))["status"] == "applied"
    assert (await push(other, 4))["status"] == "applied"
