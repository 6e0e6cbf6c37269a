"""All connections of a runtime: who may come, who sees what, and who must start over or go.

Delivery of commits is `pump`, reading for one connection is `reading`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from typing import Any

from pylon import limits
from pylon.clock import Clock
from pylon.errors import PylonError, RateLimited
from pylon.identity import Identity
from pylon.protocol.change import Cursor
from pylon.protocol.messages import (
    GoAway,
    Hello,
    Resync,
    SchemaChanged,
    Subscribe,
    Unsubscribed,
    Welcome,
)
from pylon.server.auth.sessions import SessionService
from pylon.server.calls import CallBook
from pylon.server.functions.app_code import AppCode
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.live_run import LiveRunner
from pylon.server.quota import Quotas
from pylon.server.storage.clients import KnownClient
from pylon.server.storage.database import Database
from pylon.server.sync.asked_clock import AskedClock
from pylon.server.sync.channel import Connection, describe, principal_of
from pylon.server.sync.known_clients import KnownClients
from pylon.server.sync.live_functions import LiveFunctions
from pylon.server.sync.pace import Pace, goodbye_ms
from pylon.server.sync.passing import Passing
from pylon.server.sync.pump import Pump
from pylon.server.sync.read_ahead import ReadAhead
from pylon.server.sync.reading import Reading
from pylon.server.sync.subscriber import Phase
from pylon.server.sync.subscribing import Subscribing
from pylon.server.sync.subscription import Subscription, still_compiles

_log = logging.getLogger("pylon.sync")
_TICK_SECONDS = 0.25
#: At a stop: for pushes that run, and for peers to answer the close frame before they are cut.
_LAST_ANSWERS_SECONDS = 1.0
_FAREWELL_SECONDS = 1.3


class Hub:
    """All connections of a runtime."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, sessions: SessionService,
        clock: Clock, code: AppCode, *, queue_bytes_max: int = limits.SEND_QUEUE_BYTES_MAX,
        heartbeat_s: float = limits.HEARTBEAT_SECONDS, quotas: Quotas | None = None,
        calls: CallBook | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._definitions = definitions
        self._sessions = sessions
        self._clock = clock
        self.heartbeat_s = heartbeat_s
        self.quotas = quotas or Quotas()
        runner = LiveRunner(code, database, definitions, clock, calls)
        self.live = LiveFunctions(database, clock, runner)
        self._subscribing = Subscribing(definitions, self.quotas, self.live)
        self._connections: dict[str, Connection] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop
        self._pace = Pace()
        self._refused = 0
        self._known = KnownClients(database, clock)
        self.read_ahead = ReadAhead(database, clock)
        #: By which all are judged that hold rows, also where they come without a connection.
        self.asked_clock = asked = AskedClock(clock)
        self._pump = Pump(database, definitions, asked, queue_bytes_max, self.work)
        self.passing = Passing(database, definitions, asked, self._pump.follows)
        self._reading = Reading(database, asked, queue_bytes_max, self._pump, self.resync)
        sessions.on_ended(self._session_ended)

    # --- life

    def start(self) -> None:
        """Start the heartbeat and the watch over slow readers."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            self._loop.create_task(self._tick(), name="pylon-hub-tick"),
            self._loop.create_task(self._known.run(), name="pylon-hub-clients"),
            self._loop.create_task(self.passing.run(), name="pylon-passing"),
        ]

    async def say_goodbye(self) -> None:
        """Answer what was pushed already, tell everybody to come back, and see them off."""
        pushes = [task for one in self._connections.values() for task in one.pushes.values()]
        if pushes:
            await asyncio.wait(pushes, timeout=_LAST_ANSWERS_SECONDS)
        leaving = list(self._connections.values())
        for place, connection in enumerate(leaving):
            connection.send(GoAway(reason="stopping", retry_ms=goodbye_ms(place, len(leaving))))
            connection.close(1001, "going away", self._loop)
        until = self._clock.monotonic() + _FAREWELL_SECONDS
        while self._connections and self._clock.monotonic() < until:
            await self._clock.sleep(0.02)

    async def stop(self) -> None:
        """Stop what runs beside the connections, and store what is known of clients."""
        await self.live.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(PylonError):  # a full disk keeps no runtime from stopping
            await self.passing.store()
            await self._known.store()

    # --- connections

    @contextmanager
    def admitted(self, identity: Identity, address: str) -> Iterator[None]:
        """Hold the place of one socket or stream; raises RateLimited where there is none.

        It is judged and counted in one step: between the two others would come through.
        """
        sockets, user = self.quotas.sockets, principal_of(identity)
        sockets.demand(user, address)
        line_s = self._pace.length(self._clock.monotonic())
        if line_s > limits.WELCOME_LINE_SECONDS:
            # Each is told a later moment, so that they do not come back together.
            self._refused = (self._refused + 1) % 30
            retry_after_s = int(line_s) + 1 + self._refused
            raise RateLimited("too many come at once", retry_after_s=retry_after_s)
        sockets.add(user, address)
        try:
            yield
        finally:
            sockets.add(user, address, -1)

    def attach(self, connection: Connection) -> None:
        """Take a connection that was upgraded."""
        self._connections[connection.id] = connection
        if not self._sessions.watch_expiry(connection.identity):
            connection.close(4001, "session ended", self._loop)  # while the socket was opened

    async def greet_in_turn(
        self, connection: Connection, hello: Hello, cursor: Cursor | None
    ) -> None:
        """Answer a `hello` when it is its turn."""
        wait_s = self._pace.take(self._clock.monotonic())
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        if not connection.is_closed:
            self.greet(connection, hello, cursor)

    def greet(self, connection: Connection, hello: Hello, cursor: Cursor | None) -> None:
        """Answer a `hello` whose cursor is well formed, and begin to send."""
        database, machine = self._database, connection.subscriber
        connection.client_id = hello.client_id[:64]
        connection.last_seen_ms = self._clock.now_ms()
        reason = machine.greet(
            cursor, database.head, database.horizon, database.rewritten,
            self._sessions.oldest_cursor(connection.identity),
        )  # fmt: skip
        is_resuming = cursor is not None and reason is None
        connection.stored_seq = machine.cursor if is_resuming else 0
        connection.send(
            Welcome(
                connection_id=connection.id,
                head=str(database.cursor()),
                user_id=connection.identity.user_id,
                roles=sorted(connection.identity.roles),
                schema=self._definitions.current.hash,
                heartbeat_s=self.heartbeat_s,
                limits={
                    "push_operations": limits.PUSH_OPERATIONS_MAX,
                    "message_bytes": limits.WS_MESSAGE_BYTES_MAX,
                    "subscriptions": self.quotas.subscriptions_per_socket,
                },
            )
        )
        if reason is not None:
            connection.send(Resync(reason=reason.value, head=str(database.cursor())))
        for spec in hello.subscriptions:
            self._subscribing.add(connection, spec, is_resuming=is_resuming)
        self.subscriptions_changed(connection)
        self.work(connection)

    def subscribe(self, connection: Connection, spec: Subscribe) -> None:
        """Take one more subscription; it takes part in changes from now on."""
        self._subscribing.add(connection, spec, is_resuming=True)
        self.subscriptions_changed(connection)
        self.work(connection)

    def unsubscribe(self, connection: Connection, subscription_id: str) -> None:
        """End a subscription; its id may be used again after the answer."""
        if self._subscribing.remove(connection, subscription_id):
            self.subscriptions_changed(connection)
        connection.send(Unsubscribed(id=subscription_id))
        self.work(connection)

    def detach(self, connection: Connection) -> None:
        """Forget a connection and everything that was kept for it."""
        if self._connections.pop(connection.id, None) is None:
            return
        connection.is_closed = True
        was_greeted = connection.subscriber.phase is not Phase.GREETING
        connection.subscriber.phase = Phase.CLOSED
        self._pump.leave(connection)
        self._subscribing.leave(connection)
        if connection.reader is not None:
            connection.reader.cancel()
        for task in (*connection.calls.values(), *connection.pushes.values()):
            task.cancel()
        if was_greeted and connection.client_id and not connection.is_ghost:
            self._known.leave(connection)

    def connections(self) -> list[Connection]:
        """Return the live connections."""
        return list(self._connections.values())

    def clients_named(self, name: str) -> list[Connection]:
        """Return the live connections of a client id, or the one of a connection id."""
        return [one for one in self._connections.values() if name in (one.client_id, one.id)]

    def measure(self, connections: Iterable[Connection], *, every_s: float) -> None:
        """Have round trips measured, because somebody looks."""
        now = self._clock.monotonic()
        for one in connections:
            if one.subscriber.phase is not Phase.GREETING:
                one.ping(now, every_s=every_s)

    def disconnect(self, connection: Connection, reason: str) -> None:
        """Close a connection as a restart would: its client comes again."""
        connection.send(GoAway(reason=reason, retry_ms=500))
        connection.close(1001, reason, self._loop)

    def known_clients(self, limit: int) -> list[KnownClient]:
        """Return the newest clients that are, or were, connected."""
        return self._known.newest(limit)

    def wants_of(self, known: KnownClient, caller: Identity) -> list[Subscription] | None:
        """Return what a client that left wanted, as far as it compiles; None if unknown."""
        wanted = self._known.wants(known.client_id, known.principal)
        if wanted is None:
            return None
        compiled = [still_compiles(one, self._definitions.current, caller) for one in wanted]
        return [one for one in compiled if one is not None]

    def describe(self) -> list[dict[str, Any]]:
        """Return what the dashboard shows of every connection."""
        now_ms = self._clock.now_ms()
        head = self._database.head
        return [describe(one, head, now_ms) for one in self._connections.values()]

    def subscriptions_changed(self, connection: Connection) -> None:
        """Put a connection into the view of its caller and subscriptions."""
        self._subscribing.count(connection)
        self._pump.enter(connection)

    def work(self, connection: Connection) -> None:
        """Read what is missing for a connection, one piece after the other."""
        self._reading.work(connection)

    def flush(self, connection: Connection, wrote: Set[str] = frozenset()) -> None:
        """Have it get a `changes`, empty or not, and its windows of what its client wrote."""
        self._pump.owe(connection)
        self._pump.owe_windows(connection, wrote)

    def note_stored(self, connection: Connection, seq: int, pending: int | None) -> None:
        """Keep what a client says it has stored."""
        connection.stored_seq = seq
        connection.pending = pending
        connection.last_seen_ms = self._clock.now_ms()
        self._known.note(connection)

    @property
    def sizes(self) -> dict[str, int]:
        """Return how much is kept for connections and their subscriptions."""
        return {
            "connections": len(self._connections), **self._pump.sizes, **self.live.sizes
        }  # fmt: skip

    @property
    def known_sizes(self) -> dict[str, int]:
        """Return how much is remembered of clients, those that left included."""
        return self._known.sizes

    @property
    def kinds_counted(self) -> int:
        """Return of how many kinds of subscriptions the cost is counted."""
        return len(self._pump.costs)

    def costs(self, limit: int) -> list[dict[str, Any]]:
        """Return the subscriptions that cost most since the start, by what they ask for."""
        return self._pump.most_costly(limit)

    @property
    def deliveries(self) -> int:
        """Return how many changes were handed to transports so far."""
        return self._pump.deliveries

    # --- what ends or restarts a connection

    def resync(self, connection: Connection, reason: str) -> None:
        """Order a connection to start over from the head."""
        head = self._database.head
        connection.subscriber.start_over(head)
        connection.send(Resync(reason=reason, head=str(self._database.cursor(head))))
        if reason != "identity_changed":  # then what he was told is another's
            self.live.start_over(connection, connection.subscriber.functions)
        connection.paging = {}
        connection.reader = None  # one that is under way ends by itself, and sends nothing more
        connection.is_reading = False
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
                connection.close(4001, reason, self._loop)

    def _identity_changed(self, connection: Connection) -> None:
        identity = connection.identity
        assert identity.user_id is not None
        now = self._sessions.identity_now(identity.user_id, identity.session_id)
        if now is None:
            connection.close(4001, "session ended", self._loop)
            return
        connection.identity = now
        if connection.subscriber.phase is Phase.GREETING:
            return  # its welcome will say who it is
        self._subscribing.drop_unaskable(connection)
        # In this order: nothing is told of who he is now on top of what he held as who he was.
        self.resync(connection, "identity_changed")
        self.live.change_identity(connection, connection.subscriber.functions, now)
        self.subscriptions_changed(connection)

    def app_reloaded(self) -> None:
        """Tell everybody of a new manifest; resync those who can't go on from where they are.

        A subscription no longer compiles, or rows that they hold were written anew.
        """
        definition = self._definitions.current
        self.live.app_reloaded()
        for connection in list(self._connections.values()):
            if connection.subscriber.phase is Phase.GREETING:
                continue
            machine, goes_on = connection.subscriber, self._subscribing.compile_anew(connection)
            self.subscriptions_changed(connection)
            connection.send(SchemaChanged(schema=definition.hash))
            if not goes_on or machine.cursor < self._database.horizon:
                self.resync(connection, "schema_changed")
            else:
                self.work(connection)

    # --- the tick

    async def _tick(self) -> None:
        # The next tick and the way to the socket take their time, too.
        remind_s = max(self.heartbeat_s - 2 * _TICK_SECONDS, self.heartbeat_s / 2)
        while True:
            await self._clock.sleep(_TICK_SECONDS)
            now = self._clock.monotonic()
            self.live.tick(now)
            for connection in list(self._connections.values()):
                self._check_drain(connection, now)
                is_due = now - connection.last_sent > remind_s
                if is_due and connection.subscriber.phase is Phase.LIVE:
                    self._pump.owe(connection)
                if not connection.is_reading:
                    self.work(connection)

    def _check_drain(self, connection: Connection, now: float) -> None:
        queued = connection.queued_bytes
        drained = connection.written_bytes - queued
        if queued == 0 or drained > connection.drained_bytes or connection.stalled_since is None:
            connection.stalled_since = now
            connection.drained_bytes = drained
        elif now - connection.stalled_since > limits.SEND_STALL_SECONDS:
            _log.warning("sync.too_slow %s closed with %d bytes queued", connection.id, queued)
            connection.close(1013, "too slow", self._loop)
