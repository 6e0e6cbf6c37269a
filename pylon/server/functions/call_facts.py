"""What is fixed for one call, and what an action reaches the app's data with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pylon.app.definition import AppDefinition
from pylon.identity import Identity
from pylon.server.functions.later import Submit
from pylon.server.functions.readset import ReadSet
from pylon.server.mail.mailer import Mailer
from pylon.sqlite import RawConnection

if TYPE_CHECKING:
    from pylon.server.functions.app_code import AppCode
    from pylon.server.functions.file_service import FileService


@dataclass(frozen=True, slots=True)
class AuthView:
    """`ctx.auth`: who calls."""

    user_id: str | None
    email: str | None
    roles: frozenset[str]
    claims: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class CallFacts:
    """What is fixed for one call: the definition, the caller, time and chance."""

    definition: AppDefinition
    identity: Identity
    now: str
    seed: bytes
    #: Monotonic time after which reads are interrupted, and the clock to compare it with.
    deadline: float
    monotonic: Callable[[], float]
    now_ms: Callable[[], int]
    mailer: Mailer
    #: What the log says of writes and jobs that come of it.
    cause: str | None = None
    #: Filled with what the call looks at, where somebody follows its result.
    reads: ReadSet | None = None
    #: What judges and runs the functions that this one calls.
    code: AppCode | None = None
    #: How many calls it is nested in.
    depth: int = 0

    def nested(self, identity: Identity) -> CallFacts:
        """Return the facts of a call inside this one."""
        return replace(self, identity=identity, depth=self.depth + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTools:
    """How an action reaches what it has no transaction for."""

    run: Callable[..., Any]
    http: Any
    submit: Submit[Any]
    reader: Callable[[], RawConnection]
    files: FileService | None
    #: Raises where it may do nothing more.
    demand: Callable[[], None]
