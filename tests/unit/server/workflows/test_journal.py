"""The journal of a run: a line ends once, whoever comes; nothing after the end; losses are few."""

from __future__ import annotations

import sqlite3

from pylon import jsonvalue, limits
from pylon.identity import SYSTEM
from pylon.schema.model import Schema
from pylon.server.storage import journal, workflows
from pylon.server.storage.system_tables import STATEMENTS
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import NewRun, RunState, StepRecord
from pylon.server.workflows.engine import _take_up


def _transaction() -> Transaction:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    for statement in STATEMENTS:
        raw.execute(statement)
    transaction = Transaction(raw, Schema(entities={}), {})
    transaction.begin(1_000, 1_000, 0)
    return transaction


def _start(transaction: Transaction, run_id: str = "r") -> int:
    workflows.start(transaction, NewRun(id=run_id, name="f", args="{}", identity=SYSTEM))
    run = workflows.by_id(transaction.connection, run_id)
    assert run is not None
    return run.n


def _step(path: str) -> StepRecord:
    return StepRecord(path=path, seq=None, kind="step", name="s", fn="f", args="{}", attempt=1)


def test_a_line_ends_once_and_the_first_record_stays() -> None:
    """The second end of a step changes nothing and takes no number (I85)."""
    transaction = _transaction()
    n = _start(transaction)
    assert journal.begin(transaction, n, _step("1"))
    assert not journal.begin(transaction, n, _step("1"))
    assert journal.end(transaction, n, "1", result='"first"')
    before = journal.read(transaction.connection, n)
    assert not journal.end(transaction, n, "1", result='"second"')
    assert not journal.end(transaction, n, "1", error='{"code":"LATE"}')
    journal.note_failure(transaction, n, "1", 5_000, '{"code":"LATE"}')
    journal.note_begun(transaction, n, "1")
    assert journal.read(transaction.connection, n) == before
    assert journal.last_seq(transaction, n) == 1
    assert not journal.end(transaction, n, "nowhere", result="1")


def test_an_ended_run_records_nothing_more() -> None:
    """Cancelled, a step that was under way ends nothing; nor is it ended in another way (I87)."""
    transaction = _transaction()
    n = _start(transaction)
    journal.begin(transaction, n, _step("1"))
    assert workflows.cancel(transaction, "r")
    assert not journal.end(transaction, n, "1", result="1")
    assert journal.last_seq(transaction, n) == 0
    for late in (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED):
        assert not workflows.finish(transaction, n, late, result="1")
    workflows.wake(transaction, n)
    workflows.park(transaction, n, 2_000)
    run = workflows.by_id(transaction.connection, "r")
    assert run is not None
    assert (run.state, run.result, run.wake_at) == ("cancelled", None, None)


def _lose(transaction: Transaction, n: int) -> None:
    """Have the process end while the run is at work, and another start."""
    workflows.wake(transaction, n)
    _take_up(transaction)


def test_a_step_that_ends_its_process_over_and_over_fails_its_run_in_the_end() -> None:
    """One less does not; a record, a failed try or a stop in order begin to count anew."""
    transaction = _transaction()
    n = _start(transaction)
    journal.begin(transaction, n, _step("1"))
    for _ in range(limits.WORKFLOW_LOSSES_MAX - 1):
        _lose(transaction, n)
    journal.note_failure(transaction, n, "1", 5_000, "{}")
    for _ in range(limits.WORKFLOW_LOSSES_MAX - 1):
        _lose(transaction, n)
    journal.end(transaction, n, "1", result="1")
    for _ in range(limits.WORKFLOW_LOSSES_MAX * 2):  # stops in order are no losses
        workflows.wake(transaction, n)
        workflows.release(transaction)
        _take_up(transaction)
    for lost in range(1, limits.WORKFLOW_LOSSES_MAX + 1):
        run = workflows.by_n(transaction.connection, n)
        assert run is not None
        assert run.state in ("running", "parked"), lost
        _lose(transaction, n)
    run = workflows.by_n(transaction.connection, n)
    assert run is not None
    assert run.state == "failed"
    assert jsonvalue.decode_trusted(run.error or "")["code"] == "WORKFLOW_LOST"
    _lose(transaction, n)
    assert workflows.by_n(transaction.connection, n) == run
