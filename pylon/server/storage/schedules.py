"""Which slots of schedules were taken, so that each has one run."""

from __future__ import annotations

from typing import Final

from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

_WARPED: Final = "is_warped"


def take_slot(transaction: Transaction, name: str, slot_ms: int) -> bool:
    """Take a slot of a schedule; False where it, or a later one, was taken before."""
    changed = transaction.execute(
        "INSERT INTO _pylon_schedules (name, last_slot) VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
        " SET last_slot = excluded.last_slot WHERE last_slot < excluded.last_slot",
        (name, slot_ms),
    )
    return changed == 1


def set_slot(transaction: Transaction, name: str, slot_ms: int) -> None:
    """Count a schedule's slots from a moment on, whatever was taken before."""
    transaction.execute(
        "INSERT INTO _pylon_schedules (name, last_slot) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET last_slot = excluded.last_slot",
        (name, slot_ms),
    )


def last_slots(connection: RawConnection) -> dict[str, int]:
    """Return the last slot taken of each schedule that ever had one."""
    return dict(connection.execute("SELECT name, last_slot FROM _pylon_schedules").fetchall())


def has_unbegun(transaction: Transaction, name: str) -> bool:
    """Tell whether a job of a name waits for its first attempt."""
    return bool(
        transaction.select(
            "SELECT 1 FROM _pylon_jobs WHERE name = ? AND state = 'available' AND attempt = 0"
            " LIMIT 1",
            (name,),
        )
    )


def note_warp(transaction: Transaction) -> None:
    """Note that time is warped, until a process ends it."""
    set_meta(transaction.connection, _WARPED, 1)


def end_warp(transaction: Transaction, now_ms: int) -> None:
    """Have slots count from now on that a warped time took, if there was one."""
    if meta(transaction.connection, _WARPED) is None:
        return
    transaction.execute(
        "UPDATE _pylon_schedules SET last_slot = ?1 WHERE last_slot > ?1", (now_ms,)
    )
    transaction.execute("DELETE FROM _pylon_meta WHERE key = ?", (_WARPED,))
