"""Text from data, made harmless for a terminal: no control bytes, no direction tricks (I99).

Newline and tab stay where the caller allows more than one line; everything else that could steer
a terminal becomes a visible mark. Pure.
"""

from __future__ import annotations

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
