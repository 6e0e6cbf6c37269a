"""Is there a world in which these conditions come out so? Asked of all abstract worlds at once.

The answer "there is none" is a proof. "Perhaps" is none: an abstract world need not be real.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from pylon import limits
from pylon.policy import ir
from pylon.policy.abstract import FALSE, UNKNOWN, Abstraction, Tree, Who

NOT_TRUE = FALSE | UNKNOWN
#: A condition, and the outcomes that are wanted of it.
Want = tuple[ir.Condition, int]


class _TooMany(Exception):
    """The worlds are more than are looked at."""


def is_impossible(wants: Sequence[Want], who: Who = Who.ANYBODY) -> bool:
    """Tell whether it is proved that no world has all these outcomes at once."""
    abstraction = Abstraction(who)
    trees = abstraction.trees([condition for condition, _ in wants])
    search = _Search(abstraction, [(tree, wants[at][1]) for at, tree in enumerate(trees)])
    try:
        return not search.finds(dict(abstraction.known))
    except _TooMany:
        return False


class _Search:
    """Chooses variables one by one, only those that matter still."""

    def __init__(self, abstraction: Abstraction, wants: list[tuple[Tree, int]]) -> None:
        self._abstraction = abstraction
        self._wants = wants
        self._steps = 0

    def finds(self, known: dict[Hashable, Any]) -> bool:
        self._steps += 1
        if self._steps > limits.POLICY_WORLDS_MAX:
            raise _TooMany
        variable: Hashable | None = None
        for tree, wanted in self._wants:
            mask = tree.outcomes(known)
            if not mask & wanted:
                return False
            if mask & ~wanted and variable is None:
                variable = tree.open_variable(known)
        if variable is None:
            return True
        for value in self._abstraction.domains[variable]:
            known[variable] = value
            if not self._abstraction.contradicts(known) and self.finds(known):
                return True
        del known[variable]
        return False
