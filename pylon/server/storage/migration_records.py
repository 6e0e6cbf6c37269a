"""What a database knows of data migrations: which ran, with which text, and how far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import OperationalError, RawConnection


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One data migration that was begun."""

    number: int
    name: str
    #: Of the file's text as it ran.
    hash: str
    #: Where one in parts goes on; None at its end.
    cursor: Any
    parts: int
    changes: int
    #: Unix ms; None where it is not at its end.
    applied_ms: int | None


def read_migrations(raw: RawConnection) -> dict[int, MigrationRecord]:
    """Return what is known, by number; nothing for a database of an older release."""
    try:
        rows = raw.execute(
            "SELECT number, name, hash, cursor, parts, changes, applied_at FROM _pylon_migrations"
        ).fetchall()
    except OperationalError:
        return {}
    return {
        number: MigrationRecord(
            number, name, text_hash, None if cursor is None else jsonvalue.decode_trusted(cursor),
            parts, changes, applied_ms,
        )
        for number, name, text_hash, cursor, parts, changes, applied_ms in rows
    }  # fmt: skip


def note_migration(transaction: Transaction, record: MigrationRecord) -> None:
    """Store how far a data migration has come, in the transaction of what it changed."""
    transaction.execute(
        "INSERT INTO _pylon_migrations (number, name, hash, cursor, parts, changes, applied_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET name = excluded.name,"
        " hash = excluded.hash, cursor = excluded.cursor, parts = excluded.parts,"
        " changes = excluded.changes, applied_at = excluded.applied_at",
        (
            record.number, record.name, record.hash,
            None if record.cursor is None else jsonvalue.encode_text(record.cursor),
            record.parts, record.changes, record.applied_ms,
        ),
    )  # fmt: skip
