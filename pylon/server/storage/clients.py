"""What each replica said it has stored, for the dashboard; never for the cursor's promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pylon import limits
from pylon.server.storage.accounts import Rows
from pylon.server.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class KnownClient:
    """One replica of one principal, as it last reported."""

    client_id: str
    principal: str
    email: str | None
    epoch: str
    seq: int
    pending: int | None
    last_seen_ms: int
    user_agent: str | None


def remember(transaction: Transaction, client: KnownClient) -> None:
    """Store what a client reported; who he was before he signed in is the same client."""
    if client.principal:
        transaction.execute(
            "DELETE FROM _pylon_clients WHERE client_id = ? AND principal = ''",
            (client.client_id,),
        )
    transaction.execute(
        "INSERT INTO _pylon_clients VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT"
        " (client_id, principal) DO UPDATE SET email = excluded.email, epoch = excluded.epoch,"
        " seq = excluded.seq, pending = excluded.pending, last_seen = excluded.last_seen,"
        " user_agent = excluded.user_agent",
        (
            client.client_id, client.principal, client.email, client.epoch, client.seq,
            client.pending, client.last_seen_ms, client.user_agent,
        ),
    )  # fmt: skip


def sweep(transaction: Transaction) -> None:
    """Keep the number of known clients within its limit."""
    ((count,),) = transaction.select("SELECT count(*) FROM _pylon_clients")
    if count > limits.CLIENTS_MAX:
        transaction.execute(
            "DELETE FROM _pylon_clients WHERE (client_id, principal) IN (SELECT client_id,"
            " principal FROM _pylon_clients ORDER BY last_seen LIMIT ?)",
            (count - limits.CLIENTS_MAX,),
        )


def forget_principal(transaction: Transaction, principal: str) -> None:
    """Forget the clients of a principal who is gone."""
    transaction.execute("DELETE FROM _pylon_clients WHERE principal = ?", (principal,))


def known_clients(rows: Rows, limit: int = 1000) -> list[KnownClient]:
    """Return the clients, last seen first."""
    found: list[tuple[Any, ...]] = rows(
        "SELECT client_id, principal, email, epoch, seq, pending, last_seen, user_agent"
        " FROM _pylon_clients ORDER BY last_seen DESC LIMIT ?",
        (limit,),
    )
    return [KnownClient(*row) for row in found]
