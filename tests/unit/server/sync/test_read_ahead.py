"""Reading ahead: a page is given only where one read now would say the same."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pylon.errors import ResyncRequired
from pylon.identity import ANONYMOUS, SYSTEM
from pylon.server.storage.database import Database
from pylon.server.sync.catch_up import Page
from pylon.server.sync.read_ahead import Question, ReadAhead

QUESTION = Question(ANONYMOUS, 1, None, 10)


class World:
    """A log of 100 entries and the pages that were read of it."""

    def __init__(self) -> None:
        self.database = SimpleNamespace(head=100, horizon=0, readers=SimpleNamespace(has_free=True))
        self.seconds = 0.0
        clock: Any = SimpleNamespace(monotonic=lambda: self.seconds)
        self.ahead = ReadAhead(cast(Database, self.database), clock)
        self.reads: list[int] = []
        self.error: Exception | None = None

    async def read(self, after: int) -> Page:
        """Read a page of ten entries."""
        self.reads.append(after)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        head = self.database.head
        return Page(after, after + 10, b"%d" % head, after + 10 < head, head)

    async def page(self, after: int, question: Question = QUESTION) -> Page:
        """Ask for a page, and let what is read ahead be read."""
        page = await self.ahead.page(question, after, self.read)
        for _ in range(5):
            await asyncio.sleep(0)
        return page


async def test_the_next_page_is_ready() -> None:
    """Who goes on gets what was read meanwhile; each page is read once; the last has no next."""
    world = World()
    for after in range(0, 100, 10):
        assert (await world.page(after)).after == after
    assert world.reads == list(range(0, 100, 10))
    assert world.ahead.hits == 9


async def test_a_commit_makes_it_stale() -> None:
    """What was read before a commit is read again, and for a while nothing is read ahead."""
    world = World()
    await world.page(0)
    world.database.head = 101
    assert (await world.page(10)).tail == b"101"
    assert world.reads == [0, 10, 10]
    await world.page(20)
    assert world.reads == [0, 10, 10, 20]
    world.seconds = 2.0
    await world.page(30)
    assert world.reads == [0, 10, 10, 20, 30, 40]


async def test_a_trim_makes_it_stale() -> None:
    """A cursor below the horizon is judged by a page read now, however whole the kept one is."""
    world = World()
    await world.page(0)
    world.database.horizon = 11
    await world.page(10)
    assert world.reads[:3] == [0, 10, 10]
    assert world.ahead.hits == 0


@pytest.mark.parametrize(
    "other",
    [
        Question(SYSTEM, 1, None, 10), Question(ANONYMOUS, 2, None, 10),
        Question(ANONYMOUS, 1, "[]", 10), Question(ANONYMOUS, 1, None, 11),
    ],
)  # fmt: skip
async def test_another_question_gets_its_own_page(other: Question) -> None:
    """Another caller, definition, subscription or limit is not answered with it."""
    world = World()
    await world.page(0)
    await world.page(10, other)
    assert world.ahead.hits == 0


async def test_an_error_is_met_by_who_asks() -> None:
    """A read ahead that failed harms nobody; asked for, the page is read again."""
    world = World()
    world.error = ResyncRequired(reason="cursor_too_old", horizon="e:1", head="e:2")
    world.ahead._begin(QUESTION, 10, world.read)
    await asyncio.sleep(0.01)
    world.error = None
    assert (await world.page(10)).after == 10
    world.error = ResyncRequired(reason="cursor_too_old", horizon="e:1", head="e:2")
    with pytest.raises(ResyncRequired):
        await world.page(50)


async def test_busy_readers_are_left_alone() -> None:
    """Where no reader is free, nothing is read ahead; and of pages not fetched few are kept."""
    world = World()
    world.database.readers.has_free = False
    await world.page(0)
    assert world.reads == [0]
    world.database.readers.has_free = True
    for limit in range(20):
        await world.page(0, Question(ANONYMOUS, 1, None, limit))
    assert len(world.ahead._pages) == 8
