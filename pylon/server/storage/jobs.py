"""The job table, and the only speaker to it: enqueue, claim, extend, end, retry, list, forget.

That a job is completed is `completions`: told to the table before anything here asks for it.

Every transition is one statement that names the state it starts from, and for a running job the
token of its claim: who comes late changes nothing. What may follow what is decided by
`jobs.states`; the layers above hand the decision in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.errors import TransactionTooLarge
from pylon.identity import Identity
from pylon.server.storage import completions
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

_LIVE: Final = "('scheduled', 'available', 'running')"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be enqueued."""

    id: str
    name: str
    queue: str
    args: str = field(repr=False)
    identity: Identity
    retries: int
    #: Unix ms; None: at once.
    due_ms: int | None = None
    priority: int = 0
    key: str | None = None
    is_secret: bool = False


@dataclass(slots=True)
class ClaimedJob:
    """A job with its lease: who holds it may end it, by its token."""

    #: Its row.
    n: int
    id: str
    name: str
    queue: str
    args: str = field(repr=False)
    principal: str
    user_id: str | None
    attempt: int
    retries: int
    token: int


@dataclass(frozen=True, slots=True)
class JobsDue:
    """Told after a commit that has a job run: in which queue, and when (Unix ms)."""

    queue: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class JobCancelled:
    """Told after a commit that cancelled a job: whoever runs it stops."""

    job_id: str


_CLAIMED: Final = "n, id, name, queue, args, principal, user_id, attempt, retries, token"


# --- enqueueing


def enqueue(transaction: Transaction, job: NewJob) -> str:
    """Store a job; returns its id, or that of the live job of its name that has its key (I84)."""
    if job.key is not None:
        completions.settle(transaction)
        found = transaction.select(
            f"SELECT id FROM _pylon_jobs WHERE name = ? AND job_key = ? AND state IN {_LIVE}",
            (job.name, job.key),
        )
        if found:
            return str(found[0][0])
    if len(transaction.notices) >= limits.JOBS_PER_TRANSACTION_MAX:
        raise TransactionTooLarge(
            f"one transaction enqueues at most {limits.JOBS_PER_TRANSACTION_MAX} jobs"
        )
    now = transaction.now_ms
    due = now if job.due_ms is None else job.due_ms
    transaction.execute(
        "INSERT INTO _pylon_jobs (id, name, queue, state, args, principal, user_id, priority,"
        " due_at, job_key, retries, created_at, cause, is_secret)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.id, job.name, job.queue, "available" if due <= now else "scheduled", job.args,
            job.identity.kind.value, job.identity.user_id, job.priority, due, job.key,
            job.retries, now, transaction.cause, int(job.is_secret),
        ),
    )  # fmt: skip
    transaction.tell(JobsDue(job.queue, due))
    return job.id


# --- claiming


def promote(transaction: Transaction, *, at_most: int) -> tuple[set[str], bool]:
    """Make scheduled jobs available whose time has come, the earliest first.

    Returns their queues, and whether more may be due: a week of them must not be one transaction.
    """
    found = transaction.select(
        "UPDATE _pylon_jobs SET state = 'available' WHERE n IN (SELECT n FROM _pylon_jobs"
        " WHERE state = 'scheduled' AND due_at <= ? ORDER BY due_at LIMIT ?) RETURNING queue",
        (transaction.now_ms, at_most),
    )
    return {str(queue) for (queue,) in found}, len(found) == at_most


def next_due(connection: RawConnection) -> int | None:
    """Return when the next scheduled job is due, Unix ms."""
    (due,) = connection.execute(
        "SELECT min(due_at) FROM _pylon_jobs WHERE state = 'scheduled'"
    ).fetchone()
    return None if due is None else int(due)


def claim(
    transaction: Transaction, queue: str, at_most: int, room: Mapping[str, int]
) -> tuple[list[ClaimedJob], bool]:
    """Take available jobs of a queue, in order, counting their attempts.

    Args:
        transaction: the transaction.
        queue: whose jobs.
        at_most: how many.
        room: how many more of a name may run; a name that is missing has no bound.

    Returns the jobs, and whether the queue may have more that are available.
    """
    left, full = dict(room), sorted(name for name, count in room.items() if count <= 0)
    chosen: list[int] = []
    while len(chosen) < at_most:
        wanted = at_most - len(chosen)
        rows = _available(transaction, queue, wanted, full, chosen)
        if not rows:
            break
        for n, name in rows:
            if name not in left:
                chosen.append(n)
            elif left[name] > 0:
                left[name] -= 1
                chosen.append(n)
        before, full = full, sorted(name for name, count in left.items() if count <= 0)
        if len(rows) < wanted and full == before:
            break
    if not chosen:
        return [], bool(full)
    lease = transaction.now_ms + int(limits.JOB_LEASE_SECONDS * 1000)
    rows = transaction.select(
        "UPDATE _pylon_jobs SET state = 'running', attempt = attempt + 1, token = token + 1,"
        " lease_until = ?, started_at = ?, progress = NULL, progress_text = NULL"
        " WHERE state = 'available' AND n IN (SELECT value FROM json_each(?))"
        f" RETURNING {_CLAIMED}",
        (lease, transaction.now_ms, jsonvalue.encode_text(chosen)),
    )
    place = {n: index for index, n in enumerate(chosen)}
    rows.sort(key=lambda row: place[row[0]])
    return [ClaimedJob(*row) for row in rows], bool(full) or len(chosen) == at_most


def _available(
    transaction: Transaction, queue: str, at_most: int, full: list[str], chosen: list[int]
) -> list[tuple[Any, ...]]:
    where, params = "queue = ? AND state = 'available'", [queue]
    if full:
        where += " AND name NOT IN (SELECT value FROM json_each(?))"
        params.append(jsonvalue.encode_text(full))
    if chosen:
        where += " AND n NOT IN (SELECT value FROM json_each(?))"
        params.append(jsonvalue.encode_text(chosen))
    return transaction.select(
        f"SELECT n, name FROM _pylon_jobs WHERE {where} ORDER BY priority DESC, due_at, n LIMIT ?",
        (*params, at_most),
    )


def extend(transaction: Transaction, held: Iterable[tuple[str, int]]) -> set[str]:
    """Extend leases, (job id, token); returns the ids of those that are still held."""
    until = transaction.now_ms + int(limits.JOB_LEASE_SECONDS * 1000)
    found = transaction.select(
        "UPDATE _pylon_jobs SET lease_until = ? WHERE state = 'running' AND (id, token) IN"
        " (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
        " RETURNING id",
        (until, jsonvalue.encode_text(list(held))),
    )
    return {str(job_id) for (job_id,) in found}


# --- ending an attempt that did not complete its job


def end_attempt(
    transaction: Transaction, job: ClaimedJob, state: str, due_ms: int, error: str,
    traceback: str | None = None,
) -> bool:  # fmt: skip
    """Have an attempt end without completing its job; False where its claim is another.

    Args:
        transaction: the transaction.
        job: the claim.
        state: scheduled or available for another attempt, or dead.
        due_ms: when that is due.
        error: why.
        traceback: where.
    """
    is_dead = state == "dead"
    completions.settle(transaction)
    changed = transaction.execute(
        "UPDATE _pylon_jobs SET state = ?, token = token + 1, lease_until = NULL, due_at = ?,"
        " ended_at = ?, error = ?, traceback = ?,"
        " args = CASE WHEN is_secret AND ? THEN '{}' ELSE args END"
        " WHERE id = ? AND state = 'running' AND token = ?",
        (
            state, due_ms, transaction.now_ms if is_dead else None,
            error[: limits.JOB_ERROR_CHARACTERS_MAX],
            None if traceback is None else traceback[-limits.JOB_TRACEBACK_CHARACTERS_MAX :],
            int(is_dead), job.id, job.token,
        ),
    )  # fmt: skip
    if changed and not is_dead:
        transaction.tell(JobsDue(job.queue, due_ms))
    return changed == 1


def release(transaction: Transaction, job: ClaimedJob) -> bool:
    """Give a job back unfinished: its attempt does not count."""
    completions.settle(transaction)
    changed = transaction.execute(
        "UPDATE _pylon_jobs SET state = 'available', attempt = attempt - 1, token = token + 1,"
        " lease_until = NULL WHERE id = ? AND state = 'running' AND token = ?",
        (job.id, job.token),
    )
    if changed:
        transaction.tell(JobsDue(job.queue, transaction.now_ms))
    return changed == 1


def note_progress(
    transaction: Transaction, job_id: str, token: int, share: float, text: str | None
) -> None:
    """Store how far a running job has come."""
    transaction.execute(
        "UPDATE _pylon_jobs SET progress = ?, progress_text = ?"
        " WHERE id = ? AND state = 'running' AND token = ?",
        (share, text, job_id, token),
    )


def running(transaction: Transaction) -> list[ClaimedJob]:
    """Return every job that somebody holds."""
    completions.settle(transaction)
    rows = transaction.select(
        f"SELECT {_CLAIMED} FROM _pylon_jobs WHERE state = 'running' ORDER BY n"
    )
    return [ClaimedJob(*row) for row in rows]


def running_counts(transaction: Transaction) -> list[tuple[str, str, int]]:
    """Return how many jobs run, by queue and name."""
    completions.settle(transaction)
    rows = transaction.select(
        "SELECT queue, name, count(*) FROM _pylon_jobs WHERE state = 'running' GROUP BY 1, 2"
    )
    return [(str(queue), str(name), int(count)) for queue, name, count in rows]


def queues(connection: RawConnection) -> set[str]:
    """Return the queues that have a job, whatever its state."""
    rows = connection.execute("SELECT DISTINCT queue FROM _pylon_jobs").fetchall()
    return {str(queue) for (queue,) in rows}


def available_queues(transaction: Transaction) -> set[str]:
    """Return the queues that have jobs to run now."""
    rows = transaction.select("SELECT DISTINCT queue FROM _pylon_jobs WHERE state = 'available'")
    return {str(queue) for (queue,) in rows}


# --- by hand


def cancel(transaction: Transaction, job_id: str) -> bool:
    """Cancel a live job; False where it is none. Whoever runs it can't end it any more."""
    completions.settle(transaction)
    changed = transaction.execute(
        "UPDATE _pylon_jobs SET state = 'cancelled', token = token + 1, lease_until = NULL,"
        " ended_at = ?, args = CASE WHEN is_secret THEN '{}' ELSE args END"
        f" WHERE id = ? AND state IN {_LIVE}",
        (transaction.now_ms, job_id),
    )
    if changed:
        transaction.tell(JobCancelled(job_id))
    return changed == 1


def retry(transaction: Transaction, job_id: str) -> bool:
    """Have a dead, cancelled or scheduled job run now, with all its attempts; False for another.

    One whose arguments were not kept is not run again.
    """
    found = transaction.select(
        "UPDATE _pylon_jobs SET state = 'available', attempt = 0, token = token + 1, due_at = ?,"
        " ended_at = NULL WHERE id = ? AND (state = 'scheduled'"
        " OR state IN ('dead', 'cancelled') AND NOT is_secret) RETURNING queue",
        (transaction.now_ms, job_id),
    )
    for (queue,) in found:
        transaction.tell(JobsDue(str(queue), transaction.now_ms))
    return bool(found)


def dead_ids(
    transaction: Transaction, queue: str | None, name: str | None, at_most: int
) -> list[str]:
    """Return dead jobs that can be run again, the oldest first."""
    rows = transaction.select(
        "SELECT id FROM _pylon_jobs WHERE state = 'dead' AND NOT is_secret"
        " AND (?1 IS NULL OR queue = ?1) AND (?2 IS NULL OR name = ?2) ORDER BY n LIMIT ?3",
        (queue, name, at_most),
    )
    return [str(job_id) for (job_id,) in rows]


def pause(transaction: Transaction, queue: str) -> None:
    """Have a queue start nothing."""
    transaction.execute(
        "INSERT INTO _pylon_queues (queue, paused_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (queue, transaction.now_ms),
    )


def resume(transaction: Transaction, queue: str) -> None:
    """Have a queue go on."""
    transaction.execute("DELETE FROM _pylon_queues WHERE queue = ?", (queue,))
    transaction.tell(JobsDue(queue, transaction.now_ms))


def paused(connection: RawConnection) -> dict[str, int]:
    """Return the paused queues with the time since when, Unix ms."""
    return dict(connection.execute("SELECT queue, paused_at FROM _pylon_queues").fetchall())


# --- forgetting


def forget(transaction: Transaction, *, at_most: int) -> int:
    """Delete ended jobs that are older, or more, than are kept; returns how many."""
    deleted = 0
    for states, days, most in (
        ("('completed', 'cancelled')", limits.JOBS_KEPT_DAYS, limits.JOBS_KEPT_MAX),
        ("('dead')", limits.DEAD_JOBS_KEPT_DAYS, limits.DEAD_JOBS_KEPT_MAX),
    ):
        kept = transaction.select(
            f"SELECT ended_at FROM _pylon_jobs WHERE state IN {states}"
            " ORDER BY ended_at DESC LIMIT 1 OFFSET ?",
            (most,),
        )
        before = transaction.now_ms - days * 86_400_000
        if kept:
            before = max(before, int(kept[0][0]))
        deleted += transaction.execute(
            f"DELETE FROM _pylon_jobs WHERE n IN (SELECT n FROM _pylon_jobs WHERE state IN {states}"
            " AND ended_at <= ? ORDER BY ended_at LIMIT ?)",
            (before, at_most),
        )
    return deleted
