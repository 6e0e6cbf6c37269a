"""The transactions of a run: a turn of it, a mutation as a step, the end of an action, its own end.

Each of them can come late, or twice: it finds what is recorded, and leaves it (I85); of a run that
has ended it records nothing (I87).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pylon import jsonvalue, limits
from pylon.errors import PayloadTooLarge, PylonError, RunEnded, StepFailed, WorkflowTooLong
from pylon.identity import Identity, stored_identity
from pylon.server.calls import Call
from pylon.server.functions.operation import PreparedOperation
from pylon.server.jobs.states import pause_s
from pylon.server.storage import journal, workflows
from pylon.server.storage.apart import Apart
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import NewRun, RunState, StepKind, StepRecord, StoredRun
from pylon.server.workflows.commands import Command
from pylon.server.workflows.failures import failure_text, is_final


def identity_of(run: StoredRun) -> Identity:
    """Return the stated principal of a run, as stored; who he is now is asked in each step."""
    return stored_identity(run.principal, run.user_id)


def demand_running(transaction: Transaction, n: int) -> StoredRun:
    """Return a run that goes on; raises RunEnded for any other."""
    run = workflows.by_n(transaction.connection, n)
    if run is None or run.state != RunState.RUNNING:
        raise RunEnded()
    return run


@dataclass(slots=True)
class Answer:
    """What a turn found: what has ended since, what has not, and whether the run is parked."""

    records: list[StepRecord]
    pending: list[StepRecord] = field(default_factory=list)
    is_parked: bool = False


@dataclass(slots=True, kw_only=True)
class Turn:
    """Issues what the code asks for, ends what has come; parks the run where nothing is left."""

    n: int
    #: The last record that the code knows of.
    seq: int
    commands: list[Command]
    versions: list[str]
    #: Actions that are under way.
    acting: set[str]
    #: Mutations are still to be run: it is not parked.
    has_more: bool
    new_id: Callable[[], str]

    def run(self, transaction: Transaction) -> Answer:
        """Do it; raises RunEnded."""
        run = demand_running(transaction, self.n)
        transaction.cause = f"workflow:{run.name}#{run.id}"
        for name in self.versions:
            path = f"version:{name}"
            journal.begin(
                transaction, self.n, StepRecord(path=path, seq=None, kind="version", name=name)
            )
            journal.end(transaction, self.n, path, result="true")
        for command in self.commands:
            self._issue(transaction, run, command)
        journal.settle(transaction, self.n)
        answer = Answer(
            journal.since(transaction, self.n, self.seq), journal.pending(transaction, self.n)
        )
        wake_at = min(
            (one.due_at for one in answer.pending if one.due_at is not None), default=None
        )
        is_busy = any(one.kind == StepKind.STEP and one.due_at is None for one in answer.pending)
        if answer.records or is_busy or self.has_more or self.acting:
            workflows.set_timer(transaction, self.n, wake_at)
        else:
            workflows.park(transaction, self.n, wake_at)
            answer.is_parked = True
        return answer

    def _issue(self, transaction: Transaction, run: StoredRun, command: Command) -> None:
        record = record_of(command)
        if command.kind is StepKind.CHILD:
            record = StepRecord(
                path=record.path, seq=None, kind=record.kind, name=record.name, fn=record.fn,
                args=record.args, place=record.place, child=self.new_id(),
            )  # fmt: skip
        if not journal.begin(transaction, self.n, record) or record.child is None:
            return
        if run.depth >= limits.WORKFLOW_DEPTH_MAX:
            error = StepFailed(f"children of children go {limits.WORKFLOW_DEPTH_MAX} deep")
            journal.end(transaction, self.n, record.path, error=failure_text(error))
            return
        workflows.start(
            transaction,
            NewRun(
                id=record.child, name=command.name, args=record.args or "{}",
                identity=identity_of(run), parent=(self.n, record.path), depth=run.depth + 1,
                seed=f"{run.seed} {record.path}",
            ),
        )  # fmt: skip


def record_of(command: Command) -> StepRecord:
    """Return the line that a command is in the journal, before anything came of it."""
    assert command.path is not None
    is_step = command.kind is StepKind.STEP
    return StepRecord(
        path=command.path, seq=None, kind=command.kind.value, name=command.name, fn=command.fn,
        args=jsonvalue.encode_text(command.args) if command.fn is not None else None,
        attempt=1 if is_step else 0, due_at=command.until_ms, place=command.place,
    )  # fmt: skip


def store_failure(
    transaction: Transaction, n: int, command: Command, error: BaseException, chance: float
) -> None:
    """Keep that a step failed: to be tried again, or for good."""
    assert command.path is not None
    row = journal.find(transaction.connection, n, command.path)
    if row is None or row.seq is not None:
        return
    options, failures = command.options, row.failures + 1
    text = failure_text(error)
    if is_final(error) or failures > options.retries:
        journal.end(transaction, n, row.path, error=text)
    else:
        wait_ms = int(pause_s(failures, options.backoff_s, chance) * 1000)
        journal.note_failure(transaction, n, row.path, transaction.now_ms + wait_ms, text)


def demand_size(result: str, what: str) -> None:
    """Raise PayloadTooLarge for a result that is not kept."""
    if len(result.encode()) > limits.WORKFLOW_BYTES_MAX:
        raise PayloadTooLarge(f"{what} has at most {limits.WORKFLOW_BYTES_MAX} bytes")


class MutationStep:
    """A mutation as a step: its effect and its record, all or nothing (`storage.batch.Work`)."""

    is_plain = False

    def __init__(
        self, n: int, seq: int, command: Command, operation: PreparedOperation, chance: float
    ) -> None:
        self._n = n
        self._seq = seq
        self._command = command
        self._operation = operation
        self._chance = chance
        #: What has ended since, where a failure was stored in its place.
        self.records: list[StepRecord] | None = None

    @property
    def call(self) -> Call | None:
        """Return how the mutation is traced."""
        return self._operation.call

    @property
    def apart(self) -> Apart | None:
        """Return that the mutation may take long."""
        return self._operation.apart

    def run(self, transaction: Transaction) -> list[StepRecord]:
        """Run it once; returns what has ended since."""
        n, command = self._n, self._command
        assert command.path is not None
        self.records = None
        demand_running(transaction, n)
        row = journal.find(transaction.connection, n, command.path)
        if row is None or row.seq is None:
            self._note_begun(transaction, row)
            outcome = self._operation.run(transaction)
            result = outcome.value or "null"
            demand_size(result, "a step's result")
            journal.end(transaction, n, command.path, result=result)
        return journal.since(transaction, n, self._seq)

    def _note_begun(self, transaction: Transaction, row: StepRecord | None) -> None:
        assert self._command.path is not None
        if row is None:
            journal.begin(transaction, self._n, record_of(self._command))
        else:
            journal.note_begun(transaction, self._n, self._command.path)

    def refuse(self, transaction: Transaction, error: PylonError) -> None:
        """Store the failure in its place."""
        if isinstance(error, RunEnded | WorkflowTooLong) or error.is_stop:
            return
        try:
            demand_running(transaction, self._n)
        except RunEnded:
            return
        assert self._command.path is not None
        self._note_begun(
            transaction, journal.find(transaction.connection, self._n, self._command.path)
        )
        store_failure(transaction, self._n, self._command, error, self._chance)
        self.records = journal.since(transaction, self._n, self._seq)
