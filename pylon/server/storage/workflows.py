"""The table of workflow runs, and the only speaker to it: start, park, wake, end, by hand, forget.

Every transition is one statement that names the states it starts from: who comes late changes
nothing. What does not live here: the steps of a run (`journal`), and when what is done
(`server.workflows`).
"""

from __future__ import annotations

from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.errors import Conflict, WorkflowTooLong
from pylon.server.storage import journal
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import NewRun, RunMoved, RunState, StoredRun
from pylon.sqlite import RawConnection

LIVE: Final = "('running', 'parked', 'diverged')"
COLUMNS: Final = (
    "n, id, name, state, run_key, args, principal, user_id, parent, parent_path, depth, created_at,"
    " ended_at, wake_at, seq, bytes, lost, result, error, traceback, cause, seed, began_at, origin"
)
_CANCELLED: Final = jsonvalue.encode_text(
    {"code": "CANCELLED", "message": "it was cancelled", "details": {}, "is_refusal": False}
)


# --- beginning


def start(transaction: Transaction, run: NewRun) -> str:
    """Store a run; returns its id, or that of the live run of its name that has its key."""
    if run.key is not None:
        found = transaction.select(
            f"SELECT id FROM _pylon_workflows WHERE name = ? AND run_key = ? AND state IN {LIVE}",
            (run.name, run.key),
        )
        if found:
            return str(found[0][0])
    parent, parent_path = run.parent or (None, None)
    now = transaction.now_ms
    ((n,),) = transaction.select(
        "INSERT INTO _pylon_workflows (id, name, state, run_key, args, principal, user_id, parent,"
        " parent_path, depth, created_at, cause, seed, began_at)"
        " VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING n",
        (
            run.id, run.name, run.key, run.args, run.identity.kind.value, run.identity.user_id,
            parent, parent_path, run.depth, now, transaction.cause, run.seed or run.id, now,
        ),
    )  # fmt: skip
    transaction.tell(RunMoved(n, run.id, RunState.RUNNING))
    return run.id


# --- reading


def by_id(connection: RawConnection, run_id: str) -> StoredRun | None:
    """Return a run."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM _pylon_workflows WHERE id = ?", (run_id,)
    ).fetchone()
    return None if row is None else StoredRun(*row)


def by_n(connection: RawConnection, n: int) -> StoredRun | None:
    """Return a run by its number."""
    row = connection.execute(f"SELECT {COLUMNS} FROM _pylon_workflows WHERE n = ?", (n,)).fetchone()
    return None if row is None else StoredRun(*row)


def in_line(connection: RawConnection, at_most: int) -> list[tuple[int, str, str]]:
    """Return (n, id, name) of the runs that have something to do, the oldest first."""
    return list(
        connection.execute(
            "SELECT n, id, name FROM _pylon_workflows WHERE state = 'running' ORDER BY n LIMIT ?",
            (at_most,),
        ).fetchall()
    )


def next_woken(connection: RawConnection) -> tuple[int, str] | None:
    """Return when the next timer of any run rings, Unix ms, and the name of its workflow."""
    row = connection.execute(
        "SELECT wake_at, name FROM _pylon_workflows WHERE wake_at IS NOT NULL"
        " ORDER BY wake_at LIMIT 1"
    ).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def next_wake(connection: RawConnection) -> int | None:
    """Return when the next timer of any run rings, Unix ms."""
    (due,) = connection.execute(
        "SELECT min(wake_at) FROM _pylon_workflows WHERE wake_at IS NOT NULL"
    ).fetchone()
    return None if due is None else int(due)


# --- moving


def wake_due(transaction: Transaction, at_most: int) -> tuple[list[int], bool]:
    """Have runs go on whose timers ring; returns them, and whether there may be more."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET state = 'running', wake_at = NULL WHERE n IN (SELECT n FROM"
        " _pylon_workflows WHERE wake_at <= ? ORDER BY wake_at LIMIT ?)"
        " AND state IN ('running', 'parked') RETURNING n",
        (transaction.now_ms, at_most),
    )
    return [int(n) for (n,) in rows], len(rows) == at_most


def wake(transaction: Transaction, n: int) -> None:
    """Have a run go on that waits; one that is driven is told to look."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET state = 'running', wake_at = NULL"
        " WHERE n = ? AND state IN ('running', 'parked') RETURNING id",
        (n,),
    )
    for (run_id,) in rows:
        transaction.tell(RunMoved(n, str(run_id), RunState.RUNNING))


def park(transaction: Transaction, n: int, wake_at: int | None) -> None:
    """Have a run wait, until a time or until it is woken."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET state = 'parked', wake_at = ?"
        " WHERE n = ? AND state = 'running' RETURNING id",
        (wake_at, n),
    )
    for (run_id,) in rows:
        transaction.tell(RunMoved(n, str(run_id), RunState.PARKED, wake_at))


def set_timer(transaction: Transaction, n: int, wake_at: int | None) -> None:
    """Note when the next timer of a run rings that is driven meanwhile."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET wake_at = ? WHERE n = ? AND state = 'running'"
        " AND wake_at IS NOT ? RETURNING id",
        (wake_at, n, wake_at),
    )
    for (run_id,) in rows:
        transaction.tell(RunMoved(n, str(run_id), RunState.RUNNING, wake_at))


def diverge(transaction: Transaction, n: int, error: str) -> bool:
    """Stop a run whose code no longer fits, with the reason; False where it has ended."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET state = 'diverged', wake_at = NULL, error = ?"
        f" WHERE n = ? AND state IN {LIVE} RETURNING id",
        (error, n),
    )
    for (run_id,) in rows:
        transaction.tell(RunMoved(n, str(run_id), RunState.DIVERGED))
    return bool(rows)


def try_diverged(transaction: Transaction, at_most: int) -> bool:
    """Have diverged runs try again, as after a change of the code; tells if there may be more."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET state = 'running', error = NULL WHERE n IN (SELECT n FROM"
        " _pylon_workflows WHERE state = 'diverged' ORDER BY n LIMIT ?) RETURNING n, id",
        (at_most,),
    )
    for n, run_id in rows:
        transaction.tell(RunMoved(n, str(run_id), RunState.RUNNING))
    return len(rows) == at_most


# --- the process that ended before this one


def count_losses(transaction: Transaction) -> list[tuple[int, int]]:
    """Count for each run at work that its process ended; returns (n, how often in a row)."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET lost = lost + 1 WHERE state = 'running' RETURNING n, lost"
    )
    return [(int(n), int(lost)) for n, lost in rows]


def release(transaction: Transaction) -> None:
    """Say at an orderly end that what is at work was not lost."""
    transaction.execute("UPDATE _pylon_workflows SET lost = lost - 1 WHERE state = 'running'")


# --- ending


def finish(
    transaction: Transaction, n: int, state: RunState, *, result: str | None = None,
    error: str | None = None, traceback: str | None = None,
) -> bool:  # fmt: skip
    """End a run, and tell the one that waits for it; False where it has ended before."""
    rows = transaction.select(
        "UPDATE _pylon_workflows SET state = ?, ended_at = ?, wake_at = NULL, result = ?,"
        f" error = ?, traceback = ? WHERE n = ? AND state IN {LIVE}"
        " RETURNING id, parent, parent_path",
        (
            state.value, transaction.now_ms, result, error,
            None if traceback is None else traceback[-limits.JOB_TRACEBACK_CHARACTERS_MAX :], n,
        ),
    )  # fmt: skip
    for run_id, parent, parent_path in rows:
        transaction.tell(RunMoved(n, str(run_id), state))
        transaction.execute("DELETE FROM _pylon_signals WHERE run = ?", (n,))
        for (child,) in transaction.select(
            f"SELECT n FROM _pylon_workflows WHERE parent = ? AND state IN {LIVE}", (n,)
        ):
            finish(transaction, child, RunState.CANCELLED, error=_CANCELLED)
        if parent is not None:
            _tell_parent(transaction, parent, parent_path, result, error)
    return bool(rows)


def _tell_parent(
    transaction: Transaction, parent: int, path: str, result: str | None, error: str | None
) -> None:
    try:
        is_told = journal.end(transaction, parent, path, result=result, error=error)
    except WorkflowTooLong as too_long:
        finish(
            transaction, parent, RunState.FAILED,
            error=jsonvalue.encode_text({**too_long.to_wire(), "is_refusal": False}),
        )  # fmt: skip
    else:
        if is_told:
            wake(transaction, parent)


def cancel(transaction: Transaction, run_id: str) -> bool:
    """Cancel a run and its children for good (I87); False where it is none, or has ended."""
    found = transaction.select("SELECT n FROM _pylon_workflows WHERE id = ?", (run_id,))
    return bool(found) and finish(
        transaction, found[0][0], RunState.CANCELLED, error=_CANCELLED
    )  # fmt: skip


# --- by hand


def retry(transaction: Transaction, run: StoredRun) -> None:
    """Have a run try now: one that diverged or failed, or waits between two tries of a step.

    A failed run goes on at the step whose failure ended it. Raises Conflict for a run that has
    nothing to try, or has recorded steps after that failure.
    """
    match run.state:
        case RunState.FAILED:
            _forget_failure(transaction, run)
        case RunState.PARKED | RunState.RUNNING:
            if not journal.try_now(transaction, run.n):
                raise Conflict(
                    f"the run has nothing to try again: it is {run.state}",
                    hint=f"pylon workflows show {run.id} says what it waits for",
                )
        case RunState.DIVERGED:
            pass
        case _:
            raise Conflict(f"the run can't go on: it is {run.state}")
    transaction.execute(
        "UPDATE _pylon_workflows SET state = 'running', error = NULL, traceback = NULL,"
        " ended_at = NULL, wake_at = NULL, lost = 0 WHERE n = ?",
        (run.n,),
    )
    transaction.tell(RunMoved(run.n, run.id, RunState.RUNNING))


def _forget_failure(transaction: Transaction, run: StoredRun) -> None:
    error: dict[str, Any] = jsonvalue.decode_trusted(run.error or "{}")
    step = error.get("step")
    if step is None:
        return  # its own code failed: that may be another by now
    record = journal.find(transaction.connection, run.n, step)
    if record is not None and record.seq is not None:
        if journal.last_seq(transaction, run.n) != record.seq:
            raise Conflict(
                "the run has recorded steps after the one that failed, to undo what it did",
                hint="start it anew; under pylon dev, rerun it from a step",
            )
        journal.forget_from(transaction, run.n, record.seq)


def rerun(transaction: Transaction, run: StoredRun, new_id: str, from_path: str | None) -> int:
    """Start a run anew, with what another recorded before a step; returns its number.

    The other run stays as it is. Raises Conflict where it has no such step.
    """
    before = 1
    if from_path is not None:
        record = journal.find(transaction.connection, run.n, from_path)
        if record is None:
            raise Conflict(f"the run has no step {from_path[:64]}")
        last = journal.last_seq(transaction, run.n)
        before = record.seq if record.seq is not None else last + 1
    ((n,),) = transaction.select(
        "INSERT INTO _pylon_workflows (id, name, state, args, principal, user_id, created_at,"
        " cause, seed, began_at, origin, seq)"
        " VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING n",
        (
            new_id, run.name, run.args, run.principal, run.user_id, transaction.now_ms,
            transaction.cause, run.seed, run.began_at, run.id, before - 1,
        ),
    )  # fmt: skip
    journal.copy_before(transaction, run.n, int(n), before)
    transaction.tell(RunMoved(n, new_id, RunState.RUNNING))
    return int(n)


# --- forgetting


def forget(transaction: Transaction, *, at_most: int) -> int:
    """Delete ended runs that are older, or more, than are kept; returns how many."""
    kept = transaction.select(
        "SELECT ended_at FROM _pylon_workflows WHERE ended_at IS NOT NULL"
        " ORDER BY ended_at DESC LIMIT 1 OFFSET ?",
        (limits.WORKFLOWS_KEPT_MAX,),
    )
    before = transaction.now_ms - limits.WORKFLOWS_KEPT_DAYS * 86_400_000
    if kept:
        before = max(before, int(kept[0][0]))
    rows = transaction.select(
        "DELETE FROM _pylon_workflows WHERE n IN (SELECT n FROM _pylon_workflows"
        " WHERE ended_at <= ? ORDER BY ended_at LIMIT ?) RETURNING n",
        (before, at_most),
    )
    gone = jsonvalue.encode_text([int(n) for (n,) in rows])
    transaction.execute(
        "DELETE FROM _pylon_journal WHERE run IN (SELECT value FROM json_each(?))", (gone,)
    )
    return len(rows)
