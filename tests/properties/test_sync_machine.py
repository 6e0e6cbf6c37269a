"""H1: the whole core under random steps, beside a model that is a dictionary and a list.

Writes by function, one by one and in pushes; roles that change; replicas that pull in pages of any
size, hydrate in between, or hang on a live socket; a log that is trimmed; restarts; and the folder
of before put back behind the runtime's back. After each step: the tables are the model and the
fold of the log (I4), numbers rise without gaps and are never given twice (I11, I13), every replica
has exactly what it should have by its cursor (I12, I23), and nobody has anything else (I53).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pylon import jsonvalue
from pylon.app.loader import load_app
from pylon.clock import SystemClock
from pylon.errors import ResyncRequired
from pylon.identity import Identity
from pylon.ids import IdSource
from pylon.policy.sqlclause import both
from pylon.protocol.change import ResyncReason
from pylon.protocol.messages import Operation, SubscriptionSpec
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.executor import Executor
from pylon.server.functions.outcome import Status
from pylon.server.mail.mailer import Mailer
from pylon.server.mail.templates import MailTemplates
from pylon.server.observe import Observer
from pylon.server.storage import accounts
from pylon.server.storage.change_log import read_after, read_head, trim
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.sync_select import snapshot_page
from pylon.server.storage.verify import verify
from pylon.server.sync.catch_up import read_page
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import View, make_view
from tests.unit.server.sync.hubs import Hubs, Peer, user

_SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
NOW = "2026-11-24T12:00:00.000Z"
APP = '''
from __future__ import annotations

from pylon import App, Entity, Refused, actor, field

app = App("model")


@app.entity(
    read="isOwner() || data.secret == false || hasRole('mod')",
    insert="isOwner()", update="isOwner() || hasRole('mod')", delete="isOwner()",
)
class Note(Entity):
    owner: str = field(default=actor)
    secret: bool = False
    rank: int = 0
    scar: str | None = field(default=None, private=True)


@app.mutation
def hideAll(ctx, rank: int) -> int:
    """Several rows in one transaction: they are hidden, or seen, together."""
    mine = ctx.db.list("Note", where={"owner": ctx.auth.user_id})
    for note in mine:
        ctx.db.update("Note", note.id, secret=not note.secret, rank=rank)
    return len(mine)


@app.mutation
def twice(ctx, rank: int) -> None:
    """The same rows changed twice in one transaction, and one of them gone in the end."""
    note = None
    for note in ctx.db.list("Note", where={"owner": ctx.auth.user_id}, limit=2):
        ctx.db.update("Note", note.id, rank=rank, secret=True)
        ctx.db.update("Note", note.id, rank=rank + 1, secret=False)
    if rank == 3 and note is not None:
        ctx.db.delete("Note", note.id)


@app.mutation
def writeThenRefuse(ctx, id: str) -> None:
    ctx.db.insert("Note", id=id, rank=9)
    raise Refused("NO", "no")
'''
NAMES = ("ann", "bob", "eve")
WHERES: tuple[dict[str, Any], ...] = ({}, {"rank": {">": 1}}, {"rank": 1, "secret": False})
PLACES = st.integers(0, 5)
USERS = st.sampled_from(NAMES)
RANKS = st.integers(0, 3)


@dataclass
class Follower:
    """A replica that pulls: rows, cursor, and how far it is hydrated."""

    name: str
    where: dict[str, Any]
    cursor: str = ""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Rows up to this id were taken in; None once all were.
    after: str | None = ""
    #: The highest head of a page.
    at: int = 0

    def start_over(self, cursor: str) -> None:
        self.cursor, self.rows, self.after, self.at = cursor, {}, "", 0

    @property
    def seq(self) -> int:
        return int(self.cursor.partition(":")[2])

    def take(self, changes: list[dict[str, Any]], after: int, through: int) -> None:
        seen = after
        for one in changes:
            assert seen < one["seq"] <= through, "in order, within the batch, none twice"
            seen = one["seq"]
            local = self.rows.get(one["row_id"])
            if one["kind"] == "delete":
                assert "row" not in one
                if local is not None and local["_seq"] < one["seq"]:
                    del self.rows[one["row_id"]]
            elif local is None or one["seq"] > local["_seq"]:
                self.rows[one["row_id"]] = one["row"]

    def take_page(self, rows: list[dict[str, Any]], last: str | None, head: int) -> None:
        for row in rows:
            local = self.rows.get(row["id"])
            if local is None or local["_seq"] <= row["_seq"]:
                self.rows[row["id"]] = row
        self.after, self.at = last, max(self.at, head)


class SyncMachine(RuleBasedStateMachine):
    """Random steps against the real core on a real file."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.clock = SystemClock()
        self.number = 0
        (self.root / "app.py").write_text(APP)
        self.definitions = DefinitionHolder(load_app(self.root, generation=1))
        self.note = self.definitions.current.schema.entities["Note"]
        #: The model: rows without `_seq`, roles, and what each seq of an epoch was.
        self.rows: dict[str, dict[str, Any]] = {}
        self.roles: dict[str, frozenset[str]] = {name: frozenset() for name in NAMES}
        self.log: dict[tuple[str, int], tuple[str, str]] = {}
        self.heads: dict[str, int] = {}
        self.void: set[tuple[str, int]] = set()
        self.saved: tuple[dict[str, dict[str, Any]], dict[str, frozenset[str]]] | None = None
        self.saved_epoch = ""
        self.followers = [
            Follower(name, where) for name in NAMES[:2] for where in WHERES[:2]
        ]  # fmt: skip
        self.live: list[tuple[Peer, Follower]] = []
        self.run(self._open())
        for name in NAMES:
            self.run(self._do(
                lambda tx, name=name: accounts.insert_account(tx, name, f"{name}@example.com")
            ))  # fmt: skip
        for one in self.followers:
            one.start_over(str(self.database.cursor()))

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    async def _open(self) -> None:
        ids = IdSource(self.clock, self._bytes)
        self.database = await Database.open(
            self.root / ".pylon",
            clock=self.clock,
            ids=ids,
            witness=self.root / "witness",
            durability="normal",
        )
        await migrate(self.database, self.definitions.current.schema)
        mailer = Mailer(MailTemplates(self.root / "mail"), ids.uuid7)
        self.executor = Executor(
            self.database, self.definitions, self.clock, ids, Observer(self.clock), mailer
        )
        self.hubs = Hubs(self.root, self.database, self.definitions)

    async def _do(self, work: Any) -> Any:
        return (await self.database.writer.submit(work)).value

    async def _close(self) -> None:
        for peer, _ in self.live:
            peer.apply()
            peer.leave()
        await asyncio.sleep(0)
        await self.executor.close()
        await self.database.close()

    def _bytes(self, count: int) -> bytes:
        self.number += 1
        return (self.number * 2_654_435_761).to_bytes(max(count, 16))[-count:]

    def teardown(self) -> None:
        self.run(self._close())
        self.loop.close()
        self.folder.cleanup()

    # --- the model

    def _who(self, name: str) -> Identity:
        return user(name, *self.roles[name])

    def _may_see(self, name: str, row: dict[str, Any]) -> bool:
        return row["owner"] == name or row["secret"] is False or "mod" in self.roles[name]

    def _may_update(self, name: str, row: dict[str, Any]) -> bool:
        return row["owner"] == name or "mod" in self.roles[name]

    @staticmethod
    def _matches(where: dict[str, Any], row: dict[str, Any]) -> bool:
        if where == WHERES[1]:
            return int(row["rank"]) > 1
        return not where or (row["rank"] == 1 and row["secret"] is False)

    def _wanted(self, one: Follower) -> dict[str, dict[str, Any]]:
        return {
            row_id: row for row_id, row in self.rows.items()
            if self._may_see(one.name, row) and self._matches(one.where, row)
        }  # fmt: skip

    def _view(self, one: Follower) -> View:
        spec = SubscriptionSpec(id="s", entity="Note", where=one.where)
        definition, caller = self.definitions.current, self._who(one.name)
        made = make_subscription(spec, definition, caller, is_resuming=False)
        return make_view(definition, caller, [made])

    # --- writes

    def _call(self, name: str, fn: str, args: dict[str, Any]) -> Any:
        return self.run(self.executor.mutate(self._who(name), fn, args, op_id=None, cause="test"))

    @rule(name=USERS, place=PLACES, secret=st.booleans(), rank=RANKS)
    def insert(self, name: str, place: int, secret: bool, rank: int) -> None:
        """Insert, or insert again what was deleted: nothing of the old row is in it."""
        row_id = f"n{place}"
        values = {"secret": secret, "rank": rank, "scar": "canary"}
        outcome = self._call(
            name, "pylon.insert", {"entity": "Note", "id": row_id, "values": values}
        )
        assert (outcome.status is Status.APPLIED) is (row_id not in self.rows)
        if outcome.status is Status.APPLIED:
            self.rows[row_id] = {"owner": name, "secret": secret, "rank": rank}

    @rule(name=USERS, place=PLACES, secret=st.booleans(), rank=RANKS)
    def update(self, name: str, place: int, secret: bool, rank: int) -> None:
        row_id = f"n{place}"
        outcome = self._call(name, "pylon.update", {
            "entity": "Note", "id": row_id, "values": {"secret": secret, "rank": rank},
        })  # fmt: skip
        row = self.rows.get(row_id)
        may = row is not None and self._may_see(name, row) and self._may_update(name, row)
        assert (outcome.status is Status.APPLIED) is may
        if row is not None and may:
            self.rows[row_id] = {**row, "secret": secret, "rank": rank}

    @rule(name=USERS, place=PLACES)
    def delete(self, name: str, place: int) -> None:
        row_id = f"n{place}"
        outcome = self._call(name, "pylon.delete", {"entity": "Note", "id": row_id})
        may = row_id in self.rows and self.rows[row_id]["owner"] == name
        assert (outcome.status is Status.APPLIED) is may
        if may:
            del self.rows[row_id]

    @rule(name=USERS, rank=RANKS)
    def function(self, name: str, rank: int) -> None:
        outcome = self._call(name, "hideAll", {"rank": rank})
        assert outcome.status is Status.APPLIED
        for row in self.rows.values():
            if row["owner"] == name:
                row["secret"], row["rank"] = not row["secret"], rank

    @rule(name=USERS, rank=RANKS)
    def function_that_changes_twice(self, name: str, rank: int) -> None:
        mine = sorted(row_id for row_id, row in self.rows.items() if row["owner"] == name)[:2]
        outcome = self._call(name, "twice", {"rank": rank})
        assert outcome.status is Status.APPLIED
        for row_id in mine:
            self.rows[row_id] |= {"rank": rank + 1, "secret": False}
        if rank == 3 and mine:
            del self.rows[mine[-1]]

    @rule(name=USERS, places=st.lists(PLACES, min_size=1, max_size=4), atomic=st.booleans())
    def batch(self, name: str, places: list[int], atomic: bool) -> None:
        """Inserts and one that refuses after it wrote: alone it goes alone, atomic all go."""
        self.number += 1
        operations = [
            Operation(op_id=f"o{self.number}-{at}", fn="pylon.insert", args={
                "entity": "Note", "id": f"n{place}", "values": {"rank": at},
            })
            for at, place in enumerate(places)
        ]  # fmt: skip
        operations.append(
            Operation(op_id=f"o{self.number}-x", fn="writeThenRefuse", args={"id": "never"})
        )
        outcomes = self.run(
            self.executor.push(self._who(name), operations, atomic=atomic, cause="test")
        )
        assert outcomes[-1].status is Status.REJECTED
        for at, (place, outcome) in enumerate(zip(places, outcomes, strict=False)):
            is_new = f"n{place}" not in self.rows
            assert (outcome.status is Status.APPLIED) is (is_new and not atomic)
            if outcome.status is Status.APPLIED:
                self.rows[f"n{place}"] = {"owner": name, "secret": False, "rank": at}

    @rule(name=USERS)
    def change_role(self, name: str) -> None:
        """Replicas of that user start over: connected ones by the commit, others at the pull."""
        self.roles[name] = frozenset() if self.roles[name] else frozenset({"mod"})
        roles = self.roles[name]
        self.run(self._do(lambda tx: accounts.set_roles(tx, name, roles)))
        self.void.add((self.database.epoch, self.database.head))
        for one in self.followers:
            if one.name == name:
                one.start_over(str(self.database.cursor()))

    # --- replicas that pull

    @rule(place=st.integers(0, 3), limit=st.integers(1, 7))
    def pull(self, place: int, limit: int) -> None:
        self._pull(self.followers[place], limit)

    def _pull(self, one: Follower, limit: int) -> bool:
        """Pull one page; tells whether there is more."""
        reader = self.database.readers.inline
        epoch, _, seq = one.cursor.partition(":")
        head, horizon = read_head(reader.raw)
        cursor = self.database.cursor(int(seq))
        if epoch != self.database.epoch:
            cursor = type(cursor)(epoch, int(seq))  # type: ignore[arg-type]
        try:
            page = read_page(reader, self._view(one), cursor, self.database.epoch, limit, NOW)
        except ResyncRequired as error:
            reason = error.details["reason"]
            if epoch != self.database.epoch:
                assert reason == ResyncReason.EPOCH_CHANGED
            else:
                assert reason == ResyncReason.CURSOR_TOO_OLD
                assert int(seq) < horizon
            one.start_over(str(self.database.cursor(head)))
            return False
        assert epoch == self.database.epoch, "a cursor of another epoch gets no changes"
        assert int(seq) >= horizon, "nor one from before the horizon"
        assert page.after == int(seq)
        tail = b"[" + page.tail + b"]"
        assert b"canary" not in tail
        one.take(jsonvalue.decode_trusted(tail), page.after, page.through)
        one.cursor = str(self.database.cursor(page.through))
        return page.more

    @rule(place=st.integers(0, 3), limit=st.integers(1, 4))
    def hydrate(self, place: int, limit: int) -> None:
        one = self.followers[place]
        if one.after is None or not one.cursor.startswith(f"{self.database.epoch}:"):
            return
        seen = self._view(one).entities["Note"]
        reader = self.database.readers.inline
        head, _ = read_head(reader.raw)
        rows, last = snapshot_page(
            reader.raw, seen.entity, both(*seen.clauses(NOW)), one.after, limit, 2**20
        )
        assert b"canary" not in rows
        one.take_page(jsonvalue.decode_trusted(b"[" + rows + b"]"), last, head)

    # --- replicas on a live socket

    @rule(name=USERS, where=st.sampled_from(WHERES))
    @precondition(lambda self: len(self.live) < 4)
    def connect(self, name: str, where: dict[str, Any]) -> None:
        self._connect(Follower(name, where))

    def _connect(self, one: Follower, cursor: str | None = None, **have: Any) -> Peer:
        async def connect() -> Peer:
            spec = {"id": "s", "entity": "Note", "where": one.where, **have}
            return self.hubs.connect(self._who(one.name), spec, cursor=cursor)

        peer: Peer = self.run(connect())
        self.live.append((peer, one))
        return peer

    @rule(place=st.integers(0, 3), is_gone=st.booleans())
    def reconnect(self, place: int, is_gone: bool) -> None:
        """A socket drops, and comes back with its cursor and what it had taken in."""
        if place >= len(self.live):
            return
        peer, one = self.live.pop(place)
        peer.apply()
        peer.leave()
        if not is_gone:
            self._come_back(peer, one)

    def _come_back(self, peer: Peer, one: Follower) -> None:
        pages = peer.of("snapshot")
        have: Any = {} if not pages else {"have": True if pages[-1]["done"] else {
            "after": pages[-1]["rows"][-1]["id"],
        }}  # fmt: skip
        again = self._connect(one, peer.cursor or None, **have)
        again.rows = peer.rows

    # --- the folder

    @rule(keep=st.integers(0, 6))
    def trim(self, keep: int) -> None:
        def work(tx: Any) -> Any:
            return trim(
                tx.connection, self.database.head, keep_changes=keep, keep_after_ms=2**60,
                at_most=1_000,
            )  # fmt: skip

        self.database.horizon = horizon = self.run(self._do(work)).horizon
        # The edges of the window: the horizon itself goes on, one before it starts over (I17, I18).
        for seq, may_go_on in ((horizon - 1, False), (horizon, True), (self.database.head, True),
                               (self.database.head + 1, False)):  # fmt: skip
            one = self.followers[0]
            with contextlib.nullcontext() if may_go_on else pytest.raises(ResyncRequired):
                read_page(
                    self.database.readers.inline, self._view(one), self.database.cursor(seq),
                    self.database.epoch, 3, NOW,
                )  # fmt: skip

    @rule()
    def restart(self) -> None:
        epoch, head = self.database.epoch, self.database.head
        self._stop_and_start()
        assert (self.database.epoch, self.database.head) == (epoch, head)

    def _stop_and_start(self, between: Any = lambda: None) -> None:
        live = self.live
        self.run(self._close())
        between()
        self.run(self._open())
        self.live = []
        for peer, one in live:
            self._come_back(peer, one)

    @rule()
    @precondition(lambda self: self.saved is None)
    def save_copy(self) -> None:
        self._stop_and_start(lambda: shutil.copytree(self.root / ".pylon", self.root / "saved"))
        rows = {row_id: dict(row) for row_id, row in self.rows.items()}
        self.saved = rows, dict(self.roles)
        self.saved_epoch = self.database.epoch

    @rule()
    @precondition(lambda self: self.saved is not None)
    def put_the_old_copy_back(self) -> None:
        """Behind the runtime's back: another epoch, and nobody diverges."""

        def swap() -> None:
            shutil.rmtree(self.root / ".pylon")
            (self.root / "saved").rename(self.root / ".pylon")

        assert self.saved is not None
        epoch, roles = self.database.epoch, self.roles
        (self.rows, self.roles), self.saved = self.saved, None
        self._stop_and_start(swap)
        for one in self.followers:
            if roles[one.name] != self.roles[one.name]:
                one.start_over(str(self.database.cursor()))
        assert self.database.epoch != epoch
        # The copy's history is the new epoch's, with the numbers that changes of roles took in it.
        self.void |= {
            (self.database.epoch, seq)
            for one, seq in self.void
            if one == self.saved_epoch and seq <= self.database.head
        }

    # --- what always holds

    @invariant()
    def tables_are_the_model_and_the_fold_of_the_log(self) -> None:
        """I4."""
        reader = self.database.readers.inline
        assert verify(reader.raw, self.definitions.current.schema) == []
        stored = {}
        for (row_id,) in reader.rows('SELECT id FROM "Note"'):
            row = reader.get(self.note, row_id)
            assert row is not None
            stored[row_id] = {key: row[key] for key in ("owner", "secret", "rank")}
        assert stored == self.rows

    @invariant()
    def numbers_rise_without_gaps_and_are_given_once(self) -> None:
        """I11, I13."""
        reader = self.database.readers.inline
        epoch = self.database.epoch
        head, horizon = read_head(reader.raw)
        assert head == self.database.head >= self.heads.get(epoch, 0)
        records = read_after(reader.raw, 0, 100_000, self.definitions.current.schema)
        numbers = [one.seq for one in records]
        # A change of roles takes a number, so that cursors of before are known by theirs.
        assert numbers == [
            seq for seq in range(horizon + 1, head + 1) if (epoch, seq) not in self.void
        ]  # fmt: skip
        for one in records:
            what = one.row_id, one.kind
            assert self.log.setdefault((epoch, one.seq), what) == what
        self.heads[epoch] = head

    @invariant()
    def who_pulls_has_what_his_cursor_says(self) -> None:
        """I12, I53: of rows that did not change since his cursor, just what he may see now."""
        seqs = dict(self.database.readers.inline.rows('SELECT id, _seq FROM "Note"'))
        for one in self.followers:
            if not one.cursor.startswith(f"{self.database.epoch}:"):
                continue
            settled = {
                row_id for row_id, seq in seqs.items()
                if seq <= one.seq and (one.after is None or row_id <= one.after)
            }  # fmt: skip
            wanted = self._wanted(one)
            for row_id in settled:
                found = one.rows.get(row_id)
                assert (found is not None) is (row_id in wanted), (row_id, one)
                assert found is None or found["_seq"] == seqs[row_id]
            if one.after is None and one.seq == self.database.head:
                self._is_exactly(one.rows, wanted)

    @invariant()
    def who_is_connected_has_what_he_may_see(self) -> None:
        """I22, I53: once nothing is under way."""
        if not self.live:
            return
        self.run(self.hubs.settle(*(peer for peer, _ in self.live)))
        for peer, one in self.live:
            peer.apply()
            assert all(b"canary" not in data for data in peer.transport.writes)
            rows = {row_id: row for (_, row_id), row in peer.rows.items()}
            self._is_exactly(rows, self._wanted(one))

    @staticmethod
    def _is_exactly(rows: dict[str, Any], wanted: dict[str, dict[str, Any]]) -> None:
        assert {
            row_id: {key: row[key] for key in ("owner", "secret", "rank")}
            for row_id, row in rows.items()
        } == wanted
        assert all("scar" not in row for row in rows.values())

    @rule(limit=st.integers(1, 5))
    def a_fresh_replica_is_no_other(self, limit: int) -> None:
        """I23: who went on from a cursor has byte by byte what who begins now has."""
        for one in self.followers:
            while self._pull(one, limit):
                pass
            fresh = Follower(one.name, one.where)
            fresh.start_over(str(self.database.cursor()))
            seen = self._view(one).entities["Note"]
            for each in (one, fresh):
                while each.after is not None:
                    rows, last = snapshot_page(
                        self.database.readers.inline.raw, seen.entity,
                        both(*seen.clauses(NOW)), each.after, limit, 2**20,
                    )  # fmt: skip
                    each.take_page(
                        jsonvalue.decode_trusted(b"[" + rows + b"]"), last, self.database.head
                    )
            assert jsonvalue.canonical_json(one.rows) == jsonvalue.canonical_json(fresh.rows)


TestSync = pytest.mark.timeout(600)(SyncMachine.TestCase)
TestSync.settings = settings(
    max_examples=25 * _SCALE, stateful_step_count=40, deadline=None, derandomize=_SCALE == 1
)
