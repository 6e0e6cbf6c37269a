"""The tail of a stream that a filter lets through, kept as it grows; pure.

A row is looked at once, when it is new, however often the list is drawn and however many are held:
at 50,000 lines a second a screen that looked at all of them eight times a second would do nothing
else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any


class Tail:
    """The rows of a bounded stream that pass a filter."""

    def __init__(self, passes: Callable[[Any, str], bool]) -> None:
        """Make it; `passes(row, terms)` tells whether a filter line lets a row through."""
        self._passes = passes
        self._of: deque[Any] | None = None
        self._terms = ""
        self._seen = 0
        #: The number of each row in the stream, as the rows stand.
        self._numbers: list[int] = []
        self._rows: list[Any] = []

    def rows(self, kept: deque[Any], seen: int, terms: str) -> list[Any]:
        """Return what passes of `kept`, the last ones of `seen` that ever came."""
        first = seen - len(kept)
        if kept is not self._of or terms != self._terms or seen < self._seen:
            self._of, self._terms, self._seen = kept, terms, first
            self._numbers, self._rows = [], []
        start = max(self._seen, first)
        for number, row in enumerate(islice(kept, start - first, None), start):
            if self._passes(row, terms):
                self._numbers.append(number)
                self._rows.append(row)
        self._seen = seen
        gone = bisect_left(self._numbers, first)
        del self._numbers[:gone]
        del self._rows[:gone]
        return self._rows.copy()  # whoever shows it compares it with the next
