"""Many writers, many readers: one order without holes, never half a transaction (I11-I13, I15)."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pylon.client import PylonClient
from pylon.client.admin import AdminClient
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
WRITERS, PUSHES, OPERATIONS = 8, 12 * SCALE, 8
ACCOUNTS, MONEY = 10, 1_000
TOKEN = "owner" * 8
APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("order")
SIGNED_IN = "auth.userId != null"


@app.entity(read="true", insert=SIGNED_IN, update=SIGNED_IN)
class Account(Entity):
    money: int = 100


@app.entity(read="true", insert=SIGNED_IN)
class Note(Entity):
    n: int


@app.mutation
def move(ctx, source: str, target: str, amount: int) -> None:
    one, other = ctx.db.get("Account", source), ctx.db.get("Account", target)
    ctx.db.update("Account", source, money=one.money - amount)
    ctx.db.update("Account", target, money=other.money + amount)


@app.mutation(timeout=5)
def many(ctx, count: int) -> None:
    for n in range(count):
        ctx.db.insert("Note", n=n)


@app.query(allow="true")
def total(ctx) -> int:
    return sum(one.money for one in ctx.db.list("Account"))
"""


class Readers:
    """Everybody who looks, until the writers are done and all is seen."""

    def __init__(self, served: ServedProject, seed: int) -> None:
        self._served = served
        self._caller = served.anonymous()
        self._chance = random.Random(seed)
        self.is_over = False
        #: What each reader of the log saw, and where pages of pulls ended.
        self.logs: list[list[tuple[int, int]]] = []
        self.borders: set[int] = set()
        self.looks = 0

    async def log(self) -> None:
        """Follow the log as it is: each record follows the one before."""
        admin = AdminClient(self._served.url, token=TOKEN)
        seen: list[tuple[int, int]] = []
        self.logs.append(seen)
        while True:
            is_last, after = self.is_over, seen[-1][0] if seen else 0
            page = await admin.get("admin/log", after=after, limit=self._chance.randrange(1, 300))
            for change in page["changes"]:
                assert change["seq"] == len(seen) + 1, "nothing comes late, nothing is left out"
                seen.append((change["seq"], change["tx"]))
            if is_last and not page["changes"]:
                break
        await admin.close()

    async def pull(self) -> None:
        """Follow by pulls of any size; whatever is complete adds up."""
        cursor, rows = "", dict[str, dict[str, Any]]()
        while True:
            is_last, limit = self.is_over, self._chance.choice([1, 2, 7, 1_000])
            at = f"&cursor={cursor}" if cursor else ""
            page = (await self._caller.get(f"/api/sync/pull?limit={limit}{at}")).body
            for one in page["changes"]:
                if one["kind"] == "delete":  # it changed again, and comes with that change
                    rows.pop(one["row_id"], None)
                elif one["entity"] == "Account":
                    rows[one["row_id"]] = one["row"]
            cursor = page["through"]
            self.borders.add(int(cursor.rpartition(":")[2]))
            if not page["more"]:
                self._adds_up([row["money"] for row in rows.values()])
                if is_last:
                    return
                await asyncio.sleep(0.001)

    async def look(self) -> None:
        """List, and ask a function."""
        while not self.is_over:
            listed = await self._caller.get("/api/entities/Account?limit=100")
            self._adds_up([row["money"] for row in listed.body["rows"]])
            assert (await self._caller.call("total")).body["value"] == MONEY
            await asyncio.sleep(0.001)

    async def follow(self, client: PylonClient) -> None:
        """Look at a live view at each moment that it could have changed."""
        while not self.is_over:
            self._adds_up([row["money"] for row in client.rows("Account")])
            await asyncio.sleep(0)

    def _adds_up(self, money: list[int]) -> None:
        self.looks += 1
        assert (len(money), sum(money)) == (ACCOUNTS, MONEY), "half a transaction was to be seen"


async def _write(ada: Caller, accounts: list[str], writer: int) -> None:
    chance = random.Random(writer)
    for push in range(PUSHES):
        operations = []
        for place in range(OPERATIONS):
            source, target = chance.sample(accounts, 2)
            fn, args = chance.choice([
                ("move", {"source": source, "target": target, "amount": chance.randrange(50)}),
                ("move", {"source": source, "target": target, "amount": chance.randrange(50)}),
                ("many", {"count": chance.choice([1, 2, 60])}),
                ("move", {"source": "nobody", "target": target, "amount": 1}),
            ])  # fmt: skip
            operations.append({"op_id": f"{writer}-{push}-{place}", "fn": fn, "args": args})
        body = {"client_id": f"w{writer}", "operations": operations}
        results = (await ada.post("/api/sync/push", body)).body["results"]
        assert {one["status"] for one in results} <= {"applied", "rejected"}


@pytest.mark.timeout(600 * SCALE)
async def test_one_order_for_everybody_and_no_half_transactions(serve: Serve) -> None:
    """Eight writers; log, pulls of any size, lists, functions and a live view all along."""
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": TOKEN})
    ada = await served.login("ada@example.com")
    accounts = [(await ada.insert("Account"))["id"] for _ in range(ACCOUNTS)]
    readers = Readers(served, 3)
    async with PylonClient(served.url) as client:
        client.query("Account")
        await client.settled()
        looking: list[Callable[[], Awaitable[None]]] = [
            readers.log, readers.log, readers.pull, readers.pull, readers.look,
            lambda: readers.follow(client),
        ]  # fmt: skip
        tasks = [asyncio.ensure_future(one()) for one in looking]
        await asyncio.gather(*(_write(ada, accounts, writer) for writer in range(WRITERS)))
        readers.is_over = True
        await asyncio.gather(*tasks)
        head = int((await ada.get("/api/health")).body["head"].rpartition(":")[2])
        await client.until_cursor(head)
        listed = (await ada.get("/api/entities/Account?limit=100")).body["rows"]
        assert {row["id"]: row for row in client.rows("Account")} == {
            row["id"]: row for row in listed
        }
    first, second = readers.logs
    assert first == second
    assert len(first) == head
    ends = {seq for (seq, tx), (_, after) in zip(first, [*first[1:], (0, 0)], strict=True)
            if tx != after}  # fmt: skip
    assert readers.borders <= ends, "a page ends where a transaction does"
    assert readers.looks > 100


async def test_a_page_of_one_takes_a_transaction_whole(serve: Serve) -> None:
    """`limit=1` in front of five hundred rows gives five hundred (I15)."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await ada.insert("Account")
    before = (await ada.get("/api/health")).body["head"]
    assert (await ada.call("many", count=500)).status == 200
    await ada.insert("Account")
    page = (await ada.get(f"/api/sync/pull?cursor={before}&limit=1")).body
    assert len(page["changes"]) == 500
    assert len({one["tx"] for one in page["changes"]}) == 1
    assert page["more"] is True
