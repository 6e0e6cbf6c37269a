"""Accounts, login sessions and codes: who can sign in. Tokens and codes are stored hashed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue
from pylon.server.storage.change_log import note_identity
from pylon.server.storage.transaction import Transaction

Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Account:
    """Who can sign in: not a row of an entity, never in the log's images."""

    id: str
    email: str
    roles: frozenset[str]
    disabled: bool
    auth_version: int


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A revocable grant behind a token; kind is session, token or link."""

    id: str
    user_id: str
    kind: str
    name: str | None
    created_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Code:
    """A magic code that was sent."""

    id: str
    hash: bytes
    expires_at_ms: int
    tries: int
    used: bool


_ACCOUNT = "SELECT id, email, roles, disabled, auth_version FROM _pylon_accounts"
_SESSION = "SELECT id, user_id, kind, name, created_at, expires_at FROM _pylon_sessions"


def _account(row: tuple[Any, ...]) -> Account:
    return Account(
        row[0], row[1], frozenset(jsonvalue.decode_trusted(row[2])), bool(row[3]), row[4]
    )


def account_by_id(rows: Rows, user_id: str) -> Account | None:
    """Return the account of a user id."""
    found = rows(f"{_ACCOUNT} WHERE id = ?", (user_id,))
    return _account(found[0]) if found else None


def account_by_email(rows: Rows, email: str) -> Account | None:
    """Return the account of a normalised address."""
    found = rows(f"{_ACCOUNT} WHERE email = ?", (email,))
    return _account(found[0]) if found else None


def list_accounts(rows: Rows, limit: int = 1000) -> list[Account]:
    """Return accounts by address."""
    return [_account(row) for row in rows(f"{_ACCOUNT} ORDER BY email LIMIT ?", (limit,))]


def insert_account(
    transaction: Transaction, user_id: str, email: str, roles: frozenset[str]
) -> Account:
    """Create an account."""
    transaction.execute(
        "INSERT INTO _pylon_accounts (id, email, roles, created_at) VALUES (?, ?, ?, ?)",
        (user_id, email, jsonvalue.encode_text(sorted(roles)), transaction.now_ms),
    )
    transaction.batch_facts.clear()
    return Account(user_id, email, roles, disabled=False, auth_version=0)


def set_roles(transaction: Transaction, user_id: str, roles: frozenset[str]) -> None:
    """Replace an account's roles; its auth_version rises, and its replicas start over."""
    transaction.execute(
        "UPDATE _pylon_accounts SET roles = ?, auth_version = auth_version + 1 WHERE id = ?",
        (jsonvalue.encode_text(sorted(roles)), user_id),
    )
    if transaction.seq > 0:  # before the first change nobody has a cursor
        transaction.seq = note_identity(transaction.connection, user_id, transaction.seq)
    transaction.batch_facts.clear()


def set_disabled(transaction: Transaction, user_id: str, *, disabled: bool) -> None:
    """Disable or enable an account; its auth_version rises."""
    transaction.execute(
        "UPDATE _pylon_accounts SET disabled = ?, auth_version = auth_version + 1 WHERE id = ?",
        (int(disabled), user_id),
    )
    transaction.batch_facts.clear()


# --- sessions ----------------------------------------------------------------------------


def insert_session(transaction: Transaction, session: LoginSession, token_hash: bytes) -> None:
    """Store a session under the hash of its token."""
    transaction.execute(
        "INSERT INTO _pylon_sessions (id, hash, user_id, kind, name, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            session.id, token_hash, session.user_id, session.kind, session.name,
            session.created_at_ms, session.expires_at_ms,
        ),
    )  # fmt: skip
    transaction.batch_facts.clear()


def session_by_hash(rows: Rows, token_hash: bytes) -> LoginSession | None:
    """Return the session of a token's hash."""
    found = rows(f"{_SESSION} WHERE hash = ?", (token_hash,))
    return LoginSession(*found[0]) if found else None


def session_by_id(rows: Rows, session_id: str) -> LoginSession | None:
    """Return a session."""
    found = rows(f"{_SESSION} WHERE id = ?", (session_id,))
    return LoginSession(*found[0]) if found else None


def sessions_of(rows: Rows, user_id: str) -> list[LoginSession]:
    """Return a user's sessions, newest first."""
    found = rows(f"{_SESSION} WHERE user_id = ? ORDER BY created_at DESC LIMIT 1000", (user_id,))
    return [LoginSession(*row) for row in found]


def delete_session(transaction: Transaction, session_id: str) -> bool:
    """Delete a session; tells whether it was there."""
    transaction.batch_facts.clear()
    return transaction.execute("DELETE FROM _pylon_sessions WHERE id = ?", (session_id,)) > 0


def delete_expired(transaction: Transaction) -> None:
    """Sweep sessions and codes whose time is over."""
    now = transaction.now_ms
    transaction.execute("DELETE FROM _pylon_sessions WHERE expires_at < ?", (now,))
    transaction.execute("DELETE FROM _pylon_codes WHERE expires_at < ?", (now - 86_400_000,))


# --- codes -------------------------------------------------------------------------------


def insert_code(
    transaction: Transaction, code_id: str, email: str, code_hash: bytes, expires_at_ms: int
) -> None:
    """Store a code by its hash."""
    transaction.execute(
        "INSERT INTO _pylon_codes (id, email, hash, created_at, expires_at) VALUES (?,?,?,?,?)",
        (code_id, email, code_hash, transaction.now_ms, expires_at_ms),
    )


def codes_sent_since(rows: Rows, email: str, since_ms: int) -> int:
    """Return how many codes an address was sent since a time."""
    ((count,),) = rows(
        "SELECT count(*) FROM _pylon_codes WHERE email = ? AND created_at >= ?", (email, since_ms)
    )
    return int(count)


def live_codes(transaction: Transaction, email: str) -> list[Code]:
    """Return the codes of an address that can still be used, newest first."""
    rows = transaction.select(
        "SELECT id, hash, expires_at, tries, used FROM _pylon_codes WHERE email = ? AND used = 0"
        " AND expires_at > ? ORDER BY created_at DESC LIMIT 10",
        (email, transaction.now_ms),
    )
    return [Code(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]


def count_try(transaction: Transaction, code_id: str) -> None:
    """Count a wrong try of a code."""
    transaction.execute("UPDATE _pylon_codes SET tries = tries + 1 WHERE id = ?", (code_id,))


def use_code(transaction: Transaction, email: str) -> None:
    """Mark all live codes of an address as used: a sign-in needs only one."""
    transaction.execute("UPDATE _pylon_codes SET used = 1 WHERE email = ?", (email,))
