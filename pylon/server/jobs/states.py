"""The life of a job: its states, what moves it from one to the next, and when it runs again.

    scheduled ──due──▶ available ──claim──▶ running ──complete──▶ completed
        ▲                  ▲                   │
        └──────fail────────┼──────fail─────────┤
                           └──lost, release────┤
                                               └──fail, lost: no attempt left──▶ dead

A live job (scheduled, available or running) may be cancelled, which is final but for `retry`: by
hand, a dead or cancelled job is due again. Every transition is one statement of
`storage.jobs` that names the state it starts from.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pylon import limits


class JobState(StrEnum):
    """Where a job stands."""

    #: Waits for its time: delayed, or between two attempts.
    SCHEDULED = "scheduled"
    #: Due; runs as soon as its queue has room.
    AVAILABLE = "available"
    #: Claimed: somebody has its lease. A process that dies leaves it to the next one.
    RUNNING = "running"
    COMPLETED = "completed"
    #: Somebody said so; never run again by itself.
    CANCELLED = "cancelled"
    #: Out of attempts, or refused for good: kept and shown, never run again by itself.
    DEAD = "dead"


class JobEvent(StrEnum):
    """What happens to a job."""

    DUE = "due"
    CLAIM = "claim"
    COMPLETE = "complete"
    #: Its attempt failed.
    FAIL = "fail"
    #: Its lease ended, or the process that had it.
    LOST = "lost"
    #: Given back unfinished, as at a stop: the attempt does not count.
    RELEASE = "release"
    CANCEL = "cancel"
    RETRY = "retry"


_S, _E = JobState, JobEvent
#: What may follow; a pair that is missing does not happen.
TRANSITIONS: Final[dict[tuple[JobState, JobEvent], frozenset[JobState]]] = {
    (_S.SCHEDULED, _E.DUE): frozenset({_S.AVAILABLE}),
    (_S.AVAILABLE, _E.CLAIM): frozenset({_S.RUNNING}),
    (_S.RUNNING, _E.COMPLETE): frozenset({_S.COMPLETED}),
    (_S.RUNNING, _E.FAIL): frozenset({_S.SCHEDULED, _S.DEAD}),
    (_S.RUNNING, _E.LOST): frozenset({_S.SCHEDULED, _S.AVAILABLE, _S.DEAD}),
    (_S.RUNNING, _E.RELEASE): frozenset({_S.AVAILABLE}),
    (_S.SCHEDULED, _E.CANCEL): frozenset({_S.CANCELLED}),
    (_S.AVAILABLE, _E.CANCEL): frozenset({_S.CANCELLED}),
    (_S.RUNNING, _E.CANCEL): frozenset({_S.CANCELLED}),
    (_S.SCHEDULED, _E.RETRY): frozenset({_S.AVAILABLE}),
    (_S.DEAD, _E.RETRY): frozenset({_S.AVAILABLE}),
    (_S.CANCELLED, _E.RETRY): frozenset({_S.AVAILABLE}),
}
LIVE: Final = frozenset({_S.SCHEDULED, _S.AVAILABLE, _S.RUNNING})
#: How long a job waits that was running when its process died, by how often it was begun: the
#: first time not at all, and then so long that it cannot use up the restarts of a runtime that it
#: kills itself. Never longer than a lease.
_LOST_SECONDS: Final = (0.0, 5.0, 15.0, limits.JOB_LEASE_SECONDS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a job whose attempt did not complete it."""

    state: JobState
    due_ms: int


def after_failure(
    *, attempt: int, retries: int, backoff_s: float, now_ms: int, chance: float,
    is_final: bool = False,
) -> Verdict:  # fmt: skip
    """Return what becomes of a job whose attempt failed.

    Args:
        attempt: the number of this attempt, from 1.
        retries: how many may follow the first.
        backoff_s: the pause before the second; it doubles with each.
        now_ms: the time.
        chance: from 0 to 1; spreads the pause from half of it to one and a half.
        is_final: trying again is of no use.
    """
    if is_final or attempt > retries:
        return Verdict(JobState.DEAD, now_ms)
    return Verdict(JobState.SCHEDULED, now_ms + int(pause_s(attempt, backoff_s, chance) * 1000))


def pause_s(attempt: int, backoff_s: float, chance: float) -> float:
    """Return the pause after an attempt: exponential, bounded, spread by chance."""
    doubled = backoff_s * 2.0 ** min(attempt - 1, 60)
    return min(doubled, limits.JOB_BACKOFF_SECONDS_MAX) * (0.5 + chance)


def after_loss(*, attempt: int, retries: int, now_ms: int) -> Verdict:
    """Return what becomes of a job whose worker is gone: killed, or silent beyond its lease."""
    if attempt > retries:
        return Verdict(JobState.DEAD, now_ms)
    wait_s = _LOST_SECONDS[min(attempt, len(_LOST_SECONDS)) - 1] if attempt else 0.0
    if wait_s == 0:
        return Verdict(JobState.AVAILABLE, now_ms)
    return Verdict(JobState.SCHEDULED, now_ms + int(wait_s * 1000))
