"""H11: what peers cost that never read: memory, queues, open files; bounds, not times."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import psutil
import pytest

from pylon import limits
from pylon.client.admin import AdminClient
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES
from tests.integration.rawsocket import RawSocket

_PEERS = 40 * int(os.environ.get("PYLON_TEST_SCALE", "1"))
_QUEUE = 256 * limits.KIB
NOTES_ALL = {"id": "s", "entity": "Note"}


async def _stuck(caller: Caller) -> RawSocket:
    """Open a socket that takes its first page, and then nothing more."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    made.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(made, ("127.0.0.1", caller.served.port))
    # A reader this small stops reading from the socket as soon as nobody takes from it.
    reader, writer = await asyncio.open_connection(sock=made, limit=2_048)
    peer = await RawSocket.upgrade(reader, writer, caller)
    peer.hello(NOTES_ALL)
    await peer.until("snapshot")
    return peer


async def _clients(served: ServedProject) -> list[dict[str, Any]]:
    admin = AdminClient(
        "http://127.0.0.1", socket_path=next((served.state / "run").glob("*/admin.sock"))
    )
    try:
        found: list[dict[str, Any]] = (await admin.get("admin/clients"))["clients"]
    finally:
        await admin.close()
    return found


@pytest.mark.timeout(600)
async def test_peers_that_never_read_cost_a_bound(serve: Serve) -> None:
    """I45, I46: their queues stay at the limit, memory too; who reads gets everything."""
    served = await serve(
        NOTES, toml=f"[limits]\nsend_queue_bytes = {_QUEUE}\nheartbeat_seconds = 60.0\n"
    )
    ada = await served.login("ada@example.com")
    healthy = await ada.sync(NOTES_ALL)
    cursor = (await healthy.until("welcome"))["head"]
    await healthy.until("snapshot")
    runtime = psutil.Process(served.pid)
    files = runtime.num_fds()
    peers = [await _stuck(ada) for _ in range(_PEERS)]
    before = runtime.memory_info().rss
    pushes, rows, blob = 25, 40, "x" * 10_000
    seen = 0
    for n in range(pushes):
        operations = [
            {"op_id": f"p-{n}-{k}", "fn": "pylon.insert",
             "args": {"entity": "Note", "values": {"text": f"{n}", "extra": blob}}}
            for k in range(rows)
        ]  # fmt: skip
        answer = await ada.post("/api/sync/push", {"client_id": "w", "operations": operations})
        assert {one["status"] for one in answer.body["results"]} == {"applied"}
        while seen < (n + 1) * rows:
            batch = await healthy.until("changes")
            assert batch["after"] == cursor
            cursor = batch["through"]
            seen += len(batch["changes"])
    stuck = [one for one in await _clients(served) if one["client_id"] == "raw"]
    assert len(stuck) == _PEERS
    queued = [one["queued_bytes"] for one in stuck]
    assert min(queued) > 0, "they are stuck indeed"
    # A frame is written where the queue is short enough, whatever its own size.
    assert max(queued) <= _QUEUE + limits.FRAME_BYTES_MAX
    grown = runtime.memory_info().rss - before
    assert grown <= _PEERS * _QUEUE + 100 * limits.MIB
    for peer in peers:
        peer.close()
    await asyncio.gather(*(one.writer.wait_closed() for one in peers), return_exceptions=True)
    async with asyncio.timeout(60):
        while runtime.num_fds() > files + 5:  # the admin socket, a journal: not one a peer
            await asyncio.sleep(0.05)
    await healthy.close()
