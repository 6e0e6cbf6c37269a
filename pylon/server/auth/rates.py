"""Rates per key that a caller cannot choose: token buckets, bounded in number."""

from __future__ import annotations

from collections import OrderedDict

from pylon.clock import Clock
from pylon.errors import RateLimited

_KEYS_MAX = 50_000


class RateLimiter:
    """Allows `per_second` on average and `burst` at once, for each key alone."""

    def __init__(self, clock: Clock, per_second: float, burst: float) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def demand(self, key: str) -> None:
        """Take one; raises RateLimited where none is left."""
        now = self._clock.monotonic()
        left, at = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        if len(self._buckets) >= _KEYS_MAX:
            self._buckets.popitem(last=False)
        if left < 1:
            self._buckets[key] = (left, now)
            raise RateLimited(retry_after_s=(1 - left) / self._per_second)
        self._buckets[key] = (left - 1, now)
