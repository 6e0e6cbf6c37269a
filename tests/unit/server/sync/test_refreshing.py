"""A policy looks at another entity: who loses rows loses them, who gains rows gets them whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue, limits
from pylon.app.loader import load_app
from pylon.errors import ResyncRequired
from pylon.identity import ANONYMOUS
from pylon.server.storage.known_policies import use_policies
from pylon.server.storage.transaction import Transaction
from pylon.server.sync.catch_up import Page, read_page
from pylon.server.sync.view import whole_view
from tests.unit.server.sync.hubs import Hubs, Peer, hubs_at, user

APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, Text, field, index

app = App("refreshing")
MEMBER = "exists Member(room == data.room, userId == auth.userId)"


@app.entity(read="data.isOpen == true || exists Member(room == data.id, userId == auth.userId)",
            insert="true")
class Room(Entity):
    isOpen: bool = False


@app.entity(read=MEMBER + " || exists Room(id == data.room, isOpen == true)", insert="true")
class Message(Entity):
    room: Ref["Room"] = field(on_delete="cascade")
    text: Text = ""


@app.entity(read="auth.userId != null", insert="true")
class Member(Entity):
    room: Ref["Room"] = field(on_delete="cascade")
    userId: str

    by_room = index("room", "userId")


@app.entity(read="data.owner == auth.userId && exists Flag(name == data.flag, isUp == true)",
            insert="true")
class Secret(Entity):
    owner: str
    flag: str

    by_flag = index("flag")


@app.entity(read="true", insert="true")
class Flag(Entity):
    name: str = field(unique=True)
    isUp: bool = False
"""
ANN, BOB, CY = user("ann"), user("bob"), user("cy")
MESSAGES = {"id": "s", "entity": "Message"}


@pytest.fixture
async def hubs(tmp_path: Path) -> AsyncIterator[Hubs]:
    """Two rooms with messages; ann is a member of the first."""
    async with hubs_at(tmp_path, APP) as made:
        await made.work(_rooms(made))
        yield made


def _rooms(hubs: Hubs) -> Any:
    def work(tx: Transaction) -> None:
        for room in ("r1", "r2"):
            hubs.put_in(tx, "Room", room, isOpen=False)
            for n in range(3):
                hubs.put_in(tx, "Message", f"{room}m{n}", room=room, text=f"secret of {room}")
        hubs.put_in(tx, "Member", "ann1", room="r1", userId="ann")

    return work


def _pull(hubs: Hubs, identity: Any, seq: int, limit: int = 1000) -> Page:
    database = hubs.database
    view = whole_view(hubs.definitions.current, identity)
    return read_page(database.readers.inline, view, database.cursor(seq), database.epoch, limit, "")


def _changes(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = jsonvalue.decode_trusted(b"[" + page.tail + b"]")
    return found


def _heard(peer: Peer) -> str:
    return b"".join(peer.transport.writes).decode(errors="replace")


async def test_who_comes_in_gets_the_slice_whole(hubs: Hubs) -> None:
    """Live: all rows of the slice, none of which changed; nobody else is told, or read for."""
    bob, cy = await hubs.live(BOB, MESSAGES), await hubs.live(CY, MESSAGES)
    reads = hubs.reads
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    await hubs.settle(bob, cy)
    assert bob.ids == {"r1m0", "r1m1", "r1m2"}
    assert bob.refreshes() == [({"room": "r1"}, ["r1m0", "r1m1", "r1m2"])]
    assert hubs.reads == reads + 1
    assert cy.of("changes") == []


async def test_who_goes_out_loses_it_and_hears_nothing(hubs: Hubs) -> None:
    """Live: the rows leave, and no byte of them is in what says so."""
    ann = await hubs.live(ANN, MESSAGES)
    assert len(ann.ids) == 3
    ann.clear()
    await hubs.drop("Member", "ann1")
    await hubs.settle(ann)
    assert ann.ids == set()
    assert ann.refreshes() == [({"room": "r1"}, [])]
    assert "secret" not in _heard(ann)


async def test_a_pull_says_the_same(hubs: Hubs) -> None:
    """Offline: gained and lost at the next pull, from before and through all of it."""
    before = hubs.database.head
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    joined = hubs.database.head
    await hubs.drop("Member", "bob1")
    (came,) = [one for one in _changes(_pull(hubs, BOB, before, limit=1)) if "where" in one][1:]
    assert (came["where"], came["rows"], came["done"]) == ({"room": "r1"}, [], True)
    gone = _changes(_pull(hubs, BOB, joined))
    assert [one.get("where") for one in gone] == [None, {"id": "r1"}, {"room": "r1"}]
    assert [one["rows"] for one in gone[1:]] == [[], []]
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    whole = _changes(_pull(hubs, BOB, before))
    kinds = [(one["kind"], len(one.get("rows", ()))) for one in whole]
    last = [("delete", 0), ("insert", 0), ("refresh", 1), ("refresh", 3)]
    assert kinds == last, "of equal ones the last alone"


async def test_the_log_stores_a_slice_once(hubs: Hubs) -> None:
    """However many rows it covers: behind the row's own record, in its transaction."""
    before = hubs.database.head
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    records = hubs.database.tail.since(before)
    assert records is not None
    assert [(one.kind, one.entity, one.tx) for one in records] == [
        ("insert", "Member", before + 1), ("slice", "Room", before + 1),
        ("slice", "Message", before + 1),
    ]  # fmt: skip
    stored = hubs.database.readers.inline.rows(
        "SELECT row_id, before, after FROM _pylon_log WHERE kind = 'slice' AND seq > ?", (before,)
    )
    assert stored[1] == ("", None, '{"where":{"room":"r1"},"who":[{"userId":"bob"}]}')
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    assert hubs.database.head == before + 4, "what contributes the same moves nothing"


async def test_a_deleted_room_takes_its_rows_along(hubs: Hubs) -> None:
    """Rows that a cascade deletes together with what showed them leave, live and by pull."""
    before = hubs.database.head
    ann = await hubs.live(ANN, MESSAGES, {"id": "r", "entity": "Room"})
    assert ann.ids == {"r1", "r1m0", "r1m1", "r1m2"}
    await hubs.drop("Room", "r1")
    await hubs.settle(ann)
    assert ann.ids == set()
    wheres = [one["where"] for one in _changes(_pull(hubs, ANN, before)) if "where" in one]
    assert {"room": "r1"} in wheres
    assert {"id": "r1"} in wheres


async def test_a_room_made_private_leaves_those_outside(hubs: Hubs) -> None:
    """What concerns everybody reaches everybody: members keep what others lose."""
    await hubs.put("Room", "r1", isOpen=True)
    ann, cy = await hubs.live(ANN, MESSAGES), await hubs.live(CY, MESSAGES)
    assert len(ann.ids) == len(cy.ids) == 3
    await hubs.put("Room", "r1", isOpen=False)
    await hubs.settle(ann, cy)
    assert (len(ann.ids), len(cy.ids)) == (3, 0)


async def test_what_could_never_be_his_is_not_said(hubs: Hubs) -> None:
    """The key of a slice for everybody is told only to whom its rows could be, or were, shown."""
    await hubs.put("Flag", "f", name="wealth", isUp=False)
    await hubs.put("Secret", "s1", owner="ann", flag="wealth")
    before = hubs.database.head
    peers = [await hubs.live(one, {"id": "s", "entity": "Secret"}) for one in (ANN, BOB, ANONYMOUS)]
    await hubs.put("Flag", "f", name="wealth", isUp=True)
    await hubs.settle(*peers)
    assert [one.refreshes() for one in peers] == [[({"flag": "wealth"}, ["s1"])], [], []]
    held = hubs.database.head
    await hubs.drop("Secret", "s1")
    await hubs.put("Flag", "f", name="wealth", isUp=False)
    assert {"flag": "wealth"} in [one.get("where") for one in _changes(_pull(hubs, ANN, held))]
    for identity in (BOB, ANONYMOUS):
        for seq in (before, held):
            told = [one for one in _changes(_pull(hubs, identity, seq)) if one.get("where")]
            assert told == []


async def test_a_large_refresh_comes_in_pages(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a socket all but the last stand at the cursor before; over pull all are in one batch."""
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 2)
    before = hubs.database.head
    bob = await hubs.live(BOB, MESSAGES)
    await hubs.put("Message", "other", room="r2")
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    await hubs.settle(bob)
    batches = [one for one in bob.of("changes") if one["changes"]]
    assert [one["more"] for one in batches] == [True, False]
    assert batches[0]["after"] == batches[0]["through"]
    assert [one["changes"][-1]["done"] for one in batches] == [False, True]
    assert bob.ids == {"r1m0", "r1m1", "r1m2"}
    pages = [
        one for one in _changes(_pull(hubs, BOB, before)) if one.get("where") == {"room": "r1"}
    ]
    assert [(len(one["rows"]), one["done"]) for one in pages] == [(2, False), (1, True)]


async def test_what_happens_between_pages_is_not_lost(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that comes, goes or changes while a refresh is under way ends as it is."""
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 1)
    bob = await hubs.live(BOB, MESSAGES)
    hubs.shut_gate()
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    hubs.let_one_read()
    await hubs.until(lambda: bool(bob.of("changes")))
    await hubs.drop("Message", "r1m0")
    await hubs.put("Message", "r1a", room="r1")
    await hubs.put("Message", "r1m2", room="r1", text="new")
    hubs.open_gate()
    await hubs.settle(bob)
    assert bob.ids == {"r1a", "r1m1", "r1m2"}
    assert bob.rows["Message", "r1m2"]["text"] == "new"


async def test_what_came_while_the_log_was_read_is_read_too(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice of meanwhile has the log read on from where that reading ended, not from the head."""
    start = str(hubs.database.cursor())
    await hubs.put("Message", "before", room="r1")
    run, is_read, goes_on = hubs.database.readers.run, asyncio.Event(), asyncio.Event()

    async def held(function: Any, **options: Any) -> Any:
        found = await run(function, **options)
        is_read.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(hubs.database.readers, "run", held)
    ann = hubs.connect(ANN, {**MESSAGES, "have": True}, cursor=start)
    await is_read.wait()
    await hubs.put("Message", "during", room="r1")
    await hubs.put("Member", "ann2", room="r2", userId="ann")
    await hubs.until(lambda: not hubs.hub._pump._handle)
    goes_on.set()
    await hubs.settle(ann)
    assert ann.ids == {"before", "during", "r2m0", "r2m1", "r2m2"}


async def test_too_large_a_refresh_starts_over(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than one caller is sent: `resync`, by every way."""
    monkeypatch.setattr(limits, "REFRESH_ROWS_MAX", 2)
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 2)
    before = hubs.database.head
    bob = await hubs.live(BOB, MESSAGES)
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    await hubs.settle(bob)
    assert [one["reason"] for one in bob.of("resync")] == ["slice_too_large"]
    assert bob.ids == {"r1m0", "r1m1", "r1m2"}, "from the snapshot"
    with pytest.raises(ResyncRequired) as refused:
        _pull(hubs, BOB, before)
    assert refused.value.details["reason"] == "slice_too_large"


async def test_windows_follow_too(hubs: Hubs) -> None:
    """A window beside a subscription of the same rows: neither loses what the other shows."""
    bob = await hubs.live(
        BOB, {**MESSAGES, "where": {"text": "none"}},
        {"id": "w", "entity": "Message", "order": ["-id"], "limit": 2},
    )  # fmt: skip
    await hubs.put("Member", "bob1", room="r1", userId="bob")
    await hubs.settle(bob)
    bob.apply()
    assert bob.windows["w"] == ["r1m2", "r1m1"]
    await hubs.put("Room", "r1", isOpen=True)
    await hubs.settle(bob)
    assert bob.refreshes()[-1] == ({"room": "r1"}, ["r1m1", "r1m2"]), "what it lists stays"
    await hubs.put("Room", "r1", isOpen=False)
    await hubs.drop("Member", "bob1")
    await hubs.settle(bob)
    bob.apply()
    assert bob.windows["w"] == []


async def test_equal_callers_share_what_is_read(hubs: Hubs) -> None:
    """One query for a class of callers, however many are connected."""
    peers = [await hubs.live(ANONYMOUS, MESSAGES) for _ in range(20)]
    reads = hubs.reads
    await hubs.put("Room", "r2", isOpen=True)
    await hubs.settle(*peers)
    assert all(len(one.ids) == 3 for one in peers)
    assert hubs.reads == reads + 1


async def test_a_policy_that_changed_moves_its_entity(hubs: Hubs) -> None:
    """Reload: replicas follow what changed its meaning, and nobody moves where nothing did."""
    before = hubs.database.head
    same = APP.replace("data.owner == auth.userId && exists", "data.owner==auth.userId and  exists")
    assert await _reload(hubs, same) == []
    assert hubs.database.head == before
    ann = await hubs.live(ANN, MESSAGES)
    assert len(ann.ids) == 3
    assert await _reload(hubs, APP.replace('read=MEMBER + "', 'read="false')) == ["Message"]
    await hubs.settle(ann)
    assert ann.ids == set()
    assert ann.refreshes() == [({}, [])]
    assert [one["kind"] for one in _changes(_pull(hubs, ANN, before))][-1] == "refresh"
    assert await _reload(hubs, APP) == ["Message"]
    await hubs.settle(ann)
    assert len(ann.ids) == 3


async def _reload(hubs: Hubs, app: str) -> list[str]:
    (hubs.root / "app.py").write_text(app)
    holder = hubs.definitions
    holder.current = load_app(hubs.root, generation=holder.current.generation + 1)
    hubs.hub.app_reloaded()
    return await use_policies(
        hubs.database, holder.current.slice_rules, holder.current.read_meanings
    )
