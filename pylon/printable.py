"""Text from data, made harmless for a terminal: no control bytes, no direction tricks (I99).

Newline and tab stay where the caller allows more than one line; everything else that could steer
a terminal becomes a visible mark. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARK = "�"


#: Code points that steer a terminal or turn its text round.
STEERING = frozenset({*range(0x20), *range(0x7F, 0xA0), *map(ord, _BIDI)})


def _is_harmless(character: str) -> bool:
    return ord(character) not in STEERING


def clean(text: object) -> str:
    """Return one line: line breaks and tabs become marks too."""
    return "".join(
        character
        if _is_harmless(character)
        else {"\n": "⏎", "\t": " ", "\r": ""}.get(character, _MARK)
        for character in str(text)
        if not 0xD800 <= ord(character) <= 0xDFFF
    )


def clean_block(text: object) -> str:
    """Return text of several lines."""
    return "\n".join(clean(line.expandtabs(4)) for line in str(text).split("\n"))


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
