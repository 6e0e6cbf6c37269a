"""Login sessions and API tokens, each under the hash of its token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pylon.server.storage.accounts import AccountNotice, Rows
from pylon.server.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A revocable grant behind a token; kind is session, token, link or ticket."""

    id: str
    user_id: str
    kind: str
    name: str | None
    created_at_ms: int
    expires_at_ms: int
    seen_at_ms: int | None = None
    device: str | None = None
    #: JSON of what a token may do; None: all that its user may.
    scope: str | None = None


_SESSION = (
    "SELECT id, user_id, kind, name, created_at, expires_at, seen_at, device, scope"
    " FROM _pylon_sessions"
)


def insert_session(transaction: Transaction, session: LoginSession, token_hash: bytes) -> None:
    """Store a session under the hash of its token."""
    transaction.execute(
        "INSERT INTO _pylon_sessions (id, hash, user_id, kind, name, created_at, expires_at,"
        " seen_at, device, scope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.id, token_hash, session.user_id, session.kind, session.name,
            session.created_at_ms, session.expires_at_ms, session.seen_at_ms, session.device,
            session.scope,
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


def delete_session(transaction: Transaction, session: LoginSession, reason: str) -> bool:
    """Delete a session, whose sockets end after the commit; tells whether it was there."""
    gone = transaction.execute("DELETE FROM _pylon_sessions WHERE id = ?", (session.id,)) > 0
    if gone:
        transaction.batch_facts.clear()
        transaction.tell(AccountNotice(session.user_id, session.id, reason))
    return gone


def delete_sessions_of(
    transaction: Transaction, user_id: str, reason: str, *, keep: str | None = None,
    kind: str | None = None,
) -> int:  # fmt: skip
    """Delete a user's sessions; returns how many.

    Args:
        transaction: the operation.
        user_id: whose.
        reason: what their sockets are told.
        keep: the id of the one that stays.
        kind: only those of this kind.
    """
    gone = [
        one for one in sessions_of(transaction.select, user_id)
        if one.id != keep and kind in (None, one.kind)
    ]  # fmt: skip
    return sum(delete_session(transaction, one, reason) for one in gone)


def note_seen(transaction: Transaction, seen: dict[str, int]) -> None:
    """Store when sessions were last used, by their ids."""
    for session_id, at_ms in seen.items():
        transaction.execute(
            "UPDATE _pylon_sessions SET seen_at = ? WHERE id = ?", (at_ms, session_id)
        )


def delete_expired_sessions(transaction: Transaction) -> None:
    """Sweep sessions whose time is over."""
    bound: tuple[Any, ...] = (transaction.now_ms,)
    transaction.execute("DELETE FROM _pylon_sessions WHERE expires_at < ?", bound)
