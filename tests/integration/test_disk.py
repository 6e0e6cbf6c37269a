"""A disk that takes nothing more: writes are retryable, reads go on, nothing acknowledged is lost.

The files of a running runtime are kept from growing (RLIMIT_FSIZE), and let grow again.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
from typing import Any

import pytest

from pylon.testing.served import Answer, Caller, DidNotStart, ServedProject
from tests.conftest import Serve
from tests.integration.apps import NOTES


def _limit_files(served: ServedProject, size: int) -> None:
    hard = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (size, hard))


async def _health(served: ServedProject) -> tuple[int, Any]:
    answer = await served.anonymous().get("/api/health")
    return answer.status, answer.body


async def _write(who: Caller, n: int) -> Answer:
    return await who.ask(
        "POST", "/api/entities/Note", {"id": f"n{n}", "text": "x", "extra": "y" * 20_000},
        headers={"Idempotency-Key": f"k{n}"},
    )  # fmt: skip


async def test_a_disk_that_takes_nothing_more(serve: Serve) -> None:
    """Refused with one retryable code, said by health, and over as soon as there is room (I7)."""
    served = await serve(NOTES, mode="dev")
    ada = await served.login("ada@example.com")
    socket = await ada.sync({"id": "s", "entity": "Note"})
    await socket.until("snapshot")
    _limit_files(served, 400_000)
    stored: list[str] = []
    refused: list[int] = []
    status = 200
    async with asyncio.timeout(60):
        for n in itertools.count():
            answer = await _write(ada, n)
            if answer.status == 201:
                stored.append(f"n{n}")
                continue
            assert (answer.status, answer.code) == (503, "UNAVAILABLE")
            reason = answer.body["error"]["details"]["reason"]
            assert reason in ("disk_full", "commit_unknown", "recovering")
            refused.append(n)
            status, body = await _health(served)
            # A recovery may have made a little room meanwhile: then the next write takes it.
            if status != 200 and len(refused) >= 3:
                break
    assert stored
    assert status == 503
    assert body["status"] in ("disk_full", "recovering", "failed")
    assert body["error"]["code"] == "UNAVAILABLE"
    assert str(served.project) not in str(body)
    async with asyncio.timeout(60):  # reads go on, but for the moments of a recovery
        while (answer := await ada.get("/api/entities/Note?limit=1000")).status != 200:
            assert answer.code == "UNAVAILABLE"
    assert set(stored) <= {row["id"] for row in answer.body["rows"]}
    _limit_files(served, resource.RLIM_INFINITY)
    async with asyncio.timeout(60):
        while (await _health(served))[0] != 200:
            await asyncio.sleep(0.1)
    for n in refused:
        answer = await _write(ada, n)
        assert answer.status == 201, "the same id, once there is room"
    await socket.send({"type": "ping"})
    await socket.until("pong")
    await socket.close()
    assert await served.stop() == 0
    await served.start()
    rows = (await ada.get("/api/entities/Note?limit=1000")).body["rows"]
    assert {row["id"] for row in rows} == {*stored, *(f"n{n}" for n in refused)}


async def test_a_start_on_a_full_disk_says_so(serve: Serve) -> None:
    """One short paragraph, no traceback."""
    served = await serve(NOTES, is_started=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, before[1]))
    try:
        with pytest.raises(DidNotStart) as caught:
            await served.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    text = str(caught.value)
    assert "could not start" in text
    assert "Traceback" not in text
    await served.start()
    assert (await served.anonymous().get("/api/health")).status == 200
