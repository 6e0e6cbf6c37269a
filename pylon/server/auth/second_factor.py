"""The second factor: enrolled, confirmed, asked for at every sign-in, replaced by recovery codes.

A secret counts from its first right code on. Each code works once: neither its time step nor one
before is taken again. Tries are bounded per account, however parallel.
"""

from __future__ import annotations

from typing import Any

from pylon.errors import Conflict, InvalidArgument, Unauthenticated
from pylon.identity import Identity
from pylon.ids import IdSource
from pylon.server.auth.rates import RateLimiter
from pylon.server.auth.sessions import caller_in
from pylon.server.auth.tokens import new_recovery_code, plain_code, token_hash
from pylon.server.auth.totp import SECRET_BYTES, matching_step
from pylon.server.storage import credentials
from pylon.server.storage.credentials import Totp
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

_RECOVERY_CODES = 10
_CHARACTERS_MAX = 64


class SecondFactor:
    """Enrols and asks second factors; one per runtime."""

    def __init__(self, database: Database, ids: IdSource, tries: RateLimiter) -> None:
        self._database = database
        self._ids = ids
        self._tries = tries

    def _rows(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._database.readers.inline.rows(sql, params)

    def is_enrolled(self, user_id: str) -> bool:
        """Tell whether an account is asked for a second factor."""
        return self.is_asked(self._rows, user_id)

    def is_asked(self, rows: Any, user_id: str) -> bool:
        """Tell the same, inside a transaction."""
        found = credentials.totp_of(rows, user_id)
        return found is not None and found.is_confirmed

    def recovery_left(self, user_id: str) -> int:
        """Return how many recovery codes are left."""
        return credentials.recovery_left(self._rows, user_id)

    async def enrol(self, user_id: str, caller: Identity) -> bytes:
        """Return a new secret that waits for its first code.

        Raises Conflict where one counts, and Unauthenticated where the caller is out by now.
        """
        secret = self._ids.random_bytes(SECRET_BYTES)

        def work(transaction: Transaction) -> None:
            caller_in(transaction, caller)
            if self.is_asked(transaction.select, user_id):
                raise Conflict("there is a second factor already", hint="remove it first")
            credentials.set_totp(transaction, user_id, Totp(secret, is_confirmed=False, step=0))

        await self._database.writer.submit(work)
        return secret

    async def confirm(self, user_id: str, code: object, caller: Identity) -> list[str]:
        """Take a secret's first code; returns the recovery codes, which are shown once.

        Raises Unauthenticated for a wrong code, RateLimited.
        """
        typed = _typed(code)
        self._tries.demand(user_id)
        recovery = [new_recovery_code(self._ids.random_bytes) for _ in range(_RECOVERY_CODES)]

        def work(transaction: Transaction) -> None:
            caller_in(transaction, caller)
            found = credentials.totp_of(transaction.select, user_id)
            if found is None or found.is_confirmed:
                raise Conflict("there is no second factor that waits for its first code")
            step = matching_step(found.secret, typed, transaction.machine_ms, found.step)
            if step is None:
                raise Unauthenticated("the code is wrong", hint="is the clock of the phone right?")
            credentials.set_totp(transaction, user_id, Totp(found.secret, True, step))  # noqa: FBT003
            hashes = [token_hash(f"{user_id} {plain_code(one)}") for one in recovery]
            credentials.set_recovery(transaction, user_id, hashes)

        await self._database.writer.submit(work)
        return recovery

    def check_in(self, transaction: Transaction, user_id: str, code: object) -> bool:
        """Take a code or a recovery code of an account, once; tells whether it is right.

        Raises RateLimited after too many tries, right or wrong.
        """
        typed = _typed(code)
        self._tries.demand(user_id)
        found = credentials.totp_of(transaction.select, user_id)
        if found is None or not found.is_confirmed:
            return False
        step = matching_step(found.secret, typed, transaction.machine_ms, found.step)
        if step is not None:
            credentials.set_totp(transaction, user_id, Totp(found.secret, True, step))  # noqa: FBT003
            return True
        hashed = token_hash(f"{user_id} {plain_code(typed)}")
        return credentials.use_recovery(transaction, user_id, hashed)

    async def check(self, user_id: str, code: object) -> bool:
        """Do the same in a transaction of its own."""
        committed = await self._database.writer.submit(
            lambda transaction: self.check_in(transaction, user_id, code)
        )
        return bool(committed.value)

    async def remove(self, user_id: str, caller: Identity | None = None) -> bool:
        """Take the second factor away, with its recovery codes; tells whether it was there.

        Raises Unauthenticated where a caller who asks for it is out by now; the owner is None.
        """

        def work(transaction: Transaction) -> bool:
            if caller is not None:
                caller_in(transaction, caller)
            return credentials.delete_totp(transaction, user_id)

        return bool((await self._database.writer.submit(work)).value)


def _typed(code: object) -> str:
    if not isinstance(code, str) or not 0 < len(code) <= _CHARACTERS_MAX:
        raise InvalidArgument("totp is a code of the second factor", field="totp")
    return code
