"""Actions that yield: parts over SSE and the socket, callers who leave, readers who are slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon import limits
from pylon.testing import ServerRefused
from pylon.testing.network import FairWeather, Link
from pylon.testing.served import Caller
from tests.integration.in_process import House, house

APP = """
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pylon import App, Entity, Refused

app = App("streams")
ended = []


@app.entity(read="true")
class Mark(Entity):
    text: str


@app.mutation(internal=True)
def mark(ctx, text: str) -> None:
    with ctx.as_system():
        ctx.db.insert(Mark, text=text)


@app.query(allow="true")
def marks(ctx) -> list[str]:
    return [one.text for one in ctx.db.list(Mark)]


@app.action(allow="true")
async def count(ctx, to: int = 3) -> AsyncIterator[int]:
    for n in range(to):
        yield n


@app.action(allow="true")
async def large(ctx, size: int, times: int) -> AsyncIterator[str]:
    for n in range(times):
        ended.append(n)
        yield "x" * size


@app.action(allow="true")
async def refuses(ctx, after: int) -> AsyncIterator[int]:
    for n in range(after):
        yield n
    raise Refused("NO_MORE", "that was all", after=after)


@app.action(allow="true")
async def lies(ctx) -> AsyncIterator[int]:
    yield "one"


@app.action(allow="hasRole('staff')")
async def waits(ctx, label: str) -> AsyncIterator[str]:
    try:
        yield "begun"
        while True:
            await asyncio.sleep(0.01)
            yield "on"
    except asyncio.CancelledError:
        ended.append(f"{label} cancelled")
        raise
    finally:
        with ctx.as_system():  # its caller may be nobody any more
            await ctx.run(mark, text=label)


@app.action(allow="true")
async def sleeps(ctx, label: str) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        await ctx.run(mark, text=label)


@app.action(allow="true", timeout=0.1)
async def stubborn(ctx) -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("shrugged")
            if ended.count("shrugged") > 1:
                raise


@app.action(allow="true")
async def quits(ctx) -> None:
    raise SystemExit(3)


@app.action(allow="true")
async def cancels_itself(ctx) -> None:
    raise asyncio.CancelledError
"""


@pytest.fixture
async def streams(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "app", APP) as found:
        yield found


def _ended(found: House) -> list[Any]:
    names = found.services.definitions.current.functions["count"].handler.__globals__
    ended: list[Any] = names["ended"]
    return ended


async def _events(answer: aiohttp.ClientResponse) -> list[tuple[str, Any]]:
    found = []
    for block in (await answer.text()).strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines["event"], json.loads(lines["data"])))
    return found


def _stream(caller: Caller, name: str, **args: Any) -> Any:
    return caller.served.session.post(
        f"{caller.served.url}/api/fn/{name}", json=args,
        headers={**caller.headers, "Accept": "text/event-stream"},
    )  # fmt: skip


async def _marks(caller: Caller, *wanted: str) -> None:
    async with asyncio.timeout(60):
        while sorted((await caller.call("marks")).body["value"]) != sorted(wanted):
            await asyncio.sleep(0.02)


async def test_parts_come_as_events_or_as_a_list(streams: House) -> None:
    """Each part by itself for who asks for events, all of them for who does not."""
    nobody = streams.anonymous()
    async with _stream(nobody, "count") as answer:
        assert answer.content_type == "text/event-stream"
        assert await _events(answer) == [
            *[("part", {"value": n}) for n in range(3)], ("returned", {"value": None})
        ]  # fmt: skip
    assert (await nobody.call("count", to=2)).body == {"value": [0, 1]}
    # What returns at once has no parts, and what is no action is no stream.
    async with _stream(nobody, "marks") as answer:
        assert await answer.json() == {"value": []}


async def test_a_stream_that_fails_says_so_at_its_end_or_before_it_begins(streams: House) -> None:
    """A refusal is an `error` event, or a plain answer where nothing was sent yet."""
    nobody = streams.anonymous()
    async with _stream(nobody, "refuses", after=1) as answer:
        *_, last = await _events(answer)
        assert last[0] == "error"
        assert last[1]["error"]["code"] == "NO_MORE"
        assert last[1]["error"]["details"] == {"after": 1}
    for name, args, status, code in (
        ("refuses", {"after": 0}, 422, "NO_MORE"), ("lies", {}, 500, "INTERNAL"),
        ("count", {"to": "x"}, 400, "INVALID_ARGUMENT"), ("nothing", {}, 404, "NOT_FOUND"),
        ("waits", {"label": "x"}, 401, "UNAUTHENTICATED"),
    ):  # fmt: skip
        async with _stream(nobody, name, **args) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)
    # A list that nobody reads part by part has an end.
    answer = await nobody.call("large", size=1_000_000, times=20)
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    assert len(_ended(streams)) < 12
    assert (await nobody.call("large", size=limits.PART_BYTES_MAX, times=1)).status == 413


async def test_frames_of_a_call_on_the_socket(streams: House) -> None:
    """`part` with the request's id, then `returned`; a cancelled one is told that it is."""
    staff = await streams.login("ada@example.com", "staff")
    socket = await staff.sync()
    await socket.until("welcome")
    await socket.send({"type": "call", "request_id": "r1", "fn": "count", "args": {"to": 2}})
    assert (await socket.until("part")) == {"type": "part", "request_id": "r1", "value": 0}
    assert (await socket.until("part"))["value"] == 1
    assert (await socket.until("returned")) == {
        "type": "returned", "request_id": "r1", "value": None
    }  # fmt: skip
    call = {"type": "call", "request_id": "r2", "fn": "waits", "args": {"label": "ws"}}
    await socket.send(call)
    assert (await socket.until("part"))["value"] == "begun"
    await socket.send({"type": "cancel", "request_id": "r2"})
    assert (await socket.until("returned"))["error"]["code"] == "CANCELLED"
    await _marks(staff, "ws")
    assert _ended(streams) == ["ws cancelled"]
    await socket.send({**call, "args": {"label": "again"}})  # the id is free again
    assert (await socket.until("part"))["value"] == "begun"
    await socket.close()
    await _marks(staff, "again", "ws")


async def test_scripts_read_parts_and_leave(streams: House) -> None:
    """The Python client: parts, refusals, what returns at once, and a loop that is left."""
    member = await streams.rt.user("ada@example.com", roles=["staff"])
    client = member.client
    assert [part async for part in client.stream("count", to=3)] == [0, 1, 2]
    assert await client.call("count", to=2) == [0, 1]
    with pytest.raises(ServerRefused) as refused:
        _ = [part async for part in client.stream("refuses", after=1)]
    assert refused.value.code == "NO_MORE"
    with pytest.raises(ServerRefused):
        _ = [part async for part in client.stream("nothing")]
    async with aclosing(client.stream("waits", label="script")) as parts:
        async for part in parts:
            assert part == "begun"
            break
    await _marks(streams.anonymous(), "script")


async def test_whoever_leaves_takes_his_call_with_him(streams: House) -> None:
    """Over HTTP, streaming or not; the `finally` runs, and nothing is counted any more."""
    staff = await streams.login("ada@example.com", "staff")
    async with _stream(staff, "waits", label="sse") as answer:
        await answer.content.readuntil(b"\n\n")
        assert streams.services.executor.doors.actions.count == 1
        answer.close()
    asking = asyncio.ensure_future(staff.call("sleeps", label="plain"))
    await asyncio.sleep(0.05)
    asking.cancel()
    await _marks(staff, "plain", "sse")
    assert _ended(streams) == ["sse cancelled"]
    assert streams.services.executor.doors.actions.count == 0


@pytest.mark.parametrize("way", ["http", "ws"])
@pytest.mark.parametrize("loss", ["session", "role"])
async def test_whoever_may_not_call_it_any_more_gets_no_more_of_it(
    streams: House, way: str, loss: str
) -> None:
    """A session that ended and a role that went end the stream, and cancel what runs."""
    staff = await streams.login("ada@example.com", "staff")
    if way == "ws":
        socket = await staff.sync()
        await socket.until("welcome")
        args = {"label": "x"}
        await socket.send({"type": "call", "request_id": "r", "fn": "waits", "args": args})
        await socket.until("part")
    else:
        answer = await _stream(staff, "waits", label="x")
        await answer.content.readuntil(b"\n\n")
    services = streams.services
    if loss == "session":
        assert (await staff.post("/api/auth/logout", {})).status == 204
    else:
        await services.accounts.ensure("ada@example.com", frozenset())
    await _marks(streams.anonymous(), "x")
    if way == "http":
        name, data = (await _events(answer))[-1]
        code = "UNAUTHENTICATED" if loss == "session" else "POLICY_DENIED"
        assert (name, data["error"]["code"]) == ("error", code)
    elif loss == "role":
        assert (await socket.until("returned"))["error"]["code"] == "POLICY_DENIED"


class _Slow(FairWeather):
    """Nothing arrives at whoever is slow, for as long as he is."""

    is_slow = False

    def is_held(self, link: Link) -> bool:
        return self.is_slow and link.client == "slow"


async def test_a_slow_reader_is_waited_for_and_hears_what_syncs(streams: House) -> None:
    """What waits for one who reads nothing stays bounded; others are served all the while."""
    nobody, weather = streams.anonymous(), _Slow()
    streams.rt.network.weather = weather
    async with aiohttp.ClientSession(connector=streams.rt.network.connector("slow")) as session:
        slow = House(streams.rt, session).anonymous()
        async with _stream(slow, "large", size=20_000, times=500) as answer:
            await answer.content.readuntil(b"\n\n")
            weather.is_slow = True
            for _ in range(20):
                assert (await nobody.call("count", to=1)).status == 200
                await asyncio.sleep(0.01)
            made = len(_ended(streams))
            await asyncio.sleep(0.1)
            assert len(_ended(streams)) == made < 500, "it goes on without a reader"
            (link,) = [one for one in streams.rt.network.links if one.client == "slow"]
            assert link.waiting(is_down=True) < 200_000
            weather.is_slow = False
            link.release()
            assert len(await _events(answer)) == 500
        _ended(streams).clear()
        socket = await slow.sync({"id": "s", "entity": "Mark"})
        await socket.until("welcome")
        (connection,) = streams.services.hub.connections()
        args = {"size": 20_000, "times": 500}
        await socket.send({"type": "call", "request_id": "r", "fn": "large", "args": args})
        await socket.until("part")
        weather.is_slow = True
        for _ in range(10):
            await streams.rt.clock.advance(0.05, _no_wait)
            await asyncio.sleep(0.01)
            assert connection.queued_bytes <= limits.PART_QUEUE_BYTES_MAX + 21_000
        made = len(_ended(streams))
        assert 0 < made < 50
        # What is committed meanwhile comes between the parts, not behind them all.
        await streams.rt.system_insert("Mark", text="now")
        weather.is_slow = False
        (link,) = [one for one in streams.rt.network.links if one.client == "slow"]
        link.release()
        reading = asyncio.ensure_future(socket.until("changes"))
        while not reading.done():
            await streams.rt.clock.advance(0.05, _no_wait)
        assert len(_ended(streams)) < made + 50
        await socket.close()


async def _no_wait() -> None:
    await asyncio.sleep(0)


async def test_one_that_never_waits_lets_others_run(streams: House) -> None:
    """A generator without an await of its own does not hold the loop."""
    nobody = streams.anonymous()
    busy = asyncio.ensure_future(nobody.call("count", to=20_000))
    await asyncio.sleep(0.01)
    assert (await nobody.call("count", to=1)).status == 200
    assert not busy.done()
    assert len((await busy).body["value"]) == 20_000


async def test_what_an_action_throws_harms_only_itself(streams: House) -> None:
    """SystemExit, its own cancellation, and one that shrugs cancellation off."""
    nobody = streams.anonymous()
    assert (await nobody.call("quits")).code == "INTERNAL"
    assert (await nobody.call("cancels_itself")).code == "INTERNAL"
    answer = await nobody.call("stubborn")
    assert (answer.status, answer.code) == (503, "FUNCTION_TIMEOUT")
    assert streams.services.executor.doors.actions.count == 1, "it is counted while it lasts"


async def test_actions_under_way_are_bounded(
    streams: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user has so many at a time, by whatever way he comes."""
    staff = await streams.login("ada@example.com", "staff")
    monkeypatch.setattr(streams.services.executor.doors.actions, "_per_user", 2)
    opened = [await _stream(staff, "waits", label=str(n)) for n in range(2)]
    refused = await staff.call("sleeps", label="third")
    assert (refused.status, refused.code) == (429, "RATE_LIMITED")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await streams.anonymous().call("count")).status == 200
    for one in opened:
        one.close()
    await _marks(staff, "0", "1")
    assert (await staff.call("count")).status == 200
