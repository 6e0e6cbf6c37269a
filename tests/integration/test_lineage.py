"""Histories that are not continued: whoever holds a cursor of one starts over and ends right."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pylon.client import PylonClient
from pylon.client.events import NetworkChanged
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("lineage")


@app.entity(read="true", insert="auth.userId != null", update="auth.userId != null",
            delete="auth.userId != null")
class Thing(Entity):
    name: str
"""


class World:
    """A runtime, somebody who writes, and an old client that follows all the time."""

    def __init__(self, served: ServedProject) -> None:
        self.served = served
        self.ada: Caller
        self.client: PylonClient

    @property
    def folder(self) -> Path:
        return self.served.project / ".pylon"

    @property
    def aside(self) -> Path:
        return self.served.project.parent / "aside"

    async def write(self, *names: str) -> None:
        """Insert rows, and change those that are there."""
        for row in await self.truth():
            await self.ada.ask("PATCH", f"/api/entities/Thing/{row['id']}", {"name": "changed"})
        for name in names:
            await self.ada.insert("Thing", name=name)

    async def truth(self) -> list[dict[str, Any]]:
        listed = await self.served.anonymous().get("/api/entities/Thing?limit=1000")
        rows: list[dict[str, Any]] = listed.body["rows"]
        return rows

    async def head(self) -> str:
        head: str = (await self.served.anonymous().get("/api/health")).body["head"]
        return head

    async def unseen(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run the server where the client can't find it, and stop it again."""
        port, self.served.port = self.served.port, 0
        await self.served.start()
        self.ada = await self.served.login("ada@example.com")
        await work()
        await self.served.stop()
        self.served.port = port

    async def agree(self) -> None:
        """Wait until the client has come to the head; then it holds exactly what is there."""
        head = await self.head()
        async with asyncio.timeout(60):
            while self.client.cursor != head:
                self.client.shell.dispatch(
                    NetworkChanged(is_online=True)
                )  # no waiting for its backoff
                await asyncio.sleep(0.05)
        await self.client.settled()
        assert self.client.rows("Thing") == await self.truth()


@pytest.fixture
async def world(serve: Serve) -> AsyncIterator[World]:
    """Three rows that the client has."""
    made = World(await serve(APP))
    made.ada = await made.served.login("ada@example.com")
    await made.write("one", "two", "three")
    async with PylonClient(made.served.url) as client:
        made.client = client
        client.query("Thing")
        await made.agree()
        yield made


async def _resynced(world: World, old: str) -> None:
    """Hold the new history to be another one, for everybody who knew the old one."""
    assert (await world.head()).partition(":")[0] != old.partition(":")[0]
    pulled = await world.served.anonymous().get(f"/api/sync/pull?cursor={old}")
    assert (pulled.status, pulled.code) == (410, "RESYNC_REQUIRED")
    assert pulled.body["error"]["details"]["reason"] == "epoch_changed"
    await world.agree()


@pytest.mark.parametrize("is_past", [False, True], ids=["lower head", "past the old head"])
async def test_an_older_folder_in_place_is_another_history(world: World, is_past: bool) -> None:
    """Put back behind the server's back, also where it goes on past the head that clients hold."""
    await world.served.stop()
    shutil.copytree(world.folder, world.aside)
    await world.served.start()
    await world.write("four", "five")
    await world.agree()
    old, token = await world.head(), world.ada
    await world.served.stop()
    shutil.rmtree(world.folder)
    shutil.copytree(world.aside, world.folder)
    if is_past:
        await world.unseen(lambda: world.write(*(f"other {n}" for n in range(9))))
    await world.served.start()
    if is_past:
        assert int((await world.head()).rpartition(":")[2]) > int(old.rpartition(":")[2])
    assert (await token.get("/api/auth/me")).code == "UNAUTHENTICATED", "its sessions ended"
    await _resynced(world, old)


async def test_a_copy_with_the_right_token_is_betrayed_by_its_head(world: World) -> None:
    """Copied while it ran, put back after it went on: the witness knows a higher head."""
    world.aside.mkdir()
    with (
        closing(sqlite3.connect(world.folder / "app.db")) as source,
        closing(sqlite3.connect(world.aside / "app.db")) as copy,
    ):
        source.backup(copy)
    await world.write("four")
    await world.agree()
    old = await world.head()
    await world.served.stop()
    for path in world.folder.glob("app.db*"):
        path.unlink()
    shutil.copy(world.aside / "app.db", world.folder / "app.db")
    await world.served.start()
    await _resynced(world, old)


@pytest.mark.parametrize("is_removed", [False, True], ids=["replaced", "removed"])
async def test_a_file_that_goes_while_it_runs_takes_no_more_writes(
    world: World, is_removed: bool
) -> None:
    """Within a second or so writes are refused, not lost; a restart begins another history."""
    await world.served.stop()
    shutil.copytree(world.folder, world.aside)
    await world.served.start()
    await world.write("four")
    await world.agree()
    old = await world.head()
    if is_removed:
        shutil.rmtree(world.folder)
    else:
        (world.aside / "app.db").replace(world.folder / "app.db")
    async with asyncio.timeout(60):
        while (await world.served.anonymous().get("/api/health")).body["status"] == "ok":
            await asyncio.sleep(0.05)
    refused = await world.ada.post("/api/entities/Thing", {"name": "lost"})
    assert (refused.status, refused.code) == (503, "UNAVAILABLE")
    assert refused.body["error"]["details"] == {"reason": "displaced"}
    assert len(await world.truth()) == 4, "reads go on"
    assert await world.served.stop() == 0
    await world.served.start()
    assert len(await world.truth()) == (0 if is_removed else 3)
    await _resynced(world, old)


async def test_a_deleted_folder_is_another_history(world: World) -> None:
    """A database that was made anew continues nothing, whatever number it has come to."""
    old = await world.head()
    await world.served.stop()
    shutil.rmtree(world.folder)
    await world.unseen(lambda: world.write(*(f"new {n}" for n in range(9))))
    await world.served.start()
    assert int((await world.head()).rpartition(":")[2]) > int(old.rpartition(":")[2])
    await _resynced(world, old)


async def test_without_a_witness_the_epoch_stays(world: World) -> None:
    """Nothing is known against the database; a cursor ahead of its head still starts over."""
    await world.served.stop()
    shutil.copytree(world.folder, world.aside)
    await world.served.start()
    await world.write("four")
    await world.agree()
    old = await world.head()
    await world.served.stop()
    shutil.rmtree(world.folder)
    shutil.copytree(world.aside, world.folder)
    shutil.rmtree(world.served.state / "lineage")
    await world.served.start()
    assert (await world.head()).partition(":")[0] == old.partition(":")[0]
    pulled = await world.served.anonymous().get(f"/api/sync/pull?cursor={old}")
    assert pulled.body["error"]["details"]["reason"] == "cursor_ahead"
    await world.agree()


async def test_a_restored_backup_is_another_history(world: World) -> None:
    """The whole way by commands: backup, more writes, restore, more writes, one old client."""
    pylon = Shell(world.served)
    backup = world.served.project.parent / "backup.db"
    ended = await world.served.login("ended@example.com")
    await pylon("backup", str(backup))
    assert (await ended.post("/api/auth/logout", None)).status == 204
    body = {"client_id": "c", "operations": [_insert("op-1", "after the backup")]}
    assert (await world.ada.post("/api/sync/push", body)).body["results"][0]["status"] == "applied"
    await world.write("four", "five")
    await world.agree()
    old = await world.head()
    await world.served.stop(signal.SIGKILL)
    await pylon("restore", str(backup), "--yes")
    await world.unseen(lambda: world.write(*(f"other {n}" for n in range(9))))
    await world.served.start()
    assert int((await world.head()).rpartition(":")[2]) > int(old.rpartition(":")[2])
    await _resynced(world, old)
    for caller in (world.ada, ended):
        is_fresh = caller is world.ada  # signed in after the restore
        assert (await caller.get("/api/auth/me")).status == (200 if is_fresh else 401)
    again = (await world.ada.post("/api/sync/push", body)).body["results"][0]
    assert again["status"] == "applied", "what came after the backup did not happen"
    kept = next((world.folder / "backups").glob("before-restore-*.db"))
    assert "ok" in await pylon("verify", str(kept), is_for_project=False)


def _insert(op_id: str, name: str) -> dict[str, Any]:
    return {
        "op_id": op_id, "fn": "pylon.insert", "args": {"entity": "Thing", "values": {"name": name}}
    }  # fmt: skip
