"""Sessions: issued, resolved, ended, and their sockets told within a second.

A session's end — sign-out, revocation, expiry, a disabled account — is told to listeners, which
close its sockets. What does not live here: who may have one (`sign_in`), and HTTP (`http.auth`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pylon import limits
from pylon.clock import Clock, iso_ms
from pylon.errors import Conflict, Unauthenticated
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.ids import IdSource
from pylon.server.auth.last_seen import LastSeen
from pylon.server.auth.scopes import scope_json, stored_scope
from pylon.server.auth.tokens import new_token, token_hash
from pylon.server.storage import accounts, login_sessions
from pylon.server.storage.accounts import Account, AccountNotice, Rows
from pylon.server.storage.change_log import read_identity
from pylon.server.storage.codes import delete_expired_codes
from pylon.server.storage.database import Database
from pylon.server.storage.login_sessions import LoginSession
from pylon.server.storage.transaction import Transaction

_CACHE_MAX = 20_000
_SWEEP_SECONDS = 0.5
_DAY_MS = 86_400_000
#: Kinds of sessions whose token says who calls; the others are good for one step of a sign-in.
_CALLING_KINDS = ("session", "token")
#: (session id or None for all of the user's, user id, reason)
EndListener = Callable[[str | None, str, str], None]


@dataclass(frozen=True, slots=True)
class Issued:
    """A new session with its token, which is never seen again."""

    token: str = field(repr=False)
    session: LoginSession


class SessionService:
    """Issues, resolves and ends sessions; one per runtime."""

    def __init__(
        self, database: Database, clock: Clock, ids: IdSource,
        session_days: int = limits.SESSION_DAYS,
    ) -> None:  # fmt: skip
        self._database = database
        self._clock = clock
        self._ids = ids
        self._session_ms = session_days * _DAY_MS
        self._cache: OrderedDict[bytes, tuple[Identity, int]] = OrderedDict()
        self._listeners: list[EndListener] = []
        self._expiries: dict[str, tuple[int, str]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._seen = LastSeen(database)
        database.writer.on_notice(self._noticed)

    # --- life

    def start(self) -> None:
        """Watch for sessions that expire, and store when they were used."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._watch(), name="pylon-sessions"),
            loop.create_task(self._seen.run(self._clock), name="pylon-last-seen"),
        ]

    async def stop(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def on_ended(self, listener: EndListener) -> None:
        """Call `listener(session_id, user_id, reason)` when sessions end; None: all of a user's."""
        self._listeners.append(listener)

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_SECONDS)
            now = self._clock.now_ms()
            over = [key for key, (expires, _) in self._expiries.items() if expires <= now]
            for session_id in over:
                _, user_id = self._expiries.pop(session_id)
                self._end(session_id, user_id, "expired")

    def watch_expiry(self, identity: Identity) -> bool:
        """Have a live connection's session watched for its expiry; False where it has ended."""
        if identity.session_id is None or identity.session_id in self._expiries:
            return True
        session = login_sessions.session_by_id(self._rows, identity.session_id)
        if session is None:
            return False
        self._expiries[session.id] = (session.expires_at_ms, session.user_id)
        return True

    def _noticed(self, notice: object) -> None:
        """Take what a commit did to sessions and accounts."""
        if isinstance(notice, AccountNotice):
            if notice.session_id is not None:
                self._expiries.pop(notice.session_id, None)
            self._end(notice.session_id, notice.user_id, notice.reason)

    def _end(self, session_id: str | None, user_id: str, reason: str) -> None:
        gone = [
            key
            for key, (identity, _) in self._cache.items()
            if identity.user_id == user_id and session_id in (None, identity.session_id)
        ]
        for key in gone:
            del self._cache[key]
        for listener in self._listeners:
            listener(session_id, user_id, reason)

    # --- resolving

    def _rows(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._database.readers.inline.rows(sql, params)

    def resolve(self, token: str | None) -> Identity:
        """Return who a token stands for; anonymous without one.

        Raises Unauthenticated for a token that is wrong, expired or revoked.
        """
        if token is None:
            return ANONYMOUS
        hashed = token_hash(token)
        cached = self._cache.get(hashed)
        now = self._clock.now_ms()
        if cached is not None and cached[1] > now:
            self._seen.note(cached[0], now)
            return cached[0]
        session = login_sessions.session_by_hash(self._rows, hashed)
        if session is None or session.expires_at_ms <= now:
            raise Unauthenticated("the session has ended; sign in again")
        account = accounts.account_by_id(self._rows, session.user_id)
        if account is None or account.disabled or session.kind not in _CALLING_KINDS:
            raise Unauthenticated("this token can't be used")
        identity = identity_of(account, session.id, session.scope)
        self._seen.note(identity, now)
        self._cache[hashed] = (identity, session.expires_at_ms)
        if len(self._cache) > _CACHE_MAX:
            self._cache.popitem(last=False)
        return identity

    def identity_now(self, user_id: str, session_id: str | None) -> Identity | None:
        """Return the caller as he is now, or None where his account or session is gone."""
        account = accounts.account_by_id(self._rows, user_id)
        if account is None or account.disabled:
            return None
        if session_id is None:
            return identity_of(account)
        session = login_sessions.session_by_id(self._rows, session_id)
        if session is None or session.expires_at_ms <= self._clock.now_ms():
            return None
        return identity_of(account, session_id, session.scope)

    def oldest_cursor(self, identity: Identity) -> int:
        """Return the seq below which a caller's cursors are of who he was before."""
        if identity.user_id is None:
            return 0
        return read_identity(self._database.readers.inline.raw, identity.user_id)

    # --- issuing and ending

    def issue_in(
        self, transaction: Transaction, account: Account, kind: str = "session", *,
        name: str | None = None, days: float | None = None, device: str | None = None,
        scope: str | None = None,
    ) -> Issued:  # fmt: skip
        """Create a session and its token.

        Args:
            transaction: the operation.
            account: whose it is.
            kind: session, token, link or ticket.
            name: what its user calls it.
            days: how long it lasts; None: as the settings say.
            device: what the browser calls itself.
            scope: JSON of what a token may do; None: all that its user may.
        """
        now = transaction.now_ms
        lasts = self._session_ms if days is None else int(days * _DAY_MS)
        token = new_token(self._ids.random_bytes)
        session = LoginSession(
            self._ids.uuid7(), account.id, kind, name, now, now + lasts, seen_at_ms=None,
            device=device, scope=scope,
        )  # fmt: skip
        login_sessions.delete_expired_sessions(transaction)
        delete_expired_codes(transaction)
        self._make_room(transaction, session)
        login_sessions.insert_session(transaction, session, token_hash(token))
        return Issued(token, session)

    def _make_room(self, transaction: Transaction, new: LoginSession) -> None:
        """Keep a user's sessions within their bound; raises Conflict where tokens must go first."""
        same = [
            one
            for one in login_sessions.sessions_of(transaction.select, new.user_id)
            if one.kind == new.kind
        ]
        if new.kind == "token" and len(same) >= limits.TOKENS_PER_USER_MAX:
            raise Conflict(
                f"an account has at most {limits.TOKENS_PER_USER_MAX} tokens",
                hint="revoke one that is not used any more",
            )
        same.sort(key=lambda one: one.seen_at_ms or one.created_at_ms, reverse=True)
        for one in same[limits.SESSIONS_PER_USER_MAX - 1 :]:
            if one.kind != "token":
                login_sessions.delete_session(transaction, one, "too_many")

    async def issue(
        self, account: Account, kind: str = "session", name: str | None = None,
        days: float | None = None, scope: str | None = None, caller: Identity | None = None,
    ) -> Issued:  # fmt: skip
        """Create a session and its token for an account that nobody has to prove.

        Raises Unauthenticated where `caller`, who asked for it, is out by now.
        """

        def work(transaction: Transaction) -> Issued:
            if caller is not None:
                caller_in(transaction, caller)
            return self.issue_in(transaction, account, kind, name=name, days=days, scope=scope)

        issued: Issued = (await self._database.writer.submit(work)).value
        return issued

    def sessions_of(self, user_id: str) -> list[LoginSession]:
        """Return a user's sessions and tokens, newest first."""
        found = login_sessions.sessions_of(self._rows, user_id)
        return [self._seen.updated(one) for one in found if one.kind in _CALLING_KINDS]

    def seen_of(self, user_id: str) -> int | None:
        """Return when a user was last seen, where that is not stored yet."""
        return self._seen.of_user(user_id)

    async def end_others(self, user_id: str, keep: str | None, reason: str) -> int:
        """End all sessions and tokens of a user but one; returns how many."""

        def work(transaction: Transaction) -> int:
            return login_sessions.delete_sessions_of(transaction, user_id, reason, keep=keep)

        return int((await self._database.writer.submit(work)).value)

    async def end(self, session_id: str, user_id: str, reason: str) -> bool:
        """End a session of a user; its token fails from now on. Tells whether it was there."""

        def work(transaction: Transaction) -> bool:
            session = login_sessions.session_by_id(transaction.select, session_id)
            if session is None or session.user_id != user_id:
                return False
            return login_sessions.delete_session(transaction, session, reason)

        return bool((await self._database.writer.submit(work)).value)


def caller_in(transaction: Transaction, caller: Identity) -> Account:
    """Return a caller's account inside the operation that acts on it (I60).

    Raises Unauthenticated where it is gone or disabled, or the session has ended since.
    """
    return caller_at(transaction.select, caller, transaction.now_ms)


def caller_at(rows: Rows, caller: Identity, now_ms: int) -> Account:
    """Return a caller's account as it is now; raises Unauthenticated as `caller_in`."""
    user_id, session_id = caller.user_id, caller.session_id
    found = None if user_id is None else accounts.account_by_id(rows, user_id)
    if found is None or found.disabled:
        raise Unauthenticated("this account can't be used any more")
    if session_id is not None:
        session = login_sessions.session_by_id(rows, session_id)
        if session is None or session.expires_at_ms <= now_ms:
            raise Unauthenticated("the session has ended")
    return found


def identity_of(
    account: Account, session_id: str | None = None, scope: str | None = None
) -> Identity:
    """Return the caller that an account is, by a session with the stored `scope`."""
    return Identity(
        kind=IdentityKind.USER, user_id=account.id, email=account.proven_email, roles=account.roles,
        session_id=session_id, auth_version=account.auth_version, scope=stored_scope(scope),
    )  # fmt: skip


def session_json(one: LoginSession, current: str | None = None) -> dict[str, Any]:
    """Return a session as its user may see it: nothing that signs in."""
    seen = one.seen_at_ms
    return {
        "id": one.id, "kind": one.kind, "name": one.name, "current": one.id == current,
        "created_at": iso_ms(one.created_at_ms), "expires_at": iso_ms(one.expires_at_ms),
        "last_seen": None if seen is None else iso_ms(seen), "device": one.device,
        "scope": scope_json(stored_scope(one.scope)),
    }  # fmt: skip
