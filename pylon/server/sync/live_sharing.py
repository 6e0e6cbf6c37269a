"""Which callers of one call share an answer: found by what its last run asked of them.

Pure. A look-up costs one step for each different set of things that runs asked, and there are few
of those: not one for each caller.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from pylon.identity import Identity
from pylon.server.functions.asked import Asked

A = TypeVar("A", bound=Hashable)


class Question(Generic[A]):
    """The answers to one call."""

    def __init__(self) -> None:
        self.answers: dict[A, None] = {}
        #: One that has not run: anybody may wait for it.
        self.open: A | None = None
        self._places: dict[A, tuple[Asked, Hashable]] = {}
        self._found: dict[Asked, dict[Hashable, dict[A, None]]] = {}

    def add(self, answer: A, place: tuple[Asked, Hashable] | None = None) -> None:
        """Take an answer that has not run: for those who answer so, or else for anybody."""
        self.answers[answer] = None
        if place is None:
            self.open = answer
        else:
            self._put(answer, place)

    def settle(self, answer: A, asked: Asked, identity: Identity) -> bool:
        """Note what a run asked of its caller; tells whether that is as it was."""
        place = (asked, asked.of(identity))
        if self._places.get(answer) == place:
            return True
        self._take_out(answer)
        self._put(answer, place)
        return False

    def drop(self, answer: A) -> None:
        """Forget an answer, if it is there."""
        self.answers.pop(answer, None)
        self._take_out(answer)

    def find(self, identity: Identity) -> A | None:
        """Return the answer that a caller shares, or None."""
        for asked, those in self._found.items():
            found = those.get(asked.of(identity))
            if found is not None:
                return next(iter(found))
        return None

    def fits(self, answer: A, identity: Identity) -> bool:
        """Tell whether a caller answers what the last run of an answer asked as its caller did."""
        asked, given = self._places[answer]
        return asked.of(identity) == given

    def twin(self, answer: A) -> A | None:
        """Return the first other answer whose run asked the same and was answered alike."""
        asked, given = self._places[answer]
        return next((one for one in self._found[asked][given] if one is not answer), None)

    def is_common(self, asked: Asked) -> bool:
        """Tell whether more than one answer stands for callers who were asked this."""
        return len(self._found.get(asked, ())) > 1

    def _put(self, answer: A, place: tuple[Asked, Hashable]) -> None:
        asked, given = self._places[answer] = place
        self._found.setdefault(asked, {}).setdefault(given, {})[answer] = None

    def _take_out(self, answer: A) -> None:
        if self.open is answer:
            self.open = None
        place = self._places.pop(answer, None)
        if place is None:
            return
        asked, given = place
        those = self._found[asked]
        del those[given][answer]
        if not those[given]:
            del those[given]
        if not those:
            del self._found[asked]
