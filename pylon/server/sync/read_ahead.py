"""The next page of whoever pulls page by page, read while he takes in the one before.

A page that was read ahead is given only where a page read now would say the same: to the same
caller, under the same definition, at the same head. Whatever else changed reads it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from pylon.clock import Clock
from pylon.identity import Identity
from pylon.server.storage.database import Database
from pylon.server.sync.catch_up import Page

#: Pages kept at one time, each about a frame large, and how long nobody came for one.
_PAGES_MAX: Final = 8
_KEEP_SECONDS: Final = 2.0
#: Where writes make pages stale before they are fetched, nothing is read ahead for a while.
_REST_SECONDS: Final = 1.0

ReadPage = Callable[[int], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks for what; equal questions have equal answers at the same head."""

    identity: Identity
    #: Of the app's definition.
    generation: int
    subscriptions: str | None
    limit: int


class ReadAhead:
    """The pages that were read ahead, by question and the seq they begin after."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._pages: dict[tuple[int, Question], asyncio.Task[Page]] = {}
        self._rest_until = 0.0
        #: Pages that were ready when they were asked for.
        self.hits = 0

    async def page(self, question: Question, after: int, read: ReadPage) -> Page:
        """Return the page after a seq, and begin to read the one behind it."""
        page = await self._kept(question, after)
        if page is None:
            page = await read(after)
        if page.more and self._may_read():
            self._begin(question, page.through, read)
        return page

    async def _kept(self, question: Question, after: int) -> Page | None:
        task = self._pages.pop((after, question), None)
        if task is None:
            return None
        await asyncio.wait((task,))
        if task.cancelled() or task.exception() is not None:
            return None
        page = task.result()
        if after < self._database.horizon:
            return None  # trimmed since: who asks must hear that, however whole the page is
        if page.head != self._database.head:
            self._rest_until = self._clock.monotonic() + _REST_SECONDS
            return None
        self.hits += 1
        return page

    def _may_read(self) -> bool:
        return (
            len(self._pages) < _PAGES_MAX
            and self._database.readers.has_free
            and self._clock.monotonic() >= self._rest_until
        )

    def _begin(self, question: Question, after: int, read: ReadPage) -> None:
        loop = asyncio.get_running_loop()
        key = (after, question)
        task = self._pages[key] = loop.create_task(_read(read, after), name="pylon-read-ahead")

        def forget() -> None:
            if self._pages.get(key) is task:
                del self._pages[key]

        loop.call_later(_KEEP_SECONDS, forget)
        task.add_done_callback(_take_exception)


async def _read(read: ReadPage, after: int) -> Page:
    return await read(after)


def _take_exception(task: asyncio.Task[Page]) -> None:
    if not task.cancelled():
        task.exception()  # whoever asks for the page reads it again and meets the error himself
