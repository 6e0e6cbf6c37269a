"""`docs/tour.md` as a list of steps: whatever stands in a block is done, or the tour is refused.

What does not live here: doing the steps (`stage`), and the pictures of them (`pictures`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
TOUR: Final = DOCS / "tour.md"
PICTURES: Final = DOCS / "pictures"

_IMAGE: Final = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)\s*$")
_PICTURE: Final = re.compile(r"pictures/(tour-[a-z-]+\.svg)")
_SENTENCES: Final = {
    "opens": re.compile(r"opens (?P<what>\S+)"),
    "clicks": re.compile(r'clicks "(?P<what>[^"]+)"'),
    "fills": re.compile(r'fills "(?P<what>[^"]+)" with (?:"(?P<text>[^"]*)"|(?P<word>[A-Z]+))'),
    "presses": re.compile(r"presses (?P<what>\w+)"),
    "sees": re.compile(r'sees "(?P<what>[^"]+)"'),
    "leaves": re.compile(r"leaves(?P<what>)"),
    "misses": re.compile(r'sees no "(?P<what>[^"]+)"'),
}
#: What somebody does one after the other, in one line.
_CLAUSES: Final = re.compile(r", (?=(?:opens|clicks|fills|presses|sees) )")


class TourWrong(AssertionError):
    """A step that can't be read, or that did not go as the tour says; names its line."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"docs/tour.md:{line}: {why}")


@dataclass(frozen=True, slots=True)
class Shell:
    """A command, and what has to be among what it prints, in this order."""

    line: int
    command: str
    prints: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys for the dashboard, and what has to be on its screen then."""

    line: int
    #: Names of keys; what is typed as it is stands in quotes.
    keys: tuple[str, ...]
    shows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """What somebody does on the page, or sees there."""

    line: int
    who: str
    does: str
    what: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a file: `old` stands there once and becomes `new`; without it `new` is added."""

    line: int
    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The screen of the dashboard as it is now."""

    line: int
    file: str
    words: str


Step = Shell | Keys | Visit | Edit | Picture
#: The lines of a block with their numbers.
_Block = list[tuple[int, str]]


def read(text: str) -> list[Step]:
    """Return the steps of a tour; raises TourWrong for what nobody would do."""
    steps: list[Step] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if line.startswith("```"):
            steps += _block(number, line[3:].strip(), _until_closed(number, lines))
        elif line.startswith(("    ", "\t", "~~~", " ```")):
            raise TourWrong(number, "code that nobody executes: write it as a block of a kind")
        elif "![" in line:
            steps.append(_picture(number, line))
    return steps


def _until_closed(start: int, lines: object) -> _Block:
    block: _Block = []
    for number, line in lines:  # type: ignore[attr-defined]
        if line == "```":
            return block
        block.append((number, line))
    raise TourWrong(start, "the block is not closed")


def _picture(number: int, line: str) -> Picture:
    image = _IMAGE.match(line)
    found = image and _PICTURE.fullmatch(image[2])
    if not image or not found:
        raise TourWrong(
            number, "a picture stands on a line of its own: ![words](pictures/tour-….svg)"
        )
    return Picture(number, found[1], image[1])


def _block(start: int, kind: str, block: _Block) -> list[Step]:
    if not block:
        raise TourWrong(start, "the block is empty")
    match kind:
        case "tour":
            return _tour(block)
        case "diff":
            return [_diff(block)]
        case "python":
            return [_python(block)]
        case _:
            raise TourWrong(start, f"nothing executes a block of the kind {kind!r}")


def _tour(block: _Block) -> list[Step]:
    """Return what is typed, pressed and clicked; lines that begin with blanks were printed."""
    steps: list[Step] = []
    for number, line in block:
        last = steps[-1] if steps else None
        if line.startswith("$ "):
            steps.append(Shell(number, line[2:], ()))
        elif line.startswith("  ") and isinstance(last, Shell):
            steps[-1] = replace(last, prints=(*last.prints, (number, line.strip())))
        else:
            for part in line.split("; "):
                steps += [_keys(number, part)] if "→" in part else _visits(number, part)
    return steps


def _keys(number: int, line: str) -> Keys:
    pressed, arrow, shows = line.partition("→")
    keys = tuple(re.findall(r'"[^"]*"|\S+', pressed))
    fragments = tuple(one.strip() for one in re.split(r"\s{2,}", shows.strip()))
    if not arrow or not keys or not all(fragments):
        raise TourWrong(number, "keys, then `→` and what is on the screen then")
    return Keys(number, keys, fragments)


def _visits(number: int, line: str) -> list[Step]:
    who, _, rest = line.partition(" ")
    return [_visit(number, who, one) for one in _CLAUSES.split(rest)]


def _visit(number: int, who: str, clause: str) -> Visit:
    for does, pattern in _SENTENCES.items():
        found = pattern.fullmatch(clause)
        if found:
            parts = found.groupdict()
            text = parts.get("text")
            return Visit(number, who, does, parts["what"], parts.get("word") or text or "")
    raise TourWrong(number, f"nobody can do that on a page: {clause!r}")


def _diff(block: _Block) -> Edit:
    number, head = block[0]
    if not head.startswith("--- "):
        raise TourWrong(number, "a diff begins with `--- FILE`")
    old = [line[1:] for _, line in block[1:] if line[:1] in ("-", " ")]
    new = [line[1:] for _, line in block[1:] if line[:1] in ("+", " ")]
    if len(old) + len(new) < len(block) - 1 or not old or old == new:
        raise TourWrong(number, "a line of a diff begins with `-`, `+` or a blank")
    return Edit(number, head[4:], "\n".join(old), "\n".join(new))


def _python(block: _Block) -> Edit:
    number, head = block[0]
    found = re.fullmatch(r"# ([\w/.]+\.py)(, at its end)?", head)
    if found is None:
        raise TourWrong(number, "a file begins with `# FILE`, or `# FILE, at its end`")
    body = "\n".join(line for _, line in block[1:]) + "\n"
    return Edit(number, found[1], "", ("\n\n" if found[2] else "") + body.lstrip("\n"))
