"""A followed call as it stands: who follows it, and what it came to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pylon.identity import Identity
from pylon.server.functions.live_run import LiveOutcome
from pylon.server.live_counts import LiveCounts

Key = tuple[Any, str]
#: A run that took longer is made apart from the loop the next time.
_SLOW_SECONDS: Final = 0.01
_OVERTAKEN_MAX: Final = 3


@dataclass(slots=True, eq=False)
class Member:
    """One subscription of one connection to a function."""

    #: Who is told, and by which name.
    key: Key
    fn: str
    args: Mapping[str, Any]
    identity: Identity
    answer: Answer | None = None
    #: The mark of what it was told last; None before the first, and where it starts over.
    told: bytes | None = None

    @property
    def news(self) -> tuple[LiveOutcome, int] | None:
        """Return what to tell it and as of which seq, or None where it knows."""
        answer = self.answer
        if answer is None or answer.outcome is None or answer.is_stale:
            return None
        return None if answer.mark == self.told else (answer.outcome, answer.seq)


@dataclass(slots=True, eq=False)
class Answer:
    """What a call comes to for all of its members."""

    #: Its function and its arguments as canonical JSON.
    question: tuple[str, bytes]
    members: dict[Member, None] = field(default_factory=dict)
    #: None before the first run, and where it was let go to make room.
    outcome: LiveOutcome | None = None
    #: Of the last outcome, whether that is kept or not.
    mark: bytes | None = None
    #: The head that the outcome was read at.
    seq: int = 0
    #: How long the last run took.
    seconds: float = 0.0
    is_running: bool = False
    is_due: bool = False
    #: While it ran everything was doubted: what it came to is of an app or a log of before.
    is_doubted: bool = False
    #: Its outcome may not be given to anybody new: something that it stands on has changed.
    is_stale: bool = False
    #: Before this it is not run again, monotonic.
    rests_until: float = 0.0
    #: So often in a row a commit came behind what a run had read, before that run had ended.
    overtaken: int = 0
    ran_at: float = 0.0
    #: What its runs cost so far.
    counts: LiveCounts = field(default_factory=LiveCounts)

    @property
    def is_slow(self) -> bool:
        """Tell whether its last run took more of the loop than one should.

        Not for ever where commits overtake it: a run on the loop ends before the next of them.
        """
        return self.seconds > _SLOW_SECONDS and self.overtaken < _OVERTAKEN_MAX

    @property
    def is_settled(self) -> bool:
        """Tell whether its outcome is true now, as far as is known."""
        return self.mark is not None and not (self.is_due or self.is_running or self.is_stale)
