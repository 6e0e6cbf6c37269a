"""When sessions were last used: kept in memory, stored every minute."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import islice

from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.identity import Identity
from pylon.server.storage.database import Database
from pylon.server.storage.login_sessions import LoginSession, note_seen
from pylon.server.storage.transaction import Transaction

_EVERY_SECONDS = 60.0
#: Sessions stored at once: what is not stored yet waits for the next time.
_AT_ONCE = 500
_MOST = 100_000


class LastSeen:
    """Collects when sessions are used; one per runtime."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, int] = {}
        #: The same by user, until all of it is stored.
        self._users: dict[str, int] = {}

    def note(self, identity: Identity, now_ms: int) -> None:
        """Take note that a session was used."""
        if identity.session_id is not None and len(self._seen) < _MOST:
            self._seen[identity.session_id] = now_ms
            if identity.user_id is not None:
                self._users[identity.user_id] = now_ms

    def of_user(self, user_id: str) -> int | None:
        """Return when a user was last seen, where that is not stored yet."""
        return self._users.get(user_id)

    def updated(self, session: LoginSession) -> LoginSession:
        """Return a session as it is known here."""
        seen = self._seen.get(session.id)
        return session if seen is None else replace(session, seen_at_ms=seen)

    async def run(self, clock: Clock) -> None:
        """Store what was noted until cancelled."""
        while True:
            await clock.sleep(_EVERY_SECONDS)
            if self._seen:
                await self._store()

    async def _store(self) -> None:
        part = dict(islice(self._seen.items(), _AT_ONCE))

        def work(transaction: Transaction) -> None:
            note_seen(transaction, part)

        with suppress(PylonError):  # it informs only: a full disk loses it
            await self._database.writer.submit(work)
        for session_id, at_ms in part.items():
            if self._seen.get(session_id) == at_ms:
                del self._seen[session_id]
        if not self._seen:
            self._users.clear()
