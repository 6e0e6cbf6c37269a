"""One's own account, whole: what it is, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylon.clock import iso_ms
from pylon.errors import NotFound
from pylon.identity import Identity
from pylon.schema.model import Entity
from pylon.server.auth.sessions import caller_in
from pylon.server.storage import (
    accounts,
    clients,
    codes,
    credentials,
    files,
    login_sessions,
    operations,
)
from pylon.server.storage.accounts import Account
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction


class OwnData:
    """Tells what an account has, and deletes it; one per runtime."""

    def __init__(self, database: Database, user_entity: Callable[[], Entity | None]) -> None:
        self._database = database
        self._user_entity = user_entity

    def _rows(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._database.readers.inline.rows(sql, params)

    def account_json(self, account: Account) -> dict[str, Any]:
        """Return what an account is and what signs it in; no secret."""
        totp = credentials.totp_of(self._rows, account.id)
        linked = credentials.identities_of(self._rows, account.id)
        return {
            "user_id": account.id, "email": account.email, "roles": sorted(account.roles),
            "is_guest": account.is_guest, "is_proven": account.is_proven,
            "created_at": iso_ms(account.created_at_ms),
            "password": credentials.password_of(self._rows, account.id) is not None,
            "totp": totp is not None and totp.is_confirmed,
            "recovery_left": credentials.recovery_left(self._rows, account.id),
            "identities": [
                {"issuer": issuer, "subject": subject, "email": email}
                for issuer, subject, email in linked
            ],
        }  # fmt: skip

    async def delete(self, user_id: str, caller: Identity | None = None) -> None:
        """Delete an account with its User row and all that its references ask for.

        Its sessions, credentials, codes and remembered operations go in the same transaction.
        Raises NotFound, Unauthenticated where a caller who asks for it is out by now (the owner
        is None), and Conflict where a row refers to the user with on_delete="restrict".
        """

        def work(transaction: Transaction) -> None:
            if caller is not None:
                caller_in(transaction, caller)
            self.delete_in(transaction, user_id)

        await self._database.writer.submit(work)

    def delete_in(self, transaction: Transaction, user_id: str, *, cause: str = "auth") -> None:
        """Delete an account in a transaction; raises NotFound and Conflict."""
        account = accounts.account_by_id(transaction.select, user_id)
        if account is None:
            raise NotFound("there is no such account")
        transaction.actor, transaction.cause = user_id, cause
        entity = self._user_entity()
        row = None if entity is None else transaction.get(entity, user_id)
        if entity is not None and row is not None:
            transaction.delete(entity, row)
        login_sessions.delete_sessions_of(transaction, user_id, "deleted")
        credentials.delete_credentials(transaction, user_id)
        if account.email is not None:
            codes.delete_codes_of(transaction, account.email)
        operations.forget_principal(transaction, user_id)
        clients.forget_principal(transaction, user_id)
        files.forget_principal(transaction, user_id)
        accounts.delete_account(transaction, user_id)
