"""Whatever an `exists` looks at changes: who follows holds exactly what his policy shows him.

Random policies, random writes, real storage, the real routine and the real hub, the client's own
replica; the truth is what the reference interpreter selects from all rows.
"""

from __future__ import annotations

import asyncio
import operator
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pylon import jsonvalue, limits
from pylon.client.fields import Fields
from pylon.client.replica import Replica
from pylon.client.subscription import Definition
from pylon.identity import ANONYMOUS, Identity
from pylon.policy import ir
from pylon.policy.reference import World, evaluate
from pylon.policy.sqlclause import flat_values
from pylon.protocol.messages import Snapshot, SubscriptionSpec, Window
from pylon.schema.model import Access, Row
from pylon.schema.wire import wire_row
from pylon.server.storage.transaction import Transaction
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.projection import batch_body
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import make_view
from tests.unit.server.sync.hubs import Hubs, hubs_at, user

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
NOW = "2026-11-24T12:00:00.000Z"
APP = '''
from __future__ import annotations

from typing import Literal

from pylon import App, Entity, field, index

app = App("slices")


@app.entity(read="""{policy}""", insert="true")
class Item(Entity):
    ch: str
    owner: str | None = None
    state: Literal["a", "b"] = "a"
    n: int | None = None
    secret: str | None = field(default=None, private=True)

    by_ch = index("ch")
    by_owner = index("owner")


@app.entity(read="true", insert="true")
class Member(Entity):
    ch: str
    user: str | None = None
    role: Literal["e", "x"] = "e"
    n: int | None = None

    by_ch = index("ch")
    by_user = index("user")
    by_role = index("role")
    by_n = index("n")
'''
CHANNELS, USERS, NUMBERS = ("c1", "c2"), ("u1", "u2", None), (0, 1, None)
CALLERS = (user("u1"), user("u2", "admin"), ANONYMOUS)
WHERES: tuple[dict[str, Any], ...] = ({}, {"state": "a"}, {"ch": {"!=": "c2"}}, {"n": {">=": 1}})

# --- policies ----------------------------------------------------------------------------

KEYS = (
    "ch == data.ch", "user == auth.userId", "user == data.owner", "role == 'e'", "role in ['e']",
    "n == data.n", "user == data.secret", "ch in [data.ch, data.owner]",
)  # fmt: skip
MORE = ("role != 'x'", "n > 0", "n >= data.n", "user != auth.userId", "n == null", "user != null")
LEAVES = (
    "data.owner == auth.userId", "data.state == 'a'", "auth.userId != null", "data.n > 0",
    "hasRole('admin')", "data.secret == 'c1'",
)  # fmt: skip


@st.composite
def exists(draw: st.DrawFn) -> str:
    """Return an `exists` with at least one filter that an index answers."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True))
    more = draw(st.lists(st.sampled_from(MORE), max_size=1))
    return f"exists Member({', '.join([*keys, *more])})"


POLICIES = st.recursive(
    st.one_of(exists(), exists(), st.sampled_from(LEAVES)),
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} && {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} || {two[1]})"),
    ),
    max_leaves=4,
).filter(lambda text: "exists" in text)

# --- what happens ------------------------------------------------------------------------

WRITE = st.one_of(
    st.tuples(st.just("Item"), st.integers(0, 2), st.sampled_from(CHANNELS),
              st.sampled_from(USERS), st.sampled_from("ab"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("Member"), st.integers(0, 1), st.sampled_from(CHANNELS),
              st.sampled_from(USERS), st.sampled_from("ex"), st.sampled_from(NUMBERS)),
    st.tuples(st.sampled_from(["Item", "Member", "Member"]), st.integers(0, 1)),
)  # fmt: skip
#: Transactions with or without a look at the live ones behind them, and pulls of one page.
STEP = st.one_of(
    st.tuples(st.lists(WRITE, min_size=1, max_size=3), st.booleans()),
    st.tuples(st.lists(WRITE, min_size=1, max_size=1), st.booleans()),
    st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 3, 7, 100])),
)


def _write(hubs: Hubs, writes: list[tuple[Any, ...]]) -> Any:
    """Return a transaction that inserts, updates (one field changes, or all) and deletes."""

    def work(tx: Transaction) -> None:
        for name, place, *values in writes:
            entity = hubs.definitions.current.schema.entities[name]
            row_id = f"{name[0].lower()}{place}"
            before = tx.get(entity, row_id)
            if not values:
                if before is not None:
                    tx.delete(entity, before)
                continue
            names = [one.name for one in entity.fields]
            row = dict(zip(names, [*values, values[0]], strict=False))
            if before is None:
                tx.insert(entity, {"id": row_id, **dict.fromkeys(names), **row})
            else:
                tx.update(entity, before, {**before, **row})

    return hubs.work(work)


# --- the truth ---------------------------------------------------------------------------


_COMPARED = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _matches(node: ir.ExistsNode, values: tuple[Any, ...], row: Row) -> bool:
    left = list(values)
    for one in node.filters:
        given = [left.pop(0) for _ in flat_values(one)]
        stored = row[one.field]
        if one.value is None:
            is_so = (stored is None) is (one.op == "==")
        elif one.op == "in":
            is_so = stored is not None and stored in given
        else:
            is_so = stored is not None and _COMPARED[one.op](stored, given[0])
        if not is_so:
            return False
    return True


class Truth:
    """All rows as they are, and whom the reference interpreter shows them."""

    def __init__(self, hubs: Hubs) -> None:
        self.definition = hubs.definitions.current
        reader = hubs.database.readers.inline
        self.rows: dict[str, list[Row]] = {}
        for name, entity in self.definition.schema.entities.items():
            ids = reader.rows(f'SELECT id FROM "{name}"')
            found = [reader.get(entity, row_id) for (row_id,) in ids]
            self.rows[name] = [one for one in found if one is not None]

    def shows(self, identity: Identity, entity: str, row: Row) -> bool:
        """Tell whether a caller may see a row."""
        condition = self.definition.policies.get(entity, Access.READ).condition
        world = World(
            identity=identity, data=row, now=NOW,
            lookup=lambda node, values: any(
                _matches(node, values, one) for one in self.rows[node.entity]
            ),
        )  # fmt: skip
        return evaluate(condition, world) is True

    def of(self, identity: Identity, where: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return what a caller's replica of Item is to hold."""
        entity = self.definition.schema.entities["Item"]
        return {
            row["id"]: wire_row(entity, row)
            for row in self.rows["Item"]
            if _selected(where, row) and self.shows(identity, "Item", row)
        }


def _selected(where: dict[str, Any], row: Row) -> bool:
    for name, wanted in where.items():
        value = row[name]
        if isinstance(wanted, dict):
            [(op, operand)] = wanted.items()
            if value is None or not (value != operand if op == "!=" else value >= operand):
                return False
        elif value != wanted:
            return False
    return True


# --- who follows -------------------------------------------------------------------------


class Follower:
    """The client's own replica of one caller and filter."""

    def __init__(self, hubs: Hubs, identity: Identity, where: dict[str, Any]) -> None:
        self.hubs = hubs
        self.identity = identity
        self.where = where
        #: No transaction came between what is taken and now.
        self.is_judged = True
        self.replica = Replica(Fields(hubs.definitions.current.manifest))
        self.replica.subscribe("s", Definition(entity="Item", where=where))

    @property
    def rows(self) -> dict[str, Any]:
        """Return what it holds."""
        return {row["id"]: dict(row) for row in self.replica.rows("Item")}

    def take(self, batch: dict[str, Any]) -> None:
        """Apply a batch: nothing in it may be of a row that its caller may not see.

        Who is live took it as it was made; since then a transaction may have hidden the row.
        """
        truth = Truth(self.hubs)
        now = {row["id"]: row for row in truth.rows["Item"]}
        for row in _rows_in(batch) if self.is_judged else ():
            assert truth.shows(self.identity, "Item", now[row["id"]]), "content of a hidden row"
        assert self.replica.apply(batch) == "applied", "batches join"
        self.replica.release()
        self.replica.take_save()


class Puller(Follower):
    """Comes now and then for a page of the log."""

    def __init__(self, hubs: Hubs, identity: Identity, where: dict[str, Any]) -> None:
        super().__init__(hubs, identity, where)
        start = str(hubs.database.cursor(0))
        self.replica.start_at(start)
        self.replica.page(Snapshot(subscription="s", entity="Item", rows=[], at=start, done=True))
        spec = SubscriptionSpec(id="s", entity="Item", where=where)
        made = make_subscription(spec, hubs.definitions.current, identity, is_resuming=True)
        self._view = make_view(hubs.definitions.current, identity, [made])

    def pull(self, limit: int) -> bool:
        """Take one page; tells whether there is more."""
        database = self.hubs.database
        seq = int(str(self.replica.cursor).rpartition(":")[2])
        reader = database.readers.inline
        page = read_page(reader, self._view, database.cursor(seq), database.epoch, limit, NOW)
        body = batch_body(database.epoch, page.after, page.through, page.tail, more=page.more)
        self.take(jsonvalue.decode_trusted(body))
        if not page.more:
            assert self.rows == Truth(self.hubs).of(self.identity, self.where)
        return page.more


class Live(Follower):
    """Is connected all the time, to the real hub; keeps a window beside its subscription."""

    def __init__(self, hubs: Hubs, identity: Identity, where: dict[str, Any]) -> None:
        super().__init__(hubs, identity, where)
        self.replica.subscribe("w", Definition(entity="Item", where=where, order=["-n"], limit=2))
        self.peer = hubs.connect(
            identity, {"id": "s", "entity": "Item", "where": where},
            {"id": "w", "entity": "Item", "where": where, "order": ["-n"], "limit": 2},
        )  # fmt: skip
        self._taken = 0

    async def catch(self) -> None:
        """Take what has come until nothing lacks, and look."""
        await self.hubs.settle(self.peer)
        self.hubs.hub.flush(self.peer.connection)
        await self.hubs.settle(self.peer)
        for message in self.peer.frames[self._taken :]:
            self._taken += 1
            match message["type"]:
                case "welcome":
                    self.replica.start_at(message["head"])
                case "snapshot":
                    self.replica.page(msgspec.convert(_untyped(message), Snapshot))
                case "window":
                    self.replica.window(msgspec.convert(_untyped(message), Window))
                case "changes":
                    self.take(message)
        truth = Truth(self.hubs).of(self.identity, self.where)
        assert self.rows == truth
        listed = self.replica.subscriptions["w"].ids or []
        ranks = sorted(
            truth, key=lambda one: (-(-1 if truth[one]["n"] is None else truth[one]["n"]), one)
        )
        assert listed == ranks[:2]


def _untyped(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "type"}


def _rows_in(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in batch["changes"]:
        yield from one["rows"] if one["kind"] == "refresh" else [one["row"]] if "row" in one else []


async def _follow(policy: str, steps: list[Any], where: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with hubs_at(Path(folder), APP.format(policy=policy)) as hubs:
            pullers = [Puller(hubs, one, where) for one in CALLERS]
            lives = [Live(hubs, one, where) for one in CALLERS]
            for step in steps:
                if isinstance(step[0], list):
                    await _write(hubs, step[0])
                    for live in lives:
                        if step[1]:
                            await live.catch()
                        live.is_judged = step[1]
                else:
                    pullers[step[0] % len(pullers)].pull(step[1])
            for live in lives:
                await live.catch()
            for puller in pullers:
                while puller.pull(3):
                    pass


@pytest.mark.parametrize("page", ["small", "large"])
def test_followers_hold_what_their_policy_shows(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every pull and live, whatever policy, writes and page sizes; and nothing is leaked."""
    if page == "small":
        monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 1)
        monkeypatch.setattr(limits, "FRAME_BYTES_MAX", 200)

    # Shrinking what takes a database each time would take minutes: the seed is told instead.
    @settings(
        max_examples=30 * SCALE, deadline=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate), print_blob=True, derandomize=SCALE == 1,
    )  # fmt: skip
    @given(POLICIES, st.lists(STEP, min_size=8, max_size=14), st.sampled_from(WHERES))
    def check(policy: str, steps: list[Any], where: dict[str, Any]) -> None:
        asyncio.run(_follow(policy, steps, where))

    check()


async def test_a_row_leaves_though_the_policy_changed_its_mind_after_it_left(
    tmp_path: Path,
) -> None:
    """Seen, then moved out of the filter, then hidden as it was: a puller between keeps it."""
    policy = "!(exists Member(user == data.owner))"
    async with hubs_at(tmp_path, APP.format(policy=policy)) as hubs:
        puller = Puller(hubs, CALLERS[0], {"ch": {"!=": "c2"}})
        await _write(hubs, [("Item", 2, "c1", "u1", "a", None)])
        puller.pull(100)
        assert list(puller.rows) == ["i2"]
        await _write(hubs, [("Item", 2, "c2", None, "b", 1)])
        await _write(hubs, [("Member", 1, "c1", "u1", "x", 0)])
        while puller.pull(1):
            pass


@pytest.mark.parametrize("others", [0, 30])  # few slices are compared in SQL, many in Python
async def test_a_row_that_left_is_named_to_those_who_could_see_it(
    tmp_path: Path, others: int
) -> None:
    """Beside the slice of its owner stand those of others: they say nothing of other rows."""
    policy = "data.state == 'a' && !(exists Member(user == data.owner))"
    async with hubs_at(tmp_path, APP.format(policy=policy)) as hubs:
        puller = Puller(hubs, CALLERS[0], {"ch": {"!=": "c2"}})
        await _write(hubs, [
            ("Item", 0, "c1", "u1", "a", None), ("Item", 1, "c1", "u2", "a", None),
            ("Item", 2, "c1", "u1", "b", None),
        ])  # fmt: skip
        puller.pull(100)
        assert list(puller.rows) == ["i0", "i1"]
        for place in range(3):
            await _write(hubs, [("Item", place, "c2", None, "b", 1)])
        await _write(hubs, [("Member", n + 2, "c1", f"o{n}", "x", 0) for n in range(others)])
        await _write(hubs, [("Member", 1, "c1", "u1", "x", 0)])
        database = hubs.database
        seq = int(str(puller.replica.cursor).rpartition(":")[2])
        page = read_page(
            database.readers.inline, puller._view, database.cursor(seq), database.epoch, 3, NOW
        )
        told = jsonvalue.decode_trusted(f"[{page.tail.decode()}]".encode())
        assert [(one["kind"], one["row_id"]) for one in told] == [
            ("delete", "i0"),
            ("delete", "i1"),
        ]
        while puller.pull(1):
            pass
        assert not puller.rows


async def test_who_is_live_is_told_though_the_policy_changed_its_mind_at_once(
    tmp_path: Path,
) -> None:
    """The state that is asked knows of a commit already that the pump has not heard of."""
    policy = "!(exists Member(ch == data.ch))"
    async with hubs_at(tmp_path, APP.format(policy=policy)) as hubs:
        live = Live(hubs, CALLERS[0], {})
        live.is_judged = False
        for _ in range(12):
            await _write(hubs, [("Item", 0, "c1", None, "a", None)])
            await live.catch()
            assert list(live.rows) == ["i0"]
            await asyncio.gather(
                _write(hubs, [("Item", 0)]), _write(hubs, [("Member", 0, "c1", None, "x", 0)])
            )
            await live.catch()
            assert not live.rows
            await _write(hubs, [("Member", 0)])


async def test_an_older_delete_is_never_left_out(tmp_path: Path) -> None:
    """What a later slice means are the values of now; a copy of before would stay for ever."""
    policy = "!exists Member(ch == data.ch, user == auth.userId)"
    async with hubs_at(tmp_path, APP.format(policy=policy)) as hubs:
        puller = Puller(hubs, CALLERS[0], {})
        await _write(hubs, [("Item", 0, "c1", None, "a", None)])
        puller.pull(100)
        assert list(puller.rows) == ["i0"]
        for state in "ab":
            await _write(hubs, [("Item", 0, "c2", None, state, None)])
        puller.pull(1)
        await _write(hubs, [("Member", 0, "c2", "u1", "e", None)])
        puller.pull(100)
        assert puller.rows == {}
