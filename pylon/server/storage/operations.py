"""The memory of operations: op id to outcome, scoped to a principal, bound to a content hash.

Outcomes are collected by the transaction and stored when its batch ends (`STORE_SQL`); until
then the transaction knows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pylon import jsonvalue
from pylon.server.storage.transaction import Transaction

_FIND: Final = "SELECT content, outcome FROM _pylon_ops WHERE principal = ? AND op_id = ?"
_FIND_MANY: Final = (
    "SELECT o.op_id, o.content, o.outcome FROM json_each(?) AS asked"
    " CROSS JOIN _pylon_ops AS o ON o.principal = ? AND o.op_id = asked.value"
)


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """What was answered, and the hash of what was asked."""

    content: bytes
    outcome: str


def look_up(transaction: Transaction, principal: str, op_ids: Iterable[str]) -> None:
    """Have the transaction know the outcomes of many operations by one question."""
    known = transaction.known_operations
    asked = [op_id for op_id in op_ids if (principal, op_id) not in known]
    for op_id in asked:
        known[principal, op_id] = None
    found = transaction.connection.execute(
        _FIND_MANY, (jsonvalue.encode_text(asked), principal)
    ).fetchall()
    for op_id, content, outcome in found:
        known[principal, op_id] = (content, outcome)


def find(transaction: Transaction, principal: str, op_id: str) -> StoredOutcome | None:
    """Return the recorded outcome of an operation, or None for a new one."""
    key = (principal, op_id)
    known = transaction.known_operations
    if key not in known:
        known[key] = transaction.connection.execute(_FIND, key).fetchone()
    stored = known[key]
    return None if stored is None else StoredOutcome(*stored)


def record(
    transaction: Transaction, principal: str, op_id: str, content: bytes, outcome: str
) -> None:
    """Record the outcome of an operation in the transaction that carries its effect."""
    transaction.remembered.append((principal, op_id, transaction.now_ms, content, outcome))
    transaction.known_operations[principal, op_id] = (content, outcome)


def forget(transaction: Transaction, before_ms: int, at_most: int) -> int:
    """Forget operations older than `before_ms`; returns how many."""
    return transaction.execute(
        "DELETE FROM _pylon_ops WHERE (principal, op_id) IN"
        " (SELECT principal, op_id FROM _pylon_ops WHERE at < ? LIMIT ?)",
        (before_ms, at_most),
    )
