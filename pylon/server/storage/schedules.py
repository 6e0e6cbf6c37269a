"""Which slots of schedules were taken, so that each has one run."""

from __future__ import annotations

from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection


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
