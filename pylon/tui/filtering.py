"""The line that filters a list: words, `column:value`, a `!` before them; pure.

A column is what the list draws under a head: the same line that is seen is looked at, whole. Jobs,
runs, files and accounts are searched by their runtime instead; of those only the names are here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pylon.tui.columns import WHOLE, Column

#: What could be meant to name a column: no time of day, and no address.
_NAMING: Final = re.compile(r"(?:^\s*!|(?<!\S))([A-Za-z/][\w/-]*):(?!//)")


def name_of(head: str) -> str:
    """Return what a head is called in a filter: `LAST SEEN` is last-seen."""
    return head.lower().strip("/").replace(" ", "-")


def key_of(name: str) -> str:
    """Return a name as it is compared: last-seen, last_seen and LastSeen are one."""
    return "".join(filter(str.isalnum, name.lower()))


@lru_cache(maxsize=8)
def _parsed(terms: str) -> tuple[bool, tuple[tuple[str, str, str], ...]]:
    """Return whether a line is turned round, and (word, key, value) of each word of it."""
    line = terms.strip().lower()
    words = []
    for word in line.removeprefix("!").split():
        name, colon, value = word.partition(":")
        words.append((word, key_of(name) if colon else "", value))
    return line.startswith("!"), tuple(words)


def text_of(row: Mapping[str, Any]) -> str:
    """Return what words without a column look at: every value of a row."""
    return " ".join(str(value) for value in row.values())


class Filter:
    """Which rows of a list pass a filter line."""

    def __init__(
        self, names: Iterable[str], cell: Callable[[Any, str], str],
        text: Callable[[Any], str] = text_of,
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            names: of the columns, as they are shown.
            cell: returns the text of a row in the column of a key; empty where it has none.
            text: returns what words without a column look at.
        """
        self.names = tuple(names)
        self._keys = frozenset(map(key_of, self.names))
        self._cell = cell
        self._text = text

    def has(self, row: Any, word: tuple[str, str, str]) -> bool:
        """Tell whether a row has a word, in the column that it names or anywhere."""
        whole, key, value = word
        if key in self._keys:
            return value in self._cell(row, key).lower()
        return whole in self._text(row).lower()

    def passes(self, row: Any, terms: str) -> bool:
        """Tell whether a row has all words of a line; a `!` before the line turns it round."""
        return passes_any(((self, row),), terms)


def passes_any(ways: Sequence[tuple[Filter, Any]], terms: str) -> bool:
    """Tell whether each word of a line is found in one of several rows that belong together."""
    is_inverse, words = _parsed(terms)
    if not words:
        return True
    return all(any(one.has(row, word) for one, row in ways) for word in words) is not is_inverse


def listed(
    columns: Sequence[Column], line: Callable[[Any, int], Sequence[tuple[str, str]]], *,
    more: Mapping[str, Callable[[Any], Any]] | None = None, text: Callable[[Any], str] = text_of,
) -> Filter:  # fmt: skip
    """Return the filter of a list.

    Args:
        columns: of the list, all of them.
        line: draws a row.
        more: what else a word can name, or names otherwise than it is drawn.
        text: returns what words without a column look at.
    """
    more = more or {}
    keys = [key_of(one.head) for one in columns]
    others = {key_of(name): value for name, value in more.items()}

    def cell(row: Any, key: str) -> str:
        if key in others:  # without drawing: a stream of changes is looked at as fast as it comes
            return str(others[key](row) or "")
        return line(row, WHOLE)[keys.index(key)][0]

    heads = [name_of(one.head) for one in columns if one.head]
    return Filter(dict.fromkeys([*heads, *more]), cell, text)


def unnamed(line: str, names: Sequence[str]) -> tuple[int, str] | None:
    """Return where a line names a column that is none, and what there are; None where it does not.

    The word is looked for as text then, as it stands: it may be meant so.
    """
    known = set(map(key_of, names))
    for found in _NAMING.finditer(line):
        if key_of(found[1]) not in known:
            words = f"no column {found[1]}: it is looked for as text. Columns: {' '.join(names)}"
            return found.start(1), words
    return None
