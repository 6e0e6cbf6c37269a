"""Magic codes and links that were sent, as hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pylon.server.storage.accounts import Rows
from pylon.server.storage.transaction import Transaction

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Code:
    """A magic code that was sent."""

    id: str
    email: str
    hash: bytes
    expires_at_ms: int
    tries: int
    used: bool
    #: Hash of the secret of the browser that asked; None where a program asked.
    browser: bytes | None = None
    #: Hash of the token of the link in the same mail.
    link: bytes | None = None
    network: str | None = None


_CODE = "SELECT id, email, hash, expires_at, tries, used, browser, link, network FROM _pylon_codes"


def _code(row: tuple[Any, ...]) -> Code:
    return Code(
        row[0], row[1], row[2], row[3], row[4], bool(row[5]), browser=row[6], link=row[7],
        network=row[8],
    )  # fmt: skip


def insert_code(transaction: Transaction, code: Code) -> None:
    """Store a code by its hash."""
    transaction.execute(
        "INSERT INTO _pylon_codes (id, email, hash, created_at, expires_at, used, browser, link,"
        " network) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            code.id, code.email, code.hash, transaction.now_ms, code.expires_at_ms,
            int(code.used), code.browser, code.link, code.network,
        ),
    )  # fmt: skip


def codes_sent_since(rows: Rows, email: str, since_ms: int, network: str | None = None) -> int:
    """Return how many codes an address was sent since a time, in all or from one network."""
    ((count,),) = rows(
        "SELECT count(*) FROM _pylon_codes WHERE email = ? AND created_at >= ?"
        " AND (? IS NULL OR network = ?)",
        (email, since_ms, network, network),
    )
    return int(count)


def live_codes(transaction: Transaction, email: str) -> list[Code]:
    """Return the codes of an address that can still be used, newest first."""
    rows = transaction.select(
        f"{_CODE} WHERE email = ? AND used = 0 AND expires_at > ? ORDER BY created_at DESC"
        " LIMIT 100",
        (email, transaction.now_ms),
    )
    return [_code(row) for row in rows]


def code_by_link(transaction: Transaction, link: bytes) -> Code | None:
    """Return the code whose mail had a link, where it can still be used."""
    rows = transaction.select(
        f"{_CODE} WHERE link = ? AND used = 0 AND expires_at > ?", (link, transaction.now_ms)
    )
    return _code(rows[0]) if rows else None


def count_try(transaction: Transaction, code_id: str) -> None:
    """Count a wrong try of a code."""
    transaction.execute("UPDATE _pylon_codes SET tries = tries + 1 WHERE id = ?", (code_id,))


def use_codes(transaction: Transaction, email: str) -> None:
    """Mark all live codes of an address as used: a sign-in needs only one."""
    transaction.execute("UPDATE _pylon_codes SET used = 1 WHERE email = ?", (email,))


def delete_codes_of(transaction: Transaction, email: str) -> None:
    """Delete the codes of an address."""
    transaction.execute("DELETE FROM _pylon_codes WHERE email = ?", (email,))


def delete_expired_codes(transaction: Transaction) -> None:
    """Sweep codes that no limit counts any more."""
    transaction.execute(
        "DELETE FROM _pylon_codes WHERE expires_at < ?", (transaction.now_ms - _DAY_MS,)
    )
