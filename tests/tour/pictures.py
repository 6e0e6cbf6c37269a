"""Pictures of the tour: a terminal's screen as cells, without what is another one each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pyte

from pylon.tui.picture import Cell, Grid

#: What pyte calls the colours of a terminal that were not given as such.
_NAMED: Final = {
    "black": "000000", "red": "cc6666", "green": "8ad4a1", "brown": "ffc473", "blue": "81a2be",
    "magenta": "b294bb", "cyan": "8abeb7", "white": "e0e0e0",
}  # fmt: skip


def cells(screen: pyte.Screen) -> Grid:
    """Return what a terminal shows."""
    return [
        [_cell(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)
    ]


def _cell(char: pyte.screens.Char) -> Cell:
    fore, back = _colour(char.fg), _colour(char.bg)
    if char.reverse:
        fore, back = back or "121212", fore or "e0e0e0"
    return Cell(char.data or " ", fore, back, is_bold=char.bold)


def _colour(name: str) -> str:
    return "" if name == "default" else _NAMED.get(name, name)


# --- what is another one each time

_SETTLED: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(?<= :)\d{4,5}(?= )"), "4321"),
    (re.compile(r"\d+(?= writes/s)"), "0"),
    # What the right edge cuts off of the first line.
    (re.compile(r"(?<=AS OF seq 6 \(esc: now\)).*"), "  :4321"),
    (re.compile(r"(?<=proven )\d+ (s|min)(?= ago)"), "9 s"),
    (re.compile(r"[▁▂▃▄▅▆▇█](?=[▁▂▃▄▅▆▇█ ]*▏.*done/s)"), " "),
    (re.compile(r"\d+\.\d(?= (?:done|failed)/s)"), "0.0"),
    # Which queue the cursor stands on: the one that was there first when the screen was opened.
    (re.compile(r"(?<=RATE )\d(?=/\d)"), "1"),
    (re.compile(r"(?<=highest )\d+(?=/s)"), "1"),
)
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TAIL: Final = re.compile(r"(?<=…)[0-9a-f]{9}\b")
_HEAD: Final = re.compile(r"\b0[0-9a-f]{6,7}(?:-[0-9a-f-]*)?(?=…)")
_TIME: Final = re.compile(r"(?<![\d:])\d\d:\d\d(?::\d\d(?:\.\d{3})?)?")
_DAY: Final = re.compile(r"\b20\d\d-\d\d-\d\d(?=[T ]\d\d:\d\d)")


def settled(grid: Grid) -> Grid:
    """Return a screen with an evening's times, round ids, and no rates."""
    ids: dict[str, int] = {}

    def number(tail: str) -> int:
        return ids.setdefault(tail, len(ids) + 1)

    changes: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
        *((pattern, lambda _, to=to: to) for pattern, to in _SETTLED),  # type: ignore[misc]
        (_ID, lambda found: f"01a22a10-0000-7000-8000-{number(found[0][-9:]):012}"),
        (_TAIL, lambda found: f"{number(found[0]):09}"),
        (_HEAD, lambda found: "01a22a10-0000-7000-8000-000000000000"[: len(found[0])]),
        (_TIME, _evening(grid)),
        (_DAY, lambda _: "2026-11-29"),
    ]  # fmt: skip
    for pattern, change in changes:
        grid = [_changed(line, pattern, change) for line in grid]
    return grid


def _evening(grid: Grid) -> Callable[[re.Match[str]], str]:
    """Return what gives each time of a screen its place in one evening, in the same order."""
    times = [one for line in grid for one in _TIME.findall("".join(cell.char for cell in line))]
    # Lists of the newest first tell seconds; what tells less or more may fall into any order.
    listed = [one for one in times if len(one) == len("23:04:30")]
    step = -1 if listed and listed[0] > listed[-1] else 1
    second = 30 - step * len(times)

    def change(found: re.Match[str]) -> str:
        nonlocal second
        second += step
        return f"23:{4 + second // 60:02}:{second % 60:02}.000"[: len(found[0])]

    return change


def _changed(
    line: list[Cell], pattern: re.Pattern[str], change: Callable[[re.Match[str]], str]
) -> list[Cell]:
    """Return a line as wide as before; a longer or shorter text moves what follows it."""
    text = "".join(cell.char for cell in line)
    made: list[Cell] = []
    end = 0
    for found in pattern.finditer(text):
        made += line[end : found.start()]
        made += [line[found.start()]._replace(char=char) for char in change(found)]
        end = found.end()
    made += line[end:]
    blank = line[-1]._replace(char=" ")
    return [*made, *[blank] * (len(line) - len(made))][: len(line)]
