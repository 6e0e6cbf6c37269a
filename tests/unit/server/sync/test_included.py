"""A subscription with `include`: what is sent, in which frames, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from tests.unit.server.sync.hubs import Hubs, Peer, hubs_at, user

APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, field, index

app = App("included")


@app.entity(read="data.isHidden == false", insert="true")
class Person(Entity):
    isHidden: bool = False
    bossId: Ref["Person"] | None = field(default=None, on_delete="set_null")


@app.entity(read="exists Member(room == data.room, userId == auth.userId)", insert="true")
class Message(Entity):
    room: str
    text: str = ""
    authorId: Ref["Person"] | None = field(default=None, on_delete="set_null")
    auditorId: Ref["Person"] | None = field(default=None, private=True)
    placeId: Ref["Place"] | None = field(default=None, on_delete="set_null")

    by_room = index("room")


@app.entity(read="true", insert="true")
class Member(Entity):
    room: str
    userId: str

    by_room = index("room", "userId")


@app.entity(read="true", insert="true", sync=False)
class Place(Entity):
    name: str
"""
ANN = user("ann")
WANTED = {"id": "s", "entity": "Message", "include": ["author.boss"]}


@pytest.fixture
async def hubs(tmp_path: Path) -> AsyncIterator[Hubs]:
    """Three people, one message of the first, and one caller who may read it."""
    async with hubs_at(tmp_path, APP) as opened:
        await opened.put("Person", "p2", isHidden=False)
        await opened.put("Person", "p1", isHidden=False, bossId="p2")
        await opened.put("Person", "p3", isHidden=False)
        await opened.put("Message", "m1", room="r", authorId="p1")
        await opened.put("Member", "k1", room="r", userId="ann")
        yield opened


async def _ids(peer: Peer) -> set[str]:
    await peer.hubs.settle(peer)
    return peer.ids


async def test_pages_come_entity_by_entity_and_the_last_is_done(hubs: Hubs) -> None:
    """First its own rows, then those of each hop; `entity` says which, `total` counts all."""
    peer = await hubs.live(ANN, WANTED)
    pages = [(one["entity"], [row["id"] for row in one["rows"]]) for one in peer.of("snapshot")]
    assert pages == [("Message", ["m1"]), ("Person", ["p1"]), ("Person", ["p2"])]
    assert [one["done"] for one in peer.of("snapshot")] == [False, False, True]
    assert peer.of("snapshot")[0]["total"] == 3


async def test_what_is_held_is_not_sent_again(hubs: Hubs) -> None:
    """`have: true` asks for changes only; what moved meanwhile comes by the log."""
    peer = await hubs.live(ANN, WANTED)
    peer.apply()
    peer.leave()
    await hubs.put("Message", "m1", authorId="p3")
    again = hubs.connect(ANN, {**WANTED, "have": True}, cursor=peer.cursor)
    again.rows = peer.rows
    assert await _ids(again) == {"m1", "p3"}
    assert not again.of("snapshot")


async def test_who_is_led_to_by_nothing_more_leaves(hubs: Hubs) -> None:
    """A reference that moves takes its row along, and what that led to."""
    peer = await hubs.live(ANN, WANTED)
    assert await _ids(peer) == {"m1", "p1", "p2"}
    await hubs.put("Message", "m1", authorId="p3")
    assert await _ids(peer) == {"m1", "p3"}
    await hubs.put("Message", "m2", room="r", authorId="p1")
    assert await _ids(peer) == {"m1", "m2", "p1", "p2", "p3"}
    await hubs.drop("Message", "m2")
    assert await _ids(peer) == {"m1", "p3"}


async def test_a_change_of_its_own_comes_as_every_change(hubs: Hubs) -> None:
    """An included row that changes is an update, and `hidden` takes it away."""
    peer = await hubs.live(ANN, WANTED)
    peer.clear()
    await hubs.put("Person", "p2", isHidden=False)
    await hubs.settle(peer)
    assert ("update", "p2", None) in peer.changes()
    await hubs.put("Person", "p2", isHidden=True)
    assert await _ids(peer) == {"m1", "p1"}
    assert ("delete", "p2", "hidden") in peer.changes()


async def test_strangers_are_told_nothing(hubs: Hubs) -> None:
    """Who may not read the row that leads there does not learn that it does."""
    peer = await hubs.live(user("eve"), WANTED)
    peer.clear()
    await hubs.put("Message", "m2", room="r", authorId="p3")
    await hubs.put("Person", "p1", bossId="p3")
    await hubs.settle(peer)
    assert not peer.changes()


async def test_membership_brings_and_takes_what_is_included(hubs: Hubs) -> None:
    """What an `exists` decides for the rows, it decides for what they lead to."""
    peer = await hubs.live(user("eve"), WANTED)
    assert await _ids(peer) == set()
    await hubs.put("Member", "k2", room="r", userId="eve")
    assert await _ids(peer) == {"m1", "p1", "p2"}
    await hubs.drop("Member", "k2")
    assert await _ids(peer) == set()


async def test_the_end_of_a_subscription_takes_what_it_included(hubs: Hubs) -> None:
    """After `unsubscribed` a refresh says what of the entity is still in view."""
    plain = {"id": "plain", "entity": "Message"}
    bosses = {"id": "direct", "entity": "Person", "where": {"id": "p2"}}
    peer = await hubs.live(ANN, WANTED, plain, bosses)
    assert await _ids(peer) == {"m1", "p1", "p2"}
    hubs.hub.unsubscribe(peer.connection, "s")
    assert await _ids(peer) == {"m1", "p2"}
    hubs.hub.unsubscribe(peer.connection, "direct")
    peer.subscribe(id="s", entity="Message", include=["author"])
    assert await _ids(peer) == {"m1", "p1", "p2"}  # a client drops by itself what it asked for
    hubs.hub.unsubscribe(peer.connection, "s")
    assert await _ids(peer) == {"m1"}


async def test_a_window_includes_for_its_first_rows_only(hubs: Hubs) -> None:
    """A row that leaves the window takes what it led to, and `window` frames stay as they are."""
    await hubs.put("Message", "m2", room="r", authorId="p3")
    peer = await hubs.live(ANN, {**WANTED, "order": ["-id"], "limit": 1})
    people = {key[1] for key in peer.rows if key[0] == "Person"}
    await hubs.settle(peer)
    peer.apply()
    people = {key[1] for key in peer.rows if key[0] == "Person"}
    assert (peer.windows["s"], people) == (["m2"], {"p3"})
    await hubs.drop("Message", "m2")
    await hubs.settle(peer)
    peer.apply()
    people = {key[1] for key in peer.rows if key[0] == "Person"}
    assert (peer.windows["s"], people) == (["m1"], {"p1", "p2"})


async def test_an_edit_that_leads_nowhere_else_reads_no_log(hubs: Hubs) -> None:
    """A row that stays and names the same is told as to everybody."""
    peer = await hubs.live(ANN, WANTED)
    reads = hubs.reads
    await hubs.put("Message", "m1", text="new")
    await hubs.settle(peer)
    assert (hubs.reads, peer.changes()[-1]) == (reads, ("update", "m1", None))


async def test_more_than_a_page_comes_in_pages(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large refreshes are batches that move no cursor; the last one moves it."""
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 2)
    for at in range(5):
        await hubs.put("Message", f"n{at}", room="s", authorId="p3")
    wanted = {"id": "s", "entity": "Person", "include": ["messages"]}
    peer = await hubs.live(ANN, wanted)
    peer.clear()
    await hubs.put("Member", "k2", room="s", userId="ann")
    await hubs.put("Person", "p3", isHidden=True)
    assert await _ids(peer) == {"m1", "p1", "p2"}
    peer.clear()
    await hubs.put("Person", "p3", isHidden=False)
    assert await _ids(peer) >= {f"n{at}" for at in range(5)}
    batches = [one for one in peer.of("changes") if one["changes"]]
    still = [one for one in batches if one["after"] == one["through"]]
    assert still
    assert all(one["more"] for one in still)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"include": ["writer"]}, "Message has no relation writer"),
        ({"include": ["auditor"]}, "Message has no relation auditor"),
        ({"include": ["place"]}, "Place is kept off the live path"),
        ({"include": [".".join(["author"] + ["boss"] * 6)]}, "at most 6 hops"),
    ],
)
async def test_a_path_that_can_not_be_followed_is_refused(
    hubs: Hubs, wanted: dict[str, Any], message: str
) -> None:
    """The error names the subscription, and the socket stays open."""
    peer = await hubs.live(ANN, {"id": "s", "entity": "Message", **wanted})
    [error] = peer.of("error")
    assert error["subscription"] == "s"
    assert error["error"]["code"] == "INVALID_ARGUMENT"
    assert message in error["error"]["message"]
