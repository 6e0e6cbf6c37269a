"""From the log to every connection: live frames by class, catch-up and pages one by one.

A commit wakes the pump; the wake carries nothing and merges. The pump reads the tail of the log
in memory, judges each record once per view, and writes the same bytes to all connections of a
view that stand at the same cursor. Whoever cannot take them falls back to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Hashable
from typing import Any

from pylon import limits
from pylon.clock import Clock, iso_ms
from pylon.errors import PylonError, RateLimited, ResyncRequired
from pylon.identity import Identity
from pylon.policy.sqlclause import both
from pylon.protocol.change import Cursor
from pylon.protocol.messages import GoAway, Resync, SchemaChanged
from pylon.server.auth.sessions import SessionService
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.storage import clients
from pylon.server.storage.change_log import LogRecord, read_head
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.sync_select import count_visible, snapshot_page, window_page
from pylon.server.sync.catch_up import Page, read_page
from pylon.server.sync.channel import Connection, describe, frame, principal_of
from pylon.server.sync.projection import changes_frame, newest_seqs
from pylon.server.sync.subscriber import Phase, ReadLog, ReadPage, ReadWindow
from pylon.server.sync.subscription import Subscription, still_compiles
from pylon.server.sync.view import View, make_view

_log = logging.getLogger("pylon.sync")
_TICK_SECONDS = 0.25
_CLIENTS_SECONDS = 2.0
_PUMP_PAUSE_MAX = 0.02


class Hub:
    """All connections of a runtime."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, sessions: SessionService,
        clock: Clock, *, queue_bytes_max: int = limits.SEND_QUEUE_BYTES_MAX,
        heartbeat_s: float = limits.HEARTBEAT_SECONDS,
        sockets_max: tuple[int, int, int] = (
            limits.SOCKETS_MAX, limits.SOCKETS_PER_USER_MAX, limits.SOCKETS_PER_ADDRESS_MAX
        ),
    ) -> None:  # fmt: skip
        self._database = database
        self._definitions = definitions
        self._sessions = sessions
        self._clock = clock
        self._queue_bytes_max = queue_bytes_max
        self.heartbeat_s = heartbeat_s
        self._sockets_max = sockets_max
        self._connections: dict[str, Connection] = {}
        self._by_view: dict[Hashable, tuple[View, set[Connection]]] = {}
        self._users: dict[str, int] = {}
        self._addresses: dict[str, int] = {}
        self._pump_handle: asyncio.Handle | None = None
        self._last_pump_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop
        self._reported: dict[tuple[str, str], Connection] = {}
        self.deliveries = 0
        database.writer.on_commit(self._committed)
        sessions.on_ended(self._session_ended)

    # --- life

    def start(self) -> None:
        """Start the heartbeat and the watch over slow readers."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            self._loop.create_task(self._tick(), name="pylon-hub-tick"),
            self._loop.create_task(self._remember_clients(), name="pylon-hub-clients"),
        ]

    async def stop(self) -> None:
        """Say goodbye to everybody, give them a moment, and close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._connections.values()):
            connection.send(GoAway(reason="stopping", retry_ms=500))
            connection.close(1001, "going away", self._loop)
        await self._store_clients()

    # --- connections

    def admit(self, identity: Identity, address: str) -> None:
        """Raise RateLimited where one more socket would be too many."""
        total, per_user, per_address = self._sockets_max
        user = principal_of(identity)
        if (
            len(self._connections) >= total
            or self._addresses.get(address, 0) >= per_address
            or (user and self._users.get(user, 0) >= per_user)
        ):
            raise RateLimited("too many sockets", retry_after_s=5)

    def attach(self, connection: Connection) -> None:
        """Take a connection that was upgraded."""
        self._connections[connection.id] = connection
        user = principal_of(connection.identity)
        self._users[user] = self._users.get(user, 0) + 1
        self._addresses[connection.address] = self._addresses.get(connection.address, 0) + 1
        self._sessions.watch_expiry(connection.identity)

    def detach(self, connection: Connection) -> None:
        """Forget a connection and everything that was kept for it."""
        if self._connections.pop(connection.id, None) is None:
            return
        connection.is_closed = True
        connection.subscriber.phase = Phase.CLOSED
        self._leave_view(connection)
        for table, key in (
            (self._users, principal_of(connection.identity)),
            (self._addresses, connection.address),
        ):
            table[key] = table.get(key, 1) - 1
            if table[key] <= 0:
                del table[key]
        if connection.reader is not None:
            connection.reader.cancel()
        for task in connection.calls.values():
            task.cancel()
        if connection.client_id:
            self._reported[connection.client_id, principal_of(connection.identity)] = connection

    def connections(self) -> list[Connection]:
        """Return the live connections."""
        return list(self._connections.values())

    def describe(self) -> list[dict[str, Any]]:
        """Return what the dashboard shows of every connection."""
        now_ms = self._clock.now_ms()
        head = self._database.head
        return [describe(one, head, now_ms) for one in self._connections.values()]

    def subscriptions_changed(self, connection: Connection) -> None:
        """Put a connection into the view of its caller and subscriptions."""
        self._leave_view(connection)
        view = make_view(
            self._definitions.current, connection.identity,
            connection.subscriber.subscriptions.values(),
        )  # fmt: skip
        shared = self._by_view.setdefault(view.key, (view, set()))
        shared[1].add(connection)
        connection.view = shared[0]

    def _leave_view(self, connection: Connection) -> None:
        if connection.view is None:
            return
        entry = self._by_view.get(connection.view.key)
        if entry is not None:
            entry[1].discard(connection)
            if not entry[1]:
                del self._by_view[connection.view.key]
        connection.view = None

    # --- the pump

    def _committed(self, records: list[LogRecord], head: int) -> None:
        if self._pump_handle is None and self._connections:
            # Under load the pump rests as long as it worked, so that changes share frames.
            pause = min(self._last_pump_s, _PUMP_PAUSE_MAX)
            self._pump_handle = asyncio.get_running_loop().call_later(pause, self._pump)

    def _pump(self) -> None:
        self._pump_handle = None
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
        self._last_pump_s = self._clock.monotonic() - started

    def _pump_view(
        self, view: View, members: set[Connection], now: str, reader: ReadConnection
    ) -> None:
        head = self._database.head
        by_cursor: dict[int, list[Connection]] = {}
        for connection in members:
            if self._is_ready(connection):
                by_cursor.setdefault(connection.subscriber.cursor, []).append(connection)
        for cursor, group in by_cursor.items():
            if cursor >= head and not any(one.owes_changes for one in group):
                continue
            records = self._database.tail.since(cursor)
            if records is None:
                for connection in group:
                    connection.subscriber.fall_behind()
                    self.work(connection)
                continue
            self._deliver(view, group, cursor, head, records, now, reader)

    def _deliver(
        self, view: View, group: list[Connection], cursor: int, head: int,
        records: list[LogRecord], now: str, reader: ReadConnection,
    ) -> None:  # fmt: skip
        changes = view.project(records, newest_seqs(records), now, reader)
        tail = ",".join([text for _, text in changes])
        touched = [
            record
            for record in records
            if (seen := view.entities.get(record.entity)) is not None
            and seen.windows
            and seen.touches_window(record, now, reader)
        ]
        data = b""
        at = self._clock.monotonic()
        for connection in group:
            if touched:
                names = {record.entity for record in touched}
                connection.subscriber.mark_windows(lambda one, n=names: one.entity.name in n)  # type: ignore[misc]
                self.work(connection)
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

    def flush(self, connection: Connection) -> None:
        """Have the connection get a `changes` through the head, even if it is empty."""
        connection.owes_changes = True
        if self._pump_handle is None:
            self._pump_handle = self._loop.call_soon(self._pump)

    # --- reading for one connection

    def work(self, connection: Connection) -> None:
        """Read what is missing for a connection, one piece after the other."""
        if connection.is_closed or (connection.reader and not connection.reader.done()):
            return
        if connection.subscriber.next_read_is_due():
            connection.reader = self._loop.create_task(self._read_for(connection))

    async def _read_for(self, connection: Connection) -> None:
        machine = connection.subscriber
        try:
            while not connection.is_closed:
                if connection.queued_bytes > self._queue_bytes_max // 2:
                    return  # the tick comes back when it has drained
                command = machine.next_read()
                if command is None:
                    break
                connection.is_reading = True
                match command:
                    case ReadLog(seq):
                        await self._read_log(connection, seq)
                    case ReadPage(subscription_id, after):
                        await self._read_page(connection, subscription_id, after)
                    case ReadWindow(subscription_id):
                        await self._read_window(connection, subscription_id)
                connection.is_reading = False
                self._catch_tail(connection)
        except ResyncRequired as error:
            self.resync(connection, str(error.details["reason"]))
        except PylonError as error:
            _log.warning("sync.read_failed %s", error.message)
            connection.close(1013, "try again", self._loop)
        finally:
            connection.is_reading = False

    def _catch_tail(self, connection: Connection) -> None:
        """Send what was committed while a page was read, before the next page."""
        if connection.subscriber.cursor < self._database.head and connection.view is not None:
            self._pump_view(
                connection.view, {connection}, iso_ms(self._clock.now_ms()),
                self._database.readers.inline,
            )  # fmt: skip

    async def _read_log(self, connection: Connection, seq: int) -> None:
        view, epoch = connection.view, self._database.epoch
        if view is None:
            return
        cursor = Cursor(epoch, seq)  # type: ignore[arg-type]
        now = iso_ms(self._clock.now_ms())
        page: Page = await self._database.readers.run(
            lambda reader: read_page(reader, view, cursor, epoch, limits.PULL_LIMIT_MAX, now)
        )
        if connection.view is not view or connection.subscriber.cursor != seq:
            return  # subscriptions changed meanwhile: the same piece is read again
        connection.write(frame(changes_frame(epoch, seq, page.through, page.tail, more=page.more)))
        connection.subscriber.log_sent(page.through, more=page.more)
        connection.last_sent = self._clock.monotonic()

    async def _read_page(self, connection: Connection, subscription_id: str, after: str) -> None:
        wanted = connection.subscriber.subscriptions[subscription_id]
        clause = self._visible(connection, wanted)
        is_first = after == "" and wanted.total is None

        def read(reader: ReadConnection) -> tuple[str, str | None, int, int | None]:
            head, _ = read_head(reader.raw)
            total = count_visible(reader.raw, wanted.entity, clause) if is_first else None
            rows, last, _ = snapshot_page(
                reader.raw, wanted.entity, clause, after, limits.SNAPSHOT_PAGE_ROWS
            )
            return rows, last, head, total

        rows, last, head, total = await self._database.readers.run(read)
        if connection.subscriber.subscriptions.get(subscription_id) is not wanted:
            return
        done = "true" if last is None else "false"
        counted = "" if total is None else f',"total":{total}'
        wanted.total = total if total is not None else wanted.total
        connection.send_text(
            f'{{"type":"snapshot","subscription":"{subscription_id}","entity":'
            f'"{wanted.entity.name}","rows":[{rows}],"at":"{self._database.cursor(head)}",'
            f'"done":{done}{counted}}}'
        )
        connection.subscriber.page_sent(subscription_id, last)

    async def _read_window(self, connection: Connection, subscription_id: str) -> None:
        wanted = connection.subscriber.subscriptions[subscription_id]
        clause = self._visible(connection, wanted)
        order = ", ".join(
            f't."{term.field}"{" DESC" if term.descending else ""}' for term in wanted.order
        )

        def read(reader: ReadConnection) -> tuple[list[tuple[str, str, int]], int]:
            head, _ = read_head(reader.raw)
            return (
                window_page(reader.raw, wanted.entity, clause, order, wanted.limit or 1),
                head,
            )

        rows, head = await self._database.readers.run(read)
        if connection.subscriber.subscriptions.get(subscription_id) is not wanted:
            return
        listed = {row_id: seq for row_id, _, seq in rows}
        before = wanted.listed
        if before is not None and list(before.items()) == list(listed.items()):
            return
        fresh = [wire for row_id, wire, seq in rows if (before or {}).get(row_id) != seq]
        ids = ",".join(f'"{row_id}"' for row_id in listed)
        connection.send_text(
            f'{{"type":"window","subscription":"{subscription_id}","ids":[{ids}],'
            f'"rows":[{",".join(fresh)}],"at":"{self._database.cursor(head)}",'
            f'"version":{wanted.version}}}'
        )
        wanted.listed = listed

    def _visible(self, connection: Connection, wanted: Subscription) -> Any:
        view = connection.view
        assert view is not None
        now = iso_ms(self._clock.now_ms())
        policy, _ = view.entities[wanted.entity.name].clauses(now)
        return both(policy, wanted.filter.clause(connection.identity, alias="t", now=now))

    # --- what ends or restarts a connection

    def resync(self, connection: Connection, reason: str) -> None:
        """Order a connection to start over from the head."""
        head = self._database.head
        connection.subscriber.start_over(head)
        connection.send(Resync(reason=reason, head=str(self._database.cursor(head))))
        connection.reader = None
        self._loop.call_soon(self.work, connection)

    def _session_ended(self, session_id: str | None, user_id: str, reason: str) -> None:
        for connection in list(self._connections.values()):
            identity = connection.identity
            if identity.user_id != user_id:
                continue
            if session_id is not None and identity.session_id != session_id:
                continue
            if reason == "identity_changed":
                self._identity_changed(connection)
            else:
                self._abort(connection, reason)

    def _abort(self, connection: Connection, reason: str) -> None:
        connection.close(4001, reason, self._loop)

    def _identity_changed(self, connection: Connection) -> None:
        identity = connection.identity
        assert identity.user_id is not None
        now = self._sessions.identity_now(identity.user_id, identity.session_id)
        if now is None:
            self._abort(connection, "session ended")
            return
        connection.identity = now
        self.subscriptions_changed(connection)
        self.resync(connection, "identity_changed")

    def app_reloaded(self) -> None:
        """Tell everybody of a new manifest; resync those whose subscriptions no longer compile."""
        definition = self._definitions.current
        for connection in list(self._connections.values()):
            if connection.subscriber.phase is Phase.GREETING:
                continue
            machine = connection.subscriber
            kept = {key: still_compiles(one, definition) for key, one in
                    machine.subscriptions.items()}  # fmt: skip
            machine.subscriptions = {key: one for key, one in kept.items() if one is not None}
            self.subscriptions_changed(connection)
            connection.send(SchemaChanged(schema=definition.hash))
            if len(machine.subscriptions) != len(kept):
                self.resync(connection, "schema_changed")
            else:
                self.work(connection)

    # --- the tick

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(_TICK_SECONDS)
            now = self._clock.monotonic()
            for connection in list(self._connections.values()):
                self._check_drain(connection, now)
                is_due = now - connection.last_sent > self.heartbeat_s
                if is_due and connection.subscriber.phase is Phase.LIVE:
                    connection.owes_changes = True
                    if self._pump_handle is None:
                        self._pump_handle = self._loop.call_soon(self._pump)
                if not connection.is_reading:
                    self.work(connection)

    def _check_drain(self, connection: Connection, now: float) -> None:
        queued = connection.queued_bytes
        if queued == 0 or queued < connection.stalled_bytes or connection.stalled_since is None:
            connection.stalled_since = now
            connection.stalled_bytes = queued
        elif now - connection.stalled_since > limits.SEND_STALL_SECONDS:
            _log.warning("sync.too_slow %s closed with %d bytes queued", connection.id, queued)
            connection.close(1013, "too slow", self._loop)

    async def _remember_clients(self) -> None:
        while True:
            await self._clock.sleep(_CLIENTS_SECONDS)
            with contextlib.suppress(PylonError):
                await self._store_clients()

    def note_stored(self, connection: Connection, seq: int, pending: int | None) -> None:
        """Keep what a client says it has stored."""
        connection.stored_seq = seq
        connection.pending = pending
        connection.last_seen_ms = self._clock.now_ms()
        self._reported[connection.client_id, principal_of(connection.identity)] = connection

    async def _store_clients(self) -> None:
        if not self._reported:
            return
        reported, self._reported = list(self._reported.values()), {}
        epoch = self._database.epoch
        known = [
            clients.KnownClient(
                one.client_id, principal_of(one.identity), one.identity.email, epoch,
                one.stored_seq, one.pending, one.last_seen_ms or self._clock.now_ms(),
                one.user_agent,
            )
            for one in reported
        ]  # fmt: skip

        def work(transaction: Any) -> None:
            for one in known:
                clients.remember(transaction, one)
            clients.sweep(transaction)

        await self._database.writer.submit(work)
