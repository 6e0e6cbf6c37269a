"""Live delivery: whom a commit reaches, with which bytes, and what becomes of who can't take it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.policy import audience
from pylon.policy.compiled import CompiledFilter
from pylon.server.storage.transaction import Transaction
from pylon.server.sync import pump as pump_module
from pylon.server.sync.subscriber import Phase
from pylon.server.sync.view import View
from tests.unit.server.sync.hubs import Hubs, hubs_at, user

NOTES = {"id": "s", "entity": "Note"}
ANN, BOB = user("ann"), user("bob")


@pytest.fixture
async def hubs(tmp_path: Path) -> AsyncIterator[Hubs]:
    """A hub over an empty database."""
    async with hubs_at(tmp_path) as made:
        yield made


def _by_rank(n: int) -> dict[str, Any]:
    return {"id": "s", "entity": "Note", "where": {"rank": n, "secret": False}}


async def test_a_commit_costs_by_whom_it_concerns(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many filters one is asked, and the connections of the others are not looked at."""
    peers = [await hubs.live(ANN, _by_rank(n)) for n in range(60)]
    for peer in peers:
        peer.clear()
    asked: list[CompiledFilter] = []
    looked: list[Any] = []
    matches, is_ready = CompiledFilter.matches, hubs.hub._pump._is_ready
    monkeypatch.setattr(
        CompiledFilter, "matches",
        lambda self, row, now="": asked.append(self) or matches(self, row, now),
    )  # fmt: skip
    monkeypatch.setattr(
        hubs.hub._pump, "_is_ready", lambda one: looked.append(one) or is_ready(one)
    )
    await hubs.put("Note", "n", rank=7)
    await hubs.settle()
    assert len(asked) == 1
    assert looked == [peers[7].connection]
    assert [n for n, peer in enumerate(peers) if peer.transport.writes] == [7]
    await hubs.put("Note", "n", rank=8)
    await hubs.settle()
    assert peers[7].changes() == [("insert", "n", None), ("delete", "n", "filtered")]
    assert peers[8].changes() == [("insert", "n", None)]


async def test_who_was_not_concerned_is_moved_by_the_heartbeat(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty batch from the old cursor to the head, without asking for the records again."""
    peer = await hubs.live(ANN, _by_rank(1))
    peer.clear()
    for n in range(3):
        await hubs.put("Note", f"n{n}", rank=5)
    await hubs.settle()
    assert peer.transport.writes == []
    reads = hubs.reads
    asked: list[Any] = []
    project = View.project
    monkeypatch.setattr(View, "project", lambda *given: asked.append(given) or project(*given))
    hubs.hub.flush(peer.connection)
    await hubs.settle(peer)
    peer.apply()
    assert peer.of("changes")[-1]["changes"] == []
    assert peer.cursor.endswith(":3")
    assert asked == []
    assert hubs.reads == reads, "it was not sent to the log either"


async def test_equal_views_share_the_very_bytes(hubs: Hubs) -> None:
    """Twenty users who may see the same row at the same cursor get one frame, made once."""
    peers = [await hubs.live(user(f"u{n}"), NOTES) for n in range(20)]
    for peer in peers:
        peer.clear()
    await hubs.put("Note", "n", owner="nobody")
    await hubs.settle()
    assert len({id(peer.transport.writes[-1]) for peer in peers}) == 1
    await hubs.put("Note", "n", secret=True, owner="u3")
    await hubs.settle()
    assert peers[3].changes()[-1] == ("update", "n", None)
    assert all(
        peer.changes()[-1] == ("delete", "n", "hidden")
        for place, peer in enumerate(peers) if place != 3
    )  # fmt: skip
    assert len({id(peer.transport.writes[-1]) for peer in peers}) == 2


async def test_a_thousand_owners_are_one_question(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that names the caller is not judged class by class (DESIGN §5.4)."""
    peers = [await hubs.live(user(f"u{n}"), NOTES, {"id": "m", "entity": "Message"})
             for n in range(200)]  # fmt: skip
    for name in ("u3", "u4"):
        await hubs.put("Member", f"m-{name}", room="r", userId=name)
    await hubs.settle(*peers)
    for peer in peers:
        peer.clear()
    policies = hubs.definitions.current.policies.policies
    for policy in policies.values():
        monkeypatch.setattr(type(policy), "judge", _never)
    lookups = 0

    class Counting:
        def __init__(self, reader: Any) -> None:
            self._reader = reader
            self.raw = reader.raw

        def inverse(self, *asked: Any) -> Any:
            nonlocal lookups
            lookups += 1
            return self._reader.inverse(*asked)

    readers = hubs.database.readers
    monkeypatch.setattr(readers, "_inline_reads", Counting(readers.inline))
    monkeypatch.setattr(CompiledFilter, "matches", lambda self, row, now="": True)
    judged = audience._judged
    facts: list[Any] = []
    monkeypatch.setattr(audience, "_judged", lambda one, answers, moment: (
        facts.append(answers) or judged(one, answers, moment)
    ))  # fmt: skip

    def both(tx: Transaction) -> None:
        hubs.put_in(tx, "Note", "mine", owner="u7", secret=True)
        hubs.put_in(tx, "Message", "hi", room="r")
        hubs.put_in(tx, "Message", "ho", room="r")

    await hubs.work(both)
    await hubs.settle()
    got = {peer.connection.identity.user_id: [one[1] for one in peer.changes()] for peer in peers
           if peer.transport.writes}  # fmt: skip
    assert got == {"u7": ["mine"], "u3": ["hi", "ho"], "u4": ["hi", "ho"]}
    assert lookups == 1
    assert facts == [()], "one question, of the row alone"


def _never(*_: Any) -> bool:
    raise AssertionError("asked one by one")


async def test_a_busy_socket_gets_one_frame_when_it_has_drained(hubs: Hubs) -> None:
    """Changes of several commits share it; nothing more is queued meanwhile."""
    hubs.new_hub(queue_bytes_max=4_000)
    peer = await hubs.live(ANN, NOTES)
    peer.clear()
    peer.transport.stuck = True
    await hubs.put("Note", "n0", text="x" * 2_000)
    await hubs.settle()
    for n in range(1, 6):
        await hubs.put("Note", f"n{n}", text="x" * 500)
        await asyncio.sleep(0.005)
    assert len(peer.transport.writes) == 1
    peer.transport.drain()
    await hubs.settle(peer)
    assert len(peer.transport.writes) == 2
    assert len(peer.of("changes")[1]["changes"]) == 5
    assert peer.ids == {f"n{n}" for n in range(6)}


async def test_who_can_not_keep_up_goes_on_from_the_log(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the tail no longer reaches back to a cursor, nothing is missed."""
    monkeypatch.setattr(limits, "TAIL_ENTRIES_MAX", 3)
    hubs.new_hub(queue_bytes_max=4_000)
    peer = await hubs.live(ANN, NOTES)
    peer.transport.stuck = True
    for n in range(9):
        await hubs.put("Note", f"n{n}", text="x" * 600)
    await hubs.settle()
    peer.transport.drain()
    await hubs.settle(peer)
    assert peer.ids == {f"n{n}" for n in range(9)}
    assert peer.connection.subscriber.phase is Phase.LIVE


async def test_large_passes_are_cut_at_transactions(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames near their size, `more` on all but the last, each through a transaction's end."""
    monkeypatch.setattr(limits, "FRAME_BYTES_MAX", 3_000)
    peer = await hubs.live(ANN, _by_rank(1))
    peer.clear()
    pump = hubs.hub._pump
    pump._handle = asyncio.get_running_loop().call_later(60, pump._pump)
    ends = []
    for n in range(6):

        def some(tx: Transaction, n: int = n) -> None:
            for each in range(3):
                hubs.put_in(tx, "Note", f"n{n}{each}", rank=1, text="x" * 300)
            hubs.put_in(tx, "Note", f"other{n}", rank=2)

        ends.append(await hubs.work(some))
    pump._pump()
    await hubs.settle(peer)
    batches = peer.of("changes")
    assert len(batches) == 3
    assert [one["more"] for one in batches] == [True, True, False]
    assert {int(one["through"].partition(":")[2]) for one in batches} <= set(ends)
    assert len(peer.ids) == 18


@pytest.mark.parametrize("is_cut", [True, False])
async def test_much_is_delivered_in_turns(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch, is_cut: bool
) -> None:
    """Others get the loop in between; `more` until the end, also for whom the end says nothing."""
    monkeypatch.setattr(pump_module, "_TURN_SECONDS", -1.0 if is_cut else 60.0)
    every, first = await hubs.live(ANN, NOTES), await hubs.live(ANN, _by_rank(0))
    for peer in (every, first):
        peer.clear()
    pump = hubs.hub._pump
    pump._handle = asyncio.get_running_loop().call_later(60, pump._pump)
    for n in range(5):

        def some(tx: Transaction, n: int = n) -> None:
            for each in range(3):
                hubs.put_in(tx, "Note", f"n{n}{each}", rank=n)
            hubs.put_in(tx, "Note", "again", rank=n)

        await hubs.work(some)
    pump._pump()
    if is_cut:
        late = await hubs.live(ANN, NOTES)  # comes between two turns
        await hubs.put("Note", "last", rank=7)
        assert late.ids >= {"n00", "n42"}
    await hubs.settle(every, first)
    assert every.ids == {"again", *(f"n{n}{k}" for n in range(5) for k in range(3))} | (
        {"last"} if is_cut else set()
    )
    mores = [batch["more"] for batch in every.of("changes")]
    assert mores == ([True] * 4 + [False] * (len(mores) - 4) if is_cut else [False])
    assert first.ids == {"n00", "n01", "n02"}
    assert [batch["more"] for batch in first.of("changes")][-1] is False
    assert len(first.of("changes")) == (3 if is_cut else 1)


async def test_a_huge_transaction_is_read_on_a_thread(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would hold the loop is caught up from the log, whole; those beside it go on live."""
    monkeypatch.setattr(pump_module, "_TOLD_MAX", 20)
    every, other = (
        await hubs.live(ANN, NOTES),
        await hubs.live(BOB, {"id": "m", "entity": "Member"}),
    )
    window = await hubs.live(ANN, {"id": "w", "entity": "Note", "order": ["-rank"], "limit": 1})
    for peer in (every, other):
        peer.clear()
    pump, reads = hubs.hub._pump, hubs.reads
    asked: list[int] = []
    ask = pump._ask
    monkeypatch.setattr(pump, "_ask", lambda *given: asked.append(len(given[0])) or ask(*given))
    pump._handle = asyncio.get_running_loop().call_later(60, pump._pump)
    await hubs.put("Note", "before", rank=1)

    def many(tx: Transaction) -> None:
        for n in range(30):
            hubs.put_in(tx, "Note", f"n{n}", rank=n)

    await hubs.work(many)
    await hubs.put("Member", "m", room="r", userId="bob")
    pump._pump()
    await hubs.settle(every, other, window)
    assert every.ids == {"before", *(f"n{n}" for n in range(30))}
    assert other.ids == {"m"}
    assert window.of("window")[-1]["ids"] == ["n29"]
    assert hubs.reads > reads
    assert asked == [33, 2], "the large one was asked about by nobody here"
    assert sorted(len(one["changes"]) for one in every.of("changes"))[-1] == 30


async def test_unsubscribing_frees_everything(hubs: Hubs) -> None:
    """Views, index, windows, classes, versions: nothing is kept for who is gone."""
    hub = hubs.hub
    empty = hub.sizes
    peers = []
    for n in range(12):
        peer = await hubs.live(
            user(f"u{n % 5}"), _by_rank(n % 3), {"id": "all", "entity": "Note"},
            {"id": "in", "entity": "Note", "where": {"rank": {"in": [1, 1, 2]}}},
            {"id": "top", "entity": "Note", "order": ["-rank"], "limit": 3},
            {"id": "m", "entity": "Message", "where": {"room": "r"}},
        )  # fmt: skip
        peers.append(peer)
    assert hub.sizes["windows"] == 5, "equal windows of one class are one"
    assert hub.sizes["views"] == 12 - sum(
        1 for n in range(12) if any((m % 5, m % 3) == (n % 5, n % 3) for m in range(n))
    )
    for peer in peers[:6]:
        for name in ("s", "all", "in", "top", "m"):
            hub.unsubscribe(peer.connection, name)
        assert peer.connection.subscriber.versions == {}
        assert peer.connection.windows == {}
        assert [one["id"] for one in peer.of("unsubscribed")] == ["s", "all", "in", "top", "m"]
    for peer in peers[6:]:
        peer.leave()
    assert hub.sizes == {**empty, "connections": 6, "members": 6, "views": 1}
    for peer in peers[:6]:
        peer.leave()
    assert hub.sizes == empty


async def test_one_bad_record_has_everybody_go_on_from_the_log(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong in a pass, nobody misses a change."""
    peer = await hubs.live(ANN, NOTES)
    monkeypatch.setattr(hubs.hub._pump, "_ask", _never)
    await hubs.put("Note", "n")
    await hubs.settle(peer)
    assert peer.ids == {"n"}
    assert "sync.pump_failed" in caplog.text


@pytest.mark.parametrize("seed", range(6))
async def test_the_index_and_a_view_alone_say_the_same(hubs: Hubs, seed: int) -> None:
    """What the pump tells by the index is what each view would be told if it asked alone."""
    chance = random.Random(seed)
    wheres: list[Any] = [
        {}, {"rank": 1}, {"rank": {"in": [1, 2]}}, {"rank": {">": 1}}, {"secret": True},
        {"or": [{"rank": 0}, {"rank": 2}]}, {"owner": "ann", "rank": {"!=": None}},
        {"or": [{"rank": 0}, {"owner": "bob"}]}, {"not": {"rank": 1}}, {"rank": None},
    ]  # fmt: skip
    peers = []
    for n in range(10):
        subscriptions = [
            {"id": f"s{k}", "entity": "Note", "where": chance.choice(wheres)} for k in range(2)
        ]
        subscriptions.append({"id": "m", "entity": "Message"})
        peers.append(await hubs.live(user(chance.choice(["ann", "bob", "eve"])), *subscriptions))
        del n
    for _ in range(60):

        def some(tx: Transaction) -> None:
            for _ in range(chance.randint(1, 3)):
                row_id = f"n{chance.randrange(6)}"
                match chance.randrange(8):
                    case 0:
                        note = tx.get(hubs.definitions.current.schema.entities["Note"], row_id)
                        if note is not None:
                            tx.delete(hubs.definitions.current.schema.entities["Note"], note)
                    case 1:
                        hubs.put_in(tx, "Message", row_id, room=chance.choice("rs"))
                    case 2:
                        hubs.put_in(tx, "Member", row_id, room=chance.choice("rs"),
                                    userId=chance.choice(["ann", "bob"]))  # fmt: skip
                    case _:
                        hubs.put_in(
                            tx, "Note", row_id, rank=chance.choice([None, 0, 1, 2]),
                            owner=chance.choice(["ann", "bob"]), secret=chance.random() < 0.5,
                        )  # fmt: skip

        pump, told = hubs.hub._pump, {}
        before = pump._position
        await hubs.work(some)
        records = hubs.database.tail.since(before)
        assert records is not None
        reader = hubs.database.readers.inline
        for view in pump._members:
            told[view] = view.project(records, _newest(records), "", reader)
        found: dict[View, Any] = {}
        pump._ask(records, found, {}, {})
        assert found == {view: changes for view, changes in told.items() if changes}
        await hubs.settle()
    await hubs.settle(*peers)
    for peer in peers:
        view = peer.connection.view
        assert view is not None
        peer.apply()
        notes = {row["id"]: row for (entity, _), row in peer.rows.items() if entity == "Note"}
        assert set(notes) == await _in_view(hubs, view, "Note")


def _newest(records: list[Any]) -> Any:
    return {(one.entity, one.row_id): one.seq for one in records}


async def _in_view(hubs: Hubs, view: View, entity: str) -> set[str]:
    policy, matches = view.entities[entity].clauses("")
    rows = hubs.database.readers.inline.rows(
        f'SELECT t.id FROM "{entity}" AS t WHERE {policy.text} AND {matches.text}',
        (*policy.params, *matches.params),
    )
    return {row_id for (row_id,) in rows}


async def test_a_read_that_fails_unforeseen_ends_the_socket(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who could be told nothing more is told to come back, and the log says why."""
    peer = await hubs.live(ANN, NOTES)

    async def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(hubs.database.readers, "run", failing)
    peer.connection.subscriber.fall_behind()
    hubs.hub.work(peer.connection)
    await hubs.settle()
    assert peer.connection.is_closed
    assert peer.transport.writes[-1][2:4] == (1011).to_bytes(2)
    assert "nobody thought of this" in caplog.text
