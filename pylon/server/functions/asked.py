"""What a run asked of its caller: callers who answer alike may share what it came to.

Pure. Equal by what was asked, whoever it was compiled for, so that the answers to one call are
found by it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue
from pylon.identity import Identity, IdentityKind
from pylon.policy.ir import Slot
from pylon.policy.slots import answer


@dataclass(frozen=True, slots=True)
class Asked:
    """All that a run asked of its caller."""

    #: By policies and filters.
    slots: frozenset[Slot] = frozenset()
    #: The function looked at who calls.
    is_about_caller: bool = False
    #: It was asked whether anybody is signed in.
    is_about_sign_in: bool = False

    def of(self, identity: Identity) -> Hashable:
        """Return a caller's answers: equal for those whose runs cannot end otherwise."""
        return (
            identity.is_system,
            _seen_of(identity) if self.is_about_caller else None,
            identity.kind is IdentityKind.ANONYMOUS if self.is_about_sign_in else None,
            frozenset((slot, typed(answer(slot, identity))) for slot in self.slots),
        )


def typed(value: Any) -> Hashable:
    """Return values so that 1, 1.0 and True are three."""
    if isinstance(value, tuple):
        return tuple(map(typed, value))
    return type(value).__name__, value


def _seen_of(identity: Identity) -> Hashable:
    """Return all that `ctx.auth` says of a caller."""
    return (
        identity.user_id, identity.email, identity.roles,
        jsonvalue.encode_text(dict(identity.claims)),
    )  # fmt: skip
