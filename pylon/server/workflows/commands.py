"""What a workflow's code awaits: steps, sleeps, waits, children, and several at a time.

A command does nothing by itself. Awaited, it hands itself to whoever drives the coroutine, and is
handed the record of its outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pylon import limits
from pylon.server.storage.workflow_records import StepKind, StepRecord
from pylon.server.workflows.failures import opened

if TYPE_CHECKING:
    from pylon.server.workflows.replay import Replay


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step is tried."""

    retries: int = limits.STEP_RETRIES
    backoff_s: float = limits.STEP_BACKOFF_SECONDS
    #: None: the default of its function's kind.
    timeout_s: float | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class Command:
    """One thing to be recorded. `path` is where in the code it was awaited, once it was."""

    owner: Replay = field(repr=False)
    kind: StepKind
    name: str
    #: File and line where the app's code made it.
    place: str
    fn: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    options: StepOptions = StepOptions()
    #: When a sleep ends, or a wait is given up: seconds from when it is issued.
    seconds: float | None = None
    #: The same as a time, Unix ms.
    until_ms: int | None = None
    path: str | None = None

    def __await__(self) -> Generator[Command, StepRecord, Any]:
        """Return the recorded outcome, or raise it."""
        self.owner.demand_driven(self)
        record = yield self
        return opened(record)

    @property
    def title(self) -> str:
        """Return what it is, in words."""
        return title_of(self.kind, self.name)


@dataclass(slots=True, eq=False)
class Gather:
    """Several commands or coroutines, each a branch of its own; all of them are waited for."""

    owner: Replay = field(repr=False)
    branches: tuple[Awaitable[Any], ...]
    returns_exceptions: bool
    place: str

    def __await__(self) -> Generator[Gather, list[Any], list[Any]]:
        """Return the values of the branches in their order, or raise the first failure of them."""
        self.owner.demand_driven(self)
        return (yield self)


def title_of(kind: str, name: str) -> str:
    """Return what a line of a journal is, in words."""
    match kind:
        case StepKind.SLEEP:
            return "a sleep"
        case StepKind.WAIT:
            return f'a wait for "{name}"'
        case StepKind.CHILD:
            return f"the child {name}"
        case _:
            return f'the step "{name}"'


async def awaited(one: Awaitable[Any]) -> Any:
    """Await what is no coroutine, as one."""
    return await one


def as_coroutine(one: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """Return a branch as a coroutine to drive."""
    return one if isinstance(one, Coroutine) else awaited(one)
