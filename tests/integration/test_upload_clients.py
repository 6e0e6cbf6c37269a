"""The Python client's uploads: whole or in pieces, over a network that is cut on the way."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.client import ServerRefused
from pylon.client.client import PylonClient
from pylon.client.uploading import Uploading
from pylon.errors import InvalidArgument
from pylon.testing.harness import Running, running
from pylon.testing.manual_clock import ManualClock

APP = """
from __future__ import annotations

from pylon import App, Entity, File

app = App("pictures")


@app.entity(read="true", insert="auth.userId != null")
class Picture(Entity):
    file: File
"""
BYTES = random.Random(1).randbytes(3 << 20)


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Running]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    async with running(folder) as started:
        yield started


async def _upload(rt: Running, client: PylonClient, source: Any, **given: Any) -> dict[str, Any]:
    """Upload; what it waits for passes at once."""
    task = asyncio.ensure_future(client.upload(source, **given))
    while not task.done():
        await asyncio.sleep(0.002)
        await rt.clock.advance(1)
    return await task


async def test_a_file_comes_whole_over_a_network_that_is_cut(rt: Running, tmp_path: Path) -> None:
    """It goes on where the server is, tells how far that is, and is put into a row."""
    ann = await rt.user("ann@example.com")
    path = tmp_path / "große Katze.png"
    path.write_bytes(BYTES)
    seen: list[int] = []

    def note(loaded: int, total: int) -> None:
        seen.append(loaded)
        if len(seen) in (2, 3):
            rt.network.reset_all()

    made = await _upload(rt, ann.client, path, on_progress=note)
    assert made["sha256"] == hashlib.sha256(BYTES).hexdigest()
    assert (made["name"], made["type"], made["size"]) == (path.name, "image/png", len(BYTES))
    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (0, len(BYTES))
    row = await ann.insert("Picture", file=made["id"])
    assert row.file["sha256"] == made["sha256"]


async def test_small_bytes_go_in_one_request(rt: Running) -> None:
    """With a name and a type of one's own, or without."""
    ann = await rt.user("ann@example.com")
    made = await _upload(rt, ann.client, b"hello", name="a.txt", type="text/x-mine")
    assert (made["name"], made["type"], made["size"]) == ("a.txt", "text/x-mine", 5)
    assert (await _upload(rt, ann.client, b""))["size"] == 0


async def test_what_does_not_pass_by_itself_is_raised(rt: Running, tmp_path: Path) -> None:
    """A caller who may not, and a file that is not there."""
    nobody = await rt.anonymous()
    with pytest.raises(ServerRefused) as refused:
        await _upload(rt, nobody.client, BYTES)
    assert refused.value.code == "UNAUTHENTICATED"
    with pytest.raises(FileNotFoundError):
        await nobody.client.upload(tmp_path / "missing")


async def test_a_file_that_becomes_shorter_on_the_way_is_an_error(
    rt: Running, tmp_path: Path
) -> None:
    """There is no end to wait for: nothing more of it can be sent."""
    ann = await rt.user("ann@example.com")
    path = tmp_path / "log"
    path.write_bytes(BYTES)

    def cut(loaded: int, total: int) -> None:
        if loaded:
            path.write_bytes(BYTES[:loaded])

    async with asyncio.timeout(60):
        with pytest.raises(InvalidArgument, match="became shorter"):
            await _upload(rt, ann.client, path, on_progress=cut)


async def test_it_waits_as_long_as_the_server_says() -> None:
    """Retry-After comes on top of what it waits by itself."""
    clock, asked = ManualClock(), []

    async def ask(*_: object, **__: object) -> dict[str, Any]:
        asked.append(clock.monotonic())
        if len(asked) == 1:
            raise ServerRefused({"code": "RATE_LIMITED", "message": "later"}, "40")
        return {"sha256": "", "size": 1}

    uploading = Uploading(
        ask, clock, lambda: 0.0, b"x", name="", kind=None, key="k", on_progress=None
    )
    task = asyncio.ensure_future(uploading.run())
    while not task.done():
        await asyncio.sleep(0)
        await clock.advance(1)
    assert asked[1] - asked[0] >= 40.5


async def test_cancelled_it_is_given_up(rt: Running) -> None:
    """What came is removed, not kept for a day."""
    ann = await rt.user("ann@example.com")
    reader = rt.runtime.services.database.readers.inline.raw

    def count() -> int:
        return int(reader.execute("SELECT count(*) FROM _pylon_uploads").fetchone()[0])

    begun = asyncio.Event()
    task = asyncio.ensure_future(
        ann.client.upload(BYTES, on_progress=lambda loaded, _: begun.set() if loaded else None)
    )
    await begun.wait()
    assert count() == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert count() == 0
