"""Answers that must run again, in the order of their turns: askers in a circle, each his oldest.

So a caller who follows a hundred functions that every commit turns delays another's by one run, not
by a hundred. Pure.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final, Generic, TypeVar

A = TypeVar("A")
#: Of an answer with many members, so many are looked at for the shortest line.
_LOOKED_AT: Final = 8


class Turn(Enum):
    """What becomes of an answer whose turn it is."""

    RUN = "run"
    WAIT = "wait"
    DROP = "drop"


class Due(Generic[A]):
    """Lines of what is due, one for each asker."""

    def __init__(self) -> None:
        #: The asker whose turn comes next stands first.
        self._lines: OrderedDict[str | None, deque[A]] = OrderedDict()

    def __iter__(self) -> Iterator[A]:
        """Yield all of them."""
        for line in self._lines.values():
            yield from line

    def add(self, one: A, askers: Iterable[str | None]) -> None:
        """Put one behind the others of whichever of these askers has the fewest of them."""
        looked_at = [asker for asker, _ in zip(askers, range(_LOOKED_AT), strict=False)]
        asker = min(looked_at, key=lambda each: len(self._lines.get(each, ())))
        self._lines.setdefault(asker, deque()).append(one)

    def take(self, judge: Callable[[A], Turn]) -> A | None:
        """Take the next that may run out of its line; None where there is none."""
        for _ in range(len(self._lines)):
            asker, line = self._lines.popitem(last=False)
            found = _first(line, judge)
            if line:
                self._lines[asker] = line  # behind the others
            if found is not None:
                return found
        return None


def _first(line: deque[A], judge: Callable[[A], Turn]) -> A | None:
    for _ in range(len(line)):
        one = line.popleft()
        turn = judge(one)
        if turn is Turn.RUN:
            return one
        if turn is Turn.WAIT:
            line.append(one)
    return None
