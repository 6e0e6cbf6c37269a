"""Who is signed in: accounts, sessions, codes, and the end of sessions within a second.

A session's end — sign-out, revocation, expiry, a disabled account — is told to listeners, which
close its sockets. What does not live here: HTTP (`http.auth`), and what a policy makes of it.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylon import limits
from pylon.clock import Clock
from pylon.errors import InvalidArgument, NotFound, RateLimited, Unauthenticated
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.ids import IdSource
from pylon.schema.model import Entity
from pylon.schema.validate import validate_insert
from pylon.server.auth.tokens import code_hash, is_equal, new_code, new_token, token_hash
from pylon.server.storage import accounts
from pylon.server.storage.accounts import Account, LoginSession
from pylon.server.storage.change_log import read_identity
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}\Z", re.ASCII)
_CACHE_MAX = 20_000
_SWEEP_SECONDS = 0.5
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
#: (session id or None for all of the user's, user id, reason)
EndListener = Callable[[str | None, str, str], None]


def normalise_email(text: object) -> str:
    """Return the one form of an address: trimmed, in lower case; raises InvalidArgument."""
    email = text.strip().lower() if isinstance(text, str) else ""
    if not _EMAIL.match(email) or ".." in email or email.rpartition("@")[2].startswith("."):
        raise InvalidArgument("this is no e-mail address", field="email")
    return email


@dataclass(frozen=True, slots=True)
class Issued:
    """A new session with its token, which is never seen again."""

    token: str
    session: LoginSession


class SessionService:
    """Issues, resolves and ends sessions; one per runtime."""

    def __init__(
        self, database: Database, user_entity: Callable[[], Entity | None], clock: Clock,
        ids: IdSource, session_days: int = limits.SESSION_DAYS,
    ) -> None:  # fmt: skip
        self._database = database
        self._user_entity = user_entity
        self._clock = clock
        self._ids = ids
        self._session_ms = session_days * _DAY_MS
        self._cache: OrderedDict[bytes, tuple[Identity, int]] = OrderedDict()
        self._listeners: list[EndListener] = []
        self._expiries: dict[str, tuple[int, str]] = {}
        self._task: asyncio.Task[None] | None = None

    # --- life

    def start(self) -> None:
        """Watch for sessions that expire."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="pylon-sessions")

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

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
                self._forget(session_id=session_id)
                self._tell(session_id, user_id, "expired")

    def watch_expiry(self, identity: Identity) -> bool:
        """Have a live connection's session watched for its expiry; False where it has ended."""
        if identity.session_id is None or identity.session_id in self._expiries:
            return True
        session = accounts.session_by_id(self._rows, identity.session_id)
        if session is None:
            return False
        self._expiries[session.id] = (session.expires_at_ms, session.user_id)
        return True

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
        if cached is not None and cached[1] > self._clock.now_ms():
            return cached[0]
        session = accounts.session_by_hash(self._rows, hashed)
        if session is None or session.expires_at_ms <= self._clock.now_ms():
            raise Unauthenticated("the session has ended; sign in again")
        account = accounts.account_by_id(self._rows, session.user_id)
        if account is None or account.disabled or session.kind == "link":
            raise Unauthenticated("this token can't be used")
        identity = Identity(
            kind=IdentityKind.USER, user_id=account.id, email=account.email, roles=account.roles,
            session_id=session.id, auth_version=account.auth_version,
        )  # fmt: skip
        self._cache[hashed] = (identity, session.expires_at_ms)
        if len(self._cache) > _CACHE_MAX:
            self._cache.popitem(last=False)
        return identity

    def identity_now(self, user_id: str, session_id: str | None) -> Identity | None:
        """Return the caller as he is now, or None where his account or session is gone."""
        account = accounts.account_by_id(self._rows, user_id)
        if account is None or account.disabled:
            return None
        if session_id is not None:
            session = accounts.session_by_id(self._rows, session_id)
            if session is None or session.expires_at_ms <= self._clock.now_ms():
                return None
        return Identity(
            kind=IdentityKind.USER, user_id=account.id, email=account.email, roles=account.roles,
            session_id=session_id, auth_version=account.auth_version,
        )  # fmt: skip

    def oldest_cursor(self, identity: Identity) -> int:
        """Return the seq below which a caller's cursors are of who he was before."""
        if identity.user_id is None:
            return 0
        return read_identity(self._database.readers.inline.raw, identity.user_id)

    # --- accounts

    def account_of(self, who: str) -> Account | None:
        """Return the account of an address or a user id."""
        if "@" in who:
            return accounts.account_by_email(self._rows, normalise_email(who))
        return accounts.account_by_id(self._rows, who)

    def accounts(self) -> list[Account]:
        """Return the accounts by address."""
        return accounts.list_accounts(self._rows)

    def _ensure(self, transaction: Transaction, email: str) -> Account:
        """Return the account of an address, created with its User row where it is new."""
        found = accounts.account_by_email(transaction.select, email)
        if found is not None:
            return found
        user_id = self._ids.uuid7()
        entity = self._user_entity()
        if entity is None:  # before the first start: `complete_users` adds the row then
            return accounts.insert_account(transaction, user_id, email, frozenset())
        self._insert_user(transaction, entity, user_id, email)
        return accounts.insert_account(transaction, user_id, email, frozenset())

    def _insert_user(
        self, transaction: Transaction, entity: Entity, user_id: str, email: str
    ) -> None:
        values = {"name": email.partition("@")[0]} if "name" in entity.by_name else {}
        transaction.cause = "auth"
        row = validate_insert(
            entity, values, now=transaction.now, actor=user_id, new_id=lambda: user_id,
            row_id=user_id,
        )  # fmt: skip
        transaction.insert(entity, row)

    async def complete_users(self) -> None:
        """Give accounts that were made before the first start their User rows."""

        def work(transaction: Transaction) -> None:
            entity = self._user_entity()
            assert entity is not None
            for account in accounts.list_accounts(transaction.select):
                if transaction.get(entity, account.id) is None:
                    self._insert_user(transaction, entity, account.id, account.email)

        await self._database.writer.submit(work)

    async def ensure_account(self, email: str, roles: frozenset[str] | None = None) -> Account:
        """Return the account of an address, created where it is new; `roles` replace its own."""
        return await self._account(email, lambda old: old if roles is None else roles)

    async def _account(
        self, email: str, roles_of: Callable[[frozenset[str]], frozenset[str]]
    ) -> Account:
        """Return the account of an address, with the roles that are made of those it has."""
        email = normalise_email(email)

        def work(transaction: Transaction) -> Account:
            account = self._ensure(transaction, email)
            roles = roles_of(account.roles)
            if roles != account.roles:
                accounts.set_roles(transaction, account.id, roles)
                found = accounts.account_by_id(transaction.select, account.id)
                assert found is not None
                return found
            return account

        before = self.account_of(email)
        committed = await self._database.writer.submit(work)
        account: Account = committed.value
        if before is not None and before.auth_version != account.auth_version:
            self.identity_changed(account.id)
        return account

    async def change_role(self, who: str, role: str, *, grant: bool) -> Account:
        """Grant a role, or take it back; live connections are told at once."""
        account = self.account_of(who)
        if account is None:
            raise NotFound(f"there is no account {who}")
        # Of those it has inside the transaction: two changes at once both count.
        return await self._account(
            account.email, lambda roles: roles | {role} if grant else roles - {role}
        )

    def identity_changed(self, user_id: str) -> None:
        """Tell listeners that a user's roles or claims are others now."""
        self._forget(user_id=user_id)
        self._tell(None, user_id, "identity_changed")

    # --- sessions

    async def issue(
        self, account: Account, kind: str = "session", name: str | None = None,
        days: float | None = None,
    ) -> Issued:  # fmt: skip
        """Create a session and its token."""
        token = new_token(self._ids.random_bytes)
        now = self._clock.now_ms()
        lasts = self._session_ms if days is None else int(days * _DAY_MS)
        session = LoginSession(self._ids.uuid7(), account.id, kind, name, now, now + lasts)

        def work(transaction: Transaction) -> None:
            accounts.delete_expired(transaction)
            accounts.insert_session(transaction, session, token_hash(token))

        await self._database.writer.submit(work)
        return Issued(token, session)

    def sessions_of(self, user_id: str) -> list[LoginSession]:
        """Return a user's sessions."""
        return accounts.sessions_of(self._rows, user_id)

    async def end(self, session_id: str, user_id: str, reason: str) -> bool:
        """End a session of a user; its token fails from now on. Tells whether it was there."""

        def work(transaction: Transaction) -> bool:
            session = accounts.session_by_id(transaction.select, session_id)
            if session is None or session.user_id != user_id:
                return False
            return accounts.delete_session(transaction, session_id)

        committed = await self._database.writer.submit(work)
        if committed.value:
            self._forget(session_id=session_id)
            self._expiries.pop(session_id, None)
            self._tell(session_id, user_id, reason)
        return bool(committed.value)

    def _forget(self, *, session_id: str | None = None, user_id: str | None = None) -> None:
        gone = [
            key
            for key, (identity, _) in self._cache.items()
            if identity.session_id == session_id or (user_id and identity.user_id == user_id)
        ]
        for key in gone:
            del self._cache[key]

    def _tell(self, session_id: str | None, user_id: str, reason: str) -> None:
        for listener in self._listeners:
            listener(session_id, user_id, reason)

    # --- codes and links

    async def send_code(self, email: str) -> str:
        """Make a code for an address and return it, for the mail; raises RateLimited."""
        email = normalise_email(email)
        code = new_code(self._ids.random_bytes)
        code_id = self._ids.uuid7()

        def work(transaction: Transaction) -> None:
            now = transaction.now_ms
            in_hour = accounts.codes_sent_since(transaction.select, email, now - _HOUR_MS)
            in_day = accounts.codes_sent_since(transaction.select, email, now - _DAY_MS)
            if in_hour >= limits.CODES_PER_ACCOUNT_HOUR or in_day >= limits.CODES_PER_ACCOUNT_DAY:
                raise RateLimited("too many codes for this address", retry_after_s=600)
            expires = now + int(limits.CODE_SECONDS * 1000)
            accounts.insert_code(transaction, code_id, email, code_hash(email, code), expires)

        await self._database.writer.submit(work)
        return code

    async def verify_code(self, email: str, code: object) -> Account:
        """Return the account that a code signs in; raises Unauthenticated.

        Tries are counted inside one transaction each, so that guesses in parallel count.
        """
        email = normalise_email(email)
        if not isinstance(code, str) or len(code) > 64:
            raise InvalidArgument("a code is a short text", field="code")
        hashed = code_hash(email, code)

        def work(transaction: Transaction) -> Account | None:
            live = accounts.live_codes(transaction, email)
            usable = [one for one in live if one.tries < limits.CODE_TRIES_MAX]
            if any(is_equal(one.hash, hashed) for one in usable):
                accounts.use_code(transaction, email)
                return self._ensure(transaction, email)
            for one in usable:
                accounts.count_try(transaction, one.id)
            return None

        committed = await self._database.writer.submit(work)
        account: Account | None = committed.value
        if account is None or account.disabled:
            raise Unauthenticated("the code is wrong or has expired", hint="ask for a new one")
        return account

    async def make_link(self, account: Account) -> str:
        """Return the token of a one-time sign-in link."""
        issued = await self.issue(account, kind="link", days=limits.CODE_SECONDS / 86_400)
        return issued.token

    async def use_link(self, token: str) -> Account:
        """Return the account that a one-time link signs in, and use the link up."""
        hashed = token_hash(token)

        def work(transaction: Transaction) -> Account | None:
            session = accounts.session_by_hash(transaction.select, hashed)
            is_good = (
                session is not None
                and session.kind == "link"
                and session.expires_at_ms > transaction.now_ms
            )
            if session is None or not is_good:
                return None
            accounts.delete_session(transaction, session.id)
            return accounts.account_by_id(transaction.select, session.user_id)

        committed = await self._database.writer.submit(work)
        account: Account | None = committed.value
        if account is None or account.disabled:
            raise Unauthenticated("the link was used or has expired")
        return account
