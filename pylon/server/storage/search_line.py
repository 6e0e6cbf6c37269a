"""The search line of the owner's lists: words that must all be found, `name:x`, `!` before.

One meaning for jobs, runs of workflows and files, on the dashboard and in commands. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

#: So many words of a line count.
WORDS_MAX: Final = 10


def condition_of(
    line: str, named: Mapping[str, str], more: Sequence[str], *, first: int,
    only: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, list[str]]:  # fmt: skip
    """Return the SQL condition of a search line, and its parameters.

    Args:
        line: words that must all be in one of the columns; `name:x` looks at the beginning of one
            of them; a `!` before the line turns it round. Ten words count.
        named: the SQL expression of each column that a word can name.
        more: expressions that words without a name look at, too.
        first: the number of the condition's first parameter.
        only: expressions that a word must name, written without `-` and `_`: what the list calls
            its columns, and what would be in the way of words without a name.
    """
    found = line.strip().lower()
    expressions = {**only, **named}
    parts, params = [], []
    for place, word in enumerate(found.removeprefix("!").split()[:WORDS_MAX], first):
        column, colon, value = word.partition(":")
        expression = expressions.get(key_of(column)) if colon else None
        if expression is not None:
            parts.append(f"instr(lower({expression}), ?{place}) = 1")
        else:
            value = word
            places = (f"instr(lower({one}), ?{place})" for one in (*named.values(), *more))
            parts.append(f"({' OR '.join(places)})")
        params.append(value)
    if not parts:
        return "1", []
    whole = f"({' AND '.join(parts)})"
    return f"NOT {whole}" if found.startswith("!") else whole, params


def key_of(name: str) -> str:
    """Return a name of a column as it is looked up: waits-for and waits_for are one."""
    return name.replace("-", "").replace("_", "")
