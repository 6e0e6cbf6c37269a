"""Small charts of one line: values as bars of text, in blocks or in ASCII.

Screen readers read block graphics aloud one by one, and some terminals have no glyphs for them:
`charts = "ascii"` in the preferences, or PYLON_CHARTS=ascii, draws with letters every terminal has.
A chart never stands alone: whoever draws one writes its figures beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

KINDS: Final = ("blocks", "ascii")
_BARS: Final = {"blocks": "▁▂▃▄▅▆▇█", "ascii": "_.-=+*%#"}


def spark(
    values: Sequence[float | None], width: int, *, kind: str = "blocks", top: float | None = None
) -> str:
    """Return the last values as bars, the newest at the right; always `width` cells.

    Args:
        values: none of them negative; None where nothing was measured, which is drawn as a space.
        width: how many cells; where there are more values, each cell has the largest of its own.
        kind: one of KINDS.
        top: what the highest bar stands for; None: the largest value.
    """
    if width <= 0:
        return ""
    bars = _BARS[kind]
    cells = _in_cells(values, width)
    highest = max((one for one in cells if one is not None), default=0.0) if top is None else top
    drawn = "".join(" " if one is None else bars[_level(one, highest, len(bars))] for one in cells)
    return drawn.rjust(width)


def _in_cells(values: Sequence[float | None], width: int) -> list[float | None]:
    count = len(values)
    if count <= width:
        return list(values)
    edges = [count * place // width for place in range(width + 1)]
    cells: list[float | None] = []
    for first, last in pairwise(edges):
        known = [one for one in values[first:last] if one is not None]
        cells.append(max(known) if known else None)
    return cells


def _level(value: float, highest: float, levels: int) -> int:
    """Return which bar a value is; only nothing at all is the lowest one."""
    if value <= 0 or highest <= 0:
        return 0
    return max(1, min(levels - 1, round(min(value / highest, 1.0) * (levels - 1))))
