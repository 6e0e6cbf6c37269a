"""What a run and its journal look like: plain values, read and written by the stores beside.

What does not live here: SQL (`workflows`, `journal`), and what follows from them
(`server.workflows`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pylon.identity import Identity


class RunState(StrEnum):
    """Where a run stands."""

    #: Has something to do now: driven, or in line for it.
    RUNNING = "running"
    #: Waits for a time, a signal or a child; costs nothing but its rows.
    PARKED = "parked"
    #: Its code no longer fits its journal: waits for code that does.
    DIVERGED = "diverged"
    COMPLETED = "completed"
    FAILED = "failed"
    #: Somebody said so: no later step is recorded.
    CANCELLED = "cancelled"


class StepKind(StrEnum):
    """What a line of a journal is about."""

    STEP = "step"
    SLEEP = "sleep"
    WAIT = "wait"
    CHILD = "child"
    #: That the run passed a `ctx.version` of this name when it was new.
    VERSION = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be started. `parent` is the run and the step that wait for it."""

    id: str
    name: str
    args: str = field(repr=False)
    identity: Identity
    key: str | None = None
    parent: tuple[int, str] | None = None
    depth: int = 0
    #: What its chance comes from; None: its id.
    seed: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run as stored. Times are Unix ms; args, result and error are JSON."""

    n: int
    id: str
    name: str
    state: str
    key: str | None
    args: str = field(repr=False)
    principal: str
    user_id: str | None
    parent: int | None
    parent_path: str | None
    depth: int
    created_at: int
    ended_at: int | None
    wake_at: int | None
    seq: int
    bytes: int
    lost: int
    result: str | None
    error: str | None
    traceback: str | None
    cause: str | None
    seed: str
    began_at: int
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One line of a journal: pending while `seq` is None, then ended for good."""

    path: str
    seq: int | None
    kind: str
    name: str
    fn: str | None = None
    args: str | None = field(default=None, repr=False)
    attempt: int = 0
    failures: int = 0
    due_at: int | None = None
    begun_at: int = 0
    ended_at: int | None = None
    result: str | None = None
    error: str | None = None
    place: str | None = None
    child: str | None = None


@dataclass(frozen=True, slots=True)
class RunMoved:
    """Told after a commit that moved a run: what it is now, and when a timer of it rings."""

    n: int
    id: str
    state: str
    wake_at: int | None = None
