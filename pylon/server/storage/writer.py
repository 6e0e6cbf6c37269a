"""The one writer: operations in batches, each in its savepoint, one durable commit for all.

Statements run on the loop's thread, COMMIT alone on the connection's own; nothing touches the
connection while its COMMIT is in flight. A failed COMMIT has an unknown outcome: everything is
closed, opened again and verified before anything more is acknowledged (I6).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pylon import limits
from pylon.clock import Clock
from pylon.errors import Internal, PylonError, Unavailable
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import SQLITE_FULL, Connection, Error, RawConnection

T = TypeVar("T")
Work = Callable[[Transaction], Any]
Refusal = Callable[[Transaction, PylonError], Any]
CommitListener = Callable[[list[LogRecord], int], None]

_log = logging.getLogger("pylon.storage")
#: Records after which the WAL is copied back when nothing else waits, and when much does.
_CHECKPOINT_RECORDS_IDLE = 2_000
_CHECKPOINT_RECORDS_BUSY = 20_000


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What an operation returned, and the head right after it."""

    value: T
    seq: int


class _Operation:
    """One queued operation and the future of its answer."""

    __slots__ = ("future", "on_refused", "outcome", "seq", "work")

    def __init__(self, work: Work, on_refused: Refusal | None, future: asyncio.Future[Any]) -> None:
        self.work = work
        self.on_refused = on_refused
        self.future = future
        self.outcome: Any = None
        self.seq = 0


class _BatchLost(Exception):
    """SQLite ended the whole transaction; `culprit` was running."""

    def __init__(self, culprit: _Operation, error: BaseException) -> None:
        super().__init__(str(error))
        self.culprit = culprit
        self.error = error


class Storage(Protocol):
    """What the writer needs of the database around it."""

    head: int

    def new_transaction(self) -> Transaction:
        """Return a transaction over the current schema."""
        ...

    async def recover(self) -> Connection:
        """Close everything, open it again, verify, and return the new writer connection."""
        ...


class Writer:
    """Queues operations and commits them in groups."""

    def __init__(self, storage: Storage, connection: Connection, clock: Clock) -> None:
        self._storage = storage
        self._connection = connection
        self._clock = clock
        self._queue: deque[_Operation] = deque()
        self._wake = asyncio.Event()
        self._pause = asyncio.Lock()
        self._listeners: list[CommitListener] = []
        self._records_since_checkpoint = 0
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None
        self.health = "ok"
        self.commit_ms = 0.0
        self.batches = 0
        self.operations = 0

    # --- asking for work

    def submit(self, work: Work, *, on_refused: Refusal | None = None) -> asyncio.Future[Any]:
        """Queue one operation.

        Returns a future of `Committed(value, seq)`, done after the durable commit. It raises the
        PylonError that the work raised (after `on_refused`, if given, was committed in its
        place), Internal for any other exception, and Unavailable where nobody can know.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._is_closing or len(self._queue) >= limits.WRITER_QUEUE_MAX:
            reason = "stopping" if self._is_closing else "busy"
            future.set_exception(Unavailable(f"the writer is {reason}", reason=reason))
            return future
        self._queue.append(_Operation(work, on_refused, future))
        if not self._wake.is_set():
            self._wake.set()
        return future

    def submit_many(
        self, works: Sequence[tuple[Work, Refusal | None]]
    ) -> list[asyncio.Future[Any]]:
        """Queue operations that are independent of each other, in order."""
        return [self.submit(work, on_refused=refusal) for work, refusal in works]

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener(records, head)` on the loop after each commit that changed rows."""
        self._listeners.append(listener)

    def off_commit(self, listener: CommitListener) -> None:
        """Stop calling a listener."""
        self._listeners.remove(listener)

    def pause(self) -> asyncio.Lock:
        """Return the lock that keeps batches from running, for migrations and backups."""
        return self._pause

    # --- running

    def start(self) -> None:
        """Start the loop that commits; owned by this writer until `close()`."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="pylon-writer")

    async def close(self) -> None:
        """Finish what is queued, then stop; later operations are refused."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._is_closing:
                    return
                await self._checkpoint_beyond(_CHECKPOINT_RECORDS_IDLE)
                self._wake.clear()
                if not self._queue:
                    await self._wake.wait()
                # One more pass of the loop: what arrives in it joins this batch.
                await asyncio.sleep(0)
                continue
            async with self._pause:
                await self._commit_one_batch()
            await self._checkpoint_beyond(_CHECKPOINT_RECORDS_BUSY)

    async def _commit_one_batch(self) -> None:
        try:
            batch, records, seq = self._execute_batch()
        except Error as error:
            await self._recover([], error)
            return
        if not batch:
            return
        started = self._clock.monotonic()
        try:
            await self._commit()
        except Error as error:
            await self._recover(batch, error)
            return
        self.commit_ms = (self._clock.monotonic() - started) * 1000
        self.batches += 1
        self.operations += len(batch)
        self._records_since_checkpoint += len(records)
        self._publish(batch, records, seq)

    async def _commit(self) -> None:
        # Cancelling the waiter would not stop the COMMIT: wait for its end in any case.
        commit = asyncio.ensure_future(self._connection.run(_commit))
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError:
            with suppress(Error):
                await commit
            raise

    def _publish(self, batch: list[_Operation], records: list[LogRecord], seq: int) -> None:
        self._storage.head = seq
        if records:
            for listener in self._listeners:
                listener(records, seq)
        for operation in batch:
            _answer(operation)

    # --- one batch

    def _execute_batch(self) -> tuple[list[_Operation], list[LogRecord], int]:
        """Run queued operations until the batch is full; re-run them where one lost it."""
        taken: list[_Operation] = []
        while True:
            try:
                return self._execute(taken)
            except _BatchLost as lost:
                if getattr(lost.error, "sqlite_errorcode", None) == SQLITE_FULL:
                    failed = Unavailable(
                        "the disk is full; nothing was stored", reason="disk_full",
                        hint="make room; reads go on meanwhile",
                    )  # fmt: skip
                    for operation in taken:
                        operation.outcome = failed
                        _answer(operation)
                    self.health = "disk_full"
                    return [], [], 0
                taken.remove(lost.culprit)
                lost.culprit.outcome = _as_pylon_error(lost.error)
                _answer(lost.culprit)

    def _execute(self, taken: list[_Operation]) -> tuple[list[_Operation], list[LogRecord], int]:
        connection = self._connection.raw
        assert not connection.in_transaction
        transaction = self._storage.new_transaction()
        now_ms = self._clock.now_ms()
        connection.execute("BEGIN IMMEDIATE")
        seq = self._storage.head
        records: list[LogRecord] = []
        for operation in taken:
            seq = self._run_operation(connection, transaction, operation, now_ms, seq, records)
        count = len(taken)
        while self._queue and len(records) < limits.BATCH_ROWS_MAX > count:
            operation = self._queue.popleft()
            if operation.future.cancelled():
                continue
            taken.append(operation)
            count += 1
            seq = self._run_operation(connection, transaction, operation, now_ms, seq, records)
        return taken, records, seq

    def _run_operation(
        self, connection: RawConnection, transaction: Transaction, operation: _Operation,
        now_ms: int, seq: int, records: list[LogRecord],
    ) -> int:  # fmt: skip
        """Run one operation in its savepoint; returns the last seq given so far."""
        connection.execute("SAVEPOINT op")
        transaction.begin(now_ms, seq)
        try:
            operation.outcome = Committed(operation.work(transaction), transaction.seq)
            connection.execute("RELEASE op")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            if not connection.in_transaction:
                raise _BatchLost(operation, error) from error
            self._undo(connection, transaction)
            operation.outcome = _as_pylon_error(error)
            if operation.on_refused is not None:
                self._record_refusal(connection, transaction, operation, now_ms, seq)
            return seq
        records += transaction.records
        return transaction.seq

    def _undo(self, connection: RawConnection, transaction: Transaction) -> None:
        transaction.batch_facts.clear()
        connection.execute("ROLLBACK TO op")
        connection.execute("RELEASE op")

    def _record_refusal(
        self, connection: RawConnection, transaction: Transaction, operation: _Operation,
        now_ms: int, seq: int,
    ) -> None:  # fmt: skip
        assert operation.on_refused is not None
        connection.execute("SAVEPOINT op")
        transaction.begin(now_ms, seq)
        try:
            operation.on_refused(transaction, operation.outcome)
            connection.execute("RELEASE op")
        except Error as error:
            if not connection.in_transaction:
                raise _BatchLost(operation, error) from error
            self._undo(connection, transaction)

    # --- trouble

    async def _recover(self, batch: list[_Operation], error: BaseException) -> None:
        self.health = "recovering"
        _log.error("storage.commit_failed %s: outcome unknown, opening again", error)
        unknown = Unavailable(
            "the commit failed and may or may not have happened", reason="commit_unknown",
            hint="retry with the same operation id",
        )  # fmt: skip
        if getattr(error, "sqlite_errorcode", None) == SQLITE_FULL:
            unknown.details["reason"] = "disk_full"
        for operation in batch:
            operation.outcome = unknown
            _answer(operation)
        while True:
            try:
                self._connection = await self._storage.recover()
            except (Error, PylonError, OSError) as failure:
                _log.error("storage.recovery_failed %s; trying again", failure)
                self.health = f"failed: {failure}"
                await self._clock.sleep(1.0)
                if self._is_closing:
                    self._refuse_queued()
                    return
            else:
                self.health = "ok"
                return

    def _refuse_queued(self) -> None:
        while self._queue:
            operation = self._queue.popleft()
            operation.outcome = Unavailable("the storage is not available", reason="stopping")
            _answer(operation)

    async def _checkpoint_beyond(self, records: int) -> None:
        if self._records_since_checkpoint < records:
            return
        self._records_since_checkpoint = 0
        async with self._pause:
            try:
                await self._connection.run(_checkpoint)
            except Error as error:
                _log.warning("storage.checkpoint_failed %s", error)


def _commit(connection: RawConnection) -> None:
    connection.execute("COMMIT")


def _checkpoint(connection: RawConnection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _as_pylon_error(error: BaseException) -> PylonError:
    if isinstance(error, PylonError):
        return error
    _log.error("storage.operation_failed", exc_info=error)
    internal = Internal()
    internal.__cause__ = error
    return internal


def _answer(operation: _Operation) -> None:
    if operation.future.done():
        return
    if isinstance(operation.outcome, PylonError):
        operation.future.set_exception(operation.outcome)
    else:
        operation.future.set_result(operation.outcome)
