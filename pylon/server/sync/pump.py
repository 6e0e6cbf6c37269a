"""Live delivery: after each commit, the same bytes to all connections that see the same.

A commit wakes the pump; the wake carries nothing and merges. The pump takes each record of the
log's tail once, asks the index whom it concerns, and writes the same frame to all of them that
stand at the same cursor; nobody else is looked at. Whoever can't take it now catches up later:
from the tail, or from the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Set
from typing import Any

from pylon.clock import Clock, iso_ms
from pylon.policy.audience import Moment
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.database import Database
from pylon.server.sync.channel import Connection
from pylon.server.sync.costs import Costs
from pylon.server.sync.followers import move_more
from pylon.server.sync.frames import Frame, Frames, Told, large_ones
from pylon.server.sync.hindsight import told_later
from pylon.server.sync.projection import newest_seqs
from pylon.server.sync.subscriber import Phase
from pylon.server.sync.subscription_index import EntityIndex, SubscriptionIndex
from pylon.server.sync.view import View, make_view
from pylon.server.sync.windows import SharedWindow, Windows

_log = logging.getLogger("pylon.sync")
_PUMP_PAUSE_MAX = 0.02
#: A transaction of which more changes would be told, over all views, is read from the log on a
#: thread instead: it can't be cut into turns.
_TOLD_MAX = 50_000
#: How long one turn asks whom records concern before others get the loop.
_TURN_SECONDS = 0.02
#: A socket with more than this share of its queue waiting is busy.
_BUSY_SHARE = 4
#: How often busy sockets are looked at again.
_BUSY_SECONDS = 0.02


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
            queue_bytes_max: a connection with a quarter of this queued is busy.
            work: has something read for a connection.
        """
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._busy_bytes = queue_bytes_max // _BUSY_SHARE
        self._work = work
        self._views: dict[Hashable, View] = {}
        self._members: dict[View, dict[Connection, None]] = {}
        self._index = SubscriptionIndex()
        self.windows = Windows(database, clock)
        #: Everything through here was delivered to those that could take it.
        self._position = database.head
        self._owed: dict[Connection, None] = {}
        self._held: dict[Connection, None] = {}
        self._handle: asyncio.Handle | None = None
        self._release: asyncio.Handle | None = None
        self.costs = Costs()
        self._last_s = 0.0
        #: Changes handed to transports so far.
        self.deliveries = 0
        database.writer.on_commit(self._committed)

    # --- who is there

    def enter(self, connection: Connection) -> None:
        """Put a connection into the view of its caller and subscriptions."""
        subscriptions = connection.subscriber.subscriptions.values()
        made = make_view(self._definitions.current, connection.identity, subscriptions)
        windows = connection.windows
        connection.windows = {}
        for window in self.windows.hold(connection, made, subscriptions):
            self._index.add_window(window)
        self._leave_view(connection)
        for window in self.windows.release(connection, windows):
            self._index.remove_window(window)
        view = self._views.get(made.key)
        if view is None:
            view = self._views[made.key] = made
            self._members[view] = {}
            self._index.add_view(view)
            self.costs.begin(view)
        self._members[view][connection] = None
        connection.view = view
        # What was committed since its cursor is asked again: it may concern the new subscriptions.
        connection.judged = 0
        connection.paging = {}
        self.catch((connection,))

    def leave(self, connection: Connection) -> None:
        """Forget a connection and everything that was kept for it."""
        self._leave_view(connection)
        windows, connection.windows = connection.windows, {}
        for window in self.windows.release(connection, windows):
            self._index.remove_window(window)
        for waiting in (self._owed, self._held):
            waiting.pop(connection, None)

    def _leave_view(self, connection: Connection) -> None:
        view, connection.view = connection.view, None
        if view is None:
            return
        del self._members[view][connection]
        if not self._members[view]:
            del self._members[view], self._views[view.key]
            self._index.remove_view(view)

    def follows(self, entity: str) -> bool:
        """Tell whether somebody who is connected follows an entity."""
        return self._index.follows(entity)

    def most_costly(self, limit: int) -> list[dict[str, Any]]:
        """Return the subscriptions that cost most since the start, by what they ask for."""
        return self.costs.most(limit, self._members)

    @property
    def sizes(self) -> dict[str, int]:
        """Return how much is kept: connections in views, views, windows, index by entity."""
        return {
            "members": sum(len(those) for those in self._members.values()),
            "views": len(self._views), "windows": len(self.windows),
            "owed": len(self._owed), "held": len(self._held),
            "followers": len(self._index.followers), **self._index.sizes,
        }  # fmt: skip

    # --- a commit

    def _committed(self, records: list[LogRecord], head: int) -> None:
        if self._handle is None:
            # Under load the pump rests as long as it worked, so that changes share frames.
            pause = min(self._last_s, _PUMP_PAUSE_MAX)
            self._handle = asyncio.get_running_loop().call_later(pause, self._pump)

    def owe_windows(self, connection: Connection, entities: Set[str]) -> None:
        """Have the connection get its windows of entities."""
        if self.windows.doubt(connection, entities):
            self._work(connection)

    def owe(self, connection: Connection) -> None:
        """Have the connection get a `changes` through the head, even if it is empty."""
        connection.owes_changes = True
        self._owed[connection] = None
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._handle = None
        started = self._clock.monotonic()
        head = self._database.head
        if head > self._position:
            self._position = self._deliver_towards(head)
        if self._position < head:
            self._handle = asyncio.get_running_loop().call_soon(self._pump)
            return
        owed, self._owed = self._owed, {}
        self.catch(owed, asked=self._position)
        self._last_s = self._clock.monotonic() - started

    def _deliver_towards(self, head: int) -> int:
        """Deliver what one turn has time for, whole transactions; returns through where."""
        records = self._database.tail.since(self._position) if self._members else []
        if records is not None and not any(map(self.follows, {one.entity for one in records})):
            return head
        large = large_ones(records or [], len(self._views), _TOLD_MAX)
        if records and records[0].tx in large:
            first = [one for one in records if one.tx == records[0].tx]
            self._send_to_the_log({one.entity for one in first})
            return first[-1].seq
        told: dict[View, list[Told]] = {}
        moved: dict[SharedWindow, None] = {}
        refreshed: dict[View, None] = {}
        count = 0
        try:
            if records is not None:
                count = self._ask(records, told, moved, refreshed, large)
        except Exception:  # noqa: BLE001 -- whatever it is, nobody may miss a change
            _log.exception("sync.pump_failed; everybody goes on from the log")
            records = None
        if records is None:
            self._send_to_the_log(None)
            return head
        through = head if count == len(records) else records[count - 1].seq
        later = told_later(self._database, through, self._definitions, self._clock)
        self._index.move(later, refreshed)
        frames = Frames(self._database.epoch, records[:count], through, more=through < head)
        self.costs.note(records[:count], told, self._members)
        refreshed.update(move_more(told, records or []))
        for view, changes in told.items():
            if view not in refreshed:
                self._send(self._members[view], changes, self._position, frames)
        for view in refreshed:  # behind the changes of the others
            self._refresh(self._members[view], self._position)
        for window in moved:
            self.costs.note_run(window.seen.entity.name, window.filter_key)
            self._run_again(window)
        return through

    def _refresh(self, connections: Iterable[Connection], asked: int) -> None:
        """Have connections that were asked for through there go on from the log."""
        for connection in connections:
            if self._is_ready(connection):
                connection.judged = max(connection.judged, asked)
            connection.is_refreshed = True
            self._fall_behind((connection,))

    def _run_again(self, window: SharedWindow) -> None:
        window.wanted += 1
        for connection, subscription_id in window.holders:
            connection.subscriber.mark_window(subscription_id)
            self._work(connection)

    def _ask(
        self, records: list[LogRecord], told: dict[View, list[Told]],
        moved: dict[SharedWindow, None], refreshed: dict[View, None],
        large: Set[int] = frozenset(),
    ) -> int:  # fmt: skip
        """Ask whom records concern, for one turn; returns how many were asked about."""
        until = self._clock.monotonic() + _TURN_SECONDS
        now = iso_ms(self._clock.now_ms())
        reader = self._database.readers.inline
        newest = newest_seqs(records)
        moments: dict[EntityIndex, Moment] = {}
        tx = records[0].tx if records else 0
        for count, record in enumerate(records):
            if record.tx != tx:
                tx = record.tx
                if tx in large or self._clock.monotonic() > until:
                    return count
            self._index.concerned(record, now, reader, refreshed, moved)
            for index in self._index.of(record.entity):
                if record.slice is not None:
                    index.move(record.slice, refreshed, moved)
                    continue
                moment = moments.get(index)
                if moment is None:
                    moment = moments[index] = Moment(index.classes, now, reader)
                is_newest = newest[record.entity, record.row_id] == record.seq
                index.tell(record, moment, told, moved, is_newest=is_newest)
        return len(records)

    def _send_to_the_log(self, entities: Set[str] | None) -> None:
        """Have all who follow one of these entities, or anything, go on from the log."""
        for view, members in self._members.items():
            if entities is None or not entities.isdisjoint(view.entities):
                self._fall_behind(members)
        for window in self.windows:
            if entities is None or window.seen.entity.name in entities:
                self._run_again(window)

    def _send(
        self, connections: Iterable[Connection], changes: list[Told], asked: int, frames: Frames
    ) -> None:
        """Write changes to those of a view that can take them now.

        Through `asked` all of them were asked for before; the frames are those of this pass.
        """
        groups: dict[tuple[int, int], list[Connection]] = {}
        for connection in connections:
            if not self._is_ready(connection):
                continue
            if connection.queued_bytes > self._busy_bytes:
                self._hold(connection, asked)
                continue
            cursor = connection.subscriber.cursor
            # Who was told more than the others already is told the rest.
            judged = max(cursor, connection.judged, asked)
            groups.setdefault((cursor, judged), []).append(connection)
        at = self._clock.monotonic()
        for (cursor, judged), group in groups.items():
            rest = changes if judged == asked else [one for one in changes if one[0] > judged]
            if rest:
                self._write(group, frames.of(rest, cursor), at)

    def _write(self, group: list[Connection], frames: list[Frame], at: float) -> None:
        for one in frames:
            for connection in group:
                connection.write(one.data)
                connection.subscriber.log_sent(one.through, more=one.more)
                connection.owes_changes = False
                connection.last_sent = at
            self.deliveries += one.changes * len(group)
            if one.more:
                for connection in group:
                    if connection.queued_bytes > self._busy_bytes:
                        self._hold(connection, one.through)
                group = [connection for connection in group if not connection.is_held]
        if frames[-1].more:
            for connection in group:  # the last turn may have nothing for it, but that it is over
                connection.owes_changes = True
                self._owed[connection] = None

    # --- who could not take it

    def _is_ready(self, connection: Connection) -> bool:
        """Tell whether a connection takes live frames now."""
        is_away = connection.is_reading or connection.is_held or connection.is_closed
        is_live = connection.subscriber.phase is Phase.LIVE
        return is_live and not is_away and connection.view is not None

    def pause(self, connection: Connection) -> None:
        """Have live frames wait while a piece is read for a connection."""
        if self._is_ready(connection):
            connection.judged = max(connection.judged, self._position)
        connection.is_reading = True

    def resume(self, connection: Connection) -> None:
        """Send what was committed while a piece was read, before the next one."""
        connection.is_reading = False
        self.catch((connection,))

    def _hold(self, connection: Connection, asked: int) -> None:
        """Have a busy socket drain first; it is told then of what came after `asked`."""
        connection.judged = max(connection.judged, asked)
        connection.is_held = True
        self._held[connection] = None
        self._look_at_held_soon()

    def _look_at_held_soon(self) -> None:
        if self._release is None:
            later = asyncio.get_running_loop().call_later
            self._release = later(_BUSY_SECONDS, self._look_at_held)

    def _look_at_held(self) -> None:
        self._release = None
        drained = [one for one in self._held if one.queued_bytes <= self._busy_bytes // 2]
        for connection in drained:
            connection.is_held = False
            del self._held[connection]
        self.catch(drained)
        if self._held:
            self._look_at_held_soon()

    def catch(self, connections: Iterable[Connection], *, asked: int = 0) -> None:
        """Bring connections, asked for through `asked`, to the head; the same for those alike."""
        head = self._database.head
        groups: dict[tuple[View, int], list[Connection]] = {}
        for connection in connections:
            if self._is_ready(connection) and connection.view is not None:
                judged = max(connection.subscriber.cursor, connection.judged, asked)
                if judged < head or connection.owes_changes:
                    groups.setdefault((connection.view, judged), []).append(connection)
        for (view, judged), group in groups.items():
            records = self._database.tail.since(judged)
            if records is None:
                self._fall_behind(group)
            elif view.is_moved_by(records):
                self._refresh(group, judged)
            elif (changes := self._asked(view, records)) is None:
                self._fall_behind(group)
            else:
                self._catch_up(group, changes, judged, Frames(self._database.epoch, records, head))

    def _fall_behind(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            connection.subscriber.fall_behind()
            self._work(connection)

    def _asked(self, view: View, records: list[LogRecord]) -> list[Told] | None:
        if not records:
            return []
        now, newest = iso_ms(self._clock.now_ms()), newest_seqs(records)
        try:
            changes = view.project(records, newest, now, self._database.readers.inline)
            later = told_later(self._database, records[-1].seq, self._definitions, self._clock)
            is_doubtful = view.is_turned(records, now) or any(map(view.is_moved_by_slice, later))
            return None if is_doubtful else changes
        except Exception:  # noqa: BLE001 -- whatever it is, nobody may miss a change
            _log.exception("sync.view_failed; its connections go on from the log")
            return None

    def _catch_up(
        self, group: list[Connection], changes: list[Told], asked: int, frames: Frames
    ) -> None:
        """Send a group what it lacks through the head, which may be nothing."""
        if changes:
            self._send(group, changes, asked, frames)
        at = self._clock.monotonic()
        for connection in group:
            if not connection.is_held:
                connection.judged = frames.head
                if connection.owes_changes:
                    self._write([connection], frames.of((), connection.subscriber.cursor), at)
