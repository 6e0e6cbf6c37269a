"""A clock that is set back: who follows a policy over the time holds what it shows in the end.

Random schedules over real storage, the real hub and the real routine: rows whose times lie around
now, ticks, pages and commits, and a clock that jumps back by seconds, also in mid-commit and while
nothing runs. The truth is what the clock of the end shows.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from pylon import jsonvalue
from pylon.client.fields import Fields
from pylon.client.replica import Replica
from pylon.client.subscription import Definition
from pylon.clock import SystemClock, iso_ms
from pylon.protocol.change import Cursor
from pylon.protocol.messages import Snapshot, SubscriptionSpec, Window
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.hub import Hub
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import make_view
from pylon.testing.manual_clock import START_MS
from tests.unit.server.sync.hubs import Hubs, Peer, hubs_at, user

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
APP = '''
from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, field, index

app = App("back")


@app.entity(read="""{policy}""", insert="true")
class Offer(Entity):
    shop: str = field(index=True)
    since: datetime = field(index=True)
    until: datetime = field(index=True)


@app.entity(read="true", insert="true")
class Pass(Entity):
    shop: str
    ends: datetime = field(index=True)

    by_shop = index("shop")
'''
POLICIES = (
    "data.until > now",
    "data.since <= now",
    "data.since <= now && data.until > now",
    "!(data.until > now) || data.since > now + seconds(2)",
    "exists Pass(shop == data.shop, ends > now)",
    "data.since <= now && !exists Pass(shop == data.shop, ends <= now)",
)
BOB = user("bob")
#: Seconds from now at which a row's times lie, and by which the clock goes on or back.
SOON = (-30.0, -4.0, -1.0, -0.2, 0.0, 0.3, 1.5, 4.0, 12.0, 40.0)
STEPS = (0.001, 0.1, 0.4, 0.6, 1.1, 3.0, 8.0)
BACK = (0.001, 0.05, 0.7, 3.0, 20.0)
WINDOW: dict[str, Any] = {"order": ["id"], "limit": 2}


class SetClock(SystemClock):
    """A clock whose wall time stands where a test put it; its seconds are the machine's."""

    def __init__(self) -> None:
        self._now_ms = START_MS

    @override
    def now_ms(self) -> int:
        return self._now_ms

    def go(self, seconds: float) -> None:
        """Have it go on, or be set back."""
        self._now_ms += round(seconds * 1000)


class Live:
    """The client's own replica of one who is connected, with a window beside his subscription."""

    def __init__(self, hubs: Hubs, where: dict[str, str]) -> None:
        self._hubs = hubs
        self._where = where
        self._taken = 0
        self.replica = Replica(Fields(hubs.definitions.current.manifest))
        self.replica.subscribe("s", Definition(entity="Offer", where=dict(where)))
        self.replica.subscribe("w", Definition(entity="Offer", where=dict(where), **WINDOW))
        self.peer: Peer

    async def connect(self) -> None:
        """Come, or come again."""
        cursor = self.replica.cursor
        spec = {"id": "s", "entity": "Offer", "where": self._where, "have": cursor is not None}
        window = {"id": "w", "entity": "Offer", "where": self._where, **WINDOW}
        self.replica.interrupt()
        self.peer = self._hubs.connect(BOB, spec, window, cursor=cursor)
        self._taken = 0
        await self.look()

    async def look(self) -> None:
        """Wait until nothing lacks, and take it."""
        await self._hubs.settle(self.peer)
        for message in self.peer.frames[self._taken :]:
            self._taken += 1
            rest = {key: value for key, value in message.items() if key != "type"}
            match message["type"]:
                case "welcome":
                    if self.replica.cursor is None:
                        self.replica.start_at(message["head"])
                case "snapshot":
                    self.replica.page(msgspec.convert(rest, Snapshot))
                case "window":
                    self.replica.window(msgspec.convert(rest, Window))
                case "changes":
                    assert self.replica.apply(message) == "applied", "batches join"
                    self.replica.release()
        self.replica.take_save()

    @property
    def ids(self) -> set[str]:
        """Return the ids of the rows that he has."""
        return {row["id"] for row in self.replica.rows("Offer")}

    @property
    def listed(self) -> list[str]:
        """Return what the window lists."""
        return list(self.replica.subscriptions["w"].ids or [])


class Puller:
    """Comes now and then for a page of the log."""

    def __init__(self, world: World, where: dict[str, str]) -> None:
        self._world = world
        definition = world.hubs.definitions.current
        spec = SubscriptionSpec(id="s", entity="Offer", where=where)
        made = make_subscription(spec, definition, BOB, is_resuming=True)
        self._view = make_view(definition, BOB, [made])
        self._seq = 0
        self.rows: dict[str, dict[str, Any]] = {}

    def pull(self, limit: int) -> bool:
        """Take a page; tells whether there is more."""
        database = self._world.hubs.database
        reader = database.readers.inline
        page = read_page(
            reader, self._view, Cursor(database.epoch, self._seq), database.epoch, limit,
            reader.moment(self._world.judging),
        )  # fmt: skip
        for one in jsonvalue.decode_trusted(b"[" + page.tail + b"]"):
            if one["kind"] == "refresh":
                where = one["where"].items()
                left = {key: row for key, row in self.rows.items() if not where <= row.items()}
                self.rows = left | {row["id"]: row for row in one["rows"]}
            elif one["kind"] == "delete":
                self.rows.pop(one["row_id"], None)
            else:
                self.rows[one["row_id"]] = one["row"]
        self._seq = page.through
        return page.more


class World:
    """A hub under a clock that is set back, and who follows."""

    def __init__(self, hubs: Hubs, policy: str, chance: random.Random) -> None:
        self.hubs = hubs
        self.policy = policy
        self.clock = SetClock()
        hubs.database.writer._clock = self.clock
        self._chance = chance
        self.where: dict[str, str] = chance.choice(({}, {"shop": "s"}))
        self._start()
        self.pullers = [Puller(self, self.where) for _ in range(2)]
        self.live = Live(hubs, self.where)

    @property
    def judging(self) -> Any:
        """Return the clock that policies are asked by."""
        return self.hubs.hub.asked_clock

    def _start(self) -> None:
        hubs = self.hubs
        hubs.hub = Hub(hubs.database, hubs.definitions, hubs.sessions, self.clock, hubs.code)
        hubs.hub._loop = asyncio.get_running_loop()

    async def restart(self, *, is_clean: bool) -> None:
        """Stop what follows, and start it on the same data."""
        self.live.peer.leave()
        if is_clean:
            await self.hubs.hub.passing.store()
        self._start()
        await self.hubs.hub.passing.step()
        await self.live.connect()

    def _at(self) -> str:
        return iso_ms(self.clock.now_ms() + round(self._chance.choice(SOON) * 1000))

    async def take(self, kind: str) -> None:
        """Do one thing."""
        chance, hubs, clock = self._chance, self.hubs, self.clock
        match kind:
            case "offer":
                await hubs.put(
                    "Offer", f"o{chance.randint(0, 3)}", shop=chance.choice("st"),
                    since=self._at(), until=self._at(),
                )  # fmt: skip
            case "drop":
                await hubs.drop("Offer", f"o{chance.randint(0, 3)}")
            case "pass":
                name = f"p{chance.randint(0, 1)}"
                await hubs.put("Pass", name, shop=chance.choice("st"), ends=self._at())
            case "go":
                clock.go(chance.choice(STEPS))
            case "back":
                clock.go(-chance.choice(BACK))
            case "back in a commit":
                told = [chance.choice(BACK)]
                hubs.database.writer.on_commit(lambda *_: clock.go(-told.pop()) if told else None)
                await self.take(chance.choice(("offer", "drop")))
                told.clear()  # a drop of nothing commits nothing
            case "tick":
                await hubs.hub.passing.step()
            case "look":
                await self.live.look()
            case "pull":
                chance.choice(self.pullers).pull(chance.choice((1, 2, 100)))
            case _:
                await self.restart(is_clean=True)

    # --- the truth

    def truth(self) -> set[str]:
        """Return the ids of the rows that the policy shows by the clock of now."""
        reader, now = self.hubs.database.readers.inline, iso_ms(self.clock.now_ms())
        passes = reader.rows('SELECT shop, ends FROM "Pass"')
        found = set()
        for row_id, shop, since, until in reader.rows('SELECT id, shop, since, until FROM "Offer"'):
            if self.where and shop != "s":
                continue
            ends = [end for of, end in passes if of == shop]
            verdict = (
                until > now,
                since <= now,
                since <= now < until,
                until <= now or since > iso_ms(self.clock.now_ms() + 2_000),
                any(end > now for end in ends),
                since <= now and not any(end <= now for end in ends),
            )[POLICIES.index(self.policy)]
            if verdict:
                found.add(row_id)
        return found

    async def check(self) -> None:
        """Follow the time as it is, and compare."""
        self.clock.go(0.002)  # a turn is looked for just after its time
        await self.hubs.hub.passing.step()
        await self.live.look()
        for puller in self.pullers:
            while puller.pull(3):
                pass
        truth = self.truth()
        assert self.live.ids == truth, "who is live"
        assert self.live.listed == sorted(truth)[:2], "the window"
        for puller in self.pullers:
            assert set(puller.rows) == truth, "a puller"


KINDS = {
    "offer": 8, "drop": 2, "pass": 3, "go": 8, "back": 3, "back in a commit": 1.5, "tick": 4,
    "look": 4, "pull": 6, "restart": 0.7,
}  # fmt: skip


async def play(seed: int) -> None:
    """Play a seed; raises where somebody does not hold what he should."""
    chance = random.Random(seed)
    policy = chance.choice(POLICIES)
    with tempfile.TemporaryDirectory() as folder:
        async with hubs_at(Path(folder), APP.format(policy=policy)) as hubs:
            world = World(hubs, policy, chance)
            await hubs.hub.passing.step()
            await world.live.connect()
            for kind in chance.choices([*KINDS], [*KINDS.values()], k=chance.randint(8, 40)):
                await world.take(kind)
                if chance.random() < 0.05:
                    await world.check()
            await world.check()
            world.clock.go(50)
            await world.check()


async def _failed(seed: int, turn: asyncio.Semaphore) -> str | None:
    async with turn:
        try:
            await play(seed)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return None


@pytest.mark.timeout(600 * SCALE)
async def test_everybody_holds_what_the_clock_of_the_end_shows() -> None:
    """Whatever was set back, when, and by how much; the seed tells."""
    turn = asyncio.Semaphore(12)  # they wait more than they work
    first = 0 if SCALE == 1 else int.from_bytes(os.urandom(3)) * 1_000
    found = await asyncio.gather(*(_failed(first + n, turn) for n in range(100 * SCALE)))
    assert not (failed := [one for one in found if one is not None]), "\n".join(failed)
