"""Who gets the next free reader: whoever had the least of them, and never one caller all.

Start-time fair queueing (Goyal, Vin and Cheng 1996) by time that was used. What does not live here:
the readers themselves (`readers`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque


class FairQueue:
    """Hands out `size` places; an asker who has one never takes the last that is free."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._held: Counter[str] = Counter()
        #: The virtual time of the read that began last.
        self._now = 0.0
        #: By asker: the virtual time at which what he had so far is paid for.
        self._paid: dict[str, float] = {}

    @property
    def free(self) -> int:
        """Return how many places are free."""
        return self._free

    @property
    def waiting(self) -> int:
        """Return how many wait for a place."""
        return sum(map(len, self._waiting.values()))

    async def enter(self, asker: str) -> None:
        """Return once the asker has a place; `leave` gives it back."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append(waiter)
        self._hand_out()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.leave(asker, 0.0)
            else:
                self._forget(asker, waiter)
            raise

    def leave(self, asker: str, seconds: float) -> None:
        """Give a place back that was used for so long."""
        self._free += 1
        self._held[asker] -= 1
        if not self._held[asker]:
            del self._held[asker]
        self._paid[asker] = max(self._now, self._paid.get(asker, 0.0)) + seconds
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and (asker := self._next()) is not None:
            waiter = self._waiting[asker].popleft()
            if not self._waiting[asker]:
                del self._waiting[asker]
            if waiter.cancelled():  # he gave up, and has not come to say so
                continue
            self._now = max(self._now, self._paid.pop(asker, 0.0))
            self._paid = {one: paid for one, paid in self._paid.items() if paid > self._now}
            self._held[asker] += 1
            self._free -= 1
            waiter.set_result(None)

    def _next(self) -> str | None:
        asking = [one for one in self._waiting if self._free > 1 or not self._held[one]]
        return min(
            asking, default=None,
            key=lambda one: (self._held[one], max(self._now, self._paid.get(one, 0.0))),
        )  # fmt: skip

    def _forget(self, asker: str, waiter: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(asker)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            if not waiting:
                del self._waiting[asker]
