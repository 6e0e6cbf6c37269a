"""Whatever happens, a replica holds of included entities what `include` of a list gives at rest.

Random writes of rows, references and memberships on a real database; pulls page by page and the
real hub, with sockets that come again, subscribe more and less.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pylon import jsonvalue, limits
from pylon.errors import InvalidArgument
from pylon.identity import ANONYMOUS, Identity
from pylon.policy.sqlclause import both
from pylon.protocol.messages import SubscriptionSpec
from pylon.schema.model import Access
from pylon.server.functions.includes import hops_of
from pylon.server.storage.expand import Expander, Hop, sources_of
from pylon.server.storage.transaction import Transaction
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.projection import batch_body
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import make_view
from tests.unit.server.sync.hubs import Hubs, Peer, hubs_at, user

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
NOW = "2026-11-24T12:00:00.000Z"
APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, field, index

app = App("included")


@app.entity(read="data.isOpen == true || exists Member(roomId == data.id, user == auth.userId)")
class Room(Entity):
    isOpen: bool


@app.entity(read="data.isHidden == false || data.id == auth.userId")
class Person(Entity):
    isHidden: bool
    bossId: Ref["Person"] | None = field(default=None, on_delete="set_null")
    weight: float = 0.5


@app.entity(read="data.isOpen == true || exists Member(roomId == data.roomId, user == auth.userId)")
class Message(Entity):
    isOpen: bool
    roomId: Ref["Room"] = field(on_delete="cascade")
    authorId: Ref["Person"] | None = field(default=None, on_delete="set_null")
    parentId: Ref["Message"] | None = field(default=None, on_delete="set_null")


@app.entity(read="data.isOpen == true || exists Member(user == auth.userId, level == 1)")
class Tag(Entity):
    isOpen: bool
    messageId: Ref["Message"] = field(on_delete="cascade")


@app.entity(read="true")
class Member(Entity):
    roomId: Ref["Room"] = field(on_delete="cascade")
    user: str
    level: int

    by_user = index("user")
"""
CALLERS = (user("p0"), user("p1"), ANONYMOUS)
#: What is followed, and what more of it is at times.
FOLLOWED: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"entity": "Message", "include": ["author"]}, ["tags"]),
    ({"entity": "Message", "where": {"isOpen": True}, "include": ["author.boss", "tags"]}, []),
    ({"entity": "Message", "include": ["parent.author", "room"]}, ["author", "room.members"]),
    ({"entity": "Message", "where": {"authorId": {"!=": None}}, "include": ["room"]}, ["parent"]),
    ({"entity": "Room", "include": ["messages.tags", "messages.author.boss"]}, ["members"]),
    ({"entity": "Room", "where": {"isOpen": False}, "include": ["messages.parent.tags"]}, []),
    ({"entity": "Person", "include": ["messages.room.members", "boss"]}, ["persons.messages"]),
    ({"entity": "Tag", "where": {"isOpen": True}, "include": ["message.room"]}, ["message.author"]),
    ({"entity": "Message", "order": ["-authorId"], "limit": 2, "include": ["author"]}, ["room"]),
    ({"entity": "Tag", "order": ["-id"], "limit": 1, "include": ["message.author.boss"]}, []),
)

# --- what happens ------------------------------------------------------------------------

#: Mostly not: what is open moves with no membership.
FLAG = st.sampled_from([False, False, False, True])
PLACE = st.integers(0, 2)
MAYBE = st.one_of(st.none(), PLACE)
WRITE = st.one_of(
    st.tuples(st.just("Room"), st.integers(0, 1), FLAG),
    st.tuples(st.just("Person"), PLACE, FLAG, MAYBE),
    st.tuples(st.just("Message"), st.integers(0, 3), FLAG, st.integers(0, 1), MAYBE, MAYBE),
    st.tuples(st.just("Message"), st.integers(0, 3), FLAG, st.integers(0, 1), MAYBE, MAYBE),
    st.tuples(st.just("Tag"), st.integers(0, 3), FLAG, PLACE),
    st.tuples(st.just("Member"), st.integers(0, 3), st.integers(0, 1), st.integers(0, 1), FLAG),
    st.tuples(st.just("Member"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["Room", "Person", "Message", "Tag", "Member"]), PLACE),
)
#: Rows to begin with, so that there is something to move.
FIRST: list[tuple[Any, ...]] = [
    ("Room", 0, False), ("Room", 1, False),
    ("Person", 2, False, None), ("Person", 1, False, 2), ("Person", 0, True, 1),
    ("Message", 0, False, 0, 0, None), ("Message", 1, False, 0, 1, 0),
    ("Message", 2, False, 1, 2, 1), ("Message", 3, True, 1, 1, 2),
    ("Tag", 0, False, 0), ("Tag", 1, True, 1), ("Tag", 2, True, 2),
    ("Member", 0, 0, 0, False), ("Member", 1, 1, 1, True),
]  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("write"), st.lists(WRITE, min_size=1, max_size=4), st.booleans()),
    st.tuples(st.just("write"), st.lists(WRITE, min_size=1, max_size=2), st.booleans()),
    st.tuples(st.just("write"), st.lists(WRITE, min_size=1, max_size=1), st.booleans()),
    st.tuples(st.just("pull"), PLACE, st.sampled_from([1, 2, 3, 7, 100])),
    st.tuples(st.sampled_from(["again", "toggle", "away"]), PLACE, st.none()),
)


def _values(name: str, given: tuple[Any, ...]) -> dict[str, Any]:
    """Return the fields of a drawn row."""

    def ref(entity: str, place: int | None) -> str | None:
        return None if place is None else f"{entity[0].lower()}{place}"

    match name:
        case "Room":
            return {"isOpen": given[0]}
        case "Person":
            return {"isHidden": given[0], "bossId": ref("Person", given[1]), "weight": 0.1}
        case "Message":
            return {
                "isOpen": given[0], "roomId": ref("Room", given[1]),
                "authorId": ref("Person", given[2]), "parentId": ref("Message", given[3]),
            }  # fmt: skip
        case "Tag":
            return {"isOpen": given[0], "messageId": ref("Message", given[1])}
        case _:
            return {"roomId": ref("Room", given[0]), "user": f"p{given[1]}", "level": int(given[2])}


def _id(name: str, place: int) -> str:
    return f"{'k' if name == 'Member' else name[0].lower()}{place}"


async def _write(hubs: Hubs, writes: list[tuple[Any, ...]]) -> None:
    """Insert, update and delete; what would refer to a row that is not there is left out."""
    entities = hubs.definitions.current.schema.entities

    def work(tx: Transaction) -> None:
        for name, place, *drawn in writes:
            entity, row_id = entities[name], _id(name, place)
            before = tx.get(entity, row_id)
            if not drawn:
                if before is not None:
                    tx.delete(entity, before)
                continue
            row = _values(name, tuple(drawn))
            refs = [(one.ref, row[one.name]) for one in entity.fields if one.ref is not None]
            for other, wanted in refs:
                assert other is not None
                if wanted is not None and tx.get(entities[other], wanted) is None:
                    break
            else:
                if before is None:
                    tx.insert(entity, {"id": row_id, **row})
                else:
                    tx.update(entity, before, {**before, **row})

    await hubs.work(work)


# --- the truth ---------------------------------------------------------------------------


def _truth(hubs: Hubs, identity: Identity, specs: list[dict[str, Any]]) -> dict[Any, Any]:
    """Return all rows, by (entity, id), that lists with `include` give for these subscriptions."""
    definition, reader = hubs.definitions.current, hubs.database.readers.inline
    found: dict[Any, Any] = {}
    for spec in specs:
        made = make_subscription(
            SubscriptionSpec(**{"id": "x", **spec}), definition, identity, is_resuming=False
        )
        hops = hops_of(definition, identity, made.entity, spec["include"], NOW)
        policy = definition.policies.get(made.entity.name, Access.READ)
        clause = both(
            policy.clause(identity, alias="t", now=NOW),
            made.filter.clause(identity, alias="t", now=NOW),
        )
        order = ", ".join(f't."{o.field}"{" DESC" if o.descending else ""}' for o in made.order)
        columns = "".join(f', t."{name}"' for name in sources_of(hops))
        rows = reader.rows(
            f'SELECT t."_wire"{columns} FROM "{made.entity.name}" AS t WHERE {clause.text}'
            f" ORDER BY {order} LIMIT {made.limit or -1}",
            clause.params,
        )
        for text in Expander(reader.raw).with_neighbours(rows, hops):
            _flatten(made.entity.name, jsonvalue.decode_trusted(text), hops, found)
    return found


def _flatten(entity: str, row: Any, hops: tuple[Hop, ...], found: dict[Any, Any]) -> None:
    for hop in hops:
        members = row.pop(hop.name)
        for one in members if isinstance(members, list) else [members]:
            if one is not None:
                _flatten(hop.entity.name, one, hop.children, found)
    found[entity, row["id"]] = row


# --- who follows -------------------------------------------------------------------------


class Follower:
    """One caller, what he follows, and the frames that he may be sent."""

    def __init__(self, hubs: Hubs, identity: Identity, spec: dict[str, Any]) -> None:
        self.hubs = hubs
        self.identity = identity
        self.specs = [spec]

    def look(self, rows: dict[Any, Any]) -> None:
        """Compare rows held with what lists give; those of a window are listed elsewhere."""
        expected = _truth(self.hubs, self.identity, self.specs)
        skipped = {one["entity"] for one in self.specs if "limit" in one}
        held = {key: row for key, row in rows.items() if key[0] not in skipped}
        assert held == {key: row for key, row in expected.items() if key[0] not in skipped}

    def judge(self, messages: list[dict[str, Any]]) -> None:
        """Check that no frame has a row that its caller may not see now."""
        definition, reader = self.hubs.definitions.current, self.hubs.database.readers.inline
        for message in messages:
            rows = [(message.get("entity"), row) for row in message.get("rows", ())]
            for one in message.get("changes", ()):
                rows += [(one["entity"], row) for row in one.get("rows", ())]
                rows += [(one["entity"], one["row"])] if "row" in one else []
            for name, row in rows:
                if name is None:
                    continue  # a window's
                stored = reader.get(definition.schema.entities[name], row["id"])
                policy = definition.policies.get(name, Access.READ)
                assert stored is not None
                assert policy.allows(self.identity, stored, now=NOW, lookup=reader.exists), row


class Puller(Follower):
    """Comes now and then for a page of the log."""

    def __init__(self, hubs: Hubs, identity: Identity, spec: dict[str, Any]) -> None:
        super().__init__(hubs, identity, spec)
        made = make_subscription(
            SubscriptionSpec(id="s", **spec), hubs.definitions.current, identity, is_resuming=True
        )
        self._view = make_view(hubs.definitions.current, identity, [made])
        self._peer = Peer(hubs, None, None)  # type: ignore[arg-type]
        self._seq = 0

    def pull(self, limit: int) -> bool:
        """Take one page; tells whether there is more."""
        database = self.hubs.database
        page = read_page(
            database.readers.inline, self._view, database.cursor(self._seq), database.epoch, limit,
            NOW,
        )  # fmt: skip
        body = batch_body(database.epoch, page.after, page.through, page.tail, more=page.more)
        batch = jsonvalue.decode_trusted(body)
        self.judge([batch])
        self._peer._take(batch["changes"])
        self._peer._refreshed.clear()
        self._seq = page.through
        if not page.more:
            self.look(self._peer.rows)
        return page.more


class Live(Follower):
    """Is connected, comes again, and follows more or less."""

    def __init__(
        self, hubs: Hubs, identity: Identity, spec: dict[str, Any], more: list[str]
    ) -> None:
        super().__init__(hubs, identity, spec)
        self._more = {**spec, "include": more} if more else None
        self._spec = spec
        self._versions = 0
        self.is_judged = False
        self.peer = hubs.connect(identity, {"id": "s", **spec})
        self._seen = 0

    async def catch(self) -> None:
        """Take what has come until nothing lacks, and look."""
        await self.hubs.settle(self.peer)
        self.hubs.hub.flush(self.peer.connection)
        await self.hubs.settle(self.peer)
        frames = self.peer.frames
        if self.is_judged:
            self.judge(frames[self._seen :])
        self._seen = len(frames)
        self.peer.apply()
        self.look(self.peer.rows)
        self.is_judged = True

    def toggle(self) -> None:
        """Follow more, or no more."""
        if self._more is None:
            return
        self._versions += 1
        self.is_judged = False  # its pages are of now, and the next look is later
        name = f"more{self._versions // 2}"
        if len(self.specs) == 1:
            self.specs.append(self._more)
            self.peer.subscribe(id=f"more{(self._versions + 1) // 2}", **self._more)
        else:
            self.specs.pop()
            self.hubs.hub.unsubscribe(self.peer.connection, name)

    async def come_again(self, writes: list[tuple[Any, ...]]) -> None:
        """Lose the connection, miss some writes, and go on from the cursor."""
        await self.catch()
        old = self.peer
        old.leave()
        if writes:
            await _write(self.hubs, writes)
        held = [{"id": f"a{at}", "have": True, **one} for at, one in enumerate(self.specs)]
        if len(self.specs) > 1:  # known by another name from now on
            self._versions = 1
            held[1]["id"] = "more1"
        self.peer = self.hubs.connect(self.identity, *held, cursor=old.cursor)
        self.peer.rows = old.rows
        self._seen = 0


async def _follow(steps: list[Any], spec: dict[str, Any], more: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with hubs_at(Path(folder), APP) as hubs:
            pullers = [Puller(hubs, one, spec) for one in CALLERS]
            lives = [Live(hubs, one, spec, more) for one in CALLERS]
            for kind, first, second in [("write", FIRST, True), *steps]:
                if kind == "write":
                    await _write(hubs, first)
                    for live in lives:
                        if second:
                            await live.catch()
                        live.is_judged = second
                elif kind == "pull":
                    pullers[first].pull(second)
                elif kind == "toggle":
                    lives[first].toggle()
                else:
                    missed = [("Person", first), ("Member", first, 0, first, True)]
                    await lives[first].come_again(missed[: 2 if kind == "away" else 0])
                    for live in lives:
                        live.is_judged = False
            for live in lives:
                await live.catch()
            for puller in pullers:
                while puller.pull(3):
                    pass


@pytest.mark.parametrize("page", ["small", "large"])
def test_included_rows_are_those_of_a_list(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every pull and live: what HTTP includes is held, and nothing forbidden is sent."""
    if page == "small":
        monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 1)
        monkeypatch.setattr(limits, "FRAME_BYTES_MAX", 200)
        monkeypatch.setattr(limits, "INCLUDE_VALUES_MAX", 1)

    @settings(
        max_examples=25 * SCALE, deadline=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate), print_blob=True,
    )  # fmt: skip
    @given(st.lists(STEP, min_size=4, max_size=18), st.sampled_from(FOLLOWED))
    def check(steps: list[Any], followed: tuple[dict[str, Any], list[str]]) -> None:
        asyncio.run(_follow(steps, *followed))

    check()


async def test_the_longest_path_is_followed(tmp_path: Path) -> None:
    """Six hops, each behind a policy of its own: SQLite's parser has room for all of it."""
    async with hubs_at(tmp_path, APP) as hubs:
        path = ".".join(["parent"] * 4 + ["room", "members"])
        for spec in (
            {"entity": "Message", "include": [path]},
            {"entity": "Message", "order": ["-id"], "limit": 2, "include": [path]},
        ):
            wanted = SubscriptionSpec(id="s", **spec)  # type: ignore[arg-type]
            made = make_subscription(
                wanted, hubs.definitions.current, CALLERS[0], is_resuming=False
            )
            assert len(made.reaches) == 6
            view = make_view(hubs.definitions.current, CALLERS[0], [made])
            await hubs.put("Room", "r0", isOpen=False)
            await hubs.put("Member", "m0", roomId="r0", user="p0", level=1)
            for n in range(5):
                above = f"g{n - 1}" if n else None
                await hubs.put("Message", f"g{n}", isOpen=False, roomId="r0", parentId=above)
            peer = hubs.connect(CALLERS[0], {"id": "s", **spec})
            await hubs.settle(peer)
            database = hubs.database
            await hubs.put("Message", "g0", isOpen=True, roomId="r0", parentId=None)
            await hubs.put("Member", "m0", roomId="r0", user="p1", level=1)
            await hubs.settle(peer)
            page = read_page(
                database.readers.inline, view, database.cursor(0), database.epoch, 1000, NOW
            )
            assert not page.more


async def test_a_path_behind_policies_nested_too_deep_is_refused(tmp_path: Path) -> None:
    """It is said at the subscription, not by a socket that breaks later."""
    deep = "data.isOpen == true"
    for n in range(29):
        deep = f"(data.parentId == 'a{n}' && (data.roomId == 'b{n}' || {deep}))"
    app = APP.replace(
        'read="data.isOpen == true || exists Member(roomId == data.roomId, user == auth.userId)")\n'
        "class Message",
        f'read="{deep}")\nclass Message',
    )
    async with hubs_at(tmp_path, app) as hubs:
        path = ".".join(["parent"] * 6)
        wanted = SubscriptionSpec(id="s", entity="Message", include=[path])
        with pytest.raises(InvalidArgument, match="nested too deep"):
            make_subscription(wanted, hubs.definitions.current, CALLERS[0], is_resuming=False)
        alone = SubscriptionSpec(id="s", entity="Message")
        made = make_subscription(alone, hubs.definitions.current, CALLERS[0], is_resuming=False)
        view = make_view(hubs.definitions.current, CALLERS[0], [made])
        database = hubs.database
        read_page(database.readers.inline, view, database.cursor(0), database.epoch, 1000, NOW)
