"""Columns of a line: fixed widths, the last one takes what is left, narrow screens drop some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from pylon.printable import clean


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, its width, and from which screen width on it is shown."""

    head: str
    width: int
    from_width: int = 0
    right: bool = False
    #: Where it is cut, keep the end: the end of an id tells more than its beginning.
    keeps_end: bool = False


def fitted(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Return the columns that are shown at a width; the last one grows."""
    shown = [one for one in columns if width >= one.from_width]
    used = sum(one.width + 2 for one in shown[:-1]) + 1
    last = max(4, width - used - 1)
    return [(one, one.width) for one in shown[:-1]] + [(shown[-1], last)]


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
    line = []
    for one, size in fitted(columns, width):
        value, style = by_column[one]
        text = clean("" if value is None else value)
        line.append((" " + placed(text, size, one) + " ", style))
    return line


def placed(text: str, width: int, column: Column) -> str:
    """Return text in exactly so many cells, cut with a mark; wide characters take two."""
    free = width - cell_len(text)
    if free < 0:
        if column.keeps_end:
            return "…" + set_cell_size(text[::-1], width - 1)[::-1]
        return set_cell_size(text, width - 1) + "…"
    return " " * free + text if column.right else text + " " * free
