"""What the Files screen holds, and how it is read: totals, whose they are, and a page of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from pylon.tui.reading import Found, Reading

ORDERS: Final = ("newest", "largest")


@dataclass(slots=True)
class FilesState(Found):
    """Totals as the stream tells them, and what was asked for: files, uploads, quotas."""

    member: ClassVar[str] = "files"

    order: str = ORDERS[0]
    totals: dict[str, Any] = field(default_factory=dict)
    leaders: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> dict[str, Any]:
        """Return what the runtime is asked."""
        return {"search": self.search or None, "limit": self.limit, "order": self.order}

    def fold(self, message: dict[str, Any]) -> None:
        """Take a message of the stream: totals, and that something has changed."""
        self.totals = message["totals"]
        self.version += 1

    def take(self, question: dict[str, Any], answer: dict[str, Any]) -> bool:
        """Take files that were asked for, with the totals of that moment."""
        # Not super(): a dataclass with slots is another class than the one that is written here.
        if not Found.take(self, question, answer):
            return False
        self.totals, self.leaders = answer["totals"], answer["by_uploader"]
        self.uploads, self.settings = answer["uploads"], answer["settings"]
        return True

    def turn(self) -> str:
        """Have the other order; returns it."""
        self.order = ORDERS[1 - ORDERS.index(self.order)]
        self.has_more = None
        return self.order

    @property
    def total(self) -> int:
        """Return how many files there are."""
        return int(self.totals.get("files", 0))


class Files(Reading):
    """The files of one dashboard's app."""

    part: ClassVar[str] = "files"
