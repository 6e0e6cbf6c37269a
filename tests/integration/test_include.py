"""`include` in a subscription, by the letter of the protocol: socket, pull and event stream."""

from __future__ import annotations

import json
import random
from typing import Any

from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.integration.rawsocket import RawSocket
from tests.integration.test_same_batches import Pulled, Sent, Streamed

INCLUDE = ["author", "channel.members.user"]
WANTED = {"id": "s", "entity": "Message", "include": INCLUDE}


class _Replica:
    """Rows by (entity, id), as PROTOCOL §6 says and no more."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.through = ""

    def take(self, raw: bytes) -> bool:
        """Apply a batch; tells whether there is more."""
        batch = json.loads(raw)
        sent: dict[str, set[str]] = {}
        for one in batch["changes"]:
            if one["kind"] == "refresh":
                key = f"{one['seq']} {one['entity']} {one['where']}"
                ids = sent.setdefault(key, set())
                for row in one["rows"]:
                    ids.add(row["id"])
                    self.rows[one["entity"], row["id"]] = row
                for entity, row_id in [*self.rows] if one["done"] else ():
                    row = self.rows[entity, row_id]
                    is_meant = entity == one["entity"] and one["where"].items() <= row.items()
                    if is_meant and row_id not in ids:
                        del self.rows[entity, row_id]
                continue
            local = self.rows.get((one["entity"], one["row_id"]), {"_seq": -1})
            if one["seq"] <= local["_seq"]:
                continue
            if one["kind"] == "delete":
                self.rows.pop((one["entity"], one["row_id"]), None)
            else:
                self.rows[one["entity"], one["row_id"]] = one["row"]
        self.through = batch["through"]
        return bool(batch["more"])


async def _listed(reader: Caller) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every row that the list with `include` has anywhere in it."""
    answer = await reader.post("/api/query/Message", {"include": INCLUDE, "limit": 1000})
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for message in answer.body["rows"]:
        author, channel = message.pop("author"), message.pop("channel")
        found["Message", message["id"]] = message
        if channel is not None:
            for one in channel.pop("members"):
                user = one.pop("user")
                found["Membership", one["id"]] = one
                found |= {} if user is None else {("User", user["id"]): user}
            found["Channel", channel["id"]] = channel
        found |= {} if author is None else {("User", author["id"]): author}
    return found


async def _write(people: list[Caller], seed: int, steps: int) -> None:
    """Write what a day of a chat brings; what is refused changes nothing."""
    chance, owner = random.Random(seed), people[0]
    made: dict[str, list[tuple[Caller, str]]] = {"Message": [], "Membership": []}
    channels = [
        (await owner.insert("Channel", name=f"c{seed}-{at}", isPrivate=at > 0))["id"]
        for at in range(3)
    ]
    for _ in range(steps):
        who, channel = chance.choice(people), chance.choice(channels)
        kind = chance.choice(["Message", "Message", "Membership", "gone", "name", "private"])
        match kind:
            case "Message" | "Membership":
                values = {"channelId": channel} | (
                    {"body": "x"} if kind == "Message" else {"userId": who.user_id}
                )
                writer = who if kind == "Message" else owner
                answer = await writer.post(f"/api/entities/{kind}", values)
                if answer.status == 201:
                    made[kind].append((writer, answer.body["id"]))
            case "gone":
                entity = chance.choice([*made])
                if made[entity]:
                    writer, row_id = made[entity].pop(chance.randrange(len(made[entity])))
                    await writer.ask("DELETE", f"/api/entities/{entity}/{row_id}")
            case "name":
                name = {"name": f"n{chance.randrange(100)}"}
                await who.ask("PATCH", f"/api/entities/User/{who.user_id}", name)
            case _:
                values = {"isPrivate": chance.random() < 0.5}
                await owner.ask("PATCH", f"/api/entities/Channel/{channel}", values)
    # The last thing is for all, so that everybody is told through it and waits for no heartbeat.
    last = await owner.insert("Channel", name=f"last{seed}")
    await owner.insert("Message", channelId=last["id"], body="bye")


async def _head(served: ServedProject) -> str:
    async with served.session.get(f"{served.url}/api/health") as answer:
        return str((await answer.json())["head"])


async def test_every_way_ends_where_a_list_does(serve: Serve) -> None:
    """From the log's beginning, in small pages, live, and on from a cursor."""
    served = await serve("examples/chat")
    people = [await served.login(f"p{at}@example.com") for at in range(3)]
    reader = people[1]
    start = "0"
    small = Pulled(reader, start, [WANTED], limit=5)
    stream, live = _Replica(), _Replica()
    streamed = await Streamed.open(reader, start, [WANTED])
    sent = await Sent.open(reader, await _head(served), [{**WANTED, "have": True}])
    pulled = _Replica()
    for seed in range(3):
        await _write(people, seed, 25)
        head = await _head(served)
        wanted = await _listed(reader)
        for replica, source in ((pulled, small), (stream, streamed), (live, sent)):
            while replica.through != head:
                replica.take(await source.next())
            assert replica.rows == wanted, type(source).__name__
    streamed.close()
    sent.socket.close()


async def test_hello_and_subscribe_take_include(serve: Serve) -> None:
    """Pages of every entity, the last of which is done; a wrong path is an error of its own."""
    served = await serve("examples/chat")
    ada = await served.login("ada@example.com")
    await _write([ada], 7, 12)
    socket = await RawSocket.open(ada)
    socket.hello(WANTED)
    rows: dict[tuple[str, str], Any] = {}
    while True:
        message = await socket.until("snapshot")
        rows |= {(message["entity"], one["id"]): one for one in message["rows"]}
        if message["done"]:
            break
    assert rows == await _listed(ada)
    socket.send({"type": "subscribe", "id": "t", "entity": "Message", "include": ["nobody"]})
    error = await socket.until("error")
    assert (error["subscription"], error["error"]["code"]) == ("t", "INVALID_ARGUMENT")
    socket.close()
