"""A live query of a script: its rows now, and each time that they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING

from pylon.client.connection import ServerRefused
from pylon.client.row import ClientRow
from pylon.client.subscription import Definition

if TYPE_CHECKING:
    from pylon.client.client import PylonClient
    from pylon.client.neighbours import Neighbours


class Query:
    """Rows of one entity that match, kept current until `close`."""

    def __init__(
        self, client: PylonClient, definition: Definition, neighbours: Neighbours | None = None
    ) -> None:
        self.definition = definition
        self._neighbours = neighbours
        self._client = client
        self._moved = asyncio.Event()
        self._is_closed = False

    @property
    def rows(self) -> list[ClientRow]:
        """Return the rows as they are now, pending mutations on top, in the query's order."""
        rows = self._bare_rows()
        if self._neighbours is None or self._is_closed:
            return rows
        return self._neighbours.dress(rows)

    @property
    def is_ready(self) -> bool:
        """Tell whether the rows are complete; before that they are what was stored."""
        if self._neighbours is None or not self._client.is_ready(self):
            return self._client.is_ready(self)
        self._neighbours.dress(self._bare_rows())  # asks for what they lead to
        return self._neighbours.is_ready

    def _bare_rows(self) -> list[ClientRow]:
        asked = self.definition
        return self._client.rows(asked.entity, asked.where, asked.order or (), asked.limit)

    async def ready(self, timeout_s: float = 10.0) -> list[ClientRow]:
        """Return the rows once they are complete.

        Raises ServerRefused where the server refuses the query, TimeoutError after `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            while not self.is_ready:
                self._check()
                await self._wait()
        return self.rows

    async def __aiter__(self) -> AsyncIterator[list[ClientRow]]:
        """Yield the rows once they are complete, and again whenever they changed."""
        shown: list[ClientRow] | None = None
        while not self._is_closed:
            self._check()
            if self.is_ready and (rows := self.rows) != shown:
                shown = rows
                yield rows
            else:
                await self._wait()

    def close(self) -> None:
        """Let the rows go that no other query asks for."""
        self._is_closed = True
        if self._neighbours is not None:
            self._neighbours.leave()
        self._client.release(self)
        self._moved.set()

    def note(self, touched: Collection[str]) -> None:
        """Have whoever waits look again; `touched` are the entities with other rows."""
        self._moved.set()

    def _check(self) -> None:
        asked = [] if self._neighbours is None else self._neighbours.definitions()
        for definition in (self.definition, *asked):
            error = self._client.error_of(definition)
            if error is not None:
                raise ServerRefused(error)

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()
