"""What was done in this session, each with the line that does the same in a shell."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KEPT: Final = 500
_MARK: Final = "$ "
_ARROW: Final = " > "
#: Commands that name the project that they are about themselves, or are about none.
_NAMED: Final = frozenset({"projects", "desktop"})
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
        # Not at every break that Unicode knows: those stand in quoted values as they are.
        for line in said.split("\n"):
            if line.startswith(_MARK):
                self.note(what, line.removeprefix(_MARK))

    def whole(self, command: str) -> str:
        """Return a command as it is right in any folder."""
        if self.project is None:
            return command
        line, arrow, rest = redirected(command)
        folder = shlex.quote(str(self.project))
        verb = next(iter(line.split()[1:]), "")  # a plain word: what stands behind it may be odd
        if verb in _NAMED:
            return command
        by_word = verb in _BY_WORD
        return f"{line} {folder if by_word else f'--project {folder}'}{arrow}{rest}"


def redirected(command: str) -> tuple[str, str, str]:
    """Return a command, the arrow behind it, and the file that it writes to; or the whole alone."""
    at = command.find(_ARROW)
    while at >= 0:
        with suppress(ValueError):  # inside of quotation marks it is part of a word
            shlex.split(command[:at])
            return command[:at], _ARROW, command[at + len(_ARROW) :]
        at = command.find(_ARROW, at + 1)
    return command, "", ""
