"""Mistakes in an expression: positions, caret and the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pylon.errors import AppError, Mistake
from pylon.schema.model import Position


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
    line_in_text = text.count("\n", 0, at)
    stripped = line_text.lstrip()
    column = at - start - (len(line_text) - len(stripped))
    return Mistake(
        f"{where}: {message}",
        file=position.file if position else None,
        line=position.line + line_in_text if position else None,
        column=at - start + (position.column if position and line_in_text == 0 else 1),
        hint=hint,
        excerpt=f"    {stripped}\n    {' ' * max(column, 0)}^",
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return `did you mean x?` for the nearest known name, or None where none is near."""
    candidates = list(known)
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if not near:
        by_case = {candidate.casefold(): candidate for candidate in candidates}
        found = by_case.get(name.casefold())
        near = [found] if found else []
    return f"did you mean {near[0]}?" if near else None
