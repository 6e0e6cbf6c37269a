"""A terminal's screen as an SVG picture: small, the same bytes each time, its text in it."""

from __future__ import annotations

import itertools
import re
from html import escape, unescape
from typing import Final, NamedTuple

_WIDTH: Final = 8.4
_HEIGHT: Final = 17
_MARGIN: Final = 8
_INK: Final = "e0e0e0"
_PAPER: Final = "121212"
_RUN: Final = re.compile(r'<text x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)"[^>]*>(?P<text>[^<]*)</text>')


class Cell(NamedTuple):
    """One character of a terminal; colours are `rrggbb`, empty for the terminal's own."""

    char: str
    fore: str = ""
    back: str = ""
    is_bold: bool = False


#: Lines of cells, each as wide as the terminal.
Grid = list[list[Cell]]


def svg_of(grid: Grid, *, title: str) -> str:
    """Return the picture of a screen; `title` is what it is called where it can't be seen."""
    width = len(grid[0]) * _WIDTH + 2 * _MARGIN
    height = len(grid) * _HEIGHT + 2 * _MARGIN
    drawn = [piece for y, line in enumerate(grid) for piece in (*_papers(y, line), *_runs(y, line))]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>text { font: 14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace;"
        " white-space: pre } .b { font-weight: bold }</style>",
        f'<rect width="100%" height="100%" rx="6" fill="#{_PAPER}"/>',
        *drawn,
        "</svg>", "",
    ])  # fmt: skip


def _x(column: int) -> str:
    return f"{_MARGIN + column * _WIDTH:.1f}"


def _papers(y: int, line: list[Cell]) -> list[str]:
    """Return the rectangles behind a line."""
    found, column = [], 0
    for back, cells in itertools.groupby(line, key=lambda cell: cell.back):
        count = len(list(cells))
        if back and back != _PAPER:
            found.append(
                f'<rect x="{_x(column)}" y="{_MARGIN + y * _HEIGHT}" width="{count * _WIDTH:.1f}"'
                f' height="{_HEIGHT}" fill="#{back}"/>'
            )
        column += count
    return found


def _runs(y: int, line: list[Cell]) -> list[str]:
    """Return the texts of a line: words of one look, each held to its columns in any font."""
    found, column = [], 0
    for (fore, is_bold), cells in itertools.groupby(line, key=lambda c: (c.fore, c.is_bold)):
        text = "".join(cell.char for cell in cells)
        bold = ' class="b"' if is_bold else ""
        found += [
            f'<text x="{_x(column + words.start())}" y="{_MARGIN + y * _HEIGHT + 13}"'
            f' textLength="{len(words[0]) * _WIDTH:.1f}" fill="#{fore or _INK}"'
            f"{bold}>{escape(words[0], quote=False)}</text>"
            for words in re.finditer(r"\S+(?: \S+)*", text)
        ]
        column += len(text)
    return found


def text_of(svg: str) -> list[str]:
    """Return the lines that a picture shows."""
    lines: dict[int, str] = {}
    for found in _RUN.finditer(svg):
        line = round((float(found["y"]) - _MARGIN - 13) / _HEIGHT)
        column = round((float(found["x"]) - _MARGIN) / _WIDTH)
        lines[line] = lines.get(line, "").ljust(column) + unescape(found["text"])
    return [lines.get(line, "") for line in range(max(lines, default=-1) + 1)]
