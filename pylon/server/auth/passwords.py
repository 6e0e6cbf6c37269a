"""Passwords, where an app turns them on: registered, proven, changed.

A password proves an account and no address: whoever registers first has not shown that the mails
are his. When somebody does, what was planted before is cleared (`accounts.clear_planted`).
Somebody unknown costs the same hash as somebody known.
"""

from __future__ import annotations

from typing import Any

from pylon.errors import Conflict
from pylon.identity import Identity
from pylon.server.auth.addresses import normalise_email
from pylon.server.auth.hashing import Hasher
from pylon.server.auth.rates import RateLimiter
from pylon.server.auth.sessions import caller_in
from pylon.server.auth.sign_in import Proof, Prover
from pylon.server.auth.strength import checked_password, normalised_password
from pylon.server.storage import accounts, credentials, login_sessions
from pylon.server.storage.accounts import Account
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction


class PasswordService:
    """Makes proofs of passwords, and changes them; one per runtime."""

    def __init__(
        self, database: Database, hasher: Hasher, of_account: RateLimiter, of_network: RateLimiter
    ) -> None:
        """Make the service.

        Args:
            database: where hashes are stored.
            hasher: runs argon2id.
            of_account: tries of one address, whether it has an account or not.
            of_network: the same by one network: less, so that one leaves the person some.
        """
        self._database = database
        self._hasher = hasher
        self._of_account = of_account
        self._of_network = of_network

    def _rows(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._database.readers.inline.rows(sql, params)

    async def registration(self, email: object, password: object) -> Prover:
        """Return what makes a new account with a password, whose address nobody has proven.

        Raises InvalidArgument; the proof raises Conflict where the address has an account.
        """
        address = normalise_email(email)
        hashed = await self._hasher.password(checked_password(password, address))

        def settle(transaction: Transaction, account: Account) -> None:
            credentials.set_password(transaction, account.id, hashed)

        def prove(transaction: Transaction) -> Proof:
            if accounts.account_by_email(transaction.select, address) is not None:
                raise Conflict(
                    "this address has an account", hint="sign in, with a code by mail perhaps",
                    fields=["email"],
                )  # fmt: skip
            return Proof(method="password", email=address, settle=settle)

        return prove

    async def proof(self, email: object, password: object, network: str) -> Prover:
        """Return what proves an account by its password; raises RateLimited, InvalidArgument."""
        address, given = normalise_email(email), normalised_password(password)
        self._of_network.demand(f"{network} {address}")
        self._of_account.demand(address)
        account = accounts.account_by_email(self._rows, address)
        stored = None if account is None else credentials.password_of(self._rows, account.id)
        is_right, better = await self._hasher.is_password(stored, given)

        def prove(transaction: Transaction) -> Proof | None:
            if account is None or not is_right:
                return None
            if credentials.password_of(transaction.select, account.id) != stored:
                return None  # changed while it was hashed
            if better is not None:
                credentials.set_password(transaction, account.id, better)
            return Proof(method="password", user_id=account.id)

        return prove

    async def is_password_of(self, account: Account, password: object, network: str) -> bool:
        """Tell whether a password is an account's; raises RateLimited, InvalidArgument."""
        given = normalised_password(password)
        self._of_network.demand(f"{network} {account.id}")
        self._of_account.demand(account.id)
        stored = credentials.password_of(self._rows, account.id)
        is_right, _ = await self._hasher.is_password(stored, given)
        return is_right

    def has_password(self, user_id: str) -> bool:
        """Tell whether an account has a password."""
        return credentials.password_of(self._rows, user_id) is not None

    async def hashed(self, account: Account, password: object) -> str:
        """Return the hash of a new password; raises InvalidArgument."""
        return await self._hasher.password(checked_password(password, account.email))

    async def change(self, account: Account, password: object, caller: Identity) -> None:
        """Give the caller's account a password; its other sessions end.

        Raises InvalidArgument, and Unauthenticated where the caller is out by now.
        """
        hashed = await self.hashed(account, password)

        def work(transaction: Transaction) -> None:
            caller_in(transaction, caller)
            credentials.set_password(transaction, account.id, hashed)
            login_sessions.delete_sessions_of(
                transaction, account.id, "password_changed", keep=caller.session_id
            )

        await self._database.writer.submit(work)

    async def reset(self, prove_address: Prover, email: object, password: object) -> Prover:
        """Return what proves an address and gives its account a password; its sessions end."""
        address = normalise_email(email)
        hashed = await self._hasher.password(checked_password(password, address))

        def settle(transaction: Transaction, account: Account) -> None:
            credentials.set_password(transaction, account.id, hashed)
            login_sessions.delete_sessions_of(transaction, account.id, "password_changed")

        def prove(transaction: Transaction) -> Proof | None:
            proof = prove_address(transaction)
            if proof is None:
                return None
            return Proof(method="magic", email=address, is_address_proven=True, settle=settle)

        return prove
