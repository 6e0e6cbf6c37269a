"""What a peer may do to a socket or a stream without harming anybody, or outliving his session."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pylon.client.admin import AdminClient
from pylon.testing.served import ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES
from tests.integration.rawsocket import PING, RawSocket

NOTES_ALL = {"id": "s", "entity": "Note"}
ACTIONS = (
    NOTES
    + """

import asyncio


@app.action
async def wait(ctx, seconds: float) -> int:
    await asyncio.sleep(seconds)
    print("the action has ended", flush=True)
    return 1
"""
)


async def _admin(served: ServedProject, path: str) -> Any:
    admin = AdminClient(
        "http://127.0.0.1", socket_path=next((served.state / "run").glob("*/admin.sock"))
    )
    try:
        return await admin.get(path)
    finally:
        await admin.close()


async def test_a_user_agent_of_bytes_harms_nobody(serve: Serve) -> None:
    """It is marked, shown and stored; other clients are remembered beside it."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    odd = await RawSocket.open(ada, "User-Agent: \xff\xfe\x9b")
    odd.hello(client_id="odd")
    await odd.until("welcome")
    plain = await ada.sync(client_id="plain")
    await plain.until("welcome")
    for socket in (odd, plain):
        sent = socket.send({"type": "stored", "cursor": "0"})
        if sent is not None:
            await sent
    shown = (await _admin(served, "admin/clients"))["clients"]
    assert {one["client_id"] for one in shown} == {"odd", "plain"}
    odd.close()
    await plain.close()
    await served.stop()
    assert "Traceback" not in served.output
    await served.start()
    shown = (await _admin(served, "admin/clients"))["clients"]
    assert {one["client_id"] for one in shown} == {"odd", "plain"}


async def test_nothing_runs_for_a_session_that_has_ended(serve: Serve) -> None:
    """Frames that come after the goodbye are nobody's: no action begins, no write happens."""
    served = await serve(ACTIONS)
    ada = await served.login("ada@example.com")
    socket = await RawSocket.open(ada)
    socket.hello()
    await socket.until("welcome")
    assert (await ada.post("/api/auth/logout", {})).status == 204
    socket.send({"type": "call", "request_id": "r", "fn": "wait", "args": {"seconds": 0}})
    socket.send({"type": "push", "request_id": "p", "operations": [
        {"op_id": "o", "fn": "pylon.insert", "args": {"entity": "Note", "values": {"text": "x"}}}
    ]})  # fmt: skip
    assert (await socket.until("closed"))["code"] == 4001
    while (await socket.next(10))[0] != -1:
        pass  # the transport ends, too, and no heartbeat is waited for
    socket.close()
    again = await served.login("ada@example.com")
    assert (await again.get("/api/entities/Note")).body["rows"] == []
    assert "the action has ended" not in served.output


async def test_a_role_that_changes_before_hello_is_that_of_the_welcome(serve: Serve) -> None:
    """Whoever has not said hello yet is told once who he is, and need not start over."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket = await RawSocket.open(ada)
    changed = await served.anonymous().post(
        "/api/auth/dev/login", {"email": "ada@example.com", "roles": ["admin"]}
    )
    assert changed.status == 200
    socket.hello(NOTES_ALL)
    kinds = []
    while not kinds or kinds[-1] != "snapshot":
        message = await socket.until("welcome" if not kinds else "snapshot")
        kinds.append(message["type"])
        if message["type"] == "welcome":
            assert message["roles"] == ["admin"]
    assert kinds == ["welcome", "snapshot"]
    socket.close()
    assert "Traceback" not in served.output


async def test_a_cancelled_call_ends_and_a_push_is_not_cancelled(serve: Serve) -> None:
    """`cancel` stops an action; a push under the same id has its answer all the same."""
    served = await serve(ACTIONS)
    ada = await served.login("ada@example.com")
    socket = await RawSocket.open(ada)
    socket.hello()
    socket.send({"type": "call", "request_id": "c", "fn": "wait", "args": {"seconds": 0.5}})
    socket.send({"type": "call", "request_id": "c", "fn": "wait", "args": {"seconds": 0.5}})
    used = await socket.until("error")
    assert (used["request_id"], used["error"]["code"]) == ("c", "RATE_LIMITED")
    socket.send({"type": "cancel", "request_id": "c"})
    socket.send({"type": "push", "request_id": "p", "operations": [
        {"op_id": "o", "fn": "pylon.insert", "args": {"entity": "Note", "values": {"text": "x"}}}
    ]})  # fmt: skip
    socket.send({"type": "cancel", "request_id": "p"})
    assert (await socket.until("results"))["results"][0]["status"] == "applied"
    await asyncio.sleep(0.7)
    assert "the action has ended" not in served.output
    socket.close()


@pytest.mark.alone  # it judges tenths of seconds
async def test_cursors_move_within_every_heartbeat_and_the_vanished_are_freed(serve: Serve) -> None:
    """An idle socket gets a `changes` in time; one that answers no ping is gone within two."""
    heartbeat_s = 1.0
    served = await serve(NOTES, toml=f"[limits]\nheartbeat_seconds = {heartbeat_s}\n")
    ada = await served.login("ada@example.com")
    socket = await ada.sync(NOTES_ALL)
    vanished = await RawSocket.open(ada)
    vanished.hello(NOTES_ALL, client_id="vanished")
    silent = await RawSocket.open(ada)  # not even a hello
    await socket.until("snapshot")
    began = last = time.monotonic()
    while time.monotonic() - began < 2 * heartbeat_s + 0.3:
        batch = await socket.until("changes")
        assert batch["changes"] == []
        assert time.monotonic() - last <= heartbeat_s + 0.1
        last = time.monotonic()
    shown = [one for one in (await _admin(served, "admin/clients"))["clients"]
             if one["connection_id"] is not None]  # fmt: skip
    assert [one["client_id"] for one in shown] == ["test"]
    kinds = [(await vanished.next())[0] for _ in range(5)]
    assert PING in kinds
    for one in (vanished, silent):
        while (await one.next())[0] != -1:
            pass
        one.close()
    await socket.close()


async def test_a_vanished_peer_with_a_full_queue_is_freed_too(serve: Serve) -> None:
    """Who neither reads nor answers is gone within two heartbeats, with what was queued for it."""
    served = await serve(NOTES, toml="[limits]\nheartbeat_seconds = 1.0\n")
    ada = await served.login("ada@example.com")
    socket = await RawSocket.open(ada)
    socket.hello(NOTES_ALL)
    await socket.until("snapshot")
    before = len(await _descriptors(served))
    socket.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for start in range(0, 400, 40):
        operations = [
            {"op_id": f"o{start + n}", "fn": "pylon.insert",
             "args": {"entity": "Note", "values": {"text": "x", "extra": "y" * 20_000}}}
            for n in range(40)
        ]  # fmt: skip
        assert (await ada.post("/api/sync/push", {"operations": operations})).status == 200
    await asyncio.sleep(2.2)
    shown = (await _admin(served, "admin/clients"))["clients"]
    assert [one["connection_id"] for one in shown] == [None]
    assert len(await _descriptors(served)) < before
    socket.close()


async def test_a_peer_that_asks_and_never_reads_is_not_answered_for_ever(serve: Serve) -> None:
    """Answers to calls wait in memory up to a bound; then no further frame of it is taken."""
    served = await serve(NOTES + "\n@app.query\ndef big(ctx) -> str:\n    return 'x' * 20_000\n")
    ada = await served.login("ada@example.com")
    socket = await RawSocket.open(ada)
    socket.hello()
    await socket.until("welcome")
    socket.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for number in range(2_000):  # 40 MB of answers; more than 100 at once are refused
        socket.send({"type": "call", "request_id": str(number), "fn": "big", "args": {}})
        if number % 50 == 49:
            await asyncio.sleep(0.05)
    seen = [-1, 0]
    while seen[-1] != seen[-2] or seen[-1] == 0:
        await asyncio.sleep(0.5)
        (shown,) = (await _admin(served, "admin/clients"))["clients"]
        seen.append(shown["queued_bytes"])
    assert 1_000_000 < seen[-1] < 8_000_000
    assert (await ada.get("/api/health")).status == 200  # and everybody else is served
    socket.close()


async def _descriptors(served: ServedProject) -> list[int]:
    import psutil

    return [one.fd for one in psutil.Process(served.pid).net_connections("tcp")]


async def test_a_stream_that_nobody_reads_ends_with_its_session(serve: Serve) -> None:
    """A stalled event stream is cut within a second of the sign-out."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    for start in range(0, 400, 40):
        operations = [
            {"op_id": f"o{start + n}", "fn": "pylon.insert",
             "args": {"entity": "Note", "values": {"text": "x", "extra": "y" * 20_000}}}
            for n in range(40)
        ]  # fmt: skip
        assert (await ada.post("/api/sync/push", {"operations": operations})).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=2**10)
    writer.write(
        f"GET /api/sync/events?cursor=0 HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        f"Authorization: Bearer {bob.token}\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(0.5)  # both buffers are full now
    before = len(await _descriptors(served))
    assert (await bob.post("/api/auth/logout", {})).status == 204
    async with asyncio.timeout(10):  # and no heartbeat is waited for
        while len(await _descriptors(served)) != before - 1:
            await asyncio.sleep(0.05)
    writer.close()
