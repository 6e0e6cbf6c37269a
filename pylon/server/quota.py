"""How many of a thing there may be: in all, of one user and of one address.

Pure. What does not live here: rates over time (`auth.rates`), and what one socket may have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pylon import limits, limits_live
from pylon.errors import RateLimited

_RETRY_SECONDS = 5.0


class Quota:
    """Counts things by whom they belong to; who has too many gets no more (I50, I52)."""

    def __init__(self, what: str, total: int, per_user: int, per_address: int) -> None:
        """Make a quota.

        Args:
            what: names the things in the refusal.
            total: how many there may be in all.
            per_user: how many of one user; anonymous callers are counted by address alone.
            per_address: how many of one address.
        """
        self._what = what
        self._total = total
        self._per_user = per_user
        self._per_address = per_address
        self._users: dict[str, int] = {}
        self._addresses: dict[str, int] = {}
        #: How many there are.
        self.count = 0

    def demand(self, user: str, address: str, more: int = 1) -> None:
        """Raise RateLimited where so many more would be too many."""
        whose = None
        if user and self._users.get(user, 0) + more > self._per_user:
            whose = "of one user"
        elif self._addresses.get(address, 0) + more > self._per_address:
            whose = "of one address"
        elif self.count + more > self._total:
            whose = "in all"
        if whose is not None:
            raise RateLimited(
                f"too many {self._what} {whose}", retry_after_s=_RETRY_SECONDS, limit=self._what
            )

    def add(self, user: str, address: str, more: int = 1) -> None:
        """Count so many more; fewer where it is negative."""
        self.count += more
        for table, key in ((self._users, user), (self._addresses, address)):
            table[key] = table.get(key, 0) + more
            if table[key] <= 0:
                del table[key]


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of a runtime's connections."""

    sockets: Quota = field(
        default_factory=lambda: Quota(
            "sockets", limits.SOCKETS_MAX, limits.SOCKETS_PER_USER_MAX,
            limits.SOCKETS_PER_ADDRESS_MAX,
        )
    )  # fmt: skip
    subscriptions: Quota = field(
        default_factory=lambda: Quota(
            "subscriptions", limits.SUBSCRIPTIONS_TOTAL_MAX, limits.SUBSCRIPTIONS_PER_USER_MAX,
            limits.SUBSCRIPTIONS_PER_ADDRESS_MAX,
        )
    )  # fmt: skip
    #: Pages of a snapshot over HTTP that are under way.
    snapshots: Quota = field(
        default_factory=lambda: Quota(
            "snapshots", limits.SNAPSHOTS_MAX, limits.SNAPSHOTS_PER_USER_MAX,
            limits.SNAPSHOTS_PER_ADDRESS_MAX,
        )
    )  # fmt: skip
    subscriptions_per_socket: int = limits.SUBSCRIPTIONS_MAX
    #: Arguments of followed functions.
    live_args: Quota = field(
        default_factory=lambda: Quota(
            "bytes of arguments", limits_live.LIVE_ARGS_TOTAL_BYTES_MAX,
            limits_live.LIVE_ARGS_USER_BYTES_MAX, limits_live.LIVE_ARGS_ADDRESS_BYTES_MAX,
        )
    )  # fmt: skip
