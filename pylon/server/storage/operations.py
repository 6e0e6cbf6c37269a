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
from pylon.sqlite import RawConnection

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
    transaction.remembered.append((principal, op_id, transaction.machine_ms, content, outcome))
    transaction.known_operations[principal, op_id] = (content, outcome)


def of_group(connection: RawConnection, principal: str, group: str) -> list[tuple[str, str]]:
    """Return (operation id, outcome) of the operations whose ids begin with `GROUP.`, in order."""
    return connection.execute(
        "SELECT op_id, outcome FROM _pylon_ops WHERE principal = ? AND op_id > ? AND op_id < ?"
        " ORDER BY op_id",
        (principal, f"{group}.", f"{group}/"),  # the character behind the point
    ).fetchall()


#: (principal, op id, at).
Remembered = tuple[str, str, int]


def find_oldest(
    connection: RawConnection, before_ms: int, keep: int, at_most: int
) -> list[Remembered]:
    """Return operations that may be forgotten: older than `before_ms`, or beyond the newest `keep`.

    Reads the whole memory: on a reader's thread, never on the loop.
    """
    (count,) = connection.execute("SELECT count(*) FROM _pylon_ops").fetchone()
    if count > keep:
        return connection.execute(
            "SELECT principal, op_id, at FROM _pylon_ops ORDER BY at LIMIT ?",
            (min(count - keep, at_most),),
        ).fetchall()
    return connection.execute(
        "SELECT principal, op_id, at FROM _pylon_ops WHERE at < ? LIMIT ?", (before_ms, at_most)
    ).fetchall()


def forget(transaction: Transaction, oldest: list[Remembered]) -> int:
    """Forget operations; returns the time of the newest that was ever forgotten, Unix ms.

    It is stored: an id from before then is refused, whatever the clock says later, because nobody
    can know any more whether its operation was carried out (I14, I42).
    """
    for principal, op_id, _ in oldest:
        transaction.execute(
            "DELETE FROM _pylon_ops WHERE principal = ? AND op_id = ?", (principal, op_id)
        )
    newest = max(read_forgotten(transaction.connection), *(at for _, _, at in oldest))
    transaction.execute(
        "INSERT INTO _pylon_meta VALUES ('ops_forgotten', ?) ON CONFLICT (key) DO UPDATE SET"
        " value = excluded.value",
        (newest,),
    )
    return newest


def forget_principal(transaction: Transaction, principal: str) -> None:
    """Forget the operations of a principal who is gone, with their answers."""
    transaction.execute("DELETE FROM _pylon_ops WHERE principal = ?", (principal,))


def read_forgotten(connection: RawConnection) -> int:
    """Return the time of the newest operation that was forgotten, Unix ms; 0 for none."""
    row = connection.execute("SELECT value FROM _pylon_meta WHERE key = 'ops_forgotten'").fetchone()
    return 0 if row is None else int(row[0])
