"""Reading: one connection on the loop for point reads, a few on threads for everything longer.

All of them are opened read-only. What does not live here: which rows a caller may see (the
policy's clause is handed in).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from pylon import limits, limits_data
from pylon.clock import Clock, iso_ms
from pylon.errors import FunctionTimeout, Unavailable
from pylon.policy.compiled import ExistsNode
from pylon.schema.model import Entity, Row, Schema, Value
from pylon.server.storage.apart import Apart, run_apart
from pylon.server.storage.change_log import read_head
from pylon.server.storage.fair_queue import FairQueue
from pylon.server.storage.tables import EntityTable
from pylon.server.storage.transaction import exists_in, inverse_in
from pylon.sqlite import (
    SQLITE_INTERRUPT,
    THREADS,
    Connection,
    Engine,
    OperationalError,
    RawConnection,
)

T = TypeVar("T")
#: One more than one caller can hold: another's read never waits for all of his.
READERS = 3
_PROGRESS_STEPS = 20_000


class ReadConnection:
    """Reads over one read-only connection."""

    def __init__(
        self, raw: RawConnection, schema: Schema, tables: Mapping[str, EntityTable]
    ) -> None:
        self.raw = raw
        self.schema = schema
        self.tables = tables

    def get(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row, or None."""
        table = self.tables[entity.name]
        stored = self.raw.execute(f'{table.select_sql} WHERE "id" = ?', (row_id,)).fetchone()
        return None if stored is None else table.row(stored)

    def stand_in(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row to judge in the place of one that is missing; None where there is none."""
        return self.tables[entity.name].stand_in(self.raw, row_id)

    def exists(self, node: ExistsNode, values: tuple[Value, ...]) -> bool:
        """Answer an `exists` of a policy."""
        return exists_in(self.raw, node, values)

    def inverse(
        self, node: ExistsNode, place: int, values: tuple[Value, ...], at_most: int
    ) -> list[Value] | None:
        """Return for which values of one filter's field an `exists` holds; None for too many."""
        return inverse_in(self.raw, node, place, values, at_most)

    def moment(self, clock: Clock) -> str:
        """Return the time at which to ask a policy: none before what the transaction sees.

        A page that holds a turn of the time, and was asked at a moment before it, would keep it
        from whoever reads on behind it.
        """
        read_head(self.raw)  # from here on it sees one state
        return iso_ms(clock.now_ms())

    def rows(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement of our own."""
        return self.raw.execute(sql, params).fetchall()


def _recovering() -> Unavailable:
    return Unavailable("the database is being opened again", reason="recovering")


class Readers:
    """The read-only connections of one database."""

    def __init__(self, path: Path, clock: Clock, engine: Engine = THREADS) -> None:
        self._path = path
        self._engine = engine
        self._clock = clock
        self._inline: Connection | None = None
        self._queue = FairQueue(READERS)
        self._idle: list[Connection] = []
        self._is_open = asyncio.Event()
        self._opened: list[Connection] = []
        self._schema = Schema(entities={})
        self._tables: Mapping[str, EntityTable] = {}
        self._inline_reads: ReadConnection | None = None
        self._apart = asyncio.Lock()
        #: What runs apart, or waits to.
        self._long = 0
        #: Connections of one question each.
        self._own = 0

    async def open(self, schema: Schema, tables: Mapping[str, EntityTable]) -> None:
        """Open all connections."""
        self._schema, self._tables = schema, tables
        self._inline = await self._engine.open_reader(self._path)
        self._inline_reads = ReadConnection(self._inline.raw, schema, tables)
        for _ in range(READERS):
            connection = await self._engine.open_reader(self._path)
            self._opened.append(connection)
            self._idle.append(connection)
        self._is_open.set()

    def use(self, schema: Schema, tables: Mapping[str, EntityTable]) -> None:
        """Read by a new schema from now on."""
        self._schema, self._tables = schema, tables
        if self._inline is not None:
            self._inline_reads = ReadConnection(self._inline.raw, schema, tables)

    @property
    def long_queries(self) -> int:
        """Return how many queries with a time limit of their own run or wait."""
        return self._long

    @property
    def waiting(self) -> int:
        """Return how many reads wait for a reader."""
        return self._queue.waiting

    @property
    def inline(self) -> ReadConnection:
        """Return the reads on the loop; raises Unavailable while the file is opened again."""
        if self._inline_reads is None:
            raise _recovering()
        return self._inline_reads

    @property
    def has_free(self) -> bool:
        """Tell whether a reader is idle that nobody may come to need."""
        return self._is_open.is_set() and self._queue.free > 1

    async def run_on_each(self, function: Callable[[RawConnection], T]) -> list[T]:
        """Run a function on every connection, each on its thread, after what runs there."""
        connections = [*self._opened, *([self._inline] if self._inline else [])]
        return [await one.run(function) for one in connections]

    async def close(self) -> None:
        """Close all connections and end their threads."""
        connections = [*self._opened, *([self._inline] if self._inline else [])]
        self._opened, self._inline, self._inline_reads = [], None, None
        self._idle.clear()
        self._is_open.clear()  # whoever waits for one gets it when all are open again
        for connection in connections:
            await connection.close()

    @asynccontextmanager
    async def own_connection(self) -> AsyncIterator[Connection]:
        """Yield a read-only connection for one question alone, closed after it.

        Whatever was set on it, and however long it reads, is nobody else's. Raises Unavailable
        where too many are open. What runs on its thread must end when its caller leaves.
        """
        if self._own >= limits_data.OWN_READERS_MAX:
            raise Unavailable("too many long reads of the owner's run", reason="busy")
        self._own += 1
        try:
            await self._is_open.wait()
            connection = await self._engine.open_reader(self._path)
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            self._own -= 1

    def reading(self, raw: RawConnection) -> ReadConnection:
        """Return the reads by the schema of now over a connection of one's own."""
        return ReadConnection(raw, self._schema, self._tables)

    async def run(
        self, function: Callable[[ReadConnection], T], *, asker: str | None = None,
        timeout_s: float = limits.READ_SECONDS, apart: Apart | None = None,
    ) -> T:  # fmt: skip
        """Run a function in one read transaction on a thread, in one hop.

        `asker` is the principal for whom it is: callers who wait take turns. None: the runtime's
        own. Raises FunctionTimeout where its SQL runs longer than `timeout_s`. With `apart` it is
        code of the app: one at a time, so that the app's own reads never take every reader; raises
        Unavailable where too many wait.
        """
        if apart is None:
            return await self._in_turn(function, asker, timeout_s, None)
        if self._long >= limits.LONG_QUERIES_MAX:
            raise Unavailable("too many long queries wait for their turn", reason="busy")
        self._long += 1
        try:
            async with self._apart:
                return await self._in_turn(function, asker, timeout_s, apart)
        finally:
            self._long -= 1

    async def _in_turn(
        self, function: Callable[[ReadConnection], T], asker: str | None, timeout_s: float,
        apart: Apart | None,
    ) -> T:  # fmt: skip
        key = "" if asker is None else f"by {asker}"
        await self._queue.enter(key)
        is_left = threading.Event()
        try:
            await self._is_open.wait()
            started = self._clock.monotonic()
            reading = asyncio.ensure_future(
                self._run(self._idle.pop(), function, timeout_s, apart, is_left)
            )
        except BaseException:
            self._queue.leave(key, 0.0)
            raise
        # A thread reads on when its caller leaves: the place is free when it has stopped.
        reading.add_done_callback(
            lambda _: self._queue.leave(key, self._clock.monotonic() - started)
        )
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            is_left.set()
            raise

    async def _run(
        self, connection: Connection, function: Callable[[ReadConnection], T], timeout_s: float,
        apart: Apart | None, is_left: threading.Event,
    ) -> T:  # fmt: skip
        schema, tables = self._schema, self._tables
        deadline = self._clock.monotonic() + timeout_s

        def in_transaction(raw: RawConnection) -> T:
            raw.set_progress_handler(
                lambda: int(is_left.is_set() or self._clock.monotonic() > deadline),
                _PROGRESS_STEPS,
            )
            raw.execute("BEGIN")
            try:
                return function(ReadConnection(raw, schema, tables))
            finally:
                raw.set_progress_handler(None, 0)
                if raw.in_transaction:
                    raw.execute("ROLLBACK")

        try:
            if apart is not None:
                return await run_apart(connection, in_transaction, apart)
            return await connection.run(in_transaction)
        except OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) == SQLITE_INTERRUPT:
                raise FunctionTimeout(f"reading took longer than {timeout_s:g} s") from error
            raise
        except ValueError as error:
            if connection not in self._opened:  # closed before its turn came
                raise _recovering() from error
            raise
        finally:
            if connection in self._opened:
                self._idle.append(connection)
