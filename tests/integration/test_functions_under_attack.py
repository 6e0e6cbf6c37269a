"""Functions against callers who want another's value, all the memory, or all the turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pylon import jsonvalue, limits_live
from pylon.client import ServerRefused
from pylon.testing.inprocess import URL
from tests.integration.in_process import House, house

APP = """
from __future__ import annotations

from pylon import App, Entity, actor, field

app = App("attacked")


@app.entity(read="isOwner() || data.open", insert="isOwner()", update="isOwner()",
            delete="isOwner()")
class Note(Entity):
    open: bool = True
    ownerId: str = field(default=actor, immutable=True)
    text: str = field(default="", read="isOwner()")


@app.query(allow="true")
def who(ctx) -> str | None:
    return ctx.identity.user_id


@app.query(allow="true")
def late(ctx) -> str | None:
    return ctx.auth.user_id if ctx.db.count("Note") > 1 else None


@app.query(allow="true")
def texts(ctx) -> list:
    return [getattr(one, "text", None) for one in ctx.db.list("Note")]


@app.query(allow="true")
def named(ctx, text: str) -> int:
    return ctx.db.count("Note", where={"text": text})


@app.query(allow="true")
def nested(ctx) -> list:
    return [ctx.run("who"), ctx.run("texts")]


@app.query(allow="true")
def inside(ctx) -> list:
    with ctx.as_system():
        return [len(ctx.db.list("Note")), ctx.identity.is_system, ctx.db.first("Note") is None]


@app.query(allow="true")
def long(ctx, n: int) -> str:
    return str(n) + "x" * 200_000
"""
CALLS: dict[str, dict[str, Any]] = {
    "who": {}, "late": {}, "texts": {}, "named": {"text": "s"}, "nested": {}, "inside": {},
}  # fmt: skip


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "app", APP) as found:
        yield found


async def _outcome(ask: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await ask()
    except ServerRefused as error:
        return error.code


async def test_threat_29_nobody_is_told_a_value_that_is_anothers(at: House) -> None:
    """However a function asks for its caller; what each follows is what he is answered."""
    rt = at.rt
    people = {
        "ann": await rt.user("ann@example.com"), "ben": await rt.user("ben@example.com"),
        "chief": await rt.user("chief@example.com", roles={"admin"}),
        "nobody": await rt.anonymous(),
    }  # fmt: skip
    lives = {
        (name, fn): one.client.live(fn, **args)
        for fn, args in CALLS.items() for name, one in people.items()
    }  # fmt: skip

    async def told() -> None:
        await rt.settled()
        for (name, fn), live in lives.items():
            answered = await _outcome(lambda fn=fn, one=people[name]: one.call(fn, **CALLS[fn]))
            assert await _outcome(live.ready) == answered, (name, fn)

    await told()
    ann, ben = people["ann"], people["ben"]
    note = await ann.insert("Note", open=False, text="s")
    await told()
    await ben.insert("Note", text="s")
    await told()
    for is_open in (True, False):
        await ann.update("Note", note.id, open=is_open)
        await told()
    await rt.set_roles("ben@example.com", {"admin"})
    await told()


async def test_a_stream_that_nobody_reads_keeps_few_values(at: House) -> None:
    """Beyond its bytes the others wait where they are kept once, and all come in the end."""
    wanted = [{"id": str(n), "fn": "long", "args": {"n": n}} for n in range(20)]
    text, live = quote(jsonvalue.encode_text(wanted)), at.services.hub.live
    async with at.session.get(f"{URL}/api/sync/events?subscriptions={text}") as stream:
        async with asyncio.timeout(60):
            while live.runs < len(wanted):
                await asyncio.sleep(0.01)
        assert live.sizes["live_held"] >= len(wanted) - 2 * (
            limits_live.LIVE_QUEUE_BYTES_MAX // 200_000
        )
        came: set[str] = set()
        async with asyncio.timeout(60):
            while len(came) < len(wanted):
                await at.rt.clock.advance(1.0, lambda: asyncio.sleep(0))
                line = await stream.content.readline()
                if line.startswith(b'data: {"subscription"'):
                    came.add(line.split(b'"')[3].decode())
