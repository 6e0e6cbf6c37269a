"""Mistakes in an expression: positions, caret and the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pylon.errors import AppError, Mistake
from pylon.schema.model import Position

#: Characters of one line in a message; a longer line is cut around the mistake.
_SHOWN_MAX = 100


class PolicyMistakes(AppError):
    """An expression has mistakes; it never allows anything."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(mistake.render() for mistake in mistakes))
        self.mistakes = mistakes


def mistake_at(
    text: str, at: int, message: str, *, where: str, position: Position | None,
    hint: str | None = None,
) -> Mistake:  # fmt: skip
    """Return the mistake at an offset of the text, with its line and a caret below it.

    Args:
        text: the whole expression.
        at: offset of the mistake.
        message: what is wrong.
        where: what the expression is, such as `Message.read`.
        position: where the first character of the text stands in the app's source.
        hint: what to do.
    """
    while at < len(text) and text[at].isspace():
        at += 1  # a parser may stand before the space in front of a word
    at = min(at, len(text))
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line_text = text[start : end if end >= 0 else len(text)]
    line, column = _place(text, at, position) if position else (None, None)
    shown, caret = _window(line_text, at - start)
    return Mistake(
        f"{where}: {message}",
        file=position.file if position else None,
        line=line,
        column=column,
        hint=hint,
        excerpt=f"    {shown}\n    {' ' * caret}^",
        at=at,
    )


def _place(text: str, at: int, position: Position) -> tuple[int, int]:
    """Return line and column of an offset of the text."""
    for offset, line, column in reversed(position.breaks):
        if offset <= at:
            return line, column + at - offset
    if position.is_whole:
        return position.line, position.column
    line_in_text = text.count("\n", 0, at)
    start = text.rfind("\n", 0, at) + 1
    return position.line + line_in_text, at - start + (1 if line_in_text else position.column)


def _window(line: str, at: int) -> tuple[str, int]:
    """Return what is shown of a line, and where in it the caret stands."""
    shown = line.lstrip()
    caret = max(at - (len(line) - len(shown)), 0)
    first = max(caret - _SHOWN_MAX // 2, 0) if len(shown) > _SHOWN_MAX else 0
    if first:
        shown, caret = "…" + shown[first:], caret - first + 1
    if len(shown) > _SHOWN_MAX:
        shown = shown[: _SHOWN_MAX - 1] + "…"
    return shown, caret


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return `did you mean x?` for the nearest known name, or None where none is near."""
    candidates = list(known)
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if not near:
        by_case = {candidate.casefold(): candidate for candidate in candidates}
        found = by_case.get(name.casefold())
        near = [found] if found else []
    return f"did you mean {near[0]}?" if near else None
