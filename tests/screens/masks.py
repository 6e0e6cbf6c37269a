"""What is another one each time on a screen, hidden: times, ids, ports, ages, figures of a machine.

The columns stay where they are, so that two pictures of one screen can be held against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pylon.tui.entry import Entry


def _alike(sign: str) -> Callable[[re.Match[str]], str]:
    """Return what replaces letters and digits of a text by a sign, each by itself."""
    return lambda found: re.sub(r"[0-9A-Za-z]", sign, found[0])


def _to_the_right(found: re.Match[str]) -> str:
    """Return a figure of a column whose end stays where it is, as one sign."""
    return "#".rjust(len(found[0]))


_Mask = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
#: In the order in which they are put on.
_MASKS: Final[tuple[_Mask, ...]] = (
    (re.compile(r"\b20\d\d-\d\d-\d\d([T ]\d\d:\d\d)?"), _alike("0")),
    (re.compile(r"-\d{2}T\d{6,9}Z?"), _alike("0")),
    (re.compile(r"(?<![\d:])\d\d:\d\d(:\d\d(\.\d{3})?)?"), _alike("0")),
    # Round ids, whole or cut at either end, and names that are as round.
    (re.compile(r"\b01[0-9a-f]{6}-[0-9a-f-]*"), _alike("0")),
    (re.compile(r"(?<=…)[0-9a-f]{8}\b"), _alike("0")),
    (re.compile(r"\b01[0-9a-f]{6}(?=…)"), _alike("0")),
    (re.compile(r"\b[0-9a-f]{32}\b"), _alike("0")),
    (re.compile(r'(?<=file: \{"id":").*'), "#"),
    # The first line, and lines of words: what follows a figure moves with it.
    (re.compile(r"(?<=  :)\d+"), "4321"),
    (re.compile(r"\d+(?= writes/s)"), "0"),
    (re.compile(r"\d+ (?:s|min)(?= ago)"), "9 s"),
    (re.compile(r"(?<=Z, in )\d+ (?:s|min|h)"), "9 h"),
    (re.compile(r" +\d[\d.,]* (?:ms|s|min)(?=  )"), _to_the_right),
    (re.compile(r"[▁▂▃▄▅▆▇█ ]*▏.*"), "▏0.0 done/s"),
    # The path of a folder of this run.
    (re.compile(r"(?<=  )[/…]\S*/(?=idle$)"), "/tmp/"),
)  # fmt: skip
#: Further ones of single screens.
_ITS_MASKS: Final[dict[str, tuple[_Mask, ...]]] = {
    "clients": ((re.compile(r" +(?:\d+ ms|-)(?=  )"), _to_the_right),),
    "health": (
        (re.compile(r"(?<=up )\d+ (?:s|min)"), "9 s"),
        (re.compile(r" · (?:no )?known fault.*"), ""),  # of the SQLite that is here
        (re.compile(r"(?<= )[▁▂▃▄▅▆▇█][▁▂▃▄▅▆▇█ ]*$"), "▁"),
        (re.compile(r"(?<=  ) *[\d.,]+(?: (?:B|KiB|MiB|GiB)|%)?(?=  |$)"), _to_the_right),
        (re.compile(r"(?<=[ ])[\d.,]+(?= |$)"), "#"),
        (re.compile(r" {3,}▁"), "   ▁"),
    ),
    "branches": ((re.compile(r" +[\d.]+ [KM]iB"), _to_the_right),),
    "backups": ((re.compile(r" +[\d.]+ [KM]iB"), _to_the_right),),
    "doctor": (
        (re.compile(r" · note +SQLite .* has the fault .*"), ""),
        (re.compile(r"\d(?= notes)|(?<=1/)\d"), "#"),
    ),
    "workflows": ((re.compile(r"(?<=  ) *\d+ (?:ms|s|min)(?=  )"), _to_the_right),),
}  # fmt: skip
#: What does things side by side tells of them in any order: its lines are held as a set.
_ANY_ORDER: Final = frozenset({"mail", "runtime"})
#: The first lines: what the dashboard is about, and its screens.
_CHROME: Final = 2


def masked(screen: Entry, lines: list[str]) -> str:
    """Return a grid without what is another one each time."""
    found = []
    for y, line in enumerate(lines):
        shown = line.rstrip().rstrip("▁▂▃▄▅▆▇█").rstrip()  # the bar that scrolls
        shown = line.rstrip() if screen.name in ("health", "jobs") else shown
        own = () if y < _CHROME else _ITS_MASKS.get(screen.name, ())
        for pattern, change in (*_MASKS, *own):
            shown = pattern.sub(change, shown)
        found.append(shown.rstrip())
    if screen.name == "health":
        _hide_ranked(found)
    if screen.name == "functions":
        _hide_below(found, "FUNCTION", "/MIN", "P50 MS", "P99 MS")
        _hide_below(found, "TIME", "MS")
    if screen.name in _ANY_ORDER:
        found[3:-1] = sorted(found[3:-1], key=lambda one: (not one, one))
    return "\n".join(found) + "\n"


def _hide_below(lines: list[str], first: str, *heads: str) -> None:
    """Blot out the figures below these headings of the list whose first heading is given."""
    top = next(y for y, line in enumerate(lines) if line.startswith(f" {first} "))
    ends = [lines[top].index(f" {head} ") + 1 + len(head) for head in heads]
    for y in range(top + 1, len(lines) - 1):
        if lines[y].startswith(" TIME "):
            return
        for end in ends:
            cell = lines[y][end - 5 : end]
            if any(char.isdigit() for char in cell):
                lines[y] = lines[y][: end - 5] + "#".rjust(5) + lines[y][end:]


def _hide_ranked(lines: list[str]) -> None:
    """Blot out the names of what is listed by its figures: the order is the machine's."""
    slow = next((y for y, line in enumerate(lines) if line.endswith("SLOW QUERY")), None)
    if slow is not None:  # only a slow machine has any
        end = next(y for y, line in enumerate(lines) if line.startswith((" SUBSCR", " SQLITE AND")))
        lines[-1:-1] = [""] * (end - slow)
        del lines[slow:end]
    first = next((y for y, line in enumerate(lines) if line.startswith(" HELD")), len(lines))
    for y in range(first, len(lines) - 1):
        lines[y] = re.sub(
            r"^ [a-z][a-z .]*(?=  )", lambda one: " name".ljust(len(one[0])), lines[y]
        )
