"""Live delivery: after each commit, the same bytes to all connections that see the same.

A commit wakes the pump; the wake carries nothing and merges. The pump reads the tail of the log
in memory, judges each record once per view, and writes the same frame to all connections of a
view that stand at the same cursor. Whoever cannot take it falls back to the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable

from pylon.clock import Clock, iso_ms
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.server.sync.channel import Connection, frame
from pylon.server.sync.projection import changes_frame, newest_seqs
from pylon.server.sync.subscriber import Phase
from pylon.server.sync.view import View, make_view

_log = logging.getLogger("pylon.sync")
_PUMP_PAUSE_MAX = 0.02


class Pump:
    """The live connections by view, and what brings commits to them."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, clock: Clock,
        queue_bytes_max: int, work: Callable[[Connection], None],
    ) -> None:  # fmt: skip
        """Make a pump.

        Args:
            database: whose commits are delivered.
            definitions: what views are made of.
            clock: tells the time.
            queue_bytes_max: a connection with more than this queued falls back to the log.
            work: has something read for a connection.
        """
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._queue_bytes_max = queue_bytes_max
        self._work = work
        self._by_view: dict[Hashable, tuple[View, set[Connection]]] = {}
        self._handle: asyncio.Handle | None = None
        self._last_s = 0.0
        #: Changes handed to transports so far.
        self.deliveries = 0
        database.writer.on_commit(self._committed)

    def enter(self, connection: Connection) -> None:
        """Put a connection into the view of its caller and subscriptions."""
        self.leave(connection)
        view = make_view(
            self._definitions.current, connection.identity,
            connection.subscriber.subscriptions.values(),
        )  # fmt: skip
        shared = self._by_view.setdefault(view.key, (view, set()))
        shared[1].add(connection)
        connection.view = shared[0]
        connection.judged = 0

    def leave(self, connection: Connection) -> None:
        """Take a connection out of its view."""
        if connection.view is None:
            return
        entry = self._by_view.get(connection.view.key)
        if entry is not None:
            entry[1].discard(connection)
            if not entry[1]:
                del self._by_view[connection.view.key]
        connection.view = None

    def _committed(self, records: list[LogRecord], head: int) -> None:
        if self._handle is None and self._by_view:
            # Under load the pump rests as long as it worked, so that changes share frames.
            pause = min(self._last_s, _PUMP_PAUSE_MAX)
            self._handle = asyncio.get_running_loop().call_later(pause, self._pump)

    def _pump(self) -> None:
        self._handle = None
        started = self._clock.monotonic()
        now = iso_ms(self._clock.now_ms())
        reader = self._database.readers.inline
        for view, members in list(self._by_view.values()):
            try:
                self._pump_view(view, members, now, reader)
            except Exception:  # noqa: BLE001 -- one bad view must not stop the others
                _log.exception("sync.pump_failed; its connections go on from the log")
                for connection in members:
                    connection.subscriber.fall_behind()
        self._last_s = self._clock.monotonic() - started

    def _pump_view(
        self, view: View, members: set[Connection], now: str, reader: ReadConnection
    ) -> None:
        head = self._database.head
        standing: dict[tuple[int, int], list[Connection]] = {}
        for connection in members:
            if self._is_ready(connection):
                cursor = connection.subscriber.cursor
                key = (cursor, max(cursor, connection.judged))
                standing.setdefault(key, []).append(connection)
        for (cursor, judged), group in standing.items():
            if judged >= head and not any(one.owes_changes for one in group):
                continue
            records = self._database.tail.since(judged)
            if records is None:
                for connection in group:
                    connection.subscriber.fall_behind()
                    self._work(connection)
                continue
            seen = [one for one in records if one.entity in view.entities]
            self._deliver(view, group, cursor, head, seen, now, reader)

    def _deliver(
        self, view: View, group: list[Connection], cursor: int, head: int,
        records: list[LogRecord], now: str, reader: ReadConnection,
    ) -> None:  # fmt: skip
        changes = view.project(records, newest_seqs(records), now, reader)
        tail = ",".join([text for _, text in changes]).encode()
        touched = {
            record.entity
            for record in records
            if view.entities[record.entity].windows
            and view.entities[record.entity].touches_window(record, now, reader)
        }
        data = b""
        at = self._clock.monotonic()
        for connection in group:
            if touched:
                connection.subscriber.mark_windows(lambda one: one.entity.name in touched)
                self._work(connection)
            if view.is_steady:
                connection.judged = head
            if not changes and not connection.owes_changes:
                continue
            if not data:
                epoch = self._database.epoch
                data = frame(changes_frame(epoch, cursor, head, tail, more=False))
            connection.write(data)
            connection.subscriber.log_sent(head, more=False)
            connection.owes_changes = False
            connection.last_sent = at
            self.deliveries += len(changes)

    def catch_tail(self, connection: Connection) -> None:
        """Send what was committed while a page was read, before the next page."""
        if connection.subscriber.cursor < self._database.head and connection.view is not None:
            self._pump_view(
                connection.view, {connection}, iso_ms(self._clock.now_ms()),
                self._database.readers.inline,
            )  # fmt: skip

    def _is_ready(self, connection: Connection) -> bool:
        """Tell whether a connection takes live frames now; a slow one falls back to the log."""
        if connection.is_closed or connection.is_reading:
            return False
        if connection.subscriber.phase is not Phase.LIVE:
            return False
        if connection.queued_bytes > self._queue_bytes_max:
            connection.subscriber.fall_behind()
            return False
        return True

    def owe(self, connection: Connection) -> None:
        """Have the connection get a `changes` through the head, even if it is empty."""
        connection.owes_changes = True
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self._pump)
