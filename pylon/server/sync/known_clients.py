"""What clients say they have stored, kept for the dashboard and never for the cursor's promise."""

from __future__ import annotations

import contextlib
from typing import Any

from pylon import limits
from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.server.storage import clients
from pylon.server.storage.database import Database
from pylon.server.sync.channel import Connection, principal_of
from pylon.server.sync.subscription import Subscription

_EVERY_SECONDS = 2.0


class KnownClients:
    """Collects reports and stores them now and then."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._reported: dict[tuple[str, str], Connection] = {}
        #: What clients that left wanted, newest last; ends with the process.
        self._wants: dict[tuple[str, str], tuple[Subscription, ...]] = {}

    def note(self, connection: Connection) -> None:
        """Have what is known of a connection's client stored soon."""
        self._reported[connection.client_id, principal_of(connection.identity)] = connection
        while len(self._reported) > limits.CLIENTS_MAX:  # a full disk stores none of them
            del self._reported[next(iter(self._reported))]

    def leave(self, connection: Connection) -> None:
        """Note a client that leaves, and what it wanted."""
        self.note(connection)
        key = (connection.client_id, principal_of(connection.identity))
        self._wants.pop(key, None)
        while len(self._wants) >= limits.WANTS_KEPT_MAX:
            del self._wants[next(iter(self._wants))]
        self._wants[key] = tuple(connection.subscriber.subscriptions.values())

    @property
    def sizes(self) -> dict[str, int]:
        """Return how much is kept."""
        return {"reported": len(self._reported), "wants": len(self._wants)}

    def wants(self, client_id: str, principal: str) -> tuple[Subscription, ...] | None:
        """Return what a client that left wanted; None where nobody remembers."""
        return self._wants.get((client_id, principal))

    async def run(self) -> None:
        """Store reports until cancelled."""
        while True:
            await self._clock.sleep(_EVERY_SECONDS)
            with contextlib.suppress(PylonError):
                await self.store()

    def newest(self, limit: int) -> list[clients.KnownClient]:
        """Return known clients, last seen first: what is stored, and what soon will be."""
        found = {
            (one.client_id, one.principal): one
            for one in clients.known_clients(self._database.readers.inline.rows, limit)
        }
        found |= {(one.client_id, one.principal): one for one in self._waiting()}
        signed_in = {one.client_id: one.last_seen_ms for one in found.values() if one.principal}
        for one in list(found.values()):
            # Before it signed in it was nobody's; what it had then it has dropped.
            if not one.principal and one.last_seen_ms <= signed_in.get(one.client_id, -1):
                del found[one.client_id, ""]
        return sorted(found.values(), key=lambda one: -one.last_seen_ms)[:limit]

    def _waiting(self) -> list[clients.KnownClient]:
        epoch = self._database.epoch
        return [
            clients.KnownClient(
                one.client_id, principal_of(one.identity), one.identity.email, epoch,
                one.stored_seq, one.pending, one.last_seen_ms or self._clock.now_ms(),
                one.user_agent,
            )
            for one in self._reported.values()
        ]  # fmt: skip

    async def store(self) -> None:
        """Store what was reported since the last time."""
        known, reported = self._waiting(), self._reported
        if not known:
            return
        self._reported = {}

        def work(transaction: Any) -> None:
            for one in known:
                clients.remember(transaction, one)
            clients.sweep(transaction)

        try:
            await self._database.writer.submit(work)
        except PylonError:
            self._reported = {**reported, **self._reported}
            raise
