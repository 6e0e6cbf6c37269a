"""One log by three ways: the socket, pull in pages of any size, event streams; byte for byte."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES
from tests.integration.rawsocket import TEXT, RawSocket

WANTED: list[dict[str, Any]] = [
    {"id": "high", "entity": "Note", "where": {"rank": {">": 3}}, "have": True},
    {"id": "loud", "entity": "Note", "where": {"kind": "loud"}, "have": True},
    {"id": "groups", "entity": "Group", "have": True},
]


def _parts(raw: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the text of a batch's changes as it stands there, and the rest of it."""
    batch: dict[str, Any] = json.loads(raw)
    start = raw.index(b'"changes":[') + len(b'"changes":[')
    end = raw.rindex(b'],"more":')
    changes = batch.pop("changes")
    assert len(changes) == 0 or end > start
    batch.pop("type", None)
    return raw[start:end], batch


class Pulled:
    """A reader by GET /api/sync/pull."""

    def __init__(self, caller: Caller, cursor: str, wanted: Any, limit: int = 1000) -> None:
        self.cursor = cursor
        self._caller = caller
        self._rest = f"&limit={limit}"
        if wanted is not None:
            self._rest += f"&subscriptions={quote(json.dumps(wanted))}"

    async def next(self) -> bytes:
        """Return the next batch."""
        served = self._caller.served
        url = f"{served.url}/api/sync/pull?cursor={self.cursor}{self._rest}"
        async with served.session.get(url, headers=self._caller.headers) as answer:
            assert answer.status == 200
            raw = await answer.read()
        self.cursor = json.loads(raw)["through"]
        return raw


class Streamed:
    """A reader by GET /api/sync/events."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    @classmethod
    async def open(cls, caller: Caller, cursor: str, wanted: Any) -> Streamed:
        """Begin to listen."""
        url = f"{caller.served.url}/api/sync/events?cursor={cursor}"
        if wanted is not None:
            url += f"&subscriptions={quote(json.dumps(wanted))}"
        answer = await caller.served.session.get(url, headers=caller.headers)
        assert answer.status == 200
        return cls(answer)

    def close(self) -> None:
        """Listen no more."""
        self._answer.close()

    async def next(self) -> bytes:
        """Return the next batch; its `id` is its `through`."""
        name = number = b""
        async with asyncio.timeout(60):
            while line := await self._answer.content.readline():
                if line.startswith(b"id: "):
                    number = line[4:].strip()
                elif line.startswith(b"event: "):
                    name = line[7:].strip()
                elif line.startswith(b"data: "):
                    assert name == b"changes"
                    raw = line[6:].rstrip(b"\n")
                    assert json.loads(raw)["through"] == number.decode()
                    return raw
        raise AssertionError("the stream has ended")


class Sent:
    """A reader by the socket."""

    def __init__(self, socket: RawSocket) -> None:
        self.socket = socket

    @classmethod
    async def open(cls, caller: Caller, cursor: str, wanted: list[dict[str, Any]]) -> Sent:
        """Say hello with a cursor."""
        socket = await RawSocket.open(caller)
        socket.hello(*wanted, cursor=cursor)
        return cls(socket)

    async def next(self) -> bytes:
        """Return the next batch."""
        while True:
            kind, payload = await self.socket.next()
            assert kind != -1
            if kind == TEXT and payload.startswith(b'{"type":"changes"'):
                return payload


async def _history(served: ServedProject, ada: Caller, seed: int, steps: int) -> None:
    """Write what a day brings: rows come, change, hide, show, move between groups, and go."""
    chance = random.Random(seed)
    notes: list[str] = []
    groups: list[str] = []
    for step in range(steps):
        match chance.randrange(9):
            case 0 | 1 | 2:
                values = {
                    "text": f"n{step}", "rank": chance.randrange(8),
                    "secret": chance.random() < 0.3,
                    "ratio": chance.choice([None, 0.1, 1e300]), "extra": {"ä": [1, None, "\u2028"]},
                    "groupId": chance.choice([None, *groups]),
                }  # fmt: skip
                notes.append((await ada.insert("Note", **values))["id"])
            case 3 if len(groups) < 4:
                groups.append((await ada.insert("Group", name=f"g{step}"))["id"])
            case 4 if groups:
                gone = groups.pop(chance.randrange(len(groups)))
                await ada.ask("DELETE", f"/api/entities/Group/{gone}")
            case 5 if notes:
                gone = notes.pop(chance.randrange(len(notes)))
                await ada.ask("DELETE", f"/api/entities/Note/{gone}")
            case 6 if notes:
                await ada.call("shout", noteId=chance.choice(notes))
            case _ if notes:
                values = {
                    "rank": chance.randrange(8), "secret": chance.random() < 0.3,
                    "groupId": chance.choice([None, *groups]),
                }  # fmt: skip
                path = f"/api/entities/Note/{chance.choice(notes)}"
                assert (await ada.ask("PATCH", path, values)).status == 200


async def _all_of(reader: Any, head: str) -> list[bytes]:
    """Return the changes of every batch up to the head, joined batch to batch."""
    found, cursor = [], None
    while True:
        changes, rest = _parts(await reader.next())
        assert cursor in (None, rest["after"])
        cursor = rest["through"]
        if changes:
            found.append(changes)
        if cursor == head and not rest["more"]:
            return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_same_history_by_every_way(serve: Serve, seed: int) -> None:
    """Whoever was away gets the same bytes, however he reads and however large his pages are."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    begin = (await ada.get("/api/health")).body["head"]
    await _history(served, ada, seed, 120)
    head = (await ada.get("/api/health")).body["head"]
    for caller in (ada, bob):
        sent = await Sent.open(caller, begin, WANTED)
        streamed = await Streamed.open(caller, begin, WANTED)
        by_socket = b",".join(await _all_of(sent, head))
        assert by_socket.count(b'"seq":') > 20
        assert b",".join(await _all_of(streamed, head)) == by_socket
        for limit in (1, 7, 1000):
            pulled = Pulled(caller, begin, WANTED, limit)
            assert b",".join(await _all_of(pulled, head)) == by_socket, limit
        sent.socket.close()
        streamed.close()
        streamed = await Streamed.open(caller, begin, None)
        whole = b",".join(await _all_of(streamed, head))
        streamed.close()
        for limit in (3, 1000):
            pulled = Pulled(caller, begin, None, limit)
            assert b",".join(await _all_of(pulled, head)) == whole, limit


async def test_every_live_batch_is_the_same_batch(serve: Serve) -> None:
    """One write at a time: the socket, the stream and a pull give the very same batch."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    cursor = (await ada.get("/api/health")).body["head"]
    sent = await Sent.open(bob, cursor, WANTED)
    await sent.socket.until("welcome")
    streamed = await Streamed.open(bob, cursor, WANTED)
    pulled = Pulled(bob, cursor, WANTED)
    note = await ada.insert("Note", text="first", rank=5)
    path = f"/api/entities/Note/{note['id']}"
    steps: list[tuple[str, str, Any, bool]] = [
        ("PATCH", path, {"rank": 6}, True), ("PATCH", path, {"secret": True}, True),
        ("PATCH", path, {"rank": 7}, False), ("PATCH", path, {"secret": False}, True),
        ("PATCH", path, {"rank": 0}, True), ("PATCH", path, {"rank": 1}, False),
        ("PATCH", path, {"kind": "loud"}, True),
        ("POST", "/api/entities/Group", {"name": "g"}, True),
        ("POST", "/api/entities/Guard", {"groupId": "nobody"}, False),
        ("POST", "/api/fn/shout", {"noteId": note["id"]}, False), ("DELETE", path, None, True),
    ]  # fmt: skip
    batches = []
    for method, where, body, is_seen in [("", "", None, True), *steps]:
        if method:
            assert (await ada.ask(method, where, body)).status < 500
        if not is_seen:
            continue
        by_socket, by_stream = await sent.next(), await streamed.next()
        by_pull = await pulled.next()
        assert by_stream == by_pull
        assert by_socket == b'{"type":"changes",' + by_pull[1:]
        batches.append(_parts(by_pull))
    assert [len(json.loads(b"[" + changes + b"]")) for changes, _ in batches] == [1] * len(batches)
    sent.socket.close()
    streamed.close()
