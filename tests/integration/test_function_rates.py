"""Rates of functions: counted for whom, on which ways in, and what is told to who is too fast."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.in_process import House, house

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("rates")


@app.entity(read="true", insert="auth.userId != null")
class Item(Entity):
    n: int


@app.query(allow="true", rate="2/minute")
def ask(ctx, n: int = 0) -> int:
    return n


@app.mutation(rate="2/minute")
def put(ctx, n: int) -> None:
    ctx.db.insert(Item, n=n)


@app.action(rate="1/minute")
async def twice(ctx) -> int:
    await ctx.run(put, n=100)
    await ctx.run(put, n=101)
    await ctx.run(put, n=102)
    return await ctx.run(ask, n=1)
"""


@pytest.fixture
async def rates(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "app", APP) as found:
        yield found


async def test_a_rate_is_of_the_account_or_of_the_network(rates: House) -> None:
    """Another session of the same user shares it, another user does not; wrong calls count."""
    ada, again = await rates.login("ada@example.com"), await rates.login("ada@example.com")
    bob, nobody = await rates.login("bob@example.com"), rates.anonymous()
    assert (await ada.call("ask")).status == 200
    assert (await ada.call("ask", n="x")).code == "INVALID_ARGUMENT"
    for caller in (ada, again):
        answer = await caller.call("ask")
        assert (answer.status, answer.code) == (429, "RATE_LIMITED")
        assert answer.headers["Retry-After"] == "30"
        assert answer.body["error"]["details"] == {"retry_after": 30}
    assert (await bob.call("ask")).status == 200
    for _ in range(2):
        assert (await nobody.call("ask")).status == 200
    forged = {"X-Forwarded-For": "9.9.9.9", "Forwarded": "for=9.9.9.9"}
    assert (await nobody.ask("POST", "/api/fn/ask", {}, headers=forged)).status == 429
    await rates.rt.advance(30)
    assert (await nobody.call("ask")).status == 200
    assert (await nobody.call("ask")).status == 429


async def test_the_ways_in_share_a_rate_and_the_apps_own_calls_do_not_count(rates: House) -> None:
    """HTTP, the socket and pushes count as one; what a function calls is not counted."""
    ada = await rates.login("ada@example.com")
    socket = await ada.sync()
    await socket.until("welcome")
    assert (await ada.call("twice")).body == {"value": 1}
    assert (await ada.call("twice")).code == "RATE_LIMITED"
    call = {"type": "call", "fn": "ask", "args": {}}
    for n, code in enumerate((None, None, "RATE_LIMITED")):
        await socket.send({**call, "request_id": str(n)})
        assert (await socket.until("returned")).get("error", {}).get("code") == code
    assert (await ada.call("ask")).status == 429
    await socket.close()
    # The owner's own calls are nobody's.
    for _ in range(4):
        outcome = await rates.services.executor.call(_system(), "ask", {}, cause="cli")
        assert outcome.error is None


@pytest.mark.parametrize("is_atomic", [False, True])
async def test_nothing_behind_a_call_that_must_wait_happens_before_it(
    rates: House, is_atomic: bool
) -> None:
    """A push answers `retry` from there on; sent again later, all happens once and in order."""
    ada = await rates.login("ada@example.com")
    batch = [
        *({"op_id": f"p{n}", "fn": "put", "args": {"n": n}} for n in range(3)),
        {"op_id": "i", "fn": "pylon.insert", "args": {"entity": "Item", "values": {"n": 3}}},
    ]
    body: dict[str, Any] = {"operations": batch, "atomic": is_atomic}
    results = (await ada.post("/api/sync/push", body)).body["results"]
    done = [] if is_atomic else [0, 1]
    wanted = ["retry"] * 4 if is_atomic else ["applied", "applied", "retry", "retry"]
    assert [one["status"] for one in results] == wanted
    assert results[2]["error"]["code"] == "RATE_LIMITED"
    assert await _numbers(ada) == done
    await rates.rt.advance(90)
    for _ in range(4):
        results = (await ada.post("/api/sync/push", {"operations": batch})).body["results"]
        await rates.rt.advance(60)
    assert [one["status"] for one in results[:2]] == ["duplicate", "duplicate"]
    assert await _numbers(ada) == [0, 1]


async def _numbers(caller: Any) -> list[int]:
    rows = (await caller.get("/api/entities/Item?order=n")).body["rows"]
    return [row["n"] for row in rows]


def _system() -> Any:
    from pylon.identity import SYSTEM

    return SYSTEM
