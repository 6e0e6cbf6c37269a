"""Accounts as a service: found, made with their User rows, given roles, disabled.

What does not live here: how somebody proves who he is (`sign_in` and the modules around it).
Live connections are told by a notice of the transaction, after its commit (`sessions`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylon.errors import NotFound
from pylon.ids import IdSource
from pylon.schema.model import Entity
from pylon.schema.validate import validate_insert
from pylon.server.auth.addresses import normalise_email
from pylon.server.storage import account_pages, accounts, credentials, login_sessions
from pylon.server.storage.account_pages import AccountPage, AccountSummary
from pylon.server.storage.accounts import Account
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction


class AccountService:
    """Finds and changes accounts; one per runtime."""

    def __init__(
        self, database: Database, user_entity: Callable[[], Entity | None], ids: IdSource
    ) -> None:
        self._database = database
        self._user_entity = user_entity
        self._ids = ids

    # --- finding

    def _rows(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._database.readers.inline.rows(sql, params)

    def find(self, who: str) -> Account | None:
        """Return the account of an address or a user id."""
        if "@" in who:
            return accounts.account_by_email(self._rows, normalise_email(who))
        return accounts.account_by_id(self._rows, who)

    def listed(self, limit: int = 1000) -> list[Account]:
        """Return accounts by address (`storage.accounts.list_accounts`)."""
        return accounts.list_accounts(self._rows, limit)

    async def page(self, search: str, *, after: str, limit: int) -> AccountPage:
        """Return a page of those that a search line finds (`account_pages.read_page`)."""
        now_ms = self._database.clock.now_ms()
        return await self._database.readers.run(
            lambda reads: account_pages.read_page(
                reads.rows, search, after=after, limit=limit, now_ms=now_ms
            )
        )

    def summary(self, account: Account) -> AccountSummary:
        """Return an account with its state and what it has."""
        return account_pages.read_summary(self._rows, account, self._database.clock.now_ms())

    # --- making

    def ensure_in(self, transaction: Transaction, email: str, *, is_proven: bool = True) -> Account:
        """Return the account of a normalised address, created with its User row where it is new.

        Args:
            transaction: the operation.
            email: the address, normalised.
            is_proven: what a new account is: False where nobody showed that the address is his.
        """
        found = accounts.account_by_email(transaction.select, email)
        return found or self.create_in(transaction, email, is_proven=is_proven)

    def create_in(
        self, transaction: Transaction, email: str | None, *, is_proven: bool = True,
        is_guest: bool = False,
    ) -> Account:  # fmt: skip
        """Create an account with its User row; None: it has no address."""
        user_id = self._ids.uuid7()
        entity = self._user_entity()
        if entity is not None:  # before the first start `complete_users` adds the row later
            self._insert_user(transaction, entity, user_id, email)
        return accounts.insert_account(
            transaction, user_id, email, is_proven=is_proven, is_guest=is_guest
        )

    def _insert_user(
        self, transaction: Transaction, entity: Entity, user_id: str, email: str | None
    ) -> None:
        name = email.partition("@")[0] if email else "guest"
        values = {"name": name} if "name" in entity.by_name else {}
        before = transaction.actor, transaction.cause
        transaction.actor, transaction.cause = None, "auth"
        row = validate_insert(
            entity, values, now=transaction.now, actor=user_id, new_id=lambda: user_id,
            row_id=user_id,
        )  # fmt: skip
        transaction.insert(entity, row)
        transaction.actor, transaction.cause = before

    async def complete_users(self) -> None:
        """Give accounts that were made before the first start their User rows."""

        def work(transaction: Transaction) -> None:
            entity = self._user_entity()
            assert entity is not None
            for account in accounts.list_accounts(transaction.select, limit=None):
                if transaction.get(entity, account.id) is None:
                    self._insert_user(transaction, entity, account.id, account.email)

        await self._database.writer.submit(work)

    async def ensure(self, email: str, roles: frozenset[str] | None = None) -> Account:
        """Return the account of an address, created where it is new; `roles` replace its own."""
        email = normalise_email(email)

        def work(transaction: Transaction) -> Account:
            account = self.ensure_in(transaction, email)
            return account if roles is None else self.set_roles_in(transaction, account, roles)

        account: Account = (await self._database.writer.submit(work)).value
        return account

    def proven_in(self, transaction: Transaction, account: Account) -> Account:
        """Return an account whose address somebody showed to be his, cleared if he is the first."""
        if account.is_proven:
            return account
        clear_planted(transaction, account)
        accounts.set_proven(transaction, account.id)
        found = accounts.account_by_id(transaction.select, account.id)
        assert found is not None
        return found

    async def vouch(self, email: str) -> Account:
        """Return the account of the person who has an address, as the owner knows him.

        It is made where it is new; whoever registered the address before loses it.
        """
        email = normalise_email(email)

        def work(transaction: Transaction) -> Account:
            return self.proven_in(transaction, self.ensure_in(transaction, email))

        account: Account = (await self._database.writer.submit(work)).value
        return account

    # --- changing

    def set_roles_in(
        self, transaction: Transaction, account: Account, roles: frozenset[str]
    ) -> Account:
        """Give an account these roles and no others; returns it as it is then."""
        if roles == account.roles:
            return account
        accounts.set_roles(transaction, account.id, roles)
        found = accounts.account_by_id(transaction.select, account.id)
        assert found is not None
        return found

    async def change_role(self, who: str, role: str, *, grant: bool) -> Account:
        """Grant a role, or take it back; live connections are told at once."""
        account = self._demanded(who)

        def work(transaction: Transaction) -> Account:
            # Of those it has inside the transaction: two changes at once both count.
            now = accounts.account_by_id(transaction.select, account.id)
            if now is None:
                raise NotFound(f"there is no account {who}")
            roles = now.roles | {role} if grant else now.roles - {role}
            return self.set_roles_in(transaction, now, roles)

        changed: Account = (await self._database.writer.submit(work)).value
        return changed

    async def set_disabled(self, who: str, *, disabled: bool) -> Account:
        """Disable an account, whose sessions end for as long, or enable it again."""
        account = self._demanded(who)

        def work(transaction: Transaction) -> None:
            accounts.set_disabled(transaction, account.id, disabled=disabled)

        await self._database.writer.submit(work)
        return self._demanded(account.id)

    def _demanded(self, who: str) -> Account:
        account = self.find(who)
        if account is None:
            raise NotFound(f"there is no account {who}", hint="pylon users lists them")
        return account


def clear_planted(transaction: Transaction, account: Account, reason: str = "taken_over") -> None:
    """Clear what somebody left in an account before the address was proven to be another's.

    Its password, second factor, identities at providers, sessions and tokens stop working.
    """
    credentials.delete_credentials(transaction, account.id)
    login_sessions.delete_sessions_of(transaction, account.id, reason)
