"""Columns of a line: the last one takes what is left, narrow screens drop some, wide ones grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len, set_cell_size

from pylon.printable import clean

#: Below this width of the screen columns take their narrow width.
NARROW = 100
#: A width at which all columns are there and none is cut or filled up: what a filter looks at.
WHOLE: Final = 1_000_000
#: Characters of a text that are looked at for each cell that it may take: some have no width.
_CHARACTERS_A_CELL = 32


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, its width, and from which screen width on it is shown."""

    head: str
    width: int
    from_width: int = 0
    right: bool = False
    #: Where it is cut, keep the end: the end of an id tells more than its beginning.
    keeps_end: bool = False
    #: Its width on a narrow screen; 0: the same.
    narrow: int = 0
    #: How wide it grows where the last column has more than its own width; 0: it does not.
    most: int = 0

    def at(self, width: int) -> int:
        """Return how wide it is on a screen of a width."""
        return self.narrow if self.narrow and width < NARROW else self.width


def fitted(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Return the columns that are shown at a width; the last one takes what is left.

    What it does not want either is for those before it that can do with more.
    """
    shown = [one for one in columns if width >= one.from_width]
    sizes = [one.at(width) for one in shown[:-1]]
    last = width - sum(size + 2 for size in sizes) - 2
    spare = max(0, last - shown[-1].width) if width >= NARROW else 0
    for place, one in enumerate(shown[:-1]):
        grown = min(spare, max(0, one.most - sizes[place]))
        sizes[place] += grown
        spare -= grown
        last -= grown
    last = max(4, last)
    if shown[-1].right:
        last = min(last, shown[-1].at(width))  # at the far edge it would lie under the counter
    return list(zip(shown, [*sizes, last], strict=True))


def head_line(columns: Sequence[Column], width: int) -> list[tuple[str, str]]:
    """Return the line of heads."""
    return [
        (" " + placed(one.head, size, one) + " ", "head") for one, size in fitted(columns, width)
    ]


def data_line(
    columns: Sequence[Column], cells: Sequence[tuple[Any, str]], width: int
) -> list[tuple[str, str]]:
    """Return a line of cells, each with its style; text is cleaned here and nowhere else."""
    by_column = dict(zip(columns, cells, strict=True))
    if width == WHOLE:
        return [(clean("" if value is None else value), style) for value, style in cells]
    line = []
    for one, size in fitted(columns, width):
        value, style = by_column[one]
        text = clean(_near("" if value is None else str(value), size, one))
        line.append((" " + placed(text, size, one) + " ", style))
    return line


def _near(text: str, width: int, column: Column) -> str:
    """Return what of a text can be seen at a width, with a mark where there is more.

    Every frame comes here: nobody waits for a text of a million characters to be measured.
    """
    most = width * _CHARACTERS_A_CELL
    if len(text) <= most:
        return text
    return f"…{text[-most:]}" if column.keeps_end else f"{text[:most]}…"


def placed(text: str, width: int, column: Column) -> str:
    """Return text in exactly so many cells, cut with a mark; wide characters take two."""
    free = width - cell_len(text)
    if free < 0:
        if column.keeps_end:
            return "…" + set_cell_size(text[::-1], width - 1)[::-1]
        return set_cell_size(text, width - 1) + "…"
    return " " * free + text if column.right else text + " " * free
