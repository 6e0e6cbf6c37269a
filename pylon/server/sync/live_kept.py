"""The values that are kept for who comes next: so many bytes of one caller, and of all.

What gives way is the value that was used least lately: its answer goes on, by the mark of the
value, and runs once more for whoever has to be given it. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from pylon import limits_live

A = TypeVar("A", bound=Hashable)


class Kept(Generic[A]):
    """Which answers have their value kept, of whom, and how large each is."""

    def __init__(self, let_go: Callable[[A], None]) -> None:
        """Make it; `let_go` is called for an answer whose value has to go."""
        self._let_go = let_go
        #: Those used least lately stand first; of all, and of each caller.
        self._all: OrderedDict[A, tuple[str | None, int]] = OrderedDict()
        self._of: dict[str | None, OrderedDict[A, None]] = {}
        self._bytes_of: dict[str | None, int] = {}
        #: Bytes of all of them.
        self.bytes = 0

    def keep(self, answer: A, asker: str | None, size: int) -> None:
        """Take a value in the place of the one before, and let go of others where it is too much.

        Args:
            answer: whose value.
            asker: the caller that it was made for.
            size: bytes.
        """
        self.drop(answer)
        self._all[answer] = (asker, size)
        self._of.setdefault(asker, OrderedDict())[answer] = None
        self._bytes_of[asker] = self._bytes_of.get(asker, 0) + size
        self.bytes += size
        while self._bytes_of.get(asker, 0) > limits_live.LIVE_KEPT_USER_BYTES_MAX:
            self._release(next(iter(self._of[asker])))
        while self.bytes > limits_live.LIVE_KEPT_BYTES_MAX:
            self._release(next(iter(self._all)))

    def use(self, answer: A) -> None:
        """Note that a value was given to somebody."""
        if answer in self._all:
            self._all.move_to_end(answer)
            self._of[self._all[answer][0]].move_to_end(answer)

    def size_of(self, answer: A) -> int:
        """Return the bytes of a value that is kept; 0 for one that is not."""
        return self._all.get(answer, (None, 0))[1]

    def drop(self, answer: A) -> None:
        """Forget a value, if it is kept."""
        asker, size = self._all.pop(answer, (None, None))
        if size is None:
            return
        del self._of[asker][answer]
        self._bytes_of[asker] -= size
        self.bytes -= size
        if not self._of[asker]:
            del self._of[asker], self._bytes_of[asker]

    def _release(self, answer: A) -> None:
        self.drop(answer)
        self._let_go(answer)
