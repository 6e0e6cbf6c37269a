"""ALGORITHMS §3, rule by rule, as far as a rule binds the server.

Rules 6, 7, 11 and 19 are the client's: `tests/unit/client`. What the server owes to them is here
where it owes anything.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.server.storage.change_log import trim
from pylon.server.storage.transaction import Transaction
from tests.unit.server.sync.hubs import Hubs, Peer, half_hydrated, hubs_at, user

NOTES = {"id": "s", "entity": "Note"}
ANN = user("ann")


@pytest.fixture
async def hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hubs]:
    """A hub whose pages have two rows."""
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 2)
    async with hubs_at(tmp_path) as made:
        yield made


async def _fill(hubs: Hubs, names: str, **values: Any) -> None:
    for name in names:
        await hubs.put("Note", name, **values)


def _seq(cursor: str) -> int:
    return int(cursor.partition(":")[2])


async def test_rule_1_one_cursor_per_connection(hubs: Hubs) -> None:
    """Rule 1: two subscriptions, one hydrating: their changes stand in one chain of batches."""
    await _fill(hubs, "abcd")
    peer = hubs.connect(ANN, NOTES, {"id": "m", "entity": "Member"})
    for n in range(5):
        await hubs.put("Note", f"n{n}")
        await hubs.put("Member", f"m{n}", room="r", userId="ann")
    await hubs.settle(peer)
    hubs.hub.flush(peer.connection)
    await hubs.settle(peer)
    after = peer.of("welcome")[0]["head"]
    for batch in peer.of("changes"):
        assert batch["after"] == after
        after = batch["through"]
    assert _seq(after) == hubs.database.head
    assert len(peer.ids) == 14


async def test_rule_2_takes_part_before_its_first_page(hubs: Hubs) -> None:
    """Rule 2: a row behind the pages is told of as it changes, while they are still to come."""
    await _fill(hubs, "abcdef")
    peer = await half_hydrated(hubs, ANN, NOTES)
    await hubs.drop("Note", "f")
    await hubs.put("Note", "e", rank=7)
    hubs.open_gate()
    await hubs.settle(peer)
    told = [one for one in peer.frames if one["type"] in ("snapshot", "changes")]
    place = next(at for at, one in enumerate(told) if one["type"] == "changes")
    assert place < len(told) - 1, "changes came before the last page"
    assert ("delete", "f", None) in peer.changes()
    assert peer.ids == set("abcde")


async def test_rule_3_without_cursor_the_head_of_hello_comes_first(hubs: Hubs) -> None:
    """Rule 3: the cursor is the head at `hello`, never that of a later page."""
    await _fill(hubs, "abcd")
    head = str(hubs.database.cursor())
    peer = await half_hydrated(hubs, ANN, NOTES)
    await hubs.put("Note", "a", rank=1)
    await hubs.put("Note", "z")
    hubs.open_gate()
    await hubs.settle(peer)
    assert peer.of("welcome")[0]["head"] == head
    assert peer.of("changes")[0]["after"] == head
    assert {("update", "a", None), ("insert", "z", None)} <= set(peer.changes())


async def test_rule_4_a_later_subscription_moves_no_cursor(hubs: Hubs) -> None:
    """Rule 4: what was committed since the cursor is asked again for the new subscription."""
    await hubs.put("Note", "old", rank=2)
    peer = await hubs.live(ANN, {**NOTES, "where": {"rank": 1}})
    cursor = peer.of("welcome")[0]["head"]
    peer.clear()
    await hubs.drop("Note", "old")
    await hubs.put("Note", "new", rank=2)
    await hubs.settle()
    assert peer.transport.writes == []
    peer.subscribe(id="t", entity="Note", where={"rank": 2}, have=True)
    await hubs.settle(peer)
    batch = peer.of("changes")[0]
    assert batch["after"] == cursor
    assert peer.changes() == [("delete", "old", None), ("insert", "new", None)]
    assert peer.of("snapshot") == []


async def test_rule_5_pages_go_by_id_each_at_its_own_head(hubs: Hubs) -> None:
    """Rule 5: in order of id, nothing twice; `at` is the head that the page was read at."""
    await _fill(hubs, "bdf")
    peer = await half_hydrated(hubs, ANN, NOTES)
    await _fill(hubs, "ac")  # before and behind the key; the page at the gate is read after them
    heads = hubs.database.head
    hubs.open_gate()
    await hubs.settle(peer)
    pages = peer.of("snapshot")
    assert [[row["id"] for row in page["rows"]] for page in pages] == [["b", "d"], ["f"]]
    assert [_seq(page["at"]) for page in pages] == [3, heads]
    assert [page["done"] for page in pages] == [False, True]
    assert peer.ids == set("abcdf")


async def test_rule_5_pages_are_bounded_in_bytes(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 5: a page ends where it reaches a frame's size, and the next goes on behind it."""
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 1_000)
    monkeypatch.setattr(limits, "FRAME_BYTES_MAX", 2_000)
    await _fill(hubs, "abcdefgh", text="x" * 700)
    peer = await hubs.live(ANN, NOTES)
    pages = [[row["id"] for row in page["rows"]] for page in peer.of("snapshot")]
    assert "".join(row for page in pages for row in page) == "abcdefgh"
    assert max(len(page) for page in pages) == 3
    assert [page["done"] for page in peer.of("snapshot")] == [False] * (len(pages) - 1) + [True]


async def test_rule_6_rows_newer_than_the_cursor_come_again(hubs: Hubs) -> None:
    """Rule 6: what a page showed early is told of at its place in the log all the same."""
    await _fill(hubs, "abc")
    peer = await half_hydrated(hubs, ANN, NOTES)
    await hubs.put("Note", "c", rank=9)
    hubs.open_gate()
    await hubs.settle(peer)
    assert peer.of("snapshot")[1]["rows"][0]["rank"] == 9
    assert ("update", "c", None) in peer.changes()


async def test_rule_8_frames_come_in_non_decreasing_head(hubs: Hubs) -> None:
    """Rule 8: pages and changes in one channel: no frame is older than the one before."""
    chance = random.Random(8)
    await _fill(hubs, "abcdefghij")
    peers = [hubs.connect(ANN, NOTES, {"id": "t", "entity": "Note", "where": {"rank": 1}})
             for _ in range(3)]  # fmt: skip
    for _ in range(40):
        name = chance.choice("abcdefghij")
        if chance.random() < 0.4:
            await hubs.drop("Note", name)
        else:
            await hubs.put("Note", name, rank=chance.choice([1, 2]))
    await hubs.settle(*peers)
    for peer in peers:
        heads = [
            _seq(one["at"] if one["type"] == "snapshot" else one["through"])
            for one in peer.frames if one["type"] in ("snapshot", "changes")
        ]  # fmt: skip
        assert heads == sorted(heads)
        listed = hubs.database.readers.inline.rows('SELECT id FROM "Note"')
        assert peer.ids == {name for (name,) in listed}


async def test_rule_9_only_the_last_batch_of_a_catch_up_says_no_more(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 9: `more` holds views back until all is there; pages say when they are done."""
    monkeypatch.setattr(limits, "PULL_LIMIT_MAX", 3)
    cursor = str(hubs.database.cursor())
    await _fill(hubs, "abcdefgh")
    peer = hubs.connect(ANN, {**NOTES, "have": True}, cursor=cursor)
    await hubs.settle(peer)
    assert [batch["more"] for batch in peer.of("changes")] == [True, True, False]
    assert peer.ids == set("abcdefgh")


async def test_rule_10_an_interrupted_hydration_goes_on(hubs: Hubs) -> None:
    """Rule 10: changes from the cursor, pages from the key, nothing before it again."""
    await _fill(hubs, "abcdef")
    peer = await half_hydrated(hubs, ANN, NOTES)
    assert peer.ids == {"a", "b"}
    peer.leave()
    hubs.open_gate()
    await hubs.drop("Note", "a")
    await hubs.put("Note", "aa")
    await hubs.put("Note", "f", rank=1)
    again = hubs.connect(ANN, {**NOTES, "have": {"after": "b"}}, cursor=peer.cursor)
    again.rows = peer.rows
    await hubs.settle(again)
    assert again.ids == {"aa", "b", "c", "d", "e", "f"}
    paged = [row["id"] for page in again.of("snapshot") for row in page["rows"]]
    assert paged == ["c", "d", "e", "f"]


async def test_rule_11_have_counts_only_with_a_cursor(hubs: Hubs) -> None:
    """Rule 11: `have` is believed, the server keeps no memory; without cursor it says nothing."""
    await _fill(hubs, "abc")
    cursor = str(hubs.database.cursor())
    holding = await hubs.live(ANN, {**NOTES, "have": True})
    assert len(holding.ids) == 3
    resumed = hubs.connect(ANN, {**NOTES, "have": True}, cursor=cursor)
    await hubs.settle(resumed)
    assert resumed.of("snapshot") == []


@pytest.mark.parametrize(("cursor", "reason"), [
    ("other:1", "epoch_changed"), ("{epoch}:999", "cursor_ahead"), ("{epoch}:1", "cursor_too_old"),
])  # fmt: skip
async def test_rule_12_resync_starts_over(hubs: Hubs, cursor: str, reason: str) -> None:
    """Rule 12: as if `hello` had neither cursor nor `have`: whole pages, from the head."""
    await _fill(hubs, "abc")
    await _trim(hubs, 1)
    peer = hubs.connect(
        ANN, {**NOTES, "have": True}, cursor=cursor.format(epoch=hubs.database.epoch)
    )
    await hubs.settle(peer)
    assert [one["reason"] for one in peer.of("resync")] == [reason]
    assert peer.ids == set("abc")
    await hubs.put("Note", "d")
    await hubs.settle(peer)
    assert peer.ids == set("abcd")


async def _trim(hubs: Hubs, keep: int) -> None:
    def work(tx: Any) -> Any:
        return trim(
            tx.connection, hubs.database.head, keep_changes=keep, keep_after_ms=2**60,
            at_most=1_000,
        )  # fmt: skip

    hubs.database.horizon = (await hubs.database.writer.submit(work)).value.horizon


@pytest.mark.parametrize("rule", ["13", "21"])
async def test_rules_13_and_21_a_trimmed_log_is_never_a_short_one(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """Rules 13, 21: the horizon is asked in the read transaction of each page; nobody pins it."""
    monkeypatch.setattr(limits, "PULL_LIMIT_MAX", 2)
    await _fill(hubs, "abcdef")
    cursor = str(hubs.database.cursor(1))
    hydrating = {"after": "b"} if rule == "13" else True
    hubs.shut_gate()
    peer = hubs.connect(ANN, {**NOTES, "have": hydrating}, cursor=cursor)
    peer.rows = {("Note", "gone"): {"id": "gone", "_seq": 1}}
    await hubs.until(lambda: hubs.reads == 1)
    await _trim(hubs, 1)
    hubs.open_gate()
    await hubs.settle(peer)
    assert [one["reason"] for one in peer.of("resync")] == ["cursor_too_old"]
    assert peer.of("changes") == []
    assert peer.ids == set("abcdef")


async def test_rule_14_unsubscribed_is_told_and_holds(hubs: Hubs) -> None:
    """Rule 14: nothing of it after the answer; the id may be used again then, not before."""
    await _fill(hubs, "ab")
    peer = await hubs.live(ANN, NOTES, {"id": "m", "entity": "Member"})
    peer.subscribe(id="s", entity="Note", where={"rank": 1})
    assert peer.of("error")[0]["error"]["code"] == "INVALID_ARGUMENT"
    hubs.hub.unsubscribe(peer.connection, "s")
    assert peer.frames[-1] == {"type": "unsubscribed", "id": "s"}
    peer.clear()
    await hubs.put("Note", "a", rank=1)
    await hubs.settle(peer)
    assert peer.changes() == []
    peer.subscribe(id="s", entity="Note")
    await hubs.settle(peer)
    assert len(peer.of("snapshot")) == 2
    assert peer.of("error") == []


async def test_rule_14_a_page_under_way_is_not_sent_after_the_answer(hubs: Hubs) -> None:
    """Rule 14: also one that was being read, and also where the id is used again at once."""
    await _fill(hubs, "abcd", rank=1)
    peer = await half_hydrated(hubs, ANN, NOTES)
    peer.clear()
    hubs.hub.unsubscribe(peer.connection, "s")
    peer.subscribe(id="s", entity="Note", where={"rank": 2})
    hubs.open_gate()
    await hubs.settle(peer)
    assert [page["rows"] for page in peer.of("snapshot")] == [[]]


async def test_rule_15_rows_shared_with_another_subscription_stay(hubs: Hubs) -> None:
    """Rule 15: ending the old one deletes nothing on the wire; the new one goes on telling."""
    await _fill(hubs, "ab", rank=1)
    peer = await hubs.live(ANN, {**NOTES, "where": {"rank": 1}})
    peer.subscribe(id="t", entity="Note", where={"rank": {">": 0}})
    await hubs.settle(peer)
    peer.clear()
    hubs.hub.unsubscribe(peer.connection, "s")
    await hubs.put("Note", "a", rank=2)
    await hubs.settle(peer)
    assert peer.changes() == [("update", "a", None)]


async def test_rules_16_and_18_windows_follow_entering_leaving_and_moving(hubs: Hubs) -> None:
    """Rules 16, 18: the whole ordered list, the rows that are new or changed; no `changes`."""
    for place, name in enumerate("abcdef"):
        await hubs.put("Note", name, rank=place)
    window = {"id": "w", "entity": "Note", "where": {"rank": {">=": 0}}, "order": ["-rank"],
              "limit": 3}  # fmt: skip
    peer = await hubs.live(ANN, window)
    assert peer.of("window")[0]["ids"] == ["f", "e", "d"]

    async def after(change: Any) -> tuple[list[str], list[str]]:
        peer.clear()
        await change
        await hubs.settle(peer)
        assert peer.of("changes") == []
        frames = peer.of("window")
        assert len(frames) <= 1
        return (frames[0]["ids"], [row["id"] for row in frames[0]["rows"]]) if frames else ([], [])

    assert await after(hubs.put("Note", "a", rank=9)) == (["a", "f", "e"], ["a"])
    assert await after(hubs.put("Note", "e", rank=8)) == (["a", "e", "f"], ["e"])
    assert await after(hubs.put("Note", "e", text="new words")) == (["a", "e", "f"], ["e"])
    assert await after(hubs.put("Note", "f", rank=-1)) == (["a", "e", "d"], ["d"])
    assert await after(hubs.drop("Note", "a")) == (["e", "d", "c"], ["c"])
    assert await after(hubs.put("Note", "e", owner="bob", secret=True)) == (["d", "c", "b"], ["b"])
    assert await after(hubs.put("Note", "z", rank=None)) == ([], [])
    queries = hubs.hub._pump.windows.queries
    assert await after(hubs.put("Note", "y", rank=0)) == ([], [])
    assert hubs.hub._pump.windows.queries == queries, "it stands behind the last: nobody asked"
    assert await after(hubs.put("Note", "x", rank=1)) == ([], []), "equal rank, later id"


async def test_rule_16_equal_windows_share_one_query_per_head(hubs: Hubs) -> None:
    """Rule 16: of one audience; another's window is another, and so is another limit."""
    await _fill(hubs, "abcd", owner="nobody", rank=1)
    window = {"id": "w", "entity": "Note", "order": ["rank"], "limit": 2}
    peers = [await hubs.live(ANN, window) for _ in range(9)]
    other = [await hubs.live(user("bob"), window), await hubs.live(ANN, {**window, "limit": 3})]
    windows = hubs.hub._pump.windows
    assert (len(windows), windows.queries) == (3, 3)
    await hubs.put("Note", "0", rank=0, owner="ann", secret=True)
    await hubs.settle(*peers, *other)
    assert windows.queries == 5, "bob does not see it, so his did not move"
    for peer in peers:
        assert peer.of("window")[-1]["ids"] == ["0", "a"]
    for peer in (*peers, *other):
        peer.leave()
    assert len(windows) == 0


@pytest.mark.parametrize("seed", range(3))
async def test_rule_16_windows_are_right_whatever_happens(hubs: Hubs, seed: int) -> None:
    """Rule 16: after each of many random changes every window is what its query says."""
    chance = random.Random(seed)
    specs = [
        {"id": f"w{n}", "entity": "Note", "where": where, "order": order, "limit": limit}
        for n, (where, order, limit) in enumerate([
            ({}, ["rank"], 3), ({}, ["-rank", "text"], 4), ({"rank": {">": 0}}, None, 2),
            ({}, ["-text"], 50), ({"secret": False}, ["owner", "-id"], 3),
        ])
    ]  # fmt: skip
    peers = [await hubs.live(user(name), *specs) for name in ("ann", "bob")]
    for _ in range(50):
        row_id = f"n{chance.randrange(9)}"
        if chance.random() < 0.25:
            await hubs.drop("Note", row_id)
        else:
            await hubs.put(
                "Note", row_id, rank=chance.choice([None, 0, 1, 2]), text=chance.choice("xyzé"),
                owner=chance.choice(["ann", "bob"]), secret=chance.random() < 0.3,
            )  # fmt: skip
        if chance.random() < 0.7:
            await hubs.settle(*peers)
            for peer in peers:
                peer.apply()
                _same_windows(hubs, peer)


def _same_windows(hubs: Hubs, peer: Peer) -> None:
    view = peer.connection.view
    assert view is not None
    policy, _ = view.entities["Note"].clauses("")
    for one in peer.connection.subscriber.subscriptions.values():
        where = one.filter.clause(peer.connection.identity, alias="t", now="")
        order = ", ".join(
            f't."{term.field}"{" DESC" if term.descending else ""}' for term in one.order
        )
        found = hubs.database.readers.inline.rows(
            f'SELECT t.id FROM "Note" AS t WHERE {policy.text} AND {where.text}'
            f" ORDER BY {order} LIMIT ?",
            (*policy.params, *where.params, one.limit),
        )
        assert peer.windows[one.id] == [row_id for (row_id,) in found]


async def test_rule_17_windows_are_sent_anew_and_by_version(hubs: Hubs) -> None:
    """Rule 17: whole after a reconnect; a higher version of the same id replaces the old one."""
    await _fill(hubs, "abcd")
    window = {"id": "w", "entity": "Note", "order": ["id"], "limit": 2}
    peer = await hubs.live(ANN, window)
    cursor = str(hubs.database.cursor())
    again = hubs.connect(ANN, window, cursor=cursor)
    await hubs.settle(again)
    assert [row["id"] for row in again.of("window")[0]["rows"]] == ["a", "b"]
    peer.clear()
    peer.subscribe(**{**window, "limit": 3}, version=1)
    await hubs.settle(peer)
    assert peer.of("window")[0]["ids"] == ["a", "b", "c"]
    assert peer.of("window")[0]["version"] == 1
    peer.clear()
    peer.subscribe(**{**window, "limit": 4}, version=1)
    assert peer.of("error")[0]["error"]["code"] == "INVALID_ARGUMENT"
    await hubs.put("Note", "b", rank=5)
    await hubs.settle(peer)
    assert [(one["version"], len(one["ids"])) for one in peer.of("window")] == [(1, 3)]


async def test_rule_20_progress_is_known(hubs: Hubs) -> None:
    """Rule 20: rows expected, by the same clause, at the first page; also where it goes on."""
    await _fill(hubs, "abcde")
    await _fill(hubs, "xyz", owner="bob", secret=True)
    await hubs.put("Note", "e", rank=1)
    peer = await hubs.live(ANN, NOTES, {"id": "t", "entity": "Note", "where": {"rank": 1}})
    totals = [(page["subscription"], page.get("total")) for page in peer.of("snapshot")]
    assert totals == [("s", 5), ("s", None), ("s", None), ("t", 1)]
    resumed = hubs.connect(
        ANN, {**NOTES, "have": {"after": "c"}}, cursor=str(hubs.database.cursor())
    )
    await hubs.settle(resumed)
    assert resumed.of("snapshot")[0]["total"] == 5


async def test_rule_22_the_cursor_is_what_was_handed_over(hubs: Hubs) -> None:
    """Rule 22: a socket that takes nothing keeps its cursor; then it goes on from there."""
    hubs.new_hub(queue_bytes_max=4_000)
    peer = await hubs.live(ANN, NOTES)
    peer.transport.stuck = True
    await hubs.put("Note", "a", text="x" * 2_000)
    await hubs.settle()
    handed = peer.connection.subscriber.cursor
    for n in range(5):
        await hubs.put("Note", f"n{n}")
    await hubs.settle()
    assert peer.connection.subscriber.cursor == handed == 1
    assert _seq(peer.of("changes")[-1]["through"]) == handed
    peer.transport.drain()
    await hubs.settle(peer)
    assert peer.connection.subscriber.cursor == 6
    assert len(peer.ids) == 6


async def test_pages_and_changes_are_exact_under_writers(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I19: hydrated, interrupted and gone on while writers run throughout: the same rows."""
    monkeypatch.setattr(limits, "SNAPSHOT_PAGE_ROWS", 25)
    chance = random.Random(19)
    names = [f"n{n:04d}" for n in range(400)]

    def some(tx: Transaction) -> None:
        for name in names:
            hubs.put_in(tx, "Note", name, rank=chance.randrange(4))

    await hubs.work(some)
    is_over = False

    async def write() -> None:
        while not is_over:
            name = chance.choice(names) if chance.random() < 0.8 else f"x{chance.randrange(200)}"
            if chance.random() < 0.3:
                await hubs.drop("Note", name)
            else:
                await hubs.put(
                    "Note", name, rank=chance.randrange(4), secret=chance.random() < 0.2,
                    owner=chance.choice(["ann", "bob"]),
                )  # fmt: skip

    wheres: list[Any] = [{}, {"rank": {">": 1}}, {"rank": 2}]
    writers = [asyncio.ensure_future(write()) for _ in range(3)]
    peers = [hubs.connect(user(name), {**NOTES, "where": where})
             for where in wheres for name in ("ann", "bob")]  # fmt: skip
    cut = hubs.connect(ANN, NOTES)
    await hubs.until(lambda: len(cut.of("snapshot")) >= 3)
    cut.apply()
    cut.leave()
    key = cut.of("snapshot")[-1]["rows"][-1]["id"]
    await asyncio.sleep(0.05)
    again = hubs.connect(ANN, {**NOTES, "have": {"after": key}}, cursor=cut.cursor)
    again.rows = cut.rows
    await hubs.until(lambda: all(_is_done(peer) for peer in (*peers, again)))
    is_over = True
    await asyncio.gather(*writers)
    await hubs.settle(*peers, again)
    for peer, (where, name) in zip(
        [*peers, again], [*((w, n) for w in wheres for n in ("ann", "bob")), ({}, "ann")],
        strict=True,
    ):  # fmt: skip
        fresh = await hubs.live(user(name), {**NOTES, "where": where})
        peer.apply()
        fresh.apply()
        assert peer.rows == fresh.rows


def _is_done(peer: Peer) -> bool:
    return any(page["done"] for page in peer.of("snapshot"))
