"""`ctx.run` inside queries and mutations: one transaction, one authority, all or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.in_process import House, house

APP = """
from __future__ import annotations

from pylon import App, Entity, Refused

app = App("nested")


@app.entity(read="auth.userId == data.owner", insert="auth.userId == data.owner")
class Item(Entity):
    owner: str
    n: int


@app.query
def total(ctx) -> int:
    return sum(one.n for one in ctx.db.list(Item))


@app.query
def doubled(ctx) -> int:
    return 2 * ctx.run(total)


@app.query
def writes(ctx) -> None:
    ctx.run(put, n=1)


@app.mutation
def put(ctx, n: int) -> str:
    row = ctx.db.insert(Item, owner=ctx.auth.user_id, n=n)
    if n == 13:
        raise Refused("UNLUCKY", "not that one", n=n)
    if n == 14:
        raise ValueError("odd")
    return row.id


@app.mutation(allow="hasRole('staff')")
def staff(ctx) -> None: ...


@app.mutation
def several(ctx, numbers: list[int], catches: bool = False) -> dict:
    refused = []
    ids = []
    for n in numbers:
        try:
            ids.append(ctx.run(put, n=n))
        except (Refused, ValueError) as error:
            if not catches:
                raise
            refused.append(n)
    return {"total": ctx.run("doubled"), "refused": refused, "ids": ids}


@app.mutation
def asks(ctx, what: str) -> None:
    if what == "arguments":
        ctx.run(put, n="x")
    ctx.run({"staff": staff, "unknown": "nobody", "act": act, "deep": "deep"}[what])


@app.mutation(internal=True)
def deep(ctx) -> None:
    ctx.run(deep)


@app.action
async def act(ctx) -> dict:
    return await ctx.run(several, numbers=[1, 2])
"""


@pytest.fixture
async def nested(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "app", APP) as found:
        yield found


async def test_nested_calls_are_one_transaction(nested: House) -> None:
    """What is written is seen by what is called next; ids differ; the log has one transaction."""
    ada = await nested.login("ada@example.com")
    answer = (await ada.call("several", numbers=[1, 2, 3])).body["value"]
    assert (answer["total"], len(set(answer["ids"]))) == (12, 3)
    changes = (await ada.get("/api/sync/pull?cursor=0")).body["changes"]
    items = [one for one in changes if one["entity"] == "Item"]
    assert len({one["tx"] for one in items}) == 1
    assert (await ada.call("doubled")).body["value"] == 12
    assert (await ada.call("act")).body["value"]["total"] == 18


async def test_what_is_refused_inside_leaves_nothing_of_itself(nested: House) -> None:
    """Uncaught: nothing at all. Caught: all but that call, and sequence numbers without a gap."""
    ada = await nested.login("ada@example.com")
    before = (await ada.get("/api/sync/pull?cursor=0")).body["through"]
    answer = await ada.call("several", numbers=[1, 13, 2])
    assert (answer.status, answer.code) == (422, "UNLUCKY")
    assert answer.body["error"]["details"] == {"n": 13}
    assert (await ada.call("several", numbers=[14])).code == "INTERNAL"
    assert (await ada.call("total")).body["value"] == 0
    answer = await ada.call("several", numbers=[1, 13, 14, 2], catches=True)
    assert answer.body["value"]["refused"] == [13, 14]
    assert answer.body["value"]["total"] == 6
    batch = (await ada.get(f"/api/sync/pull?cursor={before}")).body
    assert [one["row"]["n"] for one in batch["changes"]] == [1, 2]
    first, last = (one["seq"] for one in batch["changes"])
    assert last == first + 1
    assert (await ada.get("/api/entities/Item?order=n")).body["rows"][0]["n"] == 1


async def test_what_is_called_is_judged_like_a_call_from_outside(nested: House) -> None:
    """Its `allow`, its arguments, its colour; one that calls itself for ever is told so."""
    ada = await nested.login("ada@example.com")
    for what, code in (
        ("staff", "POLICY_DENIED"), ("arguments", "INVALID_ARGUMENT"), ("unknown", "NOT_FOUND"),
        ("act", "INVALID_ARGUMENT"), ("deep", "INVALID_ARGUMENT"),
    ):  # fmt: skip
        assert (await ada.call("asks", what=what)).code == code, what
    assert (await ada.call("writes")).code == "INVALID_ARGUMENT"
    chief = await nested.login("chief@example.com", "staff")
    assert (await chief.call("asks", what="staff")).status == 200
