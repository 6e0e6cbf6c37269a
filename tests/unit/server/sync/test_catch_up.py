"""Pages of the log: the way of one statement and the way entry by entry say the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from pylon import jsonvalue, limits
from pylon.app.loader import load_app
from pylon.clock import iso_ms
from pylon.identity import Identity, IdentityKind
from pylon.ids import IdSource
from pylon.protocol.messages import SubscriptionSpec
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.transaction import Transaction
from pylon.server.sync import catch_up
from pylon.server.sync.catch_up import Page, read_page
from pylon.server.sync.subscription import make_subscription
from pylon.server.sync.view import View, make_view

APP = '''
"""Notes that may be secret."""

from __future__ import annotations

from pylon import App, Entity, Text, field

app = App("notes", version="1")


@app.entity(read="data.owner == auth.userId || data.secret == false", insert="auth.userId != null")
class Note(Entity):
    owner: str
    secret: bool = False
    rank: int | None = None
    text: Text = ""
    scar: str | None = field(default=None, private=True)
'''
ANN = Identity(kind=IdentityKind.USER, user_id="ann", email="ann@example.com")
NOW = "2026-11-24T12:00:00.000Z"


class SteppingClock:
    """Each look is some time later, so that the moments of a page differ, over midnights too."""

    def __init__(self) -> None:
        self._ms = 1_732_000_000_000

    def now_ms(self) -> int:
        """Return the next moment."""
        self._ms += random.Random(self._ms).choice([0, 1, 7, 61_003, 40_000_001])
        return self._ms

    def machine_ms(self) -> int:
        """Return the next moment."""
        return self.now_ms()

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return self._ms / 1000

    async def sleep(self, seconds: float) -> None:
        """Never return: nothing here waits for time."""
        await asyncio.Event().wait()


async def _write(database: Database, dice: random.Random, entity: Any) -> None:
    row_id = f"n{dice.randrange(12)}"
    values = {
        "owner": dice.choice(["ann", "bob"]), "secret": dice.random() < 0.4,
        "rank": dice.choice([None, 0, 1, 2]),
        "text": dice.choice(["", 'a "quoted" 100% %s line\n', "ünï ☂ 𝄞", "\\ back"]),
        "scar": dice.choice([None, "private words"]),
    }  # fmt: skip

    def work(tx: Transaction) -> None:
        before = tx.get(entity, row_id)
        if before is not None and dice.random() < 0.3:
            tx.delete(entity, before)
        elif before is not None:
            after = tx.update(entity, before, {**before, **values})
            if dice.random() < 0.2:
                tx.update(entity, after, {**after, "rank": 2})
        else:
            tx.insert(entity, {"id": row_id, **values})

    await database.writer.submit(work)


#: The history is written once: nobody here writes to it.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Database, View, View]]:
    """A database with a long history of few rows, all of it and a filtered view."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "app.py").write_text(APP)
    definition = load_app(folder, generation=1)
    clock = SteppingClock()
    counter = iter(range(1, 10**9))
    ids = IdSource(clock, lambda count: next(counter).to_bytes(count))
    database = await Database.open(folder / ".pylon", clock=clock, ids=ids)
    await migrate(database, definition.schema)
    dice = random.Random(7)
    entity = definition.schema.entities["Note"]
    for _ in range(600):
        await _write(database, dice, entity)
    views = [
        make_view(
            definition, ANN,
            [make_subscription(
                SubscriptionSpec(id="s", entity="Note", where=where), definition, ANN,
                is_resuming=False,
            )],
        )
        for where in ({}, {"rank": {">": 0}})
    ]  # fmt: skip
    yield database, views[0], views[1]
    await database.close()


def _pages(database: Database, view: View, limit: int) -> list[Page]:
    pages, seq = [], 0
    while True:
        page = read_page(
            database.readers.inline, view, database.cursor(seq), database.epoch, limit, NOW
        )
        pages.append(page)
        seq = page.through
        if not page.more:
            return pages


def _decoded(pages: list[Page]) -> list[Any]:
    return [
        (page.after, page.through, page.more, jsonvalue.decode_trusted(b"[" + page.tail + b"]"))
        for page in pages
    ]


@pytest.mark.parametrize("limit", [1, 3, 100, 1000])
@pytest.mark.parametrize("largest", [limits.FRAME_BYTES_MAX, 3_000, 1])
async def test_both_ways_say_the_same(
    world: tuple[Database, View, View], monkeypatch: pytest.MonkeyPatch, limit: int, largest: int
) -> None:
    """Same borders, same changes, same members; with pages cut at their size and without."""
    monkeypatch.setattr(limits, "FRAME_BYTES_MAX", largest)
    database, *views = world
    for view in views:
        quick = _decoded(_pages(database, view, limit))
        monkeypatch.setattr(
            catch_up, "_one_entity", lambda reader, seen, *rest: catch_up._several(
                reader, [seen], *rest
            )
        )  # fmt: skip
        slow = _decoded(_pages(database, view, limit))
        monkeypatch.undo()
        monkeypatch.setattr(limits, "FRAME_BYTES_MAX", largest)
        assert quick == slow


async def test_texts_are_exact(world: tuple[Database, View, View]) -> None:
    """Every kind and cause occurs; times are those of the log; nothing private is there."""
    database, _, filtered = world
    changes = [one for page in _decoded(_pages(database, filtered, 50)) for one in page[3]]
    assert {one["kind"] for one in changes} == {"insert", "update", "delete"}
    assert {one.get("cause") for one in changes} == {None, "hidden", "filtered"}
    moments = dict(database.readers.inline.rows("SELECT seq, at FROM _pylon_log"))
    for one in changes:
        assert one["at"] == iso_ms(moments[one["seq"]])
        assert one["entity"] == "Note"
        if one["kind"] == "delete":
            assert "row" not in one
        else:
            assert list(one["row"]) == ["id", "owner", "secret", "rank", "text", "_seq"]
            assert (one["row"]["_seq"], one["row"]["id"]) == (one["seq"], one["row_id"])
