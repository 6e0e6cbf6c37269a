"""Text from data, made harmless for a terminal: no control bytes, no direction tricks (I99).

Newline and tab stay where the caller allows more than one line; everything else that could steer
a terminal becomes a visible mark. Pure.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARK = "�"


#: Code points that steer a terminal or turn its text round.
STEERING = frozenset({*range(0x20), *range(0x7F, 0xA0), *map(ord, _BIDI)})


def _is_harmless(character: str) -> bool:
    return ord(character) not in STEERING


def clean(text: object) -> str:
    """Return one line: line breaks and tabs become marks too."""
    words = str(text)
    # Nearly all text: nothing that steers is printable, and every cell of every frame comes here.
    if words.isprintable():
        return words
    return "".join(
        character
        if _is_harmless(character)
        else {"\n": "⏎", "\t": " ", "\r": ""}.get(character, _MARK)
        for character in words
        if not 0xD800 <= ord(character) <= 0xDFFF
    )


def counted(count: int, one: str, more: str | None = None) -> str:
    """Return a number with its noun: `1 row`, `1,234 rows`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def changes_in(changes: int, transactions: int) -> str:
    """Return how many changes there are in how many transactions."""
    return f"{counted(changes, 'change')} in {counted(transactions, 'transaction')}"


def clean_block(text: object) -> str:
    """Return text of several lines."""
    return "\n".join(clean(line.expandtabs(4)) for line in str(text).split("\n"))


#: What is laid out of a text at once: a million characters would take the keys for seconds.
LAID_OUT_CHARACTERS_MAX: Final = 65_536


def beginning(text: str, then: str = "") -> str:
    """Return as much of a text as is laid out at once, with how much more there is, and a hint."""
    left = len(text) - LAID_OUT_CHARACTERS_MAX
    if left <= 0:
        return text
    return f"{text[:LAID_OUT_CHARACTERS_MAX]} …\n… {left:,} characters more{then}"


#: What strict JSON refuses in a text or nobody can see: newline and tab are neither.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def without_controls(value: Any) -> Any:
    """Return a JSON value whose texts, names too, have marks for control characters.

    Errors quote what a request said; an answer is strict JSON whatever that was.
    """
    if isinstance(value, str):
        return _CONTROLS.sub(_MARK, value)
    if isinstance(value, dict):
        return {without_controls(name): without_controls(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_controls(one) for one in value]
    return value


def refusal_words(error: Exception) -> str:
    """Return what the system refused, and of which file: without the number of the error."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def shell_line(*words: object) -> str:
    """Return a command of Pylon's as it is typed: a shell takes each word as it is."""
    return shlex.join(("pylon", *map(str, words)))
