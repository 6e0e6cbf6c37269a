"""Who went to a provider to sign in; taken out by the state that comes back, once."""

from __future__ import annotations

from dataclasses import dataclass, field

from pylon import limits
from pylon.server.storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What is remembered of somebody who went to a provider."""

    provider: str
    #: The hash of the state.
    state: bytes
    #: The hash of the secret that his browser holds.
    browser: bytes
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)
    redirect_uri: str
    #: The page he wants to see afterwards.
    next: str
    #: The account that is to be linked; None: he signs in.
    user_id: str | None
    created_at_ms: int


def insert_departure(transaction: Transaction, departure: Departure) -> None:
    """Remember a departure, and forget those that took too long."""
    oldest = transaction.now_ms - int(limits.OAUTH_SECONDS * 1000)
    transaction.execute("DELETE FROM _pylon_departures WHERE created_at < ?", (oldest,))
    transaction.execute(
        "INSERT INTO _pylon_departures (state, provider, browser, verifier, nonce, redirect_uri,"
        " next, user_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            departure.state, departure.provider, departure.browser, departure.verifier,
            departure.nonce, departure.redirect_uri, departure.next, departure.user_id,
            departure.created_at_ms,
        ),
    )  # fmt: skip


def take_departure(transaction: Transaction, state: bytes) -> Departure | None:
    """Return the departure of a state and forget it: a state works once."""
    found = transaction.select(
        "SELECT provider, state, browser, verifier, nonce, redirect_uri, next, user_id, created_at"
        " FROM _pylon_departures WHERE state = ?",
        (state,),
    )
    if not found:
        return None
    transaction.execute("DELETE FROM _pylon_departures WHERE state = ?", (state,))
    row = found[0]
    return Departure(
        provider=row[0], state=row[1], browser=row[2], verifier=row[3], nonce=row[4],
        redirect_uri=row[5], next=row[6], user_id=row[7], created_at_ms=row[8],
    )  # fmt: skip
