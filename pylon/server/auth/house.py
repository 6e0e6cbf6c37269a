"""All services of identity, built together: for a running runtime, and over a closed database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pylon import limits
from pylon.app.definition import AppDefinition
from pylon.clock import Clock
from pylon.ids import IdSource
from pylon.schema.model import Entity
from pylon.server.auth.accounts import AccountService
from pylon.server.auth.codes import CodeService
from pylon.server.auth.hashing import Hasher
from pylon.server.auth.oauth.client import ProviderClient
from pylon.server.auth.own_data import OwnData
from pylon.server.auth.passwords import PasswordService
from pylon.server.auth.people import People
from pylon.server.auth.rates import RateLimiter
from pylon.server.auth.second_factor import SecondFactor
from pylon.server.auth.sessions import SessionService
from pylon.server.auth.sign_in import SignIn
from pylon.server.storage.database import Database


@dataclass(frozen=True, slots=True)
class IdentityServices:
    """Who is who, and how it is shown."""

    accounts: AccountService
    sessions: SessionService
    codes: CodeService
    passwords: PasswordService
    second_factor: SecondFactor
    sign_in: SignIn
    own_data: OwnData
    people: People
    hasher: Hasher
    oauth: ProviderClient

    async def close(self) -> None:
        """Let workers and connections go."""
        await self.hasher.close()
        await self.oauth.close()


def build_identity(
    database: Database, clock: Clock, ids: IdSource, *,
    user_entity: Callable[[], Entity | None],
    definition: Callable[[], AppDefinition | None] = lambda: None,
    session_days: int = limits.SESSION_DAYS,
    providers: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> IdentityServices:  # fmt: skip
    """Return the services of identity over a database.

    Args:
        database: where accounts are.
        clock: the time.
        ids: makes ids and secrets.
        user_entity: the User entity as it is now.
        definition: the app as it is now; None where it is not loaded.
        session_days: how long a sign-in lasts.
        providers: the settings of those who sign people in elsewhere, by name.
    """

    def rates(at_once: int, per_minute: float) -> RateLimiter:
        return RateLimiter(clock, per_minute / 60, at_once)

    hasher = Hasher()
    accounts = AccountService(database, user_entity, ids)
    sessions = SessionService(database, clock, ids, session_days)
    codes = CodeService(database, sessions, ids, hasher)
    second = SecondFactor(database, ids, rates(limits.TOTP_TRIES, limits.TOTP_TRIES_PER_MINUTE))
    passwords = PasswordService(
        database, hasher,
        of_account=rates(limits.PASSWORD_TRIES, limits.PASSWORD_TRIES_PER_MINUTE),
        of_network=rates(limits.PASSWORD_TRIES_NETWORK, limits.PASSWORD_TRIES_PER_MINUTE),
    )  # fmt: skip
    own_data = OwnData(database, user_entity)
    return IdentityServices(
        accounts, sessions, codes, passwords, second,
        SignIn(database, accounts, sessions, second), own_data,
        People(accounts, sessions, codes, second, own_data, definition), hasher,
        ProviderClient(providers, clock),
    )  # fmt: skip
