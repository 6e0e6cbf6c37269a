"""Where one is, as breadcrumbs: the pane, what was opened above it, and what is seen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size

#: What stands between two crumbs, and where only the letters of every terminal are for use.
ARROW, ARROW_ASCII = "›", ">"
_CUT: Final = "…"
#: A crumb is cut no shorter: what is left would name nothing.
_LEAST: Final = 6


def breadcrumb(trail: Sequence[str], own: str, room: int, arrow: str = ARROW) -> str:
    """Return the line in so many cells: `own` is whole, what is before it is cut, then left out."""
    for gone in range(len(trail) + 1):
        kept = [*([_CUT] if gone else []), *trail[gone:]]
        line = _fitted(kept, own, room, f" {arrow} ")
        if line is not None:
            return line
    return own


def _fitted(kept: list[str], own: str, room: int, arrow: str) -> str | None:
    """Return the line, its longest crumbs cut as far as need be; None where that is too far."""
    while (over := cell_len(arrow.join([*kept, own])) - room) > 0:
        longest = max(kept, key=cell_len, default="")
        wide = cell_len(longest)
        if wide <= _LEAST:
            return None
        kept[kept.index(longest)] = shortened(longest, max(_LEAST, wide - over))
    return arrow.join([*kept, own])


def shortened(text: str, width: int) -> str:
    """Return a text in so many cells at most, its end cut with a mark."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + _CUT
