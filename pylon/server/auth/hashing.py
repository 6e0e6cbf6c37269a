"""Slow hashes, off the loop and few at a time: what a stolen file must not give away by guessing.

A magic code has 39 bits, which a plain hash gives away in a minute, well within its ten. So it goes
through scrypt, and what a browser asked for is keyed with that browser's secret besides, which no
file holds. Passwords go through argon2id.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from pylon import limits
from pylon.errors import Unavailable
from pylon.server.auth.tokens import plain_code

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")
#: As OWASP asks for: two passes over 19 MiB.
_ARGON2_PASSES, _ARGON2_KIB = 2, 19_456
#: 8 MiB and about 20 ms each.
_SCRYPT_N, _SCRYPT_R = 2**13, 8
_SCRYPT_BYTES: Final = 2 * 128 * _SCRYPT_N * _SCRYPT_R


class Hasher:
    """Runs slow hashes on its own threads; one per runtime."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Return how many run or wait."""
        return self._waiting

    async def run(self, work: Callable[[], T]) -> T:
        """Run a slow hash; raises Unavailable where too many wait already."""
        if self._waiting >= limits.HASHES_WAITING_MAX:
            raise Unavailable("too many sign-ins at once", reason="busy")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(
                limits.HASHES_AT_ONCE, thread_name_prefix="pylon-hash"
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    async def code(self, email: str, code: str) -> bytes:
        """Return the slow hash of a code for an address; `keyed` makes of it what is stored."""
        return await self.run(lambda: slow_code_hash(email, code))

    async def password(self, password: str) -> str:
        """Return the argon2id hash of a password, with its parameters and salt."""
        return await self.run(lambda: _argon2().hash(password))

    async def is_password(self, stored: str | None, password: str) -> tuple[bool, str | None]:
        """Tell whether a password is the one of a hash, and what to store instead, if anything.

        Without a hash one is made all the same: the time tells nobody who has an account.
        """
        return await self.run(lambda: _is_password(stored, password))

    async def close(self) -> None:
        """End the threads; what they work on they finish."""
        if self._threads is not None:
            self._threads.shutdown(wait=True)
            self._threads = None


def _argon2() -> PasswordHasher:
    # Imported late: the password of nobody needs it.
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_ARGON2_PASSES, memory_cost=_ARGON2_KIB, parallelism=1)


def _is_password(stored: str | None, password: str) -> tuple[bool, str | None]:
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = _argon2()
    if stored is None:
        hasher.hash(password)
        return False, None
    try:
        hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False, None
    return True, hasher.hash(password) if hasher.check_needs_rehash(stored) else None


def slow_code_hash(email: str, code: str) -> bytes:
    """Return the slow hash of a code; it is compared without case, spaces and dashes."""
    return hashlib.scrypt(
        plain_code(code).encode("utf-8", "replace"), salt=b"pylon code " + email.encode(),
        n=_SCRYPT_N, r=_SCRYPT_R, p=1, maxmem=_SCRYPT_BYTES, dklen=32,
    )  # fmt: skip


def keyed(slow_hash: bytes, browser_secret: str | None) -> bytes:
    """Return what is stored of a code: keyed with the secret of the browser that asked for it."""
    key = (browser_secret or "").encode("utf-8", "replace")
    return hmac.digest(key or b"program", slow_hash, "sha256")
