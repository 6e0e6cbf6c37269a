"""The sync socket: hello to goodbye, as PROTOCOL §6 promises it, from a real runtime."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from pylon import limits
from pylon.testing.served import Caller, ServedProject, SyncSocket
from tests.conftest import Serve
from tests.integration.apps import NOTES

NOTES_ALL = {"id": "s", "entity": "Note"}


async def _live(
    caller: Caller, *subscriptions: dict[str, Any], **keywords: Any
) -> tuple[SyncSocket, dict[str, Any]]:
    socket = await caller.sync(*subscriptions, **keywords)
    welcome = await socket.until("welcome")
    for _ in subscriptions:
        while not (await socket.until("snapshot"))["done"]:
            pass
    return socket, welcome


async def test_hello_pages_and_then_changes(serve: Serve) -> None:
    """The rows that are there come as pages, what happens after as changes in order."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    old = await ada.insert("Note", text="old")
    socket = await ada.sync(NOTES_ALL)
    welcome = await socket.until("welcome")
    assert welcome["user_id"] == ada.user_id
    page = await socket.until("snapshot")
    assert page["rows"] == [old]
    assert page["done"] is True
    new = await ada.insert("Note", text="new")
    batch = await socket.until("changes")
    assert [one["row"] for one in batch["changes"]] == [new]
    assert batch["changes"][0]["kind"] == "insert"
    assert batch["after"] == welcome["head"]
    assert batch["through"].endswith(f":{new['_seq']}")
    await ada.ask("DELETE", f"/api/entities/Note/{old['id']}")
    batch = await socket.until("changes")
    assert [(one["kind"], one["row_id"], "row" in one) for one in batch["changes"]] == [
        ("delete", old["id"], False)
    ]
    await socket.close()


async def test_batches_join_without_a_gap(serve: Serve) -> None:
    """Each batch begins where the one before ended, under writes from several callers."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket, welcome = await _live(ada, NOTES_ALL)
    await asyncio.gather(*(ada.insert("Note", text=f"n{n}") for n in range(120)))
    seen, cursor = [], welcome["head"]
    while len(seen) < 120:
        batch = await socket.until("changes")
        assert batch["after"] == cursor
        cursor = batch["through"]
        seen += [one["seq"] for one in batch["changes"]]
    assert seen == sorted(seen)
    assert len(set(seen)) == 120
    await socket.close()


async def test_who_missed_something_catches_up_from_the_cursor(serve: Serve) -> None:
    """A socket that comes back with its cursor gets what it missed, and nothing twice."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    kept, gone = await ada.insert("Note", text="kept"), await ada.insert("Note", text="gone")
    socket, welcome = await _live(ada, NOTES_ALL)
    await socket.close()
    await ada.ask("PATCH", f"/api/entities/Note/{kept['id']}", {"rank": 1})
    await ada.ask("PATCH", f"/api/entities/Note/{kept['id']}", {"rank": 2})
    await ada.ask("DELETE", f"/api/entities/Note/{gone['id']}")
    new = await ada.insert("Note", text="new")
    await served.stop()
    await served.start()
    again = await ada.sync({**NOTES_ALL, "have": True}, cursor=welcome["head"])
    rows: dict[str, Any] = {kept["id"]: kept, gone["id"]: gone}
    cursor = welcome["head"]
    while cursor != f"{welcome['head'].split(':')[0]}:{new['_seq']}":
        batch = await again.until("changes")
        assert batch["after"] == cursor
        cursor = batch["through"]
        for one in batch["changes"]:
            if one["kind"] == "delete":
                rows.pop(one["row_id"], None)
            else:
                rows[one["row_id"]] = one["row"]
    assert {row["text"]: row["rank"] for row in rows.values()} == {"kept": 2, "new": 0}
    await again.close()


async def test_sync_is_no_side_door(serve: Serve) -> None:
    """Secrets of others come by no way; a row that turns secret leaves as a delete (hidden)."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    opened = await ada.insert("Note", text="open", scar="inside")
    await ada.insert("Note", text="secret one", secret=True)
    socket, _ = await _live(bob, NOTES_ALL)
    await ada.insert("Note", text="secret two", secret=True)
    await ada.ask("PATCH", f"/api/entities/Note/{opened['id']}", {"secret": True})
    batch = await socket.until("changes")
    while not batch["changes"]:
        batch = await socket.until("changes")
    assert [(one["kind"], one["row_id"], one.get("cause")) for one in batch["changes"]] == [
        ("delete", opened["id"], "hidden")
    ]
    everything = json.dumps(socket.seen)
    assert "secret one" not in everything
    assert "secret two" not in everything
    assert "inside" not in everything
    await socket.close()


async def test_a_row_that_leaves_the_filter_is_deleted_as_filtered(serve: Serve) -> None:
    """It is still readable, only nobody asked for it any more."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    note = await ada.insert("Note", text="x", rank=5)
    socket, _ = await _live(ada, {**NOTES_ALL, "where": {"rank": {">": 3}}})
    await ada.ask("PATCH", f"/api/entities/Note/{note['id']}", {"rank": 1})
    batch = await socket.until("changes")
    assert batch["changes"][0]["cause"] == "filtered"
    await ada.ask("PATCH", f"/api/entities/Note/{note['id']}", {"rank": 9})
    batch = await socket.until("changes")
    assert batch["changes"][0]["kind"] == "insert"
    await socket.close()


async def test_pushed_operations_are_answered_and_come_back(serve: Serve) -> None:
    """Applied, rejected and duplicate in one message; then the changes through their seq."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket, _ = await _live(ada, NOTES_ALL)
    operations = [
        {"op_id": "o-1", "fn": "pylon.insert",
         "args": {"entity": "Note", "id": "n-1", "values": {"text": "one"}}},
        {"op_id": "o-2", "fn": "pylon.insert",
         "args": {"entity": "Note", "values": {"text": ""}}},
        {"op_id": "o-1", "fn": "pylon.insert",
         "args": {"entity": "Note", "id": "n-1", "values": {"text": "one"}}},
        {"op_id": "o-3", "fn": "shout", "args": {"noteId": "n-1"}},
        {"op_id": "o-4", "fn": "shout", "args": {"noteId": "n-1"}},
    ]  # fmt: skip
    await socket.send({"type": "push", "request_id": "r", "operations": operations})
    results = await socket.until("results")
    assert results["request_id"] == "r"
    answers = results["results"]
    assert [one["status"] for one in answers] == [
        "applied", "rejected", "duplicate", "applied", "rejected",
    ]  # fmt: skip
    assert answers[2]["seq"] == answers[0]["seq"]
    assert answers[1]["seq"] is None
    assert answers[3]["value"] == "ONE"
    assert answers[4]["error"]["code"] == "ALREADY_LOUD"
    through = ""
    while not through.endswith(f":{answers[3]['seq']}"):
        through = (await socket.until("changes"))["through"]
    await socket.send({"type": "push", "request_id": "again", "operations": operations[3:4]})
    again = (await socket.until("results"))["results"][0]
    assert (again["status"], again["value"]) == ("duplicate", "ONE")
    await socket.close()


async def test_an_atomic_push_is_all_or_nothing(serve: Serve) -> None:
    """One rejected operation undoes the others, which may be sent again."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    good = {"op_id": "a-1", "fn": "pylon.insert",
            "args": {"entity": "Note", "values": {"text": "one"}}}  # fmt: skip
    bad = {"op_id": "a-2", "fn": "pylon.insert",
           "args": {"entity": "Note", "values": {"text": ""}}}  # fmt: skip
    answer = await ada.post(
        "/api/sync/push", {"client_id": "c", "operations": [good, bad], "atomic": True}
    )
    assert [one["status"] for one in answer.body["results"]] == ["rejected", "rejected"]
    assert answer.body["results"][0]["error"]["code"] == "ABORTED"
    assert (await ada.get("/api/entities/Note")).body["rows"] == []
    alone = await ada.post("/api/sync/push", {"client_id": "c", "operations": [good]})
    assert alone.body["results"][0]["status"] == "applied"


async def test_subscriptions_come_and_go(serve: Serve) -> None:
    """A later one gets its pages; an ended one gets nothing more; a bad one ends nothing."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    await ada.insert("Group", name="g")
    socket, _ = await _live(ada, NOTES_ALL)
    await socket.send({"type": "subscribe", "id": "g", "entity": "Group"})
    page = await socket.until("snapshot")
    assert (page["subscription"], len(page["rows"])) == ("g", 1)
    for bad in (
        {"id": "x", "entity": "Nope"},
        {"id": "x", "entity": "Note", "where": {"scar": 1}},
        {"id": "g", "entity": "Note"},
    ):
        await socket.send({"type": "subscribe", **bad})
        error = await socket.until("error")
        assert error["error"]["code"] in ("INVALID_ARGUMENT", "NOT_FOUND"), bad
    await socket.send({"type": "unsubscribe", "id": "g"})
    assert (await socket.until("unsubscribed"))["id"] == "g"
    await ada.insert("Group", name="h")
    await ada.insert("Note", text="seen")
    batch = await socket.until("changes")
    while not batch["changes"]:
        batch = await socket.until("changes")
    assert {one["entity"] for one in batch["changes"]} == {"Note"}
    await socket.send({"type": "ping"})
    await socket.until("pong")
    await socket.close()


async def test_a_window_shows_the_first_rows_of_an_order(serve: Serve) -> None:
    """`order` with `limit` sends the ids in order, and new rows as they move in."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    for n in range(5):
        await ada.insert("Note", text=f"n{n}", rank=n)
    socket = await ada.sync({**NOTES_ALL, "order": ["-rank"], "limit": 2})
    window = await socket.until("window")
    assert [row["rank"] for row in window["rows"]] == [4, 3]
    top = await ada.insert("Note", text="top", rank=9)
    window = await socket.until("window")
    assert window["ids"][0] == top["id"]
    assert [row["rank"] for row in window["rows"]] == [9]
    await socket.close()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (['{"type":"nope"}'], 4400),
        (["not json"], 4400),
        (['{"type":"hello","protocol":1,"client_id":"c","subscriptions":[],"extra":1}'], 4400),
        (['{"type":"hello","protocol":9,"client_id":"c","subscriptions":[]}'], 4400),
        (
            ['{"type":"hello","protocol":1,"client_id":"c","subscriptions":[],"cursor":"x"}'],
            4400,
        ),
        (['{"type":"ping"}'], 4400),
        (['{"type":"hello","protocol":1,"client_id":"' + "x" * (2**20 + 10) + '"}'], 1009),
    ],
    ids=["unknown type", "no JSON", "unknown member", "protocol 9", "bad cursor", "no hello",
         "too big"],
)  # fmt: skip
async def test_bad_frames_close_with_their_code(serve: Serve, frames: list[str], code: int) -> None:
    """A frame that is not in the protocol ends the socket, with the documented code."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket = await served.session.ws_connect(
        served.url + "/api/sync/ws", protocols=("pylon.v1",), headers=ada.headers
    )
    for frame in frames:
        await socket.send_str(frame)
    async with asyncio.timeout(60):
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert socket.close_code == code


async def test_a_cursor_of_another_lineage_is_resynced(serve: Serve) -> None:
    """Epoch changed, cursor ahead: `resync` with its reason, and the socket goes on."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    await ada.insert("Note", text="x")
    head = (await ada.get("/api/health")).body["head"]
    epoch = head.split(":")[0]
    for cursor, reason in (("other:1", "epoch_changed"), (f"{epoch}:9999", "cursor_ahead")):
        socket = await ada.sync({**NOTES_ALL, "have": True}, cursor=cursor)
        resync = await socket.until("resync")
        assert resync["reason"] == reason
        page = await socket.until("snapshot")
        assert page["done"]
        assert len(page["rows"]) == 1
        await socket.close()
        pulled = await ada.get(f"/api/sync/pull?cursor={cursor}")
        assert (pulled.status, pulled.code) == (410, "RESYNC_REQUIRED")
        assert pulled.body["error"]["details"]["reason"] == reason
    assert (await ada.get("/api/sync/pull?cursor=nonsense")).code == "INVALID_ARGUMENT"


async def test_a_slow_reader_is_bounded_and_misses_nothing(serve: Serve) -> None:
    """Who does not read costs a bounded queue, and gets everything when it reads again."""
    served = await serve(NOTES, toml="[limits]\nsend_queue_bytes = 65536\n")
    ada = await served.login("ada@example.com")
    socket, welcome = await _live(ada, NOTES_ALL)
    socket.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
    count, blob = 1_200, "x" * 20_000
    for start in range(0, count, 50):
        operations = [
            {"op_id": f"b-{start + n}", "fn": "pylon.insert",
             "args": {"entity": "Note", "values": {"text": f"{start + n}", "extra": blob}}}
            for n in range(50)
        ]  # fmt: skip
        answer = await ada.post("/api/sync/push", {"client_id": "w", "operations": operations[:25]})
        assert answer.status == 200
        await ada.post("/api/sync/push", {"client_id": "w", "operations": operations[25:]})
    queued = await _queued(served)
    assert queued < 9 * 2**20, queued
    socket.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]
    seen, cursor = 0, welcome["head"]
    while seen < count:
        batch = await socket.until("changes")
        assert batch["after"] == cursor
        cursor = batch["through"]
        seen += len(batch["changes"])
    assert socket.largest <= limits.FRAME_BYTES_MAX + 30_000
    await socket.close()


async def _queued(served: ServedProject) -> int:
    from pylon.client.admin import AdminClient

    admin = AdminClient(
        "http://127.0.0.1", socket_path=next((served.state / "run").glob("*/admin.sock"))
    )
    try:
        clients = (await admin.get("admin/clients"))["clients"]
    finally:
        await admin.close()
    return max(one["queued_bytes"] for one in clients)


async def test_sockets_beyond_the_limit_are_refused_before_the_upgrade(serve: Serve) -> None:
    """429 with Retry-After, and the sockets that are there live on."""
    served = await serve(NOTES, toml="[limits]\nsockets_per_user = 2\n")
    ada = await served.login("ada@example.com")
    one, _ = await _live(ada, NOTES_ALL)
    two, _ = await _live(ada, NOTES_ALL)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await ada.sync(NOTES_ALL)
    assert caught.value.status == 429
    await one.close()
    await asyncio.sleep(0.2)
    three, _ = await _live(ada, NOTES_ALL)
    for socket in (two, three):
        await socket.close()


async def test_stopping_says_goodbye(serve: Serve) -> None:
    """`goaway` comes at once, before the close, and no socket holds the end up."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket, _ = await _live(ada, NOTES_ALL)
    began = asyncio.get_running_loop().time()
    stopping = asyncio.create_task(served.stop())
    goaway = await socket.until("goaway")
    assert goaway["retry_ms"] >= 0
    assert (await socket.next())["code"] == 1001
    assert await stopping == 0
    assert asyncio.get_running_loop().time() - began < 2
    assert "stop_timed_out" not in served.output


async def test_no_hello_is_no_socket(serve: Serve) -> None:
    """A socket that says nothing is closed with 4408."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket = await served.session.ws_connect(
        served.url + "/api/sync/ws", protocols=("pylon.v1",), headers=ada.headers
    )
    async with asyncio.timeout(limits.HELLO_SECONDS + 5):
        await socket.receive()
    assert socket.close_code == 4408


async def test_pull_snapshot_and_socket_agree(serve: Serve) -> None:
    """A replica by pull and one by pages hold the same rows as the list."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    for n in range(40):
        note = await ada.insert("Note", text=f"n{n}", secret=n % 3 == 0)
        if n % 4 == 0:
            await ada.ask("PATCH", f"/api/entities/Note/{note['id']}", {"rank": n})
        if n % 7 == 0:
            await ada.ask("DELETE", f"/api/entities/Note/{note['id']}")
    pulled: dict[str, Any] = {}
    cursor = "0"
    while True:
        batch = (await bob.get(f"/api/sync/pull?cursor={cursor}&limit=7")).body
        for one in batch["changes"]:
            if one["entity"] != "Note":
                continue
            if one["kind"] == "delete":
                pulled.pop(one["row_id"], None)
            else:
                pulled[one["row_id"]] = one["row"]
        cursor = batch["through"]
        if not batch["more"]:
            break
    paged: dict[str, Any] = {}
    after = ""
    while after is not None:
        page = (await bob.get(f"/api/sync/snapshot?entity=Note&after={after}")).body
        paged |= {row["id"]: row for row in page["rows"]}
        after = page["next"]
    listed = (await bob.get("/api/entities/Note?limit=1000")).body["rows"]
    assert pulled == paged == {row["id"]: row for row in listed}
    assert all(row["secret"] is False for row in listed)


async def test_server_sent_events_are_the_same_batches(serve: Serve) -> None:
    """Batches join, end with the session, and a caller who leaves makes no noise."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    cursor, texts = "0", []
    async with served.session.get(
        f"{served.url}/api/sync/events?cursor=0", headers=ada.headers
    ) as stream:
        assert stream.status == 200
        for n in range(3):
            await bob.insert("Note", text="secret", secret=True)
            await ada.insert("Note", text=f"n{n}")
        while len(texts) < 3:
            event, batch = await _event(stream)
            assert event == "changes"
            assert batch["after"].rpartition(":")[2] == cursor.rpartition(":")[2]
            cursor = batch["through"]
            texts += [one["row"]["text"] for one in batch["changes"] if one["entity"] == "Note"]
        assert texts == ["n0", "n1", "n2"]
        await ada.post("/api/auth/logout", {})
        event, told = await _event(stream)
        while event == "changes":
            event, told = await _event(stream)
        assert (event, told["reason"]) == ("goaway", "session ended")
    again = await served.login("ada@example.com")
    async with served.session.get(f"{served.url}/api/sync/events", headers=again.headers) as left:
        assert left.status == 200
    await again.insert("Note", text="nobody listens")
    await asyncio.sleep(0.3)
    await served.stop()
    assert "Traceback" not in served.output


async def _event(stream: aiohttp.ClientResponse) -> tuple[str, dict[str, Any]]:
    name = ""
    async with asyncio.timeout(60):
        while line := await stream.content.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                return name, json.loads(line[6:])
    raise AssertionError("the stream ended")
