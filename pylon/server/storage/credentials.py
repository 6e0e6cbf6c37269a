"""What signs somebody in beside codes: passwords, second factors, identities at providers."""

from __future__ import annotations

from dataclasses import dataclass, field

from pylon.server.storage.accounts import Rows
from pylon.server.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Totp:
    """A second factor by RFC 6238."""

    secret: bytes = field(repr=False)
    is_confirmed: bool
    #: The time step of the last code that was used: none before it works again.
    step: int


def password_of(rows: Rows, user_id: str) -> str | None:
    """Return the hash of a user's password."""
    found = rows("SELECT hash FROM _pylon_passwords WHERE user_id = ?", (user_id,))
    return found[0][0] if found else None


def set_password(transaction: Transaction, user_id: str, password_hash: str) -> None:
    """Store the hash of a user's password."""
    transaction.execute(
        "INSERT INTO _pylon_passwords (user_id, hash, changed_at) VALUES (?, ?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash,"
        " changed_at = excluded.changed_at",
        (user_id, password_hash, transaction.now_ms),
    )


def totp_of(rows: Rows, user_id: str) -> Totp | None:
    """Return a user's second factor."""
    found = rows("SELECT secret, confirmed, step FROM _pylon_totp WHERE user_id = ?", (user_id,))
    return Totp(found[0][0], bool(found[0][1]), found[0][2]) if found else None


def set_totp(transaction: Transaction, user_id: str, totp: Totp) -> None:
    """Store a user's second factor."""
    transaction.execute(
        "INSERT INTO _pylon_totp (user_id, secret, confirmed, step, created_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret,"
        " confirmed = excluded.confirmed, step = excluded.step",
        (user_id, totp.secret, int(totp.is_confirmed), totp.step, transaction.now_ms),
    )


def delete_totp(transaction: Transaction, user_id: str) -> bool:
    """Delete a user's second factor with its recovery codes; tells whether it was there."""
    transaction.execute("DELETE FROM _pylon_recovery WHERE user_id = ?", (user_id,))
    return transaction.execute("DELETE FROM _pylon_totp WHERE user_id = ?", (user_id,)) > 0


def set_recovery(transaction: Transaction, user_id: str, hashes: list[bytes]) -> None:
    """Replace a user's recovery codes."""
    transaction.execute("DELETE FROM _pylon_recovery WHERE user_id = ?", (user_id,))
    for one in hashes:
        transaction.execute("INSERT INTO _pylon_recovery VALUES (?, ?)", (user_id, one))


def use_recovery(transaction: Transaction, user_id: str, code_hash: bytes) -> bool:
    """Use a recovery code up; tells whether it was there."""
    bound = (user_id, code_hash)
    sql = "DELETE FROM _pylon_recovery WHERE user_id = ? AND hash = ?"
    return transaction.execute(sql, bound) > 0


def recovery_left(rows: Rows, user_id: str) -> int:
    """Return how many recovery codes a user has left."""
    found = rows("SELECT count(*) FROM _pylon_recovery WHERE user_id = ?", (user_id,))
    return int(found[0][0])


def user_of_identity(rows: Rows, issuer: str, subject: str) -> str | None:
    """Return the user id of who somebody is at a provider."""
    found = rows(
        "SELECT user_id FROM _pylon_identities WHERE issuer = ? AND subject = ?", (issuer, subject)
    )
    return found[0][0] if found else None


def insert_identity(
    transaction: Transaction, issuer: str, subject: str, user_id: str, email: str | None
) -> None:
    """Link who somebody is at a provider to a user."""
    transaction.execute(
        "INSERT INTO _pylon_identities (issuer, subject, user_id, email, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (issuer, subject, user_id, email, transaction.now_ms),
    )


def identities_of(rows: Rows, user_id: str) -> list[tuple[str, str, str | None]]:
    """Return who a user is at providers: (issuer, subject, the address there)."""
    found = rows(
        "SELECT issuer, subject, email FROM _pylon_identities WHERE user_id = ?"
        " ORDER BY issuer, subject",
        (user_id,),
    )
    return [(row[0], row[1], row[2]) for row in found]


def delete_identities(transaction: Transaction, user_id: str, issuer: str) -> None:
    """Delete who a user is at a provider."""
    transaction.execute(
        "DELETE FROM _pylon_identities WHERE user_id = ? AND issuer = ?", (user_id, issuer)
    )


def delete_credentials(transaction: Transaction, user_id: str) -> None:
    """Delete everything that signs a user in; his sessions are a matter of their own."""
    delete_totp(transaction, user_id)
    for table in ("_pylon_passwords", "_pylon_identities"):
        transaction.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,))
