"""The mistakes of an app while they are gathered, each with its line and a caret below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pylon.app.source import ModuleSource, read_module
from pylon.errors import Mistake
from pylon.schema.model import Position


@dataclass(slots=True)
class Mistakes:
    """All mistakes so far, in the order in which they were found."""

    root: Path
    found: list[Mistake] = field(default_factory=list)
    _sources: dict[str, ModuleSource] = field(default_factory=dict)

    def source(self, path: str | None) -> ModuleSource | None:
        """Return the source of a file; None where there is none that can be read."""
        if path is None or not path.endswith(".py"):
            return None
        try:
            source = read_module(Path(path), self.root)
        except (OSError, SyntaxError, ValueError):
            return None
        self._sources[source.file] = source
        return source

    def note(self, message: str, at: Position | None, hint: str | None = None) -> None:
        """Add a mistake at a position of a file that was read."""
        source = self._sources.get(at.file) if at else None
        self.found.append(
            Mistake(
                message,
                file=at.file if at else None,
                line=at.line if at else None,
                column=at.column if at else None,
                hint=hint,
                excerpt=source.excerpt(at.line, at.column) if at and source else None,
            )
        )

    def note_at_line(self, message: str, path: str, line: int, hint: str | None = None) -> None:
        """Add a mistake at a line of a file; the caret stands below the line's first word."""
        source = self.source(path)
        if source is None:
            self.found.append(Mistake(message, file=Path(path).name, line=line, hint=hint))
            return
        text = source.lines[line - 1] if line <= len(source.lines) else ""
        column = len(text) - len(text.lstrip()) + 1
        self.note(message, Position(source.file, line, column), hint)

    def add(self, mistakes: Iterable[Mistake]) -> None:
        """Add mistakes that were found elsewhere."""
        self.found.extend(mistakes)

    def sorted(self) -> tuple[Mistake, ...]:
        """Return each mistake once, by file and line; those without a place come last."""
        once = dict.fromkeys(self.found)
        return tuple(
            sorted(
                once, key=lambda one: (one.file is None, one.file or "", one.line or 0)
            )
        )  # fmt: skip
