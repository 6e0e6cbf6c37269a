"""Followed functions are never stale: random functions, writes, roles and callers.

A function is a small program in its arguments, so that one app has all of them. Real storage, real
policies, the real hub; the truth is a fresh run of each call for each caller once all is quiet.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.clock import iso_ms
from pylon.errors import PylonError
from pylon.identity import ANONYMOUS, Identity
from pylon.server.functions.context import QueryContext
from tests.unit.server.sync.hubs import Hubs, Peer, hubs_at, user
from tests.unit.server.sync.live_app import quiet, value_of

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
STEPS = 60
APP = """
from __future__ import annotations

from pylon import App, Entity, Refused, Text, field, index

app = App("live")


@app.entity(read="data.owner == auth.userId || !data.secret", insert="true")
class Note(Entity):
    owner: str
    secret: bool = False
    n: int | None = None
    text: Text = field(default="", read="data.n == null || hasRole('chief')")


@app.entity(
    read="exists Member(room == data.room, userId == auth.userId)"
    " || (hasRole('chief') && exists Open(room == data.room, level >= 2))",
    insert="true",
)
class Message(Entity):
    room: str
    n: int | None = None


@app.entity(read="data.userId == auth.userId || hasRole('chief')", insert="true", sync=False)
class Member(Entity):
    room: str
    userId: str

    by_room = index("room", "userId")


@app.entity(read="true", insert="true")
class Open(Entity):
    room: str
    level: int = 0

    by_room = index("room", "level")


def run(ctx, step):
    match step["do"]:
        case "get":
            row = ctx.db.get(step["entity"], step["id"])
            return None if row is None else shown(row)
        case "list":
            rows = ctx.db.list(
                step["entity"], where=step["where"], order=step["order"], limit=step["limit"]
            )
            return [shown(row) for row in rows]
        case "count":
            return ctx.db.count(step["entity"], where=step["where"])
        case "system":
            with ctx.as_system():
                return run(ctx, step["inner"])
        case "me":
            return [ctx.auth.user_id, sorted(ctx.auth.roles)]
        case "if":
            return run(ctx, step["then" if run(ctx, step["test"]) else "otherwise"])
        case "refuse":
            raise Refused("NO", "no")
        case "crash":
            raise ValueError("crash")
        case "all":
            return [run(ctx, one) for one in step["steps"]]


def shown(row):
    return [row.id, getattr(row, "n", None), getattr(row, "text", "hidden")]


@app.query(allow="true")
def anybody(ctx, step: dict):
    return run(ctx, step)


@app.query
def signed_in(ctx, step: dict):
    return run(ctx, step)


@app.query(allow="exists Member(userId == auth.userId, room == args.room)")
def member(ctx, room: str, step: dict):
    return run(ctx, step)
"""
ROOMS, USERS = ["a", "b"], ["ann", "ben", "cid"]
WHERES: dict[str, list[Any]] = {
    "Note": [None, {"owner": "ann"}, {"n": {">=": 2}}, {"id": "r1"}, {"n": None},
             "owner == auth.userId", "n == 1 && exists Member(userId == owner)",
             {"or": [{"owner": "ben"}, {"secret": True}]}],
    "Message": [None, {"room": "a"}, {"room": "b", "n": 1}, "exists Open(room == room)",
                "exists Member(room == room, userId == 'cid')"],
    "Member": [None, {"userId": "ann"}, {"room": "a", "userId": "ben"}],
    "Open": [None, {"level": {">": 0}}],
}  # fmt: skip


def _step(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    kinds = ["get", "list", "list", "list", "count", "me", "refuse", "crash"]
    if depth < 2:
        kinds += ["system", "if", "if", "all", "all"]
    kind = chance.choice(kinds)
    entity = chance.choice(list(WHERES))
    inner = [_step(chance, depth + 1) for _ in range(3)] if depth < 2 else []
    match kind:
        case "get":
            return {"do": kind, "entity": entity, "id": f"r{chance.randint(0, 3)}"}
        case "list" | "count":
            return {
                "do": kind,
                "entity": entity,
                "where": chance.choice(WHERES[entity]),
                "order": chance.choice([None, ["-id"]]),
                "limit": chance.choice([1, 2, 50]),
            }
        case "system":
            return {"do": kind, "inner": inner[0]}
        case "if":
            return {"do": kind, "test": inner[0], "then": inner[1], "otherwise": inner[2]}
        case "all":
            return {"do": kind, "steps": inner[: chance.randint(1, 2)]}
        case _:
            return {"do": kind}  # fmt: skip


def _call(chance: random.Random) -> dict[str, Any]:
    fn = chance.choice(["anybody", "anybody", "signed_in", "member"])
    args: dict[str, Any] = {"step": _step(chance)}
    if fn == "member":
        args["room"] = chance.choice(ROOMS)
    return {"fn": fn, "args": args}


class _World:
    def __init__(self, hubs: Hubs, seed: int) -> None:
        self.hubs = hubs
        self.chance = random.Random(seed)
        self.peers: list[Peer] = []
        self.callers = {name: user(name) for name in USERS}
        #: Few calls, so that callers meet.
        self.calls = [_call(self.chance) for _ in range(4)]

    # --- what happens

    async def write(self) -> None:
        """One to three rows of one transaction come, change or go."""
        changes = [self._change() for _ in range(self.chance.randint(1, 3))]

        def work(tx: Any) -> None:
            for entity, row_id, values in changes:
                if values is None:
                    model = self.hubs.definitions.current.schema.entities[entity]
                    before = tx.get(model, row_id)
                    if before is not None:
                        tx.delete(model, before)
                else:
                    self.hubs.put_in(tx, entity, row_id, **values)

        await self.hubs.work(work)

    def _change(self) -> tuple[str, str, dict[str, Any] | None]:
        chance, row_id = self.chance, f"r{self.chance.randint(0, 3)}"
        entity = chance.choice(["Note", "Message", "Member", "Member", "Open"])
        if chance.random() < 0.3:
            return entity, row_id, None
        n = chance.choice([None, 1, 2, 3])
        values: dict[str, Any] = {
            "Note": {"owner": chance.choice(USERS), "secret": chance.random() < 0.5, "n": n,
                     "text": chance.choice("xy")},
            "Message": {"room": chance.choice(ROOMS), "n": n},
            "Member": {"room": chance.choice(ROOMS), "userId": chance.choice(USERS)},
            "Open": {"room": chance.choice(ROOMS), "level": chance.randint(0, 3)},
        }[entity]  # fmt: skip
        return entity, row_id, values

    async def come(self) -> None:
        """Somebody comes, perhaps for the second time."""
        if len(self.peers) < 6:
            name = self.chance.choice([*USERS, ""])
            identity = self.callers[name] if name else ANONYMOUS
            subscriptions = [{"id": f"f{n}", **one} for n, one in enumerate(self.calls[:2])]
            self.peers.append(self.hubs.connect(identity, *subscriptions))

    async def go(self) -> None:
        """Somebody leaves."""
        if self.peers:
            self.peers.pop(self.chance.randrange(len(self.peers))).leave()

    async def ask(self) -> None:
        """Somebody subscribes to one more, or ends a subscription."""
        if not self.peers:
            return
        peer, number = self.chance.choice(self.peers), self.chance.randrange(4)
        if f"f{number}" in peer.connection.subscriber.functions:
            self.hubs.hub.unsubscribe(peer.connection, f"f{number}")
        else:
            peer.subscribe(id=f"f{number}", **self.calls[number])

    async def become(self) -> None:
        """Somebody's roles are others now."""
        name = self.chance.choice(USERS)
        self.callers[name] = user(name, *self.chance.choice([(), ("chief",)]))
        self.hubs.sessions.now[name] = self.callers[name]
        self.hubs.sessions.end(None, name, "identity_changed")

    async def resync(self) -> None:
        """Somebody has to start over."""
        if self.peers:
            self.hubs.hub.resync(self.chance.choice(self.peers).connection, "gap")

    # --- what must hold

    async def check(self) -> None:
        """Each shows what a fresh run of his own comes to."""
        await quiet(self.hubs)
        fresh: dict[Any, Any] = {}
        for peer in self.peers:
            identity = peer.connection.identity
            for one in peer.connection.subscriber.functions.values():
                call = (one.fn, jsonvalue.encode_text(one.args), identity.user_id)
                if call not in fresh:
                    fresh[call] = self._run(identity, one.fn, one.args)
                assert value_of(peer, one.id) == fresh[call], (one.fn, one.args, identity)
        answers = self.hubs.hub.live.sizes["live_answers"]
        assert answers <= len(fresh), "a caller's own sockets share"

    def _run(self, identity: Identity, fn: str, args: Any) -> Any:
        """Run a call once, and note nothing of it."""
        definition: AppDefinition = self.hubs.definitions.current
        function, code = definition.functions[fn], self.hubs.code
        now = iso_ms(0)
        try:
            decoded = code.arguments(definition, function, identity, args, now)
            facts = code.facts(definition, identity, now, b"", 5)
            context = QueryContext(facts, self.hubs.database.readers.inline)
            value = code.run(function, lambda: function.handler(context, **decoded), 5)
            return jsonvalue.parse(jsonvalue.encode(code.result(function, value)))
        except PylonError as error:
            return error.code


@pytest.mark.parametrize("part", range(2))
def test_each_follower_shows_what_is_true_now(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happened, in whatever order, and however much of it at once.

    In the second part runs are made on a thread, and commits come between.
    """
    monkeypatch.setattr("pylon.limits.FUNCTION_SECONDS", 5.0)  # the machine may be busy
    if part == 1:
        monkeypatch.setattr("pylon.server.sync.live_answer._SLOW_SECONDS", -1.0)

    async def follow() -> None:
        with tempfile.TemporaryDirectory() as root:
            async with hubs_at(Path(root), APP) as hubs:
                for number in range(12 * SCALE):
                    await _play(_World(hubs, part * 1_000_000 + number))

    asyncio.run(follow())


async def _play(world: _World) -> None:
    happenings = [
        *[world.write] * 6, world.come, world.come, world.go, world.ask, world.ask, world.become,
        world.resync,
    ]  # fmt: skip
    await world.come()
    for _ in range(STEPS):
        await world.chance.choice(happenings)()
        if world.chance.random() < 0.3:
            await world.check()
    await world.check()
    for peer in world.peers:
        peer.leave()
    assert not any(world.hubs.hub.live.sizes.values())
