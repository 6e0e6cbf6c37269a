"""Whoever follows the log, by whichever way and in whichever steps, ends with what he may see.

Real storage, real policies, real projection: pages of the log, live batches and snapshot pages,
with rows that come into view, leave it, and come again, while the log is trimmed behind them.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon import jsonvalue
from pylon.app.loader import load_app
from pylon.clock import SystemClock
from pylon.errors import ResyncRequired
from pylon.identity import Identity, IdentityKind
from pylon.ids import IdSource
from pylon.policy.sqlclause import both
from pylon.protocol.messages import SubscriptionSpec
from pylon.server.storage.change_log import read_head, trim
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.sync_select import snapshot_page
from pylon.server.storage.transaction import Transaction
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.projection import newest_seqs
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import View, make_view

APP = '''
from __future__ import annotations

from pylon import App, Entity

app = App("follow")


@app.entity(read="data.owner == auth.userId || data.secret == false", insert="true")
class Plain(Entity):
    owner: str
    secret: bool = False
    rank: int | None = None


@app.entity(read="data.owner == auth.userId || data.ratio < 0.5", insert="true")
class Rough(Entity):
    """Its policy looks at a double: images of those are judged in Python."""

    owner: str
    ratio: float | None = None
    rank: int | None = None
'''
NOW = "2026-11-24T12:00:00.000Z"
ANN = Identity(kind=IdentityKind.USER, user_id="ann", email="ann@example.com")
STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(["Plain", "Rough"]), st.integers(0, 4),
              st.sampled_from(["ann", "bob"]), st.booleans(), st.integers(0, 3)),
    st.tuples(st.just("delete"), st.sampled_from(["Plain", "Rough"]), st.integers(0, 4)),
    st.tuples(st.just("wipe"), st.sampled_from(["ann", "bob"])),
    st.tuples(st.just("pages"), st.integers(1, 6)),
    st.tuples(st.just("trim"), st.integers(0, 12), st.integers(1, 4)),
    st.tuples(st.just("live"), st.integers(1, 8)),
)  # fmt: skip


@dataclass
class Replica:
    """What a client does with changes, by the letter of the protocol and no more."""

    cursor: int
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def apply(self, after: int, through: int, tail: str) -> None:
        assert after == self.cursor, "a batch must begin where the last one ended"
        seen = 0
        for one in jsonvalue.decode_trusted(f"[{tail}]"):
            assert after < one["seq"] <= through
            assert one["seq"] > seen, "changes come in order"
            seen = one["seq"]
            key = one["entity"], one["row_id"]
            local = self.rows.get(key)
            if one["kind"] == "delete":
                assert "row" not in one
                if local is not None and local["_seq"] < one["seq"]:
                    del self.rows[key]
            elif local is None or one["row"]["_seq"] > local["_seq"]:
                self.rows[key] = one["row"]
        self.cursor = through

    def take_page(self, entity: str, rows: str) -> None:
        for row in jsonvalue.decode_trusted(f"[{rows}]"):
            local = self.rows.get((entity, row["id"]))
            if local is None or local["_seq"] <= row["_seq"]:
                self.rows[entity, row["id"]] = row


class World:
    """The storage, and followers of several kinds."""

    def __init__(self, database: Database, definition: Any, view: View) -> None:
        self.database = database
        self.definition = definition
        self.view = view
        self.by_pages = Replica(0)
        self.by_live = Replica(0)

    async def write(self, name: str, place: int, owner: str, is_odd: bool, rank: int) -> None:
        entity = self.definition.schema.entities[name]
        row_id = f"{name}{place}"
        values = {"secret": is_odd} if name == "Plain" else {"ratio": 0.9 if is_odd else 0.1}
        if rank == 3 and name == "Rough":
            values = {"ratio": None}

        def work(tx: Transaction) -> None:
            before = tx.get(entity, row_id)
            row = {"id": row_id, "owner": owner, "rank": None if rank == 0 else rank, **values}
            if before is None:
                tx.insert(entity, row)
            else:
                tx.update(entity, before, {**before, **row})

        await self.database.writer.submit(work)

    async def delete(self, name: str, place: int) -> None:
        entity = self.definition.schema.entities[name]

        def work(tx: Transaction) -> None:
            before = tx.get(entity, f"{name}{place}")
            if before is not None:
                tx.delete(entity, before)

        await self.database.writer.submit(work)

    async def wipe(self, owner: str) -> None:
        """Delete all that somebody owns, in one transaction."""

        def work(tx: Transaction) -> None:
            for entity in self.definition.schema.entities.values():
                for (row_id,) in tx.select(f'SELECT id FROM "{entity.name}"'):
                    row = tx.get(entity, row_id)
                    if row is not None and row.get("owner") == owner:
                        tx.delete(entity, row)

        await self.database.writer.submit(work)

    async def trim(self, keep: int, at_most: int) -> None:
        """Forget all but the newest changes, a step of a few at a time."""
        head = self.database.head
        done = await self.database.writer.submit(
            lambda tx: trim(
                tx.connection, head, keep_changes=keep, keep_after_ms=2**60, at_most=at_most
            )
        )
        self.database.horizon = done.value.horizon

    def pages(self, limit: int) -> bool:
        """Read one page of the log, or start over; tells whether there is more."""
        reader = self.database.readers.inline
        cursor, horizon = self.by_pages.cursor, self.database.horizon
        try:
            page = read_page(
                reader, self.view, self.database.cursor(cursor), self.database.epoch, limit, NOW
            )
        except ResyncRequired:
            page = None
        if page is None:
            assert cursor < horizon, "the cursor at the edge of the log goes on"
            self.by_pages = self.hydrated()
            return True
        assert cursor >= horizon, "a log without its beginning is no way from here"
        self.by_pages.apply(page.after, page.through, page.tail.decode())
        return page.more

    def live(self, count: int) -> None:
        """Take the next records as the live path does, once they are all there is."""
        reader = self.database.readers.inline
        records = self.database.tail.since(self.by_live.cursor)
        assert records is not None, "so few are all in memory"
        if len(records) < count and count > 1:
            return
        changes = self.view.project(records, newest_seqs(records), NOW, reader)
        head = self.database.head
        self.by_live.apply(
            self.by_live.cursor, head, b",".join(text for *_, text in changes).decode()
        )

    def hydrated(self) -> Replica:
        """Return a replica made of snapshot pages alone."""
        reader = self.database.readers.inline
        replica = Replica(read_head(reader.raw)[0])
        for name, seen in self.view.entities.items():
            policy, matches = seen.clauses(NOW)
            after: str | None = ""
            while after is not None:
                rows, after = snapshot_page(
                    reader.raw, seen.entity, both(policy, matches), after, 2, 2**20
                )
                replica.take_page(name, rows.decode())
        return replica


async def _follow(steps: list[tuple[Any, ...]], where: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "app.py").write_text(APP)
        definition = load_app(root, generation=1)
        clock = SystemClock()
        counter = iter(range(1, 10**9))
        ids = IdSource(clock, lambda count: next(counter).to_bytes(count))
        database = await Database.open(root / ".pylon", clock=clock, ids=ids)
        try:
            await migrate(database, definition.schema)
            subscriptions = [
                make_subscription(
                    SubscriptionSpec(id=name, entity=name, where=where), definition, ANN,
                    is_resuming=False,
                )
                for name in ("Plain", "Rough")
            ]  # fmt: skip
            world = World(database, definition, make_view(definition, ANN, subscriptions))
            for step in steps:
                if step[0] == "write":
                    await world.write(*step[1:])
                elif step[0] == "delete":
                    await world.delete(*step[1:])
                elif step[0] == "wipe":
                    await world.wipe(step[1])
                elif step[0] == "trim":
                    await world.trim(step[1], step[2])
                elif step[0] == "pages":
                    world.pages(step[1])
                else:
                    world.live(step[1])
            while world.pages(3):
                pass
            world.live(1)
            truth = world.hydrated().rows
            assert world.by_pages.rows == truth
            assert world.by_live.rows == truth
            assert all(_may_see(name, row) for (name, _), row in truth.items())
        finally:
            await database.close()


def _may_see(name: str, row: dict[str, Any]) -> bool:
    if row["owner"] == "ann":
        return True
    if name == "Plain":
        return row["secret"] is False
    return row["ratio"] is not None and row["ratio"] < 0.5


@pytest.mark.parametrize("where", [{}, {"rank": {">": 1}}], ids=["all", "filtered"])
def test_every_way_of_following_ends_alike(where: dict[str, Any]) -> None:
    """Pages of any size, live batches of any size, snapshots: the same rows, and only visible."""

    @settings(max_examples=80, deadline=None)
    @given(st.lists(STEP, max_size=40))
    def check(steps: list[tuple[Any, ...]]) -> None:
        asyncio.run(_follow(steps, where))

    check()
