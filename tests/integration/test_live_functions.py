"""Followed functions end to end: a real runtime in process, the Python client, HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from pylon import jsonvalue
from pylon.client import ServerRefused
from pylon.client.subscription import seq_of
from pylon.testing import Running, running
from pylon.testing.inprocess import URL

BOARD = """
from __future__ import annotations

from pylon import App, Entity, Refused, actor, field

app = App("board")


@app.entity(read="isOwner() || data.open", insert="isOwner()", update="isOwner()",
            delete="isOwner()")
class Score(Entity):
    points: int = 0
    open: bool = True
    ownerId: str = field(default=actor, immutable=True)


@app.query
def board(ctx, least: int = 0) -> list:
    rows = ctx.db.list("Score", where={"points": {">=": least}}, order="-points")
    return [[one.points, one.ownerId == ctx.auth.user_id] for one in rows]


@app.query(allow="hasRole('judge')")
def total(ctx) -> int:
    with ctx.as_system():
        return sum(one.points for one in ctx.db.list("Score"))


@app.query(allow="true")
def open_count(ctx) -> int:
    if ctx.db.first("Score", points=13):
        raise Refused("UNLUCKY", "thirteen")
    return ctx.db.count("Score", where={"open": True})
"""


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Running]:
    """Run the app of scores."""
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "app.py").write_text(BOARD)
    async with running(folder) as found:
        yield found


async def test_a_script_follows_a_function(rt: Running) -> None:
    """The value now, each other one, and in the order of the writes that made them."""
    ann, ben = await rt.user("ann@example.com"), await rt.user("ben@example.com")
    anns, bens = ann.client.live("board", least=1), ben.client.live("board", least=1)
    assert await anns.ready() == []
    seen: list[Any] = []

    async def follow() -> None:
        async for value in bens:
            seen.append(value)

    following = asyncio.create_task(follow())
    await rt.settled()
    await ann.insert("Score", points=5)
    await rt.settled()
    secret = await ann.insert("Score", points=7, open=False)
    await rt.settled()
    assert anns.value == [[7, True], [5, True]]
    assert seen == [[], [[5, False]]]
    assert seq_of(anns.at) >= secret["_seq"]
    await ann.update("Score", secret.id, open=True)
    await rt.settled()
    assert seen[-1] == [[7, False], [5, False]]
    bens.close()
    await following
    runs = rt.runtime.services.hub.live.runs
    anns.close()
    await rt.settled()
    await ann.insert("Score", points=9)
    await rt.settled()
    assert rt.runtime.services.hub.live.runs == runs


async def test_errors_reach_the_script_and_heal(rt: Running) -> None:
    """A refusal is raised where the value would be; roles and rows bring it back."""
    ann, nobody = await rt.user("ann@example.com"), await rt.anonymous()
    total, count = ann.client.live("total"), nobody.client.live("open_count")
    with pytest.raises(ServerRefused, match="not allow"):
        await total.ready()
    assert await count.ready() == 0
    bad = await ann.insert("Score", points=13)
    await rt.settled()
    with pytest.raises(ServerRefused) as refused:
        _ = count.value
    assert refused.value.code == "UNLUCKY"
    await ann.delete("Score", bad.id)
    await ann.insert("Score", points=2)
    await rt.set_roles("ann@example.com", {"judge"})
    await rt.settled()
    assert count.value == 1
    assert total.value == 2


async def test_equal_calls_of_a_script_are_one_subscription(rt: Running) -> None:
    """The second waits for no server, and the last one that closes ends it."""
    ann = await rt.user("ann@example.com")
    one = ann.client.live("board", least=3)
    assert await one.ready() == []
    other = ann.client.live("board", least=3)
    assert other.value == []
    (connection,) = rt.runtime.services.hub.connections()
    assert len(connection.subscriber.functions) == 1
    one.close()
    await ann.insert("Score", points=3)
    await rt.settled()
    assert other.value == [[3, True]]
    other.close()
    await rt.settled()
    assert len(connection.subscriber.functions) == 0


async def test_a_pull_gives_rows_alone(rt: Running) -> None:
    """A function is no part of a batch: refused, with what to do instead."""
    ann = await rt.user("ann@example.com")
    with pytest.raises(ServerRefused) as refused:
        await ann.client.shell.connection.request(
            "GET", '/api/sync/pull?subscriptions=[{"id":"f","fn":"board"}]'
        )
    assert refused.value.code == "INVALID_ARGUMENT"
    assert "/api/fn/" in (refused.value.hint or "")


async def test_a_stream_of_events_follows_a_function(rt: Running) -> None:
    """Events `value` beside the batches, the newest only, errors too; a wrong name is a 404."""
    ann = await rt.user("ann@example.com")
    session = ann.client.shell.connection._session
    assert session is not None

    def url(*subscriptions: dict[str, Any]) -> str:
        text = quote(jsonvalue.encode_text(list(subscriptions)))
        return f"{URL}/api/sync/events?cursor={ann.client.cursor}&subscriptions={text}"

    async with session.get(url({"id": "f", "fn": "nope"})) as refused_at_once:
        assert refused_at_once.status == 404
    count, rows = {"id": "f", "fn": "open_count"}, {"id": "r", "entity": "Score"}
    async with session.get(url(count, rows)) as stream:
        assert await _next(stream) == ("value", {"subscription": "f", "value": 0}, True)
        await ann.insert("Score", points=13)
        events = [await _next(stream), await _next(stream)]
        assert sorted(kind for kind, _, _ in events) == ["changes", "value"]
        told = next(data for kind, data, _ in events if kind == "value")
        assert told["error"]["code"] == "UNLUCKY"
        await ann.insert("Score", points=1)
    await rt.settled()
    async with asyncio.timeout(8):  # the next write finds that he has left
        while rt.runtime.services.hub.live.sizes["live_members"]:
            await ann.insert("Score", points=1)
            await asyncio.sleep(0.02)


async def _next(stream: aiohttp.ClientResponse) -> tuple[str, dict[str, Any], bool]:
    """Return the next event, its data without `at`, and whether it had one."""
    kind, data = "", {}
    while line := (await stream.content.readline()).decode().strip():
        name, _, text = line.partition(": ")
        if name == "event":
            kind = text
        elif name == "data":
            data = jsonvalue.parse(text.encode())
    return kind, data, data.pop("at", None) is not None


async def test_a_revoked_session_is_told_no_value_more(rt: Running) -> None:
    """From the commit that revokes it on, also with values on their way (I63)."""
    ann, ben = await rt.user("ann@example.com"), await rt.user("ben@example.com")
    live = ann.client.live("board", least=1)
    assert await live.ready() == []
    hub, sessions = rt.runtime.services.hub, rt.runtime.services.sessions
    (session,) = sessions.sessions_of(str(ann.user_id))
    ended = asyncio.create_task(sessions.end(session.id, str(ann.user_id), "revoked"))
    await ben.insert("Score", points=5)
    assert await ended
    for _ in range(20):
        await asyncio.sleep(0)
    assert [one.identity.user_id for one in hub.connections()] == [ben.user_id]
    assert hub.live.sizes["live_members"] == 0
    await ben.insert("Score", points=6)
    await rt.advance(10)
    assert live.value is None
