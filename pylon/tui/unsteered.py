"""The last gate before the terminal: whatever is drawn, nothing in it steers (I99).

Lists and texts show marks for such characters (`pylon.printable`). Fields that are edited hold
the value itself, and a library's widget draws it: what of it could steer has no width, and is
left out here.
"""

from __future__ import annotations

from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from pylon.printable import STEERING

_NOTHING: Final = dict.fromkeys(STEERING)


class Unsteered(LineFilter):
    """Leaves out of every line what could steer a terminal or turn its text round."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return a line without it, as wide as before."""
        return [
            one
            if one.control or (one.text.isascii() and one.text.isprintable())
            else Segment(one.text.translate(_NOTHING), one.style)
            for one in segments
        ]


#: One for all: lines remember what a filter made of them.
UNSTEERED: Final = Unsteered()
