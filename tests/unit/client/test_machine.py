"""The client machine: recorded transcripts, and convergence under random schedules."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.client import events as ev
from pylon.client.machine import Machine
from pylon.client.pending import PendingMutation, effects_of
from pylon.client.subscription import Definition
from pylon.protocol.change import ChangeBatch
from pylon.protocol.messages import Changes, Downstream
from pylon.testing import vectors


@pytest.mark.parametrize(
    "path", sorted(vectors.FOLDER.glob("machine/*.json")), ids=lambda path: path.stem
)
def test_recorded_transcripts_are_reproduced(path: Any) -> None:
    """Events in, the same commands and the same view out, as in TypeScript."""
    vector = json.loads(path.read_bytes())
    events = [step["event"] for step in vector["steps"]]
    for got, step in zip(vectors.replay(vector["random"], events), vector["steps"], strict=True):
        assert json.loads(msgspec.json.encode(got)) == step, step["event"]


def test_the_committed_transcripts_are_current() -> None:
    """What is in tests/vectors is what the scenarios tell now."""
    found = {
        path.relative_to(vectors.FOLDER).as_posix(): path.read_bytes()
        for path in vectors.FOLDER.rglob("*.json")
        if path.name != "redirects.json"  # written by hand, not told by scenarios
    }
    assert found == vectors.record(), "run: python -m pylon.testing.vectors"


def _received(message: dict[str, Any]) -> ev.Received:
    return ev.Received(message=msgspec.convert(message, Downstream))


class _World:
    """One machine and a database of which it may see everything that matches."""

    def __init__(self) -> None:
        self.machine = Machine(lambda: 0.5)
        self.rows: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[int, str, dict[str, Any] | None]] = []
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.frames: list[dict[str, Any]] = []
        self.served = 0
        self.is_opening = self.is_connected = False
        self.pull: ev.Pull | None = None
        self.made = 0
        self.step(ev.Started(client_id="c1"))

    def step(self, event: ev.Event) -> None:
        for command in self.machine.step(event):
            match command:
                case ev.Connect():
                    self.is_opening, self.is_connected = True, False
                    self.frames.clear()
                case ev.Disconnect():
                    self.is_connected = False
                    self.frames.clear()
                case ev.Send(message=message):
                    self.take(msgspec.to_builtins(message))
                case ev.Pull():
                    self.pull = command
                case _:
                    pass

    def take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "hello":
                head = f"e:{len(self.log)}"
                self.served = int(message.get("cursor", head).partition(":")[2])
                welcome = {"type": "welcome", "connection_id": "k", "head": head, "user_id": "u"}
                rest = {"roles": [], "schema": "h", "heartbeat_s": 15, "limits": {}}
                self.frames.append({**welcome, **rest})
                for spec in message.get("subscriptions", []):
                    if spec.get("have") is not True:
                        self.page(spec["id"])
            case "subscribe":
                self.page(message["id"])
            case "push":
                results = [self.apply(one) for one in message["operations"]]
                answer = {"type": "results", "request_id": message["request_id"]}
                self.frames.append({**answer, "results": results, "head": f"e:{len(self.log)}"})

    def page(self, subscription: str) -> None:
        page = {"type": "snapshot", "subscription": subscription, "entity": "Note", "done": True}
        self.frames.append({**page, "rows": list(self.rows.values()), "at": f"e:{len(self.log)}"})

    def write(self, row_id: str, values: dict[str, Any] | None) -> dict[str, Any] | None:
        before = self.rows.get(row_id)
        seq = len(self.log) + 1
        self.log.append((seq, row_id, before))
        if values is None:
            self.rows.pop(row_id, None)
            return None
        self.rows[row_id] = {**(before or {}), **values, "id": row_id, "_seq": seq}
        return self.rows[row_id]

    def apply(self, operation: dict[str, Any]) -> dict[str, Any]:
        op_id, args = operation["op_id"], operation["args"]
        if op_id in self.outcomes:
            return {**self.outcomes[op_id], "status": "duplicate"}
        if (operation["fn"] == "pylon.insert") is (args["id"] in self.rows):
            error = {"code": "CONFLICT", "message": "no"}
            result = {"op_id": op_id, "status": "rejected", "seq": None, "error": error}
        else:
            value = self.write(args["id"], args.get("values"))
            result = {"op_id": op_id, "status": "applied", "seq": len(self.log), "value": value}
        self.outcomes[op_id] = result
        return result

    def batch(self, after: int) -> dict[str, Any]:
        changes = []
        for seq, row_id, before in self.log[after:]:
            now = self.rows.get(row_id)
            common = {"seq": seq, "entity": "Note", "row_id": row_id, "tx": seq, "at": ""}
            if now is not None and now["_seq"] == seq:
                changes.append({**common, "kind": "update", "row": now})
            elif before is not None:
                changes.append({**common, "kind": "delete"})
        through = f"e:{len(self.log)}"
        return {"after": f"e:{after}", "through": through, "changes": changes, "more": False}

    def mutate(self, fn: str, row_id: str) -> None:
        self.made += 1
        values = {} if fn == "pylon.delete" else {"values": {"n": self.made}}
        args = {"entity": "Note", "id": row_id, **values}
        mutation = PendingMutation(
            op_id=f"o{self.made}", fn=fn, args=args, effects=effects_of(fn, args), at="", size=1
        )
        self.step(ev.Mutated(mutation=mutation))

    def act(self, kind: str) -> None:
        match kind:
            case "open" if self.is_opening:
                self.is_opening, self.is_connected = False, True
                self.step(ev.Opened())
            case "open" if self.machine.state == "offline":
                self.step(ev.Fired(timer="reconnect"))
            case "stream" if self.is_connected:
                self.frames.append({"type": "changes", **self.batch(self.served)})
                self.served = len(self.log)
            case "deliver" if self.frames:
                self.step(_received(self.frames.pop(0)))
            case "double" if self.frames:
                self.step(_received(self.frames[0]))
            case "drop" if self.frames and self.frames[0]["type"] == "changes":
                self.frames.pop(0)
            case "lose" if self.is_connected:
                self.is_connected = False
                self.frames.clear()
                self.step(ev.Lost(code=1006))
            case "pull" if self.pull is not None:
                pull, self.pull = self.pull, None
                batch = self.batch(int(pull.cursor.partition(":")[2]))
                self.step(ev.Pulled(id=pull.id, batch=msgspec.convert(batch, ChangeBatch)))
            case _:
                pass

    def settle(self) -> None:
        for _ in range(30):
            for kind in ("open", "stream", *["deliver"] * 12, "pull"):
                self.act(kind)
            self.step(ev.Fired(timer="push"))


_acts = st.sampled_from(
    ["open", "stream", "stream", "deliver", "deliver", "deliver", "double", "drop", "lose", "pull"]
)
_writes = st.tuples(st.sampled_from(["pylon.insert", "pylon.update", "pylon.delete"]),
                    st.sampled_from(["a", "b", "__proto__"]))  # fmt: skip
_others = st.tuples(st.sampled_from(["a", "b", "c"]), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(_acts, _writes, _others), min_size=10, max_size=80))
def test_the_replica_converges_whatever_happens(steps: list[Any]) -> None:
    """After faults stop, the view is what the server has, and nothing is pending (I22)."""
    world = _World()
    world.step(ev.Subscribed(id="s1", definition=Definition(entity="Note", where={})))
    for step in steps:
        match step:
            case str():
                world.act(step)
            case (str() as fn, str() as row_id):
                world.mutate(fn, row_id)
            case (str() as row_id, bool() as is_gone):
                world.write(row_id, None if is_gone else {"n": 0})
            case _:
                pytest.fail(f"no such step: {step}")
    world.settle()
    view = {row["id"]: dict(row) for row in world.machine.view.rows("Note")}
    assert view == world.rows
    assert len(world.machine.pending) == 0
    assert world.machine.state == "live"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(_acts, _writes), min_size=10, max_size=80))
def test_own_mutations_never_flicker(steps: list[Any]) -> None:
    """With one writer, the view is exactly what was written, after every step (I28)."""
    world = _World()
    world.step(ev.Subscribed(id="s1", definition=Definition(entity="Note", where={})))
    world.settle()
    made: dict[str, int] = {}
    for step in steps:
        if isinstance(step, str):
            world.act(step)
        elif (step[0] == "pylon.insert") is not (step[1] in made):
            world.mutate(*step)
            made[step[1]] = world.made
            if step[0] == "pylon.delete":
                del made[step[1]]
        assert {row["id"]: row["n"] for row in world.machine.view.rows("Note")} == made


def test_a_gap_is_pulled_and_never_bridged() -> None:
    """A batch that names another predecessor moves nothing (I25)."""
    world = _World()
    world.step(ev.Subscribed(id="s1", definition=Definition(entity="Note", where={})))
    world.settle()
    cursor = world.machine.replica.cursor
    stray = Changes(after="e:7", through="e:9", changes=[], more=False)
    world.step(ev.Received(message=stray))
    assert world.machine.replica.cursor == cursor
    assert world.pull is not None


@pytest.mark.parametrize("random", [0.0, 0.5, 0.999])
def test_a_broken_server_is_asked_at_most_ten_times_a_minute(random: float) -> None:
    """Backoff bounds the tries, whatever chance says (I36)."""
    machine = Machine(lambda: random)
    machine.step(ev.Started(client_id="c1"))
    elapsed, tries = 0, 1
    while elapsed <= 60_000:
        commands = machine.step(ev.Lost(code=1006))
        elapsed += next(
            one.ms for one in commands if isinstance(one, ev.SetTimer) and one.timer == "reconnect"
        )
        machine.step(ev.Fired(timer="reconnect"))
        tries += 1
    assert tries <= 10
