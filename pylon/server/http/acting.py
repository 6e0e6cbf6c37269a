"""Whom the owner acts as."""

from __future__ import annotations

from typing import Any

from pylon.errors import NotFound
from pylon.identity import ANONYMOUS, SYSTEM, Identity
from pylon.server.auth.sessions import identity_of
from pylon.server.http.exchange import Exchange


def acting(exchange: Exchange, who: Any) -> Identity:
    """Return the identity of a user by e-mail or id, or `anonymous`; nobody is the system.

    It has no session. Raises NotFound where there is no such account.
    """
    if who is None:
        return SYSTEM
    if who == "anonymous":
        return ANONYMOUS
    account = exchange.services.accounts.find(str(who))
    if account is None:
        raise NotFound(f"there is no account {who}", hint="pylon users lists them", field="as")
    return identity_of(account)
