"""`ctx.accounts`: what a mutation does to accounts, as the system and in its own transaction.

Live connections of whom it concerns are told after the commit, as with any other change of roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylon.errors import NotFound, PolicyDenied
from pylon.server.auth.roles import checked_role
from pylon.server.functions.authority import authority_of
from pylon.server.storage import accounts
from pylon.server.storage.accounts import Account
from pylon.server.storage.transaction import Transaction

if TYPE_CHECKING:
    from pylon.server.functions.context import Context


class AccountChanges:
    """Grants and takes back roles, disables and enables; only inside `ctx.as_system()`."""

    def __init__(self, context: Context, transaction: Transaction) -> None:
        self._context = context
        self._transaction = transaction

    def roles(self, user_id: str) -> frozenset[str]:
        """Return the roles of a user."""
        return self._account(user_id).roles

    def grant(self, user_id: str, role: str) -> frozenset[str]:
        """Give a user a role; returns those that he has then."""
        found = self._account(user_id)
        return self._set(found, found.roles | {checked_role(role)})

    def revoke(self, user_id: str, role: str) -> frozenset[str]:
        """Take a role back from a user; returns those that he has then."""
        found = self._account(user_id)
        return self._set(found, found.roles - {checked_role(role)})

    def disable(self, user_id: str) -> None:
        """Lock a user out: his sessions are worth nothing until he is enabled again."""
        found = self._account(user_id)
        if not found.disabled:
            accounts.set_disabled(self._transaction, found.id, disabled=True)

    def enable(self, user_id: str) -> None:
        """Let a user in again."""
        found = self._account(user_id)
        if found.disabled:
            accounts.set_disabled(self._transaction, found.id, disabled=False)

    def _account(self, user_id: str) -> Account:
        if not authority_of(self._context).is_system:
            raise PolicyDenied(
                "accounts are changed as the system", hint="inside `with ctx.as_system():`"
            )
        found = accounts.account_by_id(self._transaction.select, user_id)
        if found is None:
            raise NotFound("there is no such user")
        return found

    def _set(self, account: Account, roles: frozenset[str]) -> frozenset[str]:
        if roles != account.roles:
            accounts.set_roles(self._transaction, account.id, roles)
        return roles
