"""Policies over now: what turns by itself reaches those who follow, also after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from pylon import jsonvalue, limits
from pylon.clock import iso_ms
from pylon.errors import Unavailable
from pylon.protocol.change import parse_cursor
from pylon.protocol.messages import SubscriptionSpec
from pylon.server.http.pull import read_batch
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.hub import Hub
from pylon.server.sync.passing import Passing
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import make_view, whole_view
from pylon.testing.manual_clock import ManualClock
from tests.unit.server.sync.hubs import Hubs, Peer, hubs_at, user

APP = """
from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, field, index

app = App("passing")


@app.entity(read="data.until > now || data.owner == auth.userId", insert="true")
class Offer(Entity):
    owner: str
    until: datetime = field(index=True)


@app.entity(read="exists Pass(shop == data.shop, userId == auth.userId, ends > now - seconds(10))",
            insert="true")
class Good(Entity):
    shop: str = field(index=True)


@app.entity(read="exists Pass(shop == data.shop, ends > now)", insert="true")
class Ware(Entity):
    shop: str = field(index=True)


@app.entity(read="data.since <= now", insert="true")
class Due(Entity):
    shop: str
    since: datetime = field(index=True)


@app.entity(read="true", insert="true")
class Pass(Entity):
    shop: str
    userId: str
    ends: datetime = field(index=True)

    by_shop = index("shop")


@app.entity(read="now < auth.claims.until", insert="true")
class Odd(Entity):
    name: str
"""
BOB = user("bob")
FOLLOWED = tuple({"id": name, "entity": name} for name in ("Offer", "Good"))


class Timed:
    """A hub under a clock that stands still unless it is moved."""

    def __init__(self, hubs: Hubs) -> None:
        self.hubs = hubs
        self.clock = ManualClock()
        hubs.hub = Hub(hubs.database, hubs.definitions, hubs.sessions, self.clock, hubs.code)
        hubs.hub._loop = asyncio.get_running_loop()
        hubs.database.writer._clock = self.clock

    @property
    def passing(self) -> Passing:
        """Return what follows."""
        return self.hubs.hub.passing

    def at(self, seconds: float) -> str:
        """Return a time so far from the clock's start."""
        return iso_ms(ManualClock().now_ms() + round(seconds * 1000))

    async def go(self, seconds: float, *peers: Peer) -> list[Any]:
        """Move on to so far from the start, and follow now and then on the way."""
        slices: list[Any] = []
        while True:
            left = seconds - self.clock.monotonic()
            await self.clock.advance(min(left, 8))
            slices += await self.passing.step()
            if left <= 8:
                break
        await self.hubs.settle(*peers)
        return slices


@pytest.fixture
async def timed(tmp_path: Path) -> AsyncIterator[Timed]:
    """An app whose policies ask the time."""
    async with hubs_at(tmp_path, APP) as hubs:
        made = Timed(hubs)
        await made.passing.step()
        yield made


async def test_a_row_goes_at_its_time_and_not_before(timed: Timed) -> None:
    """Who saw it by the time alone loses it; its owner keeps it; nothing else is said."""
    hubs = timed.hubs
    await hubs.put("Offer", "o1", owner="ann", until=timed.at(5))
    await hubs.put("Offer", "o2", owner="ann", until=timed.at(9))
    bob, ann = await hubs.live(BOB, *FOLLOWED), await hubs.live(user("ann"), *FOLLOWED)
    assert await timed.go(4.9, bob, ann) == []
    assert bob.ids == {"o1", "o2"}
    await timed.go(5.0, bob, ann)
    await timed.go(5.001, bob, ann)
    assert (bob.ids, ann.ids) == ({"o2"}, {"o1", "o2"})
    assert bob.refreshes()[-1] == ({"until": timed.at(5)}, [])
    await timed.go(60, bob, ann)
    assert bob.ids == set()


class Puller:
    """Who comes for pages, by default of Ann's offers, and the ids that he has then."""

    def __init__(self, timed: Timed, entity: str = "Offer", **where: str) -> None:
        where = where or {"owner": "ann"}
        spec = SubscriptionSpec(id="s", entity=entity, where=where)
        definition = timed.hubs.definitions.current
        made = make_subscription(spec, definition, BOB, is_resuming=True)
        self.view = make_view(definition, BOB, [made])
        self.timed = timed
        self.seq = 0
        self.rows: dict[str, dict[str, Any]] = {}

    @property
    def ids(self) -> set[str]:
        """Return whose rows he has."""
        return set(self.rows)

    def pull(self, limit: int = 10) -> None:
        """Take a page."""
        database = self.timed.hubs.database
        page = read_page(
            database.readers.inline, self.view, database.cursor(self.seq), database.epoch, limit,
            iso_ms(self.timed.clock.now_ms()),
        )  # fmt: skip
        for one in jsonvalue.decode_trusted(b"[" + page.tail + b"]"):
            if one["kind"] == "refresh":
                where = one["where"].items()
                self.rows = {
                    key: row for key, row in self.rows.items() if not where <= row.items()
                } | {row["id"]: row for row in one["rows"]}
            elif one["kind"] == "delete":
                self.rows.pop(one["row_id"], None)
            else:
                self.rows[one["row_id"]] = one["row"]
        self.seq = page.through


async def test_a_row_that_left_just_before_its_time_goes(timed: Timed) -> None:
    """Its time is another by then, so that no turn names it: who had it is told, however late."""
    hubs = timed.hubs
    ann = {"id": "ann", "entity": "Offer", "where": {"owner": "ann"}}
    window = {**ann, "id": "window", "order": ["id"], "limit": 5}
    for row_id, ends in (("o1", 5), ("o2", 900), ("o3", 4)):
        await hubs.put("Offer", row_id, owner="ann", until=timed.at(ends))
    bob, puller = await hubs.live(BOB, ann, window), Puller(timed)
    puller.pull()
    assert bob.ids == puller.ids == {"o1", "o2", "o3"}
    await timed.go(4.9, bob)
    puller.pull()
    assert bob.ids == puller.ids == {"o1", "o2"}
    # It goes by between the commit and the look at it.
    hubs.database.writer.on_commit(lambda *_: setattr(timed.clock, "_elapsed", 5.1))
    await hubs.put("Offer", "o1", owner="cy", until=timed.at(1_000))
    await hubs.put("Offer", "o3", owner="cy", until=timed.at(1_000))
    await hubs.settle(bob)
    puller.pull(1)
    assert (bob.ids, puller.ids) == ({"o2"}, {"o2"})
    assert bob.of("window")[-1]["ids"] == ["o2"]
    await timed.go(9, bob)
    puller.pull()
    assert (bob.ids, puller.ids) == ({"o2"}, {"o2"})


async def test_a_row_that_left_just_after_a_looked_at_time_goes(timed: Timed) -> None:
    """The slice of the time comes a moment later, when nothing says any more whom it concerns."""
    hubs = timed.hubs
    await hubs.put("Ware", "w1", shop="s")
    await hubs.put("Ware", "w2", shop="t")
    await hubs.put("Pass", "p", shop="s", userId="ann", ends=timed.at(5))
    await hubs.put("Pass", "q", shop="t", userId="ann", ends=timed.at(900))
    bob = await hubs.live(BOB, {"id": "Ware", "entity": "Ware"})
    puller = Puller(timed, "Ware", shop="s")
    puller.pull()
    assert (bob.ids, puller.ids) == ({"w1", "w2"}, {"w1"})
    await timed.clock.advance(5.1)
    await hubs.put("Ware", "w1", shop="u")
    await hubs.settle(bob)
    puller.pull(1)
    assert (bob.ids, puller.ids) == ({"w2"}, set())
    await timed.go(6, bob)
    puller.pull()
    assert (bob.ids, puller.ids) == ({"w2"}, set())


async def test_what_a_looked_at_row_ends_for_whom(timed: Timed) -> None:
    """Its slice alone moves, for the caller whom it names."""
    hubs = timed.hubs
    await hubs.put("Good", "g1", shop="s")
    await hubs.put("Good", "g2", shop="t")
    for shop, ends in (("s", 5), ("t", 50)):
        await hubs.put("Pass", f"bob-{shop}", shop=shop, userId="bob", ends=timed.at(ends))
    bob, cy = await hubs.live(BOB, *FOLLOWED), await hubs.live(user("cy"), *FOLLOWED)
    await timed.go(14, bob, cy)
    assert bob.ids == {"g1", "g2"}
    (slice_,) = await timed.go(15.5, bob, cy)
    assert (slice_.where, len(slice_.who)) == ((("shop", "s"),), 1)
    assert bob.ids == {"g2"}
    assert cy.of("changes") == []
    await hubs.put("Pass", "bob-s", shop="s", userId="bob", ends=timed.at(10))
    await hubs.settle(bob)
    assert bob.ids == {"g1", "g2"}
    await timed.go(21, bob)
    assert bob.ids == {"g2"}, "a write brings the next turn forward"


async def test_what_turned_while_nothing_ran_is_made_up_for(timed: Timed) -> None:
    """A cursor of before the stop is told at the next start."""
    hubs = timed.hubs
    await hubs.put("Offer", "o1", owner="ann", until=timed.at(100))
    await timed.go(1)
    await timed.passing.store()
    before = hubs.database.head
    started = Timed(hubs)
    await started.clock.advance(1_000)
    assert [one.where for one in await started.passing.step()] == [(("until", timed.at(100)),)]
    view = whole_view(hubs.definitions.current, BOB)
    database = hubs.database
    now = iso_ms(started.clock.now_ms())
    page = read_page(
        database.readers.inline, view, database.cursor(before), database.epoch, 10, now
    )
    (told,) = jsonvalue.decode_trusted(b"[" + page.tail + b"]")
    assert (told["kind"], told["rows"]) == ("refresh", [])
    assert await started.go(1_001) == []


async def test_nothing_is_read_while_nothing_can_turn(timed: Timed) -> None:
    """The next turn is known: until then, and until a write, no row is looked for."""
    hubs = timed.hubs
    await hubs.put("Offer", "o1", owner="ann", until=timed.at(100))
    await timed.go(1)
    reads = hubs.reads
    assert reads > 0
    for second in range(2, 90):
        await timed.go(second)
    assert hubs.reads == reads
    await hubs.put("Offer", "o2", owner="ann", until=timed.at(95))
    assert await timed.go(94) == []
    assert [one.where for one in await timed.go(96)] == [(("until", timed.at(95)),)]


async def test_what_tells_no_time_is_told_anew_while_somebody_follows(timed: Timed) -> None:
    """Nobody follows: nothing is written. Somebody comes: at once, and then now and then."""
    hubs = timed.hubs
    await hubs.put("Odd", "x", name="n")
    assert await timed.go(100) == []
    whole = whole_view(hubs.definitions.current, BOB)
    head = hubs.database.head
    await timed.passing.ready(whole)
    assert hubs.database.head == head + 1
    await timed.passing.ready(whole)
    assert hubs.database.head == head + 1
    await hubs.live(BOB, {"id": "odd", "entity": "Odd"})
    assert await timed.go(110) == []
    (slice_,) = await timed.go(100 + limits.UNFORESEEN_SECONDS)
    assert (slice_.entity, slice_.where, slice_.who) == ("Odd", (), None)


async def test_a_clock_that_goes_back_turns_again(timed: Timed) -> None:
    """What had gone is there again, and is told."""
    hubs = timed.hubs
    await hubs.put("Offer", "o1", owner="ann", until=timed.at(5))
    bob = await hubs.live(BOB, *FOLLOWED)
    await timed.go(10, bob)
    assert bob.ids == set()
    cast("Any", timed.clock)._start_ms -= 8_000
    await timed.passing.step()
    await hubs.settle(bob)
    assert bob.ids == {"o1"}


async def test_what_turns_while_a_page_waits_for_its_reader_is_in_it(timed: Timed) -> None:
    """The page passes the turn: asked at the time of before, it would keep the row for good."""
    hubs, database = timed.hubs, timed.hubs.database
    await hubs.put("Offer", "o1", owner="ann", until=timed.at(5))
    bob = await hubs.live(BOB, {"id": "Offer", "entity": "Offer"})
    assert bob.ids == {"o1"}
    bob.leave()
    await hubs.put("Offer", "o2", owner="ann", until=timed.at(900))
    reads = hubs.reads
    hubs.shut_gate()
    again = hubs.connect(
        BOB, {"id": "Offer", "entity": "Offer", "have": True}, cursor=bob.cursor
    )  # fmt: skip
    again.rows = bob.rows
    exchange: Any = SimpleNamespace(services=SimpleNamespace(database=database, hub=hubs.hub))
    view, cursor = whole_view(hubs.definitions.current, BOB), parse_cursor(bob.cursor)
    assert cursor is not None
    pulled = asyncio.ensure_future(read_batch(exchange, view, cursor, 10))
    await hubs.until(lambda: hubs.reads == reads + 2)
    await timed.clock.advance(6)
    await timed.passing._append(
        hubs.definitions.current.timing, timed.at(0), timed.at(6), [], timed.clock.now_ms(),
        is_late=False,
    )  # fmt: skip
    hubs.open_gate()
    await hubs.settle(again)
    assert again.ids == {"o2"}
    told = jsonvalue.decode_trusted(b"[" + (await pulled).tail + b"]")
    assert [one["rows"] for one in told if one["kind"] == "refresh" and one["where"]] == [[]]


async def test_a_row_that_left_just_before_the_clock_went_back_goes(timed: Timed) -> None:
    """It was not to be seen at the time that it is again: who had it is told all the same."""
    hubs = timed.hubs
    await timed.go(60)
    await hubs.put("Due", "d", shop="s", since=timed.at(50))
    bob = await hubs.live(BOB, {"id": "Due", "entity": "Due", "where": {"shop": "s"}})
    puller = Puller(timed, "Due", shop="s")
    puller.pull()
    assert bob.ids == puller.ids == {"d"}

    def set_back(*_: object) -> None:
        cast("Any", timed.clock)._start_ms -= 40_000

    hubs.database.writer.on_commit(set_back)
    await hubs.put("Due", "d", shop="t", since=timed.at(900))
    await hubs.settle(bob)
    puller.pull()
    await timed.passing.step()
    await hubs.settle(bob)
    puller.pull()
    assert bob.ids == puller.ids == set()


@pytest.mark.parametrize("trouble", [Unavailable("the disk is full"), asyncio.CancelledError()])
async def test_a_turn_that_could_not_be_appended_is_appended_later(
    timed: Timed, monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    """Who is connected keeps no row that his policy hides by then."""
    hubs = timed.hubs
    await hubs.put("Offer", "o1", owner="ann", until=timed.at(5))
    bob = await hubs.live(BOB, *FOLLOWED)
    await timed.go(4, bob)
    await timed.clock.advance(2)
    with monkeypatch.context() as patched:
        patched.setattr(hubs.database.writer, "submit", AsyncMock(side_effect=trouble))
        with pytest.raises(type(trouble)):
            await timed.passing.step()
    await timed.clock.advance(2)
    assert [one.where for one in await timed.passing.step()] == [(("until", timed.at(5)),)]
    await hubs.settle(bob)
    assert bob.ids == set()


async def test_a_clock_found_set_back_at_the_start_is_told_of_once_there_is_room(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers came of later than now: that is not forgotten with the first try."""
    hubs = timed.hubs
    await timed.go(100)
    await timed.passing.store()
    started = Timed(hubs)
    full = AsyncMock(side_effect=Unavailable("the disk is full"))
    with monkeypatch.context() as patched:
        patched.setattr(hubs.database.writer, "submit", full)
        with pytest.raises(Unavailable):
            await started.passing.step()
    told = {one.entity for one in await started.passing.step()}
    assert told == hubs.definitions.current.timing.entities
    assert await started.go(1) == []
