"""Scripts: `pylon.client` against a real runtime, and against one in process."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pylon.client import PylonClient, ServerRefused, connect
from pylon.client.store import Store
from pylon.client.store_sqlite import SqliteStore
from pylon.testing import Running, running
from pylon.testing.inprocess import URL
from pylon.testing.served import ServedProject

NOTES = """
from __future__ import annotations

from pylon import App, Entity, actor, field

app = App("notes")


@app.entity(read="isOwner()", insert="isOwner()", update="isOwner()", delete="isOwner()")
class Note(Entity):
    body: str
    rank: int = 0
    ownerId: str = field(default=actor, immutable=True)


@app.mutation
def tidy(ctx) -> int:
    notes = ctx.db.list("Note", limit=1000)
    for one in notes:
        ctx.db.delete("Note", one.id)
    return len(notes)
"""
Open = Callable[..., Awaitable[PylonClient]]


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Running]:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "app.py").write_text(NOTES)
    async with running(folder) as running_app:
        yield running_app


async def _token(rt: Running, email: str) -> str:
    services = rt.runtime.services
    return (await services.sessions.issue(await services.accounts.ensure(email))).token


@pytest.fixture
async def visit(rt: Running) -> AsyncIterator[Open]:
    """Open clients of a user on a store: one visit after the other."""
    opened: list[PylonClient] = []

    async def open_client(
        email: str, store: Store | None = None, token: str | None = None
    ) -> PylonClient:
        held = token or await _token(rt, email)
        client = PylonClient(
            URL, token=held, store=store, clock=rt.clock, ids=rt.runtime.ids,
            connector=lambda: rt.network.connector(email),
        )  # fmt: skip
        opened.append(client)
        return await client.open()

    yield open_client
    for client in opened:
        await client.close()


async def test_a_script_connects_reads_writes_and_leaves(
    serve: Callable[..., Awaitable[ServedProject]], tmp_path: Path
) -> None:
    """The way of docs/client.md over real sockets, with a store that the next run goes on from."""
    served = await serve(NOTES)
    token = (await served.login("ann@example.com")).token
    path = tmp_path / "replica.db"
    async with connect(served.url, token=token, store=path) as db:
        notes = db.query("Note", {"rank": {">": 0}}, order=["-rank"])
        assert await notes.ready() == []
        await db.insert("Note", body="low", rank=1)
        high = await db.insert("Note", body="high", rank=2)
        assert [one.body for one in notes.rows] == ["high", "low"]
        await db.update("Note", high.id, rank=0)
        assert [one.body for one in notes.rows] == ["low"]
        await db.settled()
        assert (db.status.state, db.status.pending, db.pending) == ("live", 0, [])
        cursor = db.cursor
    await served.stop()
    async with connect(served.url, token=token, store=path) as db:
        notes = db.query("Note", {"rank": {">": 0}})
        async with asyncio.timeout(60):
            while not notes.rows:
                await asyncio.sleep(0.01)
        assert db.status.state in ("offline", "connecting")
        assert db.cursor == cursor
        assert [one.body for one in notes.rows] == ["low"]


async def test_functions_are_called_in_their_turn(rt: Running, visit: Open) -> None:
    """A mutation waits behind the writes before it."""
    db = await visit("ann@example.com")
    first = asyncio.ensure_future(db.insert("Note", body="a"))
    second = asyncio.ensure_future(db.insert("Note", body="b"))
    assert await db.call("tidy") == 2
    await asyncio.gather(first, second)


async def test_a_query_tells_each_change(rt: Running, visit: Open) -> None:
    """`async for` gives the rows once complete, then whenever they changed, and no more."""
    db = await visit("ann@example.com")
    query = db.query("Note", order=["rank"])
    seen: list[list[str]] = []

    async def follow() -> None:
        async for rows in query:
            seen.append([one.body for one in rows])

    following = asyncio.create_task(follow())
    await query.ready()
    while not seen:
        await asyncio.sleep(0)
    note = await db.insert("Note", body="a", rank=2)
    await db.insert("Note", body="b", rank=1)
    await db.delete("Note", note.id)
    await db.settled()
    query.close()
    await following
    assert seen[0] == []
    assert seen[-1] == ["b"]
    assert all(before != after for before, after in itertools.pairwise(seen))


async def test_equal_queries_share_a_subscription(rt: Running, visit: Open) -> None:
    """Rows stay until the last query that asks for them is closed."""
    db = await visit("ann@example.com")
    first, second = db.query("Note", {"rank": 1}), db.query("Note", {"rank": 1}, order=["body"])
    assert len(db.machine.replica.subscriptions) == 1
    await first.ready()
    await db.insert("Note", body="a", rank=1)
    await db.settled()
    first.close()
    first.close()
    assert [one.body for one in second.rows] == ["a"]
    second.close()
    assert db.rows("Note") == []


async def test_a_refused_query_says_why(rt: Running, visit: Open) -> None:
    """Waiting for rows that never come ends with the server's code."""
    db = await visit("ann@example.com")
    with pytest.raises(ServerRefused) as refused:
        await db.query("Note", {"nonsense": 1}).ready()
    assert refused.value.code == "INVALID_ARGUMENT"


async def test_what_waits_survives_a_kill_and_is_sent_in_order(
    rt: Running, visit: Open, tmp_path: Path
) -> None:
    """A program that dies offline loses no write that its store had."""
    path = tmp_path / "replica.db"
    token = await _token(rt, "ann@example.com")
    db = await visit("ann@example.com", SqliteStore(path), token)
    note = await db.insert("Note", body="one")
    await db.settled()
    accept, rt.network._accept = rt.network._accept, None
    rt.network.reset_all()
    waiting = [
        db.start_mutation("pylon.update", {"entity": "Note", "id": note.id, "values": values})[1]
        for values in ({"body": "two"}, {"rank": 7}, {"body": "three"})
    ]
    await db.shell.flushed()
    assert [len(one.effects) for one in db.pending] == [1, 1, 1]
    await db.shell.abandon()
    assert [type(one.exception()).__name__ for one in waiting] == ["Unavailable"] * 3
    rt.network._accept = accept
    again = await visit("ann@example.com", SqliteStore(path), token)
    await again.query("Note").ready()
    async with asyncio.timeout(60):
        while again.pending:
            await asyncio.sleep(0.01)
    [row] = again.rows("Note")
    assert (row.body, row.rank) == ("three", 7)
    assert again.status.error is None


async def test_what_waits_can_be_given_up(rt: Running, visit: Open) -> None:
    """A discarded mutation leaves the view and is never sent; whoever waits is told."""
    db = await visit("ann@example.com")
    await db.query("Note").ready()
    accept, rt.network._accept = rt.network._accept, None
    rt.network.reset_all()
    op_id, answer = db.start_mutation(
        "pylon.insert", {"entity": "Note", "id": "n1", "values": {"body": "typo"}}
    )
    assert [one.op_id for one in db.pending] == [op_id]
    assert [one.body for one in db.rows("Note")] == ["typo"]
    db.discard(op_id)
    with pytest.raises(ServerRefused) as told:
        await answer
    assert told.value.code == "ABORTED"
    assert (db.pending, db.rows("Note")) == ([], [])
    rt.network._accept = accept
    await rt.settled()
    assert rt.runtime.services.database.readers.inline.get(rt._entity("Note"), "n1") is None


async def test_another_user_of_a_store_finds_it_empty(
    rt: Running, visit: Open, tmp_path: Path
) -> None:
    """Rows of one user are gone from the file before the other is live; his writes stay his."""
    path = tmp_path / "replica.db"
    ann = await visit("ann@example.com", SqliteStore(path))
    await ann.query("Note").ready()
    await ann.insert("Note", body="Ann's secret")
    await ann.settled()
    await ann.shell.flushed()
    await ann.shell.abandon()
    bob = await visit("bob@example.com", SqliteStore(path))
    query = bob.query("Note")
    assert query.rows == []
    assert await query.ready() == []
    await bob.shell.flushed()
    assert all(b"secret" not in one.read_bytes() for one in path.parent.glob("replica.db*"))


async def test_another_token_sees_nothing_offline(rt: Running, tmp_path: Path) -> None:
    """Whoever opens the file without the server, with another token, gets no row of the first."""
    path = tmp_path / "replica.db"
    token = await _token(rt, "ann@example.com")

    def client(held: str | None) -> PylonClient:
        return PylonClient(
            URL, token=held, store=SqliteStore(path), clock=rt.clock,
            connector=lambda: rt.network.connector("ann"),
        )  # fmt: skip

    async with client(token) as ann:
        await ann.query("Note").ready()
        await ann.insert("Note", body="Ann's secret")
        await ann.settled()
    rt.network._accept = None
    rt.network.reset_all()
    async with client(token) as again:
        query = again.query("Note")
        async with asyncio.timeout(60):
            while not query.rows:
                await asyncio.sleep(0.01)
    async with client(None) as nobody:
        query = nobody.query("Note")
        for _ in range(20):
            await rt.clock.advance(1)
        assert query.rows == []
    assert all(b"secret" not in one.read_bytes() for one in path.parent.glob("replica.db*"))


async def test_queries_of_an_earlier_run_end_when_nobody_asks_again(
    rt: Running, visit: Open, tmp_path: Path
) -> None:
    """A store does not follow for ever what one run once asked for."""
    path = tmp_path / "replica.db"
    token = await _token(rt, "ann@example.com")
    first = await visit("ann@example.com", SqliteStore(path), token)
    await first.query("Note", {"rank": 1}).ready()
    await first.query("Note", {"rank": 2}).ready()
    await first.shell.flushed()
    await first.shell.abandon()
    second = await visit("ann@example.com", SqliteStore(path), token)
    second.query("Note", {"rank": 2})
    assert len(second.machine.replica.subscriptions) == 2
    await rt.advance(31)
    [left] = second.machine.replica.subscriptions.values()
    assert left.definition.where == {"rank": 2}
