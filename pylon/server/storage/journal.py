"""The journals of workflow runs, and the signals that wait for them.

A line is written when a step is issued, and ended once: who comes second finds it ended, takes
what it says and changes nothing (I85). An ended run takes no more records (I87).
"""

from __future__ import annotations

from typing import Final

from pylon import jsonvalue, limits
from pylon.errors import Conflict, WorkflowTooLong
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import StepKind, StepRecord
from pylon.sqlite import RawConnection

_LIVE: Final = "('running', 'parked', 'diverged')"
_FIELDS: Final = (
    "path", "seq", "kind", "name", "fn", "args", "attempt", "failures", "due_at", "begun_at",
    "ended_at", "result", "error", "place", "child",
)  # fmt: skip
_COLUMNS: Final = ", ".join(_FIELDS)
_TIMED_OUT: Final = jsonvalue.encode_text(
    {"code": "TIMEOUT", "message": "nothing came in time", "details": {}, "is_refusal": False}
)


# --- reading


def _records(rows: list[tuple[object, ...]]) -> list[StepRecord]:
    return [StepRecord(**dict(zip(_FIELDS, row, strict=True))) for row in rows]  # type: ignore[arg-type]


def read(connection: RawConnection, n: int) -> list[StepRecord]:
    """Return the whole journal of a run: what has ended in the order of that, then the rest."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM _pylon_journal WHERE run = ? ORDER BY seq IS NULL, seq, path", (n,)
    ).fetchall()
    return _records(rows)


def since(transaction: Transaction, n: int, seq: int) -> list[StepRecord]:
    """Return what ended after a record, in order."""
    return _records(
        transaction.select(
            f"SELECT {_COLUMNS} FROM _pylon_journal WHERE run = ? AND seq > ? ORDER BY seq",
            (n, seq),
        )
    )


def pending(transaction: Transaction, n: int) -> list[StepRecord]:
    """Return the lines of a run that have not ended, the soonest due first."""
    return _records(
        transaction.select(
            f"SELECT {_COLUMNS} FROM _pylon_journal WHERE run = ? AND seq IS NULL"
            " ORDER BY due_at IS NULL, due_at, path",
            (n,),
        )
    )


def find(connection: RawConnection, n: int, path: str) -> StepRecord | None:
    """Return one line."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM _pylon_journal WHERE run = ? AND path = ?", (n, path)
    ).fetchall()
    return _records(rows)[0] if rows else None


def last_seq(transaction: Transaction, n: int) -> int:
    """Return how many records a run has."""
    ((seq,),) = transaction.select("SELECT seq FROM _pylon_workflows WHERE n = ?", (n,))
    return int(seq)


# --- writing


def begin(transaction: Transaction, n: int, record: StepRecord) -> bool:
    """Write a line that has not ended; False where it is there."""
    changed = transaction.execute(
        "INSERT INTO _pylon_journal (run, path, kind, name, fn, args, attempt, due_at, begun_at,"
        " place, child) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            n, record.path, record.kind, record.name, record.fn, record.args, record.attempt,
            record.due_at, transaction.now_ms, record.place, record.child,
        ),
    )  # fmt: skip
    return changed == 1


def note_begun(transaction: Transaction, n: int, path: str) -> None:
    """Count that a step is begun once more."""
    transaction.execute(
        "UPDATE _pylon_journal SET attempt = attempt + 1, due_at = NULL"
        " WHERE run = ? AND path = ? AND seq IS NULL",
        (n, path),
    )


def note_failure(transaction: Transaction, n: int, path: str, due_ms: int, error: str) -> None:
    """Keep that a step failed, and when it is tried again."""
    transaction.execute(
        "UPDATE _pylon_journal SET failures = failures + 1, due_at = ?, error = ?"
        " WHERE run = ? AND path = ? AND seq IS NULL",
        (due_ms, error, n, path),
    )
    transaction.execute("UPDATE _pylon_workflows SET lost = 0 WHERE n = ?", (n,))


def end(
    transaction: Transaction, n: int, path: str, *, result: str | None = None,
    error: str | None = None,
) -> bool:  # fmt: skip
    """End a line for good; False where it has ended, is none, or its run has ended.

    Raises WorkflowTooLong beyond the limits of one run.
    """
    found = transaction.select(
        "SELECT w.seq, w.bytes FROM _pylon_journal j JOIN _pylon_workflows w ON w.n = j.run"
        f" AND w.state IN {_LIVE} WHERE j.run = ? AND j.path = ? AND j.seq IS NULL",
        (n, path),
    )
    if not found:
        return False
    seq = found[0][0] + 1
    total = found[0][1] + len((result or "").encode()) + len((error or "").encode())
    if seq > limits.WORKFLOW_STEPS_MAX or total > limits.WORKFLOW_JOURNAL_BYTES_MAX:
        raise WorkflowTooLong(
            f"a run records at most {limits.WORKFLOW_STEPS_MAX:,} steps and"
            f" {limits.WORKFLOW_JOURNAL_BYTES_MAX:,} bytes",
            hint="do a part of it in a child, or have its last step start the next run",
        )
    transaction.execute(
        "UPDATE _pylon_workflows SET seq = ?, bytes = ?, lost = 0 WHERE n = ?", (seq, total, n)
    )
    transaction.execute(
        "UPDATE _pylon_journal SET seq = ?, due_at = NULL, ended_at = ?, result = ?, error = ?"
        " WHERE run = ? AND path = ?",
        (seq, transaction.now_ms, result if error is None else None, error, n, path),
    )
    return True


def settle(transaction: Transaction, n: int) -> None:
    """End what has come: timers that ring, signals that are there, waits that were in vain."""
    now = transaction.now_ms
    for one in pending(transaction, n):
        is_due = one.due_at is not None and one.due_at <= now
        match one.kind:
            case StepKind.SLEEP:
                if is_due:
                    end(transaction, n, one.path, result="null")
            case StepKind.WAIT:
                data = _take_signal(transaction, n, one.name, one.due_at)
                if data is not None:
                    end(transaction, n, one.path, result=data)
                elif is_due:
                    end(transaction, n, one.path, error=_TIMED_OUT)
            case StepKind.STEP:
                if is_due:
                    transaction.execute(
                        "UPDATE _pylon_journal SET due_at = NULL WHERE run = ? AND path = ?",
                        (n, one.path),
                    )
            case _:
                pass


def try_now(transaction: Transaction, n: int) -> bool:
    """Have steps that wait for their next try be tried now; False where none does."""
    changed = transaction.execute(
        "UPDATE _pylon_journal SET due_at = ? WHERE run = ? AND seq IS NULL AND kind = 'step'"
        " AND due_at IS NOT NULL",
        (transaction.now_ms, n),
    )
    return changed > 0


def forget_from(transaction: Transaction, n: int, seq: int) -> None:
    """Forget a record and those after it."""
    transaction.execute("DELETE FROM _pylon_journal WHERE run = ? AND seq >= ?", (n, seq))
    transaction.execute("UPDATE _pylon_workflows SET seq = ? WHERE n = ?", (seq - 1, n))


def copy_before(transaction: Transaction, n: int, to: int, seq: int) -> None:
    """Give another run the records of this one before a record."""
    transaction.execute(
        f"INSERT INTO _pylon_journal (run, {_COLUMNS}) SELECT ?, {_COLUMNS} FROM _pylon_journal"
        " WHERE run = ? AND seq < ?",
        (to, n, seq),
    )


# --- signals


def add_signal(transaction: Transaction, n: int, event: str, data: str) -> None:
    """Keep a signal for a run until it waits for it; raises Conflict where too many are kept."""
    ((count,),) = transaction.select("SELECT count(*) FROM _pylon_signals WHERE run = ?", (n,))
    if count >= limits.WORKFLOW_SIGNALS_MAX:
        raise Conflict(
            f"the run has {limits.WORKFLOW_SIGNALS_MAX} signals that it has not waited for"
        )
    transaction.execute(
        "INSERT INTO _pylon_signals (run, event, data, at) VALUES (?, ?, ?, ?)",
        (n, event, data, transaction.now_ms),
    )


def _take_signal(transaction: Transaction, n: int, event: str, until: int | None) -> str | None:
    rows = transaction.select(
        "DELETE FROM _pylon_signals WHERE n = (SELECT n FROM _pylon_signals WHERE run = ?1"
        " AND event = ?2 AND (?3 IS NULL OR at <= ?3) ORDER BY n LIMIT 1) RETURNING data",
        (n, event, until),
    )
    return str(rows[0][0]) if rows else None


def waiting_signals(connection: RawConnection, n: int) -> list[tuple[str, str, int]]:
    """Return the signals that a run has not waited for yet: event, data, when (Unix ms)."""
    return list(
        connection.execute(
            "SELECT event, data, at FROM _pylon_signals WHERE run = ? ORDER BY n LIMIT 100", (n,)
        ).fetchall()
    )
