"""Who is asking, as the server established it.

Policies see only what is here. What does not live here: accounts, sessions and tokens
(`server.auth`), and the `User` entity, which is a row like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

_NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


class IdentityKind(StrEnum):
    """What kind of caller this is."""

    ANONYMOUS = "anonymous"
    USER = "user"
    #: The runtime itself, and code inside `ctx.as_system()`: no policy is asked.
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token may do of what its user may; None: no bound of that kind."""

    #: It writes nothing and calls queries only.
    is_read_only: bool = False
    entities: frozenset[str] | None = None
    functions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One caller. `principal` scopes operation ids and client stores; None for anonymous."""

    kind: IdentityKind
    user_id: str | None = None
    email: str | None = None
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=lambda: _NO_CLAIMS, hash=False)
    #: The login session or token behind this identity; None for anonymous and system.
    session_id: str | None = None
    #: Rises with every change of roles, claims or credentials; a stale one is read again.
    auth_version: int = 0
    #: What the token behind it may do; None: all that the user may.
    scope: Scope | None = None

    @property
    def is_system(self) -> bool:
        """Tell whether policies are lifted for this caller."""
        return self.kind is IdentityKind.SYSTEM

    @property
    def unscoped(self) -> Identity:
        """Return the user himself: what a function works with that his token may call."""
        return self if self.scope is None else replace(self, scope=None)

    @property
    def asker(self) -> str | None:
        """Return by whom turns are taken where many wait; the anonymous are one."""
        return "anonymous" if self.kind is IdentityKind.ANONYMOUS else self.principal

    @property
    def principal(self) -> str | None:
        """Return who owns operation ids made by this caller, or None where nobody does."""
        match self.kind:
            case IdentityKind.USER:
                return self.user_id
            case IdentityKind.SYSTEM:
                return "system"
            case IdentityKind.ANONYMOUS:
                return None


ANONYMOUS = Identity(kind=IdentityKind.ANONYMOUS)
SYSTEM = Identity(kind=IdentityKind.SYSTEM)


@lru_cache(maxsize=1_024)
def stored_identity(principal: str, user_id: str | None) -> Identity:
    """Return the stated principal of what was stored to be done later: a job, a run of a workflow.

    Who he is by then is asked then: without a version his roles are read anew.
    """
    match principal:
        case IdentityKind.SYSTEM:
            return SYSTEM
        case IdentityKind.USER:
            return Identity(kind=IdentityKind.USER, user_id=user_id, auth_version=-1)
        case _:
            return ANONYMOUS
