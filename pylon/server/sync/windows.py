"""Windows: the first rows of an order, kept right as rows enter, leave and move.

Windows with equal filter, order and limit of callers who cannot differ are one: its query runs
once per head, however many hold it. A window runs again only after a change that could have moved
it: of a row that it lists, or of one that would stand before its last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from pylon.clock import Clock
from pylon.policy.compiled import CompiledFilter
from pylon.policy.sqlclause import both
from pylon.schema.model import Row
from pylon.server.storage.change_log import read_head
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.select import OrderTerm, stands_before
from pylon.server.storage.sync_select import window_page
from pylon.server.sync.subscription import Subscription
from pylon.server.sync.view import EntityView, View


@dataclass(slots=True, eq=False)
class SharedWindow:
    """One window and who holds it."""

    key: Hashable
    seen: EntityView
    filter: CompiledFilter
    filter_key: str
    order: tuple[OrderTerm, ...]
    limit: int
    #: What it shows depends on its own rows alone.
    is_steady: bool
    #: (connection, id of the subscription) of those who hold it.
    holders: dict[tuple[Any, str], None] = field(default_factory=dict)
    #: Rises with every change that could have moved it; and what `rows` are of.
    wanted: int = 1
    done: int = 0
    #: (id, wire text, seq) in order, as of `head`.
    rows: list[tuple[str, str, int]] = field(default_factory=list)
    head: int = 0
    _last: list[Any] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def can_be_moved_by(self, image: Row) -> bool:
        """Tell whether a change from or to an image in view could change what it lists."""
        if self.done < self.wanted or self._last is None:
            return True
        return stands_before(self.order, [image[one.field] for one in self.order], self._last)

    def take(self, rows: list[tuple[str, str, int]], last: Row | None, head: int) -> None:
        """Take what its query found; `last` is the last row where the window is full."""
        self.rows, self.head = rows, head
        self._last = None if last is None else [last[one.field] for one in self.order]


class Windows:
    """All windows that somebody holds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._by_key: dict[Hashable, SharedWindow] = {}
        #: Queries run so far.
        self.queries = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_key)

    def __iter__(self) -> Iterator[SharedWindow]:
        """Yield all of them."""
        yield from self._by_key.values()

    def hold(
        self, connection: Any, view: View, subscriptions: Iterable[Subscription]
    ) -> Iterator[SharedWindow]:
        """Have a connection hold its windows; yields those that are new."""
        for one in subscriptions:
            if one.limit is None:
                continue
            seen = view.entities[one.entity.name]
            key = (
                seen.policy, None if seen.identity.is_system else seen.class_key, one.entity.name,
                one.filter_key, one.order, one.limit,
            )  # fmt: skip
            window = self._by_key.get(key)
            if window is None:
                is_steady = seen.is_steady and not one.filter.uses_now
                window = self._by_key[key] = SharedWindow(
                    key, seen, one.filter, one.filter_key, one.order, one.limit, is_steady
                )
                yield window
            window.holders[connection, one.id] = None
            connection.windows[one.id] = window

    def release(self, connection: Any, windows: dict[str, SharedWindow]) -> Iterator[SharedWindow]:
        """Have a connection hold these no more; yields those that nobody holds now."""
        for subscription_id, window in windows.items():
            if connection.windows.get(subscription_id) is window:
                continue  # it holds the same one again
            window.holders.pop((connection, subscription_id), None)
            if not window.holders and self._by_key.pop(window.key, None) is not None:
                yield window

    def doubt(self, connection: Any, entities: Set[str]) -> bool:
        """Have a connection's windows of entities run again and be sent; tells whether it has any.

        Its client lists what it wrote itself until a frame says where that stands.
        """
        found = [
            (subscription_id, window)
            for subscription_id, window in connection.windows.items()
            if window.seen.entity.name in entities
        ]
        for subscription_id, window in found:
            connection.subscriber.subscriptions[subscription_id].is_doubtful = True
            window.wanted += 1
            connection.subscriber.mark_window(subscription_id)
        return bool(found)

    async def rows_of(self, window: SharedWindow) -> tuple[list[tuple[str, str, int]], int]:
        """Return (id, wire text, seq) of a window's rows and the head that they are of.

        Whoever asks for the same meanwhile waits for the same answer.
        """
        async with window.lock:
            is_stale = not window.is_steady and window.head != self._database.head
            while window.done < window.wanted or is_stale:
                is_stale = False
                wanted = window.wanted
                rows, last, head = await self._database.readers.run(
                    lambda reader: self._read(reader, window)
                )
                self.queries += 1
                window.take(rows, last, head)
                window.done = wanted
            return window.rows, window.head

    def _read(
        self, reader: ReadConnection, window: SharedWindow
    ) -> tuple[list[tuple[str, str, int]], Row | None, int]:
        now = reader.moment(self._clock)
        seen = window.seen
        policy, _ = seen.clauses(now)
        clause = both(policy, window.filter.clause(seen.identity, alias="t", now=now))
        order = ", ".join(
            f't."{term.field}"{" DESC" if term.descending else ""}' for term in window.order
        )
        head, _ = read_head(reader.raw)
        rows = window_page(
            reader.raw, seen.entity, clause, order, window.limit, seen.wire_clause(now)
        )
        last = reader.get(seen.entity, rows[-1][0]) if len(rows) == window.limit else None
        return rows, last, head
