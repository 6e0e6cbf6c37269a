"""What callers may do at once and over time, by the settings: quotas and rates of a runtime."""

from __future__ import annotations

from typing import TypedDict

from pylon import limits
from pylon.clock import Clock
from pylon.server.auth.rates import RateLimiter
from pylon.server.config import ServerConfig
from pylon.server.quota import Quota, Quotas

_HOUR_SECONDS = 3600


class Rates(TypedDict):
    """The limiters of `Services`, by their names there."""

    sign_in_rates: RateLimiter
    auth_rates: RateLimiter
    code_rates: RateLimiter
    new_account_rates: RateLimiter
    data_rates: RateLimiter | None


def rates_of(config: ServerConfig, clock: Clock) -> Rates:
    """Return how often each kind of request may come."""

    def rates(per_second: float, at_once: int) -> RateLimiter:
        return RateLimiter(clock, per_second, at_once)

    def hourly(count: int) -> RateLimiter:
        return rates(count / _HOUR_SECONDS, count)

    per_second = config["limits.requests_per_second"]
    return Rates(
        sign_in_rates=rates(limits.SIGN_INS_PER_SECOND, limits.SIGN_INS_AT_ONCE),
        auth_rates=rates(limits.AUTH_CALLS_PER_SECOND, limits.AUTH_CALLS_AT_ONCE),
        code_rates=hourly(limits.CODES_PER_ADDRESS_HOUR),
        new_account_rates=hourly(limits.NEW_ACCOUNTS_PER_ADDRESS),
        data_rates=rates(per_second, per_second * 2) if per_second else None,
    )


def quotas_of(config: ServerConfig) -> Quotas:
    """Return how much there may be of what connections hold."""

    def quota(what: str) -> Quota:
        return Quota(
            what, config[f"limits.{what}"], config[f"limits.{what}_per_user"],
            config[f"limits.{what}_per_address"],
        )  # fmt: skip

    return Quotas(
        quota("sockets"), quota("subscriptions"), quota("snapshots"),
        config["limits.subscriptions_per_socket"],
    )  # fmt: skip
