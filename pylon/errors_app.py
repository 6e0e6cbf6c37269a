"""Mistakes of a project: part of the tree that `pylon.errors` draws."""

from __future__ import annotations

from dataclasses import dataclass

from pylon.errors_base import PylonError


class ConfigError(PylonError):
    """A setting is wrong."""

    code = "CONFIG_ERROR"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in an app's definition: what, where (1-based line and column), and what to do."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    #: The source line with a caret below it, where there is one.
    excerpt: str | None = None
    #: Where in the text of an expression it is, from 0.
    at: int | None = None

    def render(self) -> str:
        """Return `file:line:column: message`, then excerpt and hint on lines of their own."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        text = f"{place}: {self.message}" if place else self.message
        text += f"\n{self.excerpt}" if self.excerpt else ""
        if self.hint:
            text += f"\n  hint: {self.hint}"
        return text


class AppError(PylonError):
    """The app's definition has mistakes."""

    code = "APP_ERROR"


class LoadFailed(AppError):
    """The app could not be loaded; the old version, if any, keeps running."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(mistake.render() for mistake in mistakes))
        self.mistakes = mistakes
