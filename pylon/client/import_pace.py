"""How much of an import is sent at once, and how long it rests: by what others wait for it. Pure.

Whoever writes beside an import waits while its rows are stored, and for the commit. So what is sent
at once is stored in a bounded time, however slow the machine is; and where a turn takes long all
the same, others are at work or the disk is slow, it rests in between and leaves the machine to
them. Alone it does not rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

#: Storing what is sent at once is to take so long, and all of a turn, with its commit.
RUN_MS: Final = 12.0
TURN_MS: Final = 40.0
PIECES_MAX: Final = 4
_PIECES_FIRST: Final = 2
#: For so many turns after somebody else wrote, somebody is thought to write.
_SHARED_TURNS: Final = 20
_REST_MAX_MS: Final = 250.0
#: Of the newest in what is expected: one slow commit is no slow machine.
_WEIGHT: Final = 0.3


@dataclass(frozen=True, slots=True)
class Load:
    """What one turn met, as the runtime tells it."""

    #: While its rows were stored.
    run_ms: float
    #: From its arrival until its commit.
    took_ms: float
    #: Operations of others that were committed meanwhile, and those that wait.
    others: int
    queued: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What comes next: a rest, then so many pieces at once."""

    pieces: int
    rest_s: float


class ImportPace:
    """The pace of one import."""

    #: What to begin with.
    FIRST: ClassVar = Turn(_PIECES_FIRST, 0.0)

    def __init__(self) -> None:
        self._pieces = _PIECES_FIRST
        self._run_ms: float | None = None
        self._took_ms: float | None = None
        self._shared = 0

    def step(self, load: Load, pieces: int) -> Turn:
        """Return what comes after a turn of so many pieces."""
        self._run_ms = _smooth(self._run_ms, load.run_ms / pieces)
        self._took_ms = _smooth(self._took_ms, load.took_ms)
        self._shared = _SHARED_TURNS if load.others or load.queued else max(0, self._shared - 1)
        fitting = max(1, min(PIECES_MAX, int(RUN_MS / max(self._run_ms, 0.001))))
        # Smaller at once, larger by one: what made it slow may not be over.
        self._pieces = min(fitting, self._pieces + 1)
        late_ms = self._took_ms - TURN_MS
        if not self._shared or late_ms <= 0:
            return Turn(self._pieces, 0.0)
        return Turn(self._pieces, min(late_ms, _REST_MAX_MS) / 1000)


def _smooth(known: float | None, newest: float) -> float:
    return newest if known is None else known + _WEIGHT * (newest - known)
