"""The memory of operations: op id to outcome, scoped to a principal, bound to a content hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pylon.server.storage.transaction import Transaction

_FIND: Final = "SELECT content, outcome FROM _pylon_ops WHERE principal = ? AND op_id = ?"
_RECORD: Final = (
    "INSERT INTO _pylon_ops (principal, op_id, at, content, outcome) VALUES (?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """What was answered, and the hash of what was asked."""

    content: bytes
    outcome: str


def find(transaction: Transaction, principal: str, op_id: str) -> StoredOutcome | None:
    """Return the recorded outcome of an operation, or None for a new one."""
    row = transaction.connection.execute(_FIND, (principal, op_id)).fetchone()
    return None if row is None else StoredOutcome(*row)


def record(
    transaction: Transaction, principal: str, op_id: str, content: bytes, outcome: str
) -> None:
    """Record the outcome of an operation in the transaction that carries its effect."""
    transaction.connection.execute(
        _RECORD, (principal, op_id, transaction.now_ms, content, outcome)
    )


def forget(transaction: Transaction, before_ms: int, at_most: int) -> int:
    """Forget operations older than `before_ms`; returns how many."""
    return transaction.execute(
        "DELETE FROM _pylon_ops WHERE (principal, op_id) IN"
        " (SELECT principal, op_id FROM _pylon_ops WHERE at < ? LIMIT ?)",
        (before_ms, at_most),
    )
