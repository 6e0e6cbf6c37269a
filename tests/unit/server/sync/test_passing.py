"""Policies over now: what turns by itself reaches those who follow, also after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from pylon import jsonvalue, limits
from pylon.clock import iso_ms
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.hub import Hub
from pylon.server.sync.passing import Passing
from pylon.server.sync.view import whole_view
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
        for part in (hubs.hub._pump, hubs.hub._pump.windows, hubs.hub._reading):
            part._clock = self.clock  # type: ignore[attr-defined]

    @property
    def passing(self) -> Passing:
        """Return what follows."""
        return self.hubs.hub.passing

    def at(self, seconds: float) -> str:
        """Return a time so far from the clock's start."""
        return iso_ms(ManualClock().now_ms() + round(seconds * 1000))

    async def go(self, seconds: float, *peers: Peer) -> list[Any]:
        """Move on to so far from the start, and follow."""
        await self.clock.advance(seconds - self.clock.monotonic())
        slices = await self.passing.step()
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
