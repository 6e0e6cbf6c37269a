"""Erasing a person on a disk that takes nothing more: it goes on by itself, once there is room.

SQLite is kept from growing its file (`max_page_count`): a write that needs a page fails as on a
full disk. What is deleted frees pages, what lets go of somebody is logged and needs some.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.errors import NotFound, Unavailable
from pylon.identity import SYSTEM
from pylon.server import erasing
from pylon.server.storage import writer as writer_module
from pylon.testing.harness import seeded_ids
from pylon.testing.inprocess import InProcessRuntime, config_of
from pylon.testing.network import MemoryNetwork

APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, field

app = App("diary", version="1")


@app.entity(read="auth.userId != null", insert="true")
class Page(Entity):
    ownerId: Ref["User"] = field(on_delete="cascade")
    text: str = ""


@app.entity(read="auth.userId != null", insert="true")
class Task(Entity):
    forId: Ref["User"] | None = field(default=None, on_delete="set_null")
    text: str = ""
"""
CANARY = "ada-wrote-this-canary"


class World:
    """A runtime whose file may be kept from growing."""

    def __init__(self, runtime: InProcessRuntime, data: Path) -> None:
        self.runtime = runtime
        self.data = data

    @property
    def services(self) -> Any:
        """Return its services."""
        return self.runtime.services

    async def live(self, name: str) -> str:
        """Have somebody leave rows behind; returns his id."""
        account = await self.services.accounts.ensure(f"{name}@example.com", frozenset())
        for number in range(60):
            for entity, values in (
                ("Page", {"ownerId": account.id, "text": f"{CANARY} {number} " + "x" * 400}),
                ("Task", {"forId": account.id, "text": "x" * 1_000}),
            ):
                await self.services.executor.mutate(
                    SYSTEM, "pylon.insert", {"entity": entity, "values": values}, op_id=None,
                    cause="test",
                )  # fmt: skip
        return str(account.id)

    async def allow(self, pages: int | None) -> None:
        """Have the file grow by so many pages at most, or as it likes."""

        def limit(raw: Any) -> None:
            ((now,),) = raw.execute("PRAGMA page_count").fetchall()
            most = 2**30 if pages is None else now + pages
            raw.execute(f"PRAGMA max_page_count = {most}").fetchall()

        await self.services.database.run_on_writer(limit)

    def begun(self) -> bool:
        """Tell whether somebody is written down as being erased."""
        rows = self.services.database.readers.inline.rows(
            "SELECT 1 FROM _pylon_meta WHERE key = 'erasing'"
        )
        return bool(rows)

    def left(self, *texts: str) -> list[str]:
        """Return which of these texts stand in the files of the database."""
        files = [one.read_bytes() for one in self.data.glob("app.db*")]
        return [text for text in texts if any(text.encode() in data for data in files)]

    async def until_done(self) -> None:
        """Wait until nobody is being erased any more."""
        async with asyncio.timeout(60):
            while self.begun() or self.services.eraser._turn.locked():
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running app that looks often for room, and finds it when the limit is lifted."""
    monkeypatch.setattr(writer_module, "_ROOM_SECONDS", 0.02)
    monkeypatch.setattr(erasing, "_AGAIN_SECONDS", 0.02)
    folder, clock = tmp_path / "app", SystemClock()
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    runtime = InProcessRuntime(
        config_of(folder, {}), tmp_path / "data", MemoryNetwork(), clock=clock,
        ids=seeded_ids(clock),
    )  # fmt: skip
    await runtime.start(may_migrate=True)
    try:
        yield World(runtime, tmp_path / "data")
    finally:
        await runtime.stop()


async def test_what_was_refused_on_the_way_goes_on_once_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks again: it ends with nothing left, also of what went in the first try."""
    has_room = False
    monkeypatch.setattr(world.services.database, "has_room", lambda: has_room)
    for name, pages in (("ada", 0), ("bea", 4), ("cleo", 12)):
        user_id = await world.live(name)
        has_room = False
        await world.allow(pages)
        with pytest.raises(Unavailable) as refused:
            await world.services.eraser.erase(user_id)
        assert refused.value.details["reason"] == "disk_full"
        assert world.begun()
        assert world.left(user_id)
        _lift(world)
        has_room = True
        await world.until_done()
        with pytest.raises(NotFound):
            await world.services.eraser.erase(user_id)
        assert world.left(CANARY, f"{name}@example.com", user_id) == []


async def test_who_was_begun_with_is_ended_before_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note has room for one: who stands in it is not forgotten for another."""
    monkeypatch.setattr(erasing, "_AGAIN_SECONDS", 600)
    monkeypatch.setattr(world.services.database, "has_room", lambda: True)
    ada, bea = await world.live("ada"), await world.live("bea")
    await world.allow(4)
    with pytest.raises(Unavailable):
        await world.services.eraser.erase(ada)
    assert world.begun()
    _lift(world)
    async with asyncio.timeout(60):
        while world.services.database.writer.health != "ok":
            await asyncio.sleep(0.02)
    await world.services.eraser.erase(bea)
    assert world.left(CANARY, "ada@example.com", "bea@example.com", ada, bea) == []


def _lift(world: World) -> None:
    raw = world.services.database.new_transaction().connection
    raw.execute(f"PRAGMA max_page_count = {2**30}").fetchall()
