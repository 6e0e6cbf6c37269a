"""Following the live stream: batches in, and what to do where one does not follow the cursor.

A gap is never bridged: what is missing is pulled, and what came meanwhile waits (I25). Where that
does not meet the stream again, the connection starts over from the cursor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pylon.client.replica import Replica
from pylon.client.subscription import Definition

GAPS_MAX: Final = 3
FRAMES_KEPT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class PullNext:
    """A pull from this cursor must be made under this id."""

    id: int
    cursor: str


class StartOver(Enum):
    """The connection must start over from the cursor."""

    START_OVER = "start over"


Move = PullNext | StartOver | None


class CatchUp:
    """Meets gaps with pulls."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._gaps = 0
        self._pulls = 0
        self._is_pulling = False
        self._frames: list[Mapping[str, Any]] = []
        #: What the pull under way was asked for, by id.
        self._asked: dict[str, Definition] = {}

    def reset(self) -> None:
        """Forget what was under way; answers to older pulls are ignored from here on."""
        self._gaps = 0
        self._is_pulling = False
        self._frames = []

    def follow(self, batch: Mapping[str, Any]) -> Move:
        """Take a batch of the live stream."""
        if self._is_pulling:
            if len(self._frames) >= FRAMES_KEPT_MAX:
                return StartOver.START_OVER
            self._frames.append(batch)
            return None
        applied = self._replica.apply(batch)
        if applied == "applied":
            self._gaps = 0
        return self._meet_gap() if applied == "gap" else None

    def pulled(self, pull_id: int, batch: Mapping[str, Any]) -> Move:
        """Take the answer of a pull."""
        if not self.is_awaiting(pull_id):
            return None
        if self._is_outgrown():
            return StartOver.START_OVER
        before = self._replica.cursor
        applied = self._replica.apply(batch)
        cursor = self._replica.cursor
        is_stuck = batch["more"] and cursor == before
        if applied == "gap" or cursor is None or is_stuck:
            return StartOver.START_OVER
        if batch["more"]:
            return self._pull(cursor)
        self._is_pulling = False
        frames, self._frames = self._frames, []
        move: Move = None
        for frame in frames:
            # Once one of them asks for more, those behind it wait again.
            following = self.follow(frame)
            move = following if following is not None else move
        return move

    def is_awaiting(self, pull_id: int) -> bool:
        """Tell whether this pull is the one under way."""
        return self._is_pulling and pull_id == self._pulls

    def _is_outgrown(self) -> bool:
        """Tell whether something was subscribed since the pull was asked.

        Its answer knows nothing of it, and would take the cursor past what changed in it.
        """
        return any(
            self._asked.get(one.id) is not one.definition
            for one in self._replica.subscriptions.values()
        )

    def _meet_gap(self) -> Move:
        self._gaps += 1
        cursor = self._replica.cursor
        # While pages come, an answer beside the socket could overtake them (rule 8).
        if self._gaps > GAPS_MAX or cursor is None or self._replica.is_hydrating:
            return StartOver.START_OVER
        return self._pull(cursor)

    def _pull(self, cursor: str) -> Move:
        self._is_pulling = True
        self._pulls += 1
        self._asked = {one.id: one.definition for one in self._replica.subscriptions.values()}
        return PullNext(self._pulls, cursor)
