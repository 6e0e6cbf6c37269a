"""The doors to the app's functions: how often each caller may come in, and how many are inside.

Callers are counted by what they cannot choose (I72): who is signed in by his account, whatever
token he brings, and everybody else by the network that he asks from. Calls that the app makes
itself (nested, from jobs, from the command line) pass without being counted.
"""

from __future__ import annotations

import math

from pylon import limits
from pylon.app.functions import Function
from pylon.app.rate import Rate
from pylon.clock import Clock
from pylon.errors import RateLimited
from pylon.identity import Identity
from pylon.server.auth.rates import RateLimiter
from pylon.server.quota import Quota


class Doors:
    """Counts calls from outside; one per runtime. A restart forgets what was counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiters: dict[str, tuple[Rate, RateLimiter]] = {}
        #: Actions that are under way for callers.
        self.actions = Quota(
            "actions at one time", limits.ACTIONS_MAX, limits.ACTIONS_PER_USER_MAX,
            limits.ACTIONS_PER_ADDRESS_MAX,
        )  # fmt: skip

    def demand_rate(self, function: Function, identity: Identity, address: str) -> None:
        """Count one call of a function; raises RateLimited where it is one too many."""
        if not identity.is_system:
            key = f"a {address}" if identity.user_id is None else f"u {identity.user_id}"
            self.demand_rate_of(function.name, function.rate, key)

    def demand_rate_of(self, name: str, rate: Rate | None, key: str) -> None:
        """Count one call for a key that its caller can't choose; raises RateLimited."""
        if rate is None:
            return
        try:
            self._limiter(name, rate).demand(key)
        except RateLimited as error:
            after_s = max(1, math.ceil(error.retry_after_s))
            raise RateLimited(
                f"{name} may be called {rate.calls} times in {rate.seconds:g} s; wait {after_s} s",
                retry_after_s=after_s, retry_after=after_s,
            ) from None  # fmt: skip

    def _limiter(self, name: str, rate: Rate) -> RateLimiter:
        found = self._limiters.get(name)
        if found is None or found[0] != rate:  # new, or reloaded with another rate
            limiter = RateLimiter(self._clock, rate.per_second, rate.calls)
            found = self._limiters[name] = (rate, limiter)
        return found[1]
