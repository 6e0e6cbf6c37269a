"""The search line of the owner's lists: words that must all be found, `name:x`, `!` before.

One meaning for jobs, runs of workflows and files, on the dashboard and in commands. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_WORDS_MAX: Final = 10


def condition_of(
    line: str, named: Mapping[str, str], more: Sequence[str], *, first: int
) -> tuple[str, list[str]]:
    """Return the SQL condition of a search line, and its parameters.

    Args:
        line: words that must all be in one of the columns; `name:x` looks at the beginning of one
            of them; a `!` before the line turns it round. Ten words count.
        named: the SQL expression of each column that a word can name.
        more: expressions that words without a name look at, too.
        first: the number of the condition's first parameter.
    """
    found = line.strip().lower()
    parts, params = [], []
    for place, word in enumerate(found.removeprefix("!").split()[:_WORDS_MAX], first):
        column, colon, value = word.partition(":")
        if colon and column in named:
            parts.append(f"instr(lower({named[column]}), ?{place}) = 1")
        else:
            value = word
            places = (f"instr(lower({one}), ?{place})" for one in (*named.values(), *more))
            parts.append(f"({' OR '.join(places)})")
        params.append(value)
    if not parts:
        return "1", []
    whole = f"({' AND '.join(parts)})"
    return f"NOT {whole}" if found.startswith("!") else whole, params
