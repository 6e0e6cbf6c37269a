"""What the Workflows screen holds, and how it is read: figures by workflow, and a page of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from pylon.tui.reading import Found, Reading

STATES: Final = ("running", "parked", "diverged", "completed", "failed", "cancelled")


@dataclass(slots=True)
class WorkflowsState(Found):
    """How many runs of each workflow are in each state, and the runs that were asked for."""

    member: ClassVar[str] = "runs"

    figures: list[dict[str, Any]] = field(default_factory=list)

    def fold(self, message: dict[str, Any]) -> None:
        """Take a message of the stream: figures, and that runs have moved."""
        self.figures = message["workflows"]
        self.version += 1

    def take(self, question: dict[str, Any], answer: dict[str, Any]) -> bool:
        """Take runs that were asked for, with the figures of that moment."""
        # Not super(): a dataclass with slots is another class than the one that is written here.
        if not Found.take(self, question, answer):
            return False
        self.figures = answer["workflows"]
        return True

    @property
    def total(self) -> int:
        """Return how many runs there are, of all workflows in all states."""
        return sum(one[state] for one in self.figures for state in STATES)


class Workflows(Reading):
    """The runs of one dashboard's app."""

    part: ClassVar[str] = "workflows"
