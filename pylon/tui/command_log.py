"""What was done in this session, each with the line that does the same in a shell."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KEPT: Final = 500
_MARK: Final = "$ "
#: Commands that take the project's folder as their last word, and not by `--project`.
_BY_WORD: Final = frozenset({"migrate", "reset", "verify", "check", "policies", "open"})


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was done."""

    at: str
    what: str
    #: The line for a shell, whole.
    line: str


class CommandLog:
    """The session's commands, the newest behind."""

    def __init__(self, now: Callable[[], str], touch: Callable[[], None]) -> None:
        """Make an empty one; `now` gives the time as text, `touch` is told of each command."""
        self._now = now
        self._touch = touch
        self.done: deque[Done] = deque(maxlen=_KEPT)
        #: The project's folder, where it lies on this machine.
        self.project: Path | None = None

    def note(self, what: str, command: str) -> None:
        """Take it that something was done, which `command` does in the project's folder."""
        self.done.append(Done(self._now(), what, self.whole(command)))
        self._touch()

    def note_said(self, what: str, said: str) -> None:
        """Note the commands in a text that says what came of something: lines that begin with $."""
        for line in said.splitlines():
            if line.startswith(_MARK):
                self.note(what, line.removeprefix(_MARK))

    def whole(self, command: str) -> str:
        """Return a command as it is right in any folder."""
        if self.project is None:
            return command
        line, arrow, rest = command.partition(" > ")
        folder = shlex.quote(str(self.project))
        words = shlex.split(line)
        by_word = len(words) > 1 and words[1] in _BY_WORD
        return f"{line} {folder if by_word else f'--project {folder}'}{arrow}{rest}"
