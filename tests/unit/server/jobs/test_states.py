"""What becomes of a job: the transitions there are, and the pauses between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pylon import limits
from pylon.server.jobs.states import (
    LIVE,
    TRANSITIONS,
    JobEvent,
    JobState,
    after_failure,
    after_loss,
    pause_s,
)

ATTEMPTS = st.integers(1, 200)
RETRIES = st.integers(0, 100)
CHANCE = st.floats(0, 1, exclude_max=True)


def test_nothing_moves_an_ended_job_but_a_hand() -> None:
    """Completed is final; cancelled and dead ones are run again on request only."""
    for (state, event), following in TRANSITIONS.items():
        if state not in LIVE:
            assert event is JobEvent.RETRY
            assert following == {JobState.AVAILABLE}
    assert not any(state is JobState.COMPLETED for state, _ in TRANSITIONS)


def test_only_a_claim_makes_a_job_run() -> None:
    """There is one way into `running`, and its attempt is counted there."""
    into = [pair for pair, following in TRANSITIONS.items() if JobState.RUNNING in following]
    assert into == [(JobState.AVAILABLE, JobEvent.CLAIM)]


@given(ATTEMPTS, RETRIES, st.floats(0, limits.JOB_BACKOFF_SECONDS_MAX), CHANCE, st.booleans())
def test_a_failed_job_waits_or_is_dead_and_never_loops(
    attempt: int, retries: int, backoff: float, chance: float, is_final: bool
) -> None:
    """It has as many attempts as it was given, and never one after it refused."""
    verdict = after_failure(
        attempt=attempt, retries=retries, backoff_s=backoff, now_ms=1_000, chance=chance,
        is_final=is_final,
    )  # fmt: skip
    assert verdict.state in TRANSITIONS[JobState.RUNNING, JobEvent.FAIL]
    assert (verdict.state is JobState.DEAD) == (is_final or attempt > retries)
    assert verdict.due_ms >= 1_000


@given(st.integers(1, 100), st.floats(0.001, 100), CHANCE)
def test_pauses_double_within_half_and_one_and_a_half(
    attempt: int, backoff: float, chance: float
) -> None:
    """Up to the longest pause, whatever the attempt."""
    full = min(backoff * 2 ** (attempt - 1), limits.JOB_BACKOFF_SECONDS_MAX)
    assert full * 0.5 <= pause_s(attempt, backoff, chance) <= full * 1.5


@given(ATTEMPTS, RETRIES)
def test_a_lost_job_runs_again_within_a_lease(attempt: int, retries: int) -> None:
    """At once the first time; dead where it has no attempt left."""
    verdict = after_loss(attempt=attempt, retries=retries, now_ms=0)
    assert verdict.state in TRANSITIONS[JobState.RUNNING, JobEvent.LOST]
    assert (verdict.state is JobState.DEAD) == (attempt > retries)
    assert verdict.due_ms <= limits.JOB_LEASE_SECONDS * 1000
    if attempt == 1 and retries:
        assert verdict.due_ms == 0


def test_a_job_that_kills_its_runtime_does_not_use_up_the_restarts() -> None:
    """Within the supervisor's window it is begun fewer times than a runtime may be restarted."""
    due, begun = 0.0, []
    for attempt in range(1, 11):
        begun.append(due)
        due += after_loss(attempt=attempt, retries=10, now_ms=0).due_ms / 1000
    window = limits.RESTART_WINDOW_SECONDS
    most = max(sum(1 for one in begun if at <= one < at + window) for at in begun)
    assert most <= limits.RESTARTS_MAX
