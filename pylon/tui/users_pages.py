"""The accounts that the Users screen holds: pages by address, and what was read again of them.

Pure. A list of ten thousand is never read whole: a page when it is opened, the next one when the
cursor comes near its end, and again only what is in sight.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

#: Rows of a page, and of one while the end is looked for.
PAGE = 200
LONG_PAGE = 1_000
#: So near the end of what is held the next page is asked for.
_NEAR = 60
#: Rows above and below those in sight that are read again with them.
_MARGIN = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """One question: accounts behind a key that a search line finds."""

    search: str
    after: str
    limit: int


@dataclass(slots=True)
class UserPages:
    """What is held of one search; `key` of a row is its place."""

    search: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    #: How many the runtime found; None before it answered.
    total: int | None = None
    #: There are more behind the last one.
    has_more: bool = True
    #: The end was asked for: the pages until there are read one after another.
    wants_end: bool = False

    def begin(self, search: str) -> None:
        """Begin another search; what is held stays in sight until it is answered."""
        self.search, self.total, self.has_more, self.wants_end = search, None, True, False

    def next_wanted(self, cursor: int, top: int, height: int) -> Wanted:
        """Return what to ask now: a missing page, else what is in sight once more."""
        if self.total is None:
            return Wanted(self.search, "", PAGE)
        if self.has_more and (self.wants_end or cursor + _NEAR >= len(self.rows)):
            after = self.rows[-1]["key"] if self.rows else ""
            return Wanted(self.search, after, LONG_PAGE if self.wants_end else PAGE)
        first = max(0, min(top, len(self.rows)) - _MARGIN)
        after = self.rows[first - 1]["key"] if first else ""
        return Wanted(self.search, after, min(LONG_PAGE, max(1, height) + 2 * _MARGIN))

    def is_missing(self, cursor: int) -> bool:
        """Tell whether a page is wanted that is not held yet."""
        near = self.wants_end or cursor + _NEAR >= len(self.rows)
        return self.total is None or (self.has_more and near)

    def take(self, asked: Wanted, answer: dict[str, Any]) -> bool:
        """Take an answer; False for one to another search than this."""
        # A later page is of a list that was begun anew since.
        if asked.search != self.search or (self.total is None and asked.after):
            return False
        found, more = list(answer["users"]), answer["next"] is not None
        if not all(isinstance(row["key"], str) for row in found):
            raise TypeError("an account has no key")  # which is its place among the others
        if self.total is None:
            self.rows, self.has_more = found, more
        else:
            self._merge(asked.after, found, more=more)
        self.total = int(answer["total"])
        self.wants_end = self.wants_end and self.has_more
        return True

    def _merge(self, after: str, found: list[dict[str, Any]], *, more: bool) -> None:
        """Put what was read in the place of what was held there; what is gone goes."""
        keys = [row["key"] for row in self.rows]
        start = bisect_right(keys, after)
        end = bisect_right(keys, found[-1]["key"]) if more and found else len(keys)
        if not more or end == len(keys):
            self.has_more = more
        self.rows[start:end] = found

    def place_of(self, key: str) -> int:
        """Return where a row of a key stands, or would."""
        return bisect_left([row["key"] for row in self.rows], key)
