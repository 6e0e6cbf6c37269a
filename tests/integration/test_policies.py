"""Policies from outside: nobody owns nothing, no row is taken, and every path says the same."""

from __future__ import annotations

import pytest

from pylon.testing.served import Caller, SyncSocket
from tests.conftest import Serve

APP = """
from __future__ import annotations
from pylon import App, Entity, Ref, field

app = App("owners")
SIGNED_IN = "auth.userId != null"


@app.entity(read="auth.userId == data.ownerId", insert=SIGNED_IN, update=SIGNED_IN,
            delete=SIGNED_IN)
class Mine(Entity):
    ownerId: Ref["User"] | None = field(index=True, default=None)
    name: str


@app.entity(read="!(auth.userId == data.ownerId)", insert=SIGNED_IN)
class Others(Entity):
    ownerId: Ref["User"] | None
    name: str


@app.entity(read="!exists Mine(ownerId == auth.userId)", insert=SIGNED_IN)
class NotForOwners(Entity):
    name: str


@app.entity(read=SIGNED_IN, insert=SIGNED_IN, update="auth.userId == data.ownerId")
class Thing(Entity):
    ownerId: Ref["User"]
    name: str


@app.query(allow="true")
def counts(ctx) -> list[int]:
    return [ctx.db.count(one) for one in (Mine, Others, NotForOwners)]


@app.query(allow="true")
def got(ctx, entity: str, id: str) -> str | None:
    found = ctx.db.get(entity, id)
    return found and found.name


@app.query(allow="true")
def firsts(ctx) -> list[str | None]:
    found = [ctx.db.first(one) for one in (Mine, Others, NotForOwners)]
    return [one and one.name for one in found]
"""
OF_OWNERS = ("Mine", "Others", "NotForOwners")
ROWS = (("Mine", "a"), ("Mine", "n"), ("Others", "a"), ("Others", "n"), ("NotForOwners", "f"))


async def _seen(caller: Caller) -> dict[str, list[str]]:
    """Return what a caller sees of each entity, by every path, which all say the same."""
    by_id: dict[str, list[str]] = {name: [] for name in OF_OWNERS}
    for name, row_id in ROWS:
        answer = await caller.get(f"/api/entities/{name}/{row_id}")
        if answer.status == 200:
            by_id[name].append(answer.body["name"])
        got = (await caller.call("got", entity=name, id=row_id)).body["value"]
        assert got == (answer.body["name"] if answer.status == 200 else None)
    by_list = {
        name: [row["name"] for row in (await caller.get(f"/api/entities/{name}")).body["rows"]]
        for name in OF_OWNERS
    }
    pulled = (await caller.get("/api/sync/pull")).body["changes"]
    by_pull = {
        name: [
            row["name"]
            for one in pulled
            if one["entity"] == name
            for row in (one["rows"] if one["kind"] == "refresh" else [one["row"]])
        ]
        for name in OF_OWNERS
    }
    by_page = {
        name: [
            row["name"]
            for row in (await caller.get(f"/api/sync/snapshot?entity={name}")).body["rows"]
        ]
        for name in OF_OWNERS
    }
    socket = await caller.sync(*({"id": name, "entity": name} for name in OF_OWNERS))
    by_socket: dict[str, list[str]] = {name: [] for name in OF_OWNERS}
    for _ in OF_OWNERS:
        page = await socket.until("snapshot")
        by_socket[page["subscription"]] += [row["name"] for row in page["rows"]]
    await socket.close()
    assert by_list == by_id == by_pull == by_page == by_socket
    counted = (await caller.call("counts")).body["value"]
    assert counted == [len(by_list[name]) for name in OF_OWNERS]
    firsts = (await caller.call("firsts")).body["value"]
    assert firsts == [next(iter(by_list[name]), None) for name in OF_OWNERS]
    return by_list


@pytest.fixture
async def people(serve: Serve) -> tuple[Caller, Caller, Caller]:
    """Serve an app with rows of Ada's and of nobody's; return Ada, Bob and somebody unknown."""
    served = await serve(APP)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    for name in ("Mine", "Others"):
        await ada.insert(name, id="a", name="ada's", ownerId=ada.user_id)
        nobodys = {"id": "n", "name": "nobody's", "ownerId": None}
        assert (await ada.post(f"/api/entities/{name}", nobodys)).status == 201
    await ada.post("/api/entities/NotForOwners", {"id": "f", "name": "free"})
    return ada, bob, served.anonymous()


async def test_nobody_is_the_owner_of_nothing(people: tuple[Caller, Caller, Caller]) -> None:
    """A row without owner is not an anonymous caller's, nor not his: unknown denies (I57)."""
    ada, bob, nobody = people
    assert await _seen(ada) == {"Mine": ["ada's"], "Others": [], "NotForOwners": []}
    assert await _seen(bob) == {"Mine": [], "Others": ["ada's"], "NotForOwners": ["free"]}
    assert await _seen(nobody) == {"Mine": [], "Others": [], "NotForOwners": []}


async def test_no_row_is_taken_by_rewriting_its_owner(
    people: tuple[Caller, Caller, Caller],
) -> None:
    """The policy holds for the row before and after: neither taken nor given away (I58)."""
    ada, bob, _ = people
    thing = await ada.insert("Thing", name="x", ownerId=ada.user_id)
    path = f"/api/entities/Thing/{thing['id']}"
    stolen = await bob.ask("PATCH", path, {"ownerId": bob.user_id})
    assert (stolen.status, stolen.code) == (403, "POLICY_DENIED")
    given = await ada.ask("PATCH", path, {"ownerId": bob.user_id})
    assert (given.status, given.code) == (403, "POLICY_DENIED")
    assert (await ada.ask("PATCH", path, {"name": "y"})).status == 200


async def _told(socket: SyncSocket) -> list[tuple[str, str, str | None]]:
    """Return the next changes: kind, row, cause."""
    while not (batch := await socket.until("changes"))["changes"]:
        continue
    return [(one["kind"], one["row_id"], one.get("cause")) for one in batch["changes"]]


async def test_live_changes_reach_those_who_see_the_row(
    people: tuple[Caller, Caller, Caller],
) -> None:
    """Insert, a patch of one field, a change of owner and the delete, each to whom it concerns."""
    ada, bob, _ = people
    hers, his = [await one.sync({"id": "s", "entity": "Mine"}) for one in (ada, bob)]
    for socket in (hers, his):
        await socket.until("snapshot")
    row = await ada.insert("Mine", name="new", ownerId=ada.user_id)
    path = f"/api/entities/Mine/{row['id']}"
    assert await _told(hers) == [("insert", row["id"], None)]
    await ada.ask("PATCH", path, {"name": "newer"})
    assert await _told(hers) == [("update", row["id"], None)]
    await his.send({"type": "ping"})
    await his.until("pong")
    assert row["id"] not in str(his.seen)
    await ada.ask("PATCH", path, {"ownerId": bob.user_id})
    assert await _told(hers) == [("delete", row["id"], "hidden")]
    assert await _told(his) == [("insert", row["id"], None)]
    await bob.ask("DELETE", path)
    assert await _told(his) == [("delete", row["id"], None)]
    for socket in (hers, his):
        await socket.close()
