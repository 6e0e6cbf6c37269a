"""1,000 times a right is taken away while its owner writes: nothing commits behind that (I60)."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections import Counter, defaultdict
from typing import Any

import pytest

from pylon.testing.served import Caller, ServedProject, SyncSocket
from tests.conftest import Serve

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
#: Rights by a row and by a role; together 1,000 races.
ROOMS, AUTHORS = 900 * SCALE, 100 * SCALE
#: Writes that race with one revocation, each on one of the connections.
WRITES, CONNECTIONS = 4, 3
#: Races under way at once.
AT_ONCE = 50
APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, actor, field, index

app = App("races")


@app.entity(read="true", insert="hasRole('host')", delete="hasRole('host')")
class Seat(Entity):
    roomId: str
    userId: Ref[User] = field(on_delete="cascade")

    by_room = index("roomId", "userId")


@app.entity(
    read="true",
    insert="exists Seat(roomId == data.roomId, userId == auth.userId)",
    update="exists Seat(roomId == data.roomId, userId == auth.userId)",
)
class Line(Entity):
    roomId: str
    n: int = 0


@app.entity(read="true", insert="hasRole('author')", update="hasRole('author')")
class Essay(Entity):
    authorId: Ref[User] = field(default=actor)
    n: int = 0


@app.mutation(timeout=10)
def prepare(ctx, userId: str, rooms: int) -> None:
    with ctx.as_system():
        for n in range(rooms):
            ctx.db.insert("Seat", id=f"seat{n}", roomId=f"room{n}", userId=userId)
            ctx.db.insert("Line", id=f"line{n}", roomId=f"room{n}")
"""


def _operation(fn: str, **args: Any) -> dict[str, Any]:
    return {"op_id": f"op-{random.random()}", "fn": f"pylon.{fn}", "args": args}


async def _push(socket: SyncSocket, operation: dict[str, Any]) -> None:
    await socket.send({"type": "push", "request_id": operation["op_id"], "operations": [operation]})


async def _answers(socket: SyncSocket, count: int) -> Counter[str]:
    """Return how many answers of each status, or code of an error, came."""
    found: Counter[str] = Counter()
    while found.total() < count:
        answer = (await socket.until("results"))["results"][0]
        found[answer["error"]["code"] if "error" in answer else answer["status"]] += 1
    return found


def _write(entity: str, race: int, place: int) -> dict[str, Any]:
    """Return an insert or, once in each race, an update."""
    values = {"roomId": f"room{race}"} if entity == "Line" else {}
    if place == 0 and entity == "Line":
        return _operation("update", entity=entity, id=f"line{race}", values={"n": 1})
    return _operation("insert", entity=entity, values={**values, "n": place})


async def _race_by_row(host: SyncSocket, writers: list[SyncSocket]) -> Counter[str]:
    """Have a host take seats away while those who sit there write, on other connections."""
    chance, found = random.Random(1), Counter[str]()
    for first in range(0, ROOMS, AT_ONCE):
        races = range(first, min(first + AT_ONCE, ROOMS))
        sent: Counter[SyncSocket] = Counter()
        frames = [(host, _operation("delete", entity="Seat", id=f"seat{race}")) for race in races]
        frames += [
            (writers[place % CONNECTIONS], _write("Line", race, place))
            for race in races
            for place in range(WRITES)
        ]
        chance.shuffle(frames)
        for socket, operation in frames:
            sent[socket] += 1
            await _push(socket, operation)
        for done in await asyncio.gather(*(_answers(one, count) for one, count in sent.items())):
            found += done
    return found


async def _race_by_role(served: ServedProject, authors: list[Caller]) -> Counter[str]:
    """Have the role of each author replaced while he writes."""
    found: Counter[str] = Counter()
    anonymous, chance = served.anonymous(), random.Random(2)

    async def race(place: int, author: Caller) -> None:
        pushes = [
            author.post(
                "/api/sync/push", {"client_id": "c", "operations": [_write("Essay", place, one)]}
            )
            for one in range(WRITES)
        ]
        login = {"email": f"author{place}@example.com", "roles": []}
        asked = [*pushes, anonymous.post("/api/auth/dev/login", login)]
        chance.shuffle(asked)
        for answer in await asyncio.gather(*asked):
            for result in answer.body.get("results", ()):
                error = result.get("error")
                found[error["code"] if error else result["status"]] += 1

    for first in range(0, len(authors), 10):
        some = list(enumerate(authors))[first : first + 10]
        await asyncio.gather(*(race(place, author) for place, author in some))
    return found


async def _login(served: ServedProject, email: str, *roles: str) -> Caller:
    login = {"email": email, "roles": list(roles)}
    answer = await served.anonymous().post("/api/auth/dev/login", login)
    return Caller(served, answer.body["token"], answer.body["user_id"])


@pytest.mark.timeout(600 * SCALE)
async def test_nothing_commits_behind_the_revocation_that_forbids_it(serve: Serve) -> None:
    """The log says so: the last write of each right stands before the end of that right."""
    served = await serve(APP)
    writer = await served.login("writer@example.com")
    host = await _login(served, "host@example.com", "host")
    assert (await writer.call("prepare", userId=writer.user_id, rooms=ROOMS)).status == 200
    authors = [await _login(served, f"author{one}@example.com", "author") for one in range(AUTHORS)]
    writers = [await writer.sync(client_id=f"w{one}") for one in range(CONNECTIONS)]
    by_row = await _race_by_row(await host.sync(client_id="h"), writers)
    by_role = await _race_by_role(served, authors)
    await served.stop()
    with sqlite3.connect(served.project / ".pylon" / "app.db") as database:
        _check_rows(database)
        _check_roles(database, authors)
    # Races: some got through and some did not, and nobody was refused for another reason.
    for found in (by_row, by_role):
        assert set(found) == {"applied", "POLICY_DENIED"}
        assert min(found.values()) > found.total() / 50, found


def _check_rows(database: sqlite3.Connection) -> None:
    ended = {
        row_id.removeprefix("seat"): seq
        for seq, row_id in database.execute(
            "SELECT seq, row_id FROM _pylon_log WHERE entity = 'Seat' AND kind = 'delete'"
        )
    }
    assert len(ended) == ROOMS
    written: defaultdict[str, list[int]] = defaultdict(list)
    for seq, room in database.execute(
        "SELECT seq, json_extract(after, '$.roomId') FROM _pylon_log"
        " WHERE entity = 'Line' AND cause IS NOT 'prepare'"
    ):
        written[room.removeprefix("room")].append(seq)
    late = {room: seqs for room, seqs in written.items() if max(seqs) > ended[room]}
    assert not late


def _check_roles(database: sqlite3.Connection, authors: list[Caller]) -> None:
    ended = {
        key.removeprefix("identity "): seq
        for key, seq in database.execute("SELECT key, value FROM _pylon_meta")
        if key.startswith("identity ")
    }
    written = database.execute(
        "SELECT json_extract(after, '$.authorId'), max(seq) FROM _pylon_log"
        " WHERE entity = 'Essay' GROUP BY 1"
    ).fetchall()
    assert {one.user_id for one in authors} <= ended.keys()
    assert not [(user, last) for user, last in written if last > ended[user]]
