"""Erasing a person where something is in the way: a row that holds on, or a thing that won't go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue, limits
from pylon.clock import SystemClock
from pylon.errors import Conflict, NotFound, Unavailable
from pylon.identity import SYSTEM
from pylon.server import erasing
from pylon.sqlite import ProgrammingError
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
class Remark(Entity):
    pageId: Ref["Page"] = field(on_delete="cascade")


@app.entity(read="auth.userId != null", insert="true")
class Quote(Entity):
    pageId: Ref["Page"] = field(on_delete="restrict")


@app.entity(read="auth.userId != null", insert="true")
class Task(Entity):
    forId: Ref["User"] | None = field(default=None, on_delete="set_null")
    text: str = ""
"""


class World:
    """A runtime with people in it."""

    def __init__(self, runtime: InProcessRuntime, data: Path) -> None:
        self.services: Any = runtime.services
        self.data = data

    async def somebody(self, name: str) -> str:
        """Return the id of a new account."""
        return str((await self.services.accounts.ensure(f"{name}@example.com", frozenset())).id)

    async def insert(self, entity: str, **values: str) -> str:
        """Insert a row; returns its id."""
        done = await self.services.executor.mutate(
            SYSTEM, "pylon.insert", {"entity": entity, "values": values}, op_id=None, cause="test"
        )
        value: Any = (
            jsonvalue.decode_trusted(done.value) if isinstance(done.value, str) else done.value
        )
        return str(value["id"])

    async def delete(self, entity: str, row_id: str) -> None:
        """Delete a row."""
        await self.services.executor.mutate(
            SYSTEM, "pylon.delete", {"entity": entity, "id": row_id}, op_id=None, cause="test"
        )

    def count(self, entity: str) -> int:
        """Return how many rows there are."""
        ((count,),) = self.services.database.readers.inline.rows(f'SELECT count(*) FROM "{entity}"')
        return int(count)

    @property
    def begun(self) -> list[str]:
        """Return who is written down as being erased."""
        people = erasing.erasing.read_people(self.services.database.readers.inline.raw)
        return [one.user_id for one in people]

    def left(self, *texts: str) -> list[str]:
        """Return which of these texts stand in the files of the database."""
        files = [one.read_bytes() for one in self.data.glob("app.db*")]
        return [text for text in texts if any(text.encode() in data for data in files)]

    async def until_done(self) -> None:
        """Wait until nobody is being erased any more."""
        async with asyncio.timeout(60):
            while self.begun or self.services.eraser._turn.locked():
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running app whose eraser tries again at once."""
    monkeypatch.setattr(erasing, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(erasing, "_DOUBLINGS_MAX", 0)
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


async def test_a_row_that_holds_on_to_one_of_his_is_said_before_anything_goes(world: World) -> None:
    """on_delete="restrict" behind a cascade: nothing has changed, nothing is begun."""
    ada, head = await world.somebody("ada"), 0
    await world.insert("Task", forId=ada)
    pages = [await world.insert("Page", ownerId=ada) for _ in range(3)]
    quote = await world.insert("Quote", pageId=pages[-1])
    head = world.services.database.head
    with pytest.raises(Conflict) as refused:
        await world.services.eraser.erase(ada)
    assert refused.value.details == {"entity": "Quote", "field": "pageId"}
    assert (world.services.database.head, world.begun, world.count("Page")) == (head, [], 3)
    await world.delete("Quote", quote)
    erased = await world.services.eraser.erase(ada)
    assert erased["user_id"] == ada
    assert world.left(ada, "ada@example.com", *pages[:-1]) == []


async def test_who_is_stuck_is_in_nobodys_way(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A quote comes while his rows go: it is not tried for ever, and others are erased."""
    monkeypatch.setattr(erasing, "_WRITTEN_AT_ONCE", 1)
    ada, bea = await world.somebody("ada"), await world.somebody("bea")
    gone, held = [await world.insert("Page", ownerId=ada, text="canary-a") for _ in range(2)]
    await world.insert("Page", ownerId=bea)
    quotes: list[str] = []
    demand = world.services.eraser._demand_unrestricted

    async def then_a_quote(user_id: str) -> None:
        await demand(user_id)
        quotes.append(await world.insert("Quote", pageId=held))

    monkeypatch.setattr(world.services.eraser, "_demand_unrestricted", then_a_quote)
    with pytest.raises(Conflict):
        await world.services.eraser.erase(ada)
    monkeypatch.setattr(world.services.eraser, "_demand_unrestricted", demand)
    assert (world.begun, world.left(gone)) == ([ada], [gone])
    assert not world.services.eraser._unfinished.is_set(), "it would be refused again"
    assert (await world.services.eraser.erase(bea))["user_id"] == bea
    assert f"erasing.stuck {ada}" in caplog.text
    assert world.left(bea, "bea@example.com") == []
    assert world.begun == [ada]
    await world.delete("Quote", quotes[0])
    await world.services.eraser.erase(ada)
    assert world.begun == []
    assert world.left(ada, "ada@example.com", "canary-a", gone) == []


async def test_more_rows_behind_one_than_a_transaction_takes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go in more than one."""
    ada = await world.somebody("ada")
    pages = [await world.insert("Page", ownerId=ada) for _ in range(3)]
    for page in pages:
        for _ in range(15):
            await world.insert("Remark", pageId=page)
    monkeypatch.setattr(limits, "TRANSACTION_ROWS_MAX", 10)
    erased = await world.services.eraser.erase(ada)
    assert erased["rows"] == 3 + 45 + 1, "and the row of User"
    assert (world.count("Page"), world.count("Remark")) == (0, 0)
    assert world.left(ada, *pages) == []


@pytest.mark.parametrize(
    "failure", [PermissionError(13, "Permission denied"), ProgrammingError("closed database")]
)
async def test_what_fails_outside_of_a_write_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """A mail that can't be removed, a connection that was closed: it goes on when it can."""
    ada, is_broken, tries = await world.somebody("ada"), True, 0
    remove = erasing._remove_mails

    def may_fail(outbox: Path, address: str | None) -> int:
        nonlocal tries
        tries += 1
        if is_broken:
            raise failure
        return remove(outbox, address)

    monkeypatch.setattr(erasing, "_remove_mails", may_fail)
    with pytest.raises(Unavailable, match=r"Permission denied|closed database"):
        await world.services.eraser.erase(ada)
    bea = await world.somebody("bea")
    async with asyncio.timeout(60):
        while tries < 4:
            await asyncio.sleep(0.01)
    assert world.begun == [ada]
    is_broken = False
    await world.until_done()
    with pytest.raises(NotFound):
        await world.services.eraser.erase(ada)
    assert world.left(ada, "ada@example.com") == []
    assert (await world.services.eraser.erase(bea))["user_id"] == bea


async def test_going_on_outlives_what_nobody_foresaw(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log with its stack, and the next try is made."""
    ada, tries = await world.somebody("ada"), 0
    remove = erasing._remove_mails

    def fails(outbox: Path, address: str | None) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise PermissionError(13, "Permission denied")
        if tries == 2:
            raise RuntimeError("nobody foresaw this")
        return remove(outbox, address)

    monkeypatch.setattr(erasing, "_remove_mails", fails)
    with pytest.raises(Unavailable):
        await world.services.eraser.erase(ada)
    await world.until_done()
    assert "nobody foresaw this" in caplog.text
    assert world.left(ada, "ada@example.com") == []


async def test_a_connection_that_closed_meanwhile_does_not_hide_why_it_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How it was is not put back on what is not open any more."""
    ada, overwrite, is_closed = await world.somebody("ada"), erasing.erasing.overwrite, False

    def closed(connection: Any, mode: int) -> int:
        if is_closed:
            raise ProgrammingError("Cannot operate on a closed database.")
        return overwrite(connection, mode)

    def fails(*_: object) -> int:
        nonlocal is_closed
        is_closed = True
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(erasing, "_AGAIN_SECONDS", 600)
    monkeypatch.setattr(erasing.erasing, "overwrite", closed)
    monkeypatch.setattr(erasing, "_remove_mails", fails)
    with pytest.raises(Unavailable, match="Permission denied"):
        await world.services.eraser.erase(ada)
