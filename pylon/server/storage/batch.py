"""One group commit's transaction: operations one after the other, none of which harms another.

A *plain* operation writes one thing, and what refuses it refuses it before that: it needs no
savepoint, because there is nothing to undo. Where one fails after it wrote all the same, the
whole batch is rolled back and run again *carefully*: a savepoint for each operation, as those
have at once that are not plain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, Final, Protocol

from pylon.clock import Clock
from pylon.errors import Internal, PylonError
from pylon.server.storage import completions, search_index
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import Error, RawConnection

_log = logging.getLogger("pylon.storage")
#: How many rows one statement stores. Many at once cost half of one by one, provided that the
#: statement keeps no journal of its own: OR FAIL, since a failure here ends the batch anyway.
_SIZES: Final = (128, 32, 8, 1)


def _by_size(head: str, columns: int) -> Mapping[int, str]:
    marks = f"({', '.join('?' * columns)})"
    return {size: f"{head} VALUES {', '.join([marks] * size)}" for size in _SIZES}


_APPEND: Final = _by_size(
    "INSERT OR FAIL INTO _pylon_log (seq, tx, at, entity, row_id, kind, before, after, actor,"
    " cause, operation_id)", 11,
)  # fmt: skip
_REMEMBER: Final = _by_size(
    "INSERT OR FAIL INTO _pylon_ops (principal, op_id, at, content, outcome)", 5
)


class Work(Protocol):
    """One operation; it can be run again, because its inputs are recorded in it."""

    @property
    def is_plain(self) -> bool:
        """Tell whether it runs without a savepoint."""
        ...

    def run(self, transaction: Transaction) -> Any:
        """Do it and return its value; a PylonError refuses it."""
        ...

    def refuse(self, transaction: Transaction, error: PylonError) -> None:
        """Record that it was refused, in a transaction that holds nothing else of it."""
        ...


class BatchLost(Exception):
    """SQLite ended the whole transaction while one operation ran."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class SavepointsNeeded(Exception):
    """An operation failed that can't be undone alone: all are, and run again with savepoints."""


class Batch:
    """Operations inside one open transaction of the writer's connection."""

    def __init__(
        self, connection: RawConnection, transaction: Transaction, clock: Clock, seq: int, *,
        new_id: Callable[[], str], is_careful: bool,
    ) -> None:  # fmt: skip
        self._connection = connection
        self._transaction = transaction
        self._now_ms, self._machine_ms = clock.now_ms(), clock.machine_ms()
        self._is_careful = is_careful
        transaction.is_deferring = not is_careful
        #: Mints the ids of what was not meant to happen.
        self.new_id = new_id
        #: The last seq given so far.
        self.seq = seq
        self.operations = 0
        self.records: list[LogRecord] = []
        #: What listeners are told after the commit.
        self.notices: list[object] = []
        self._log_rows: list[tuple[Any, ...]] = []
        self._remembered: list[tuple[Any, ...]] = []

    @property
    def transaction(self) -> Transaction:
        """Return the transaction, for reads ahead of the operations."""
        return self._transaction

    def run(self, work: Work) -> Any:
        """Run one operation; returns its value, or the PylonError that refused it.

        Raises BatchLost and SavepointsNeeded, after which nothing of the batch can be kept.
        """
        self.operations += 1
        has_savepoint = self._is_careful or not work.is_plain
        transaction = self._transaction
        if has_savepoint:
            self._connection.execute("SAVEPOINT op")
        transaction.begin(self._now_ms, self._machine_ms, self.seq)
        try:
            value = work.run(transaction)
            transaction.settle()
            if self._is_careful:
                search_index.keep_up(self._connection, transaction.tables, transaction.records)
            if has_savepoint:
                self._connection.execute("RELEASE op")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._undo(error, has_savepoint=has_savepoint)
            self._demand_unspoiled()
            refusal = as_pylon_error(error, self.new_id)
            return self._refused(work, refusal, has_savepoint=has_savepoint)
        self._demand_unspoiled()
        self._keep()
        return value

    def _demand_unspoiled(self) -> None:
        if self._transaction.is_spoiled:
            raise SavepointsNeeded

    def _undo(self, error: BaseException, *, has_savepoint: bool) -> None:
        transaction = self._transaction
        if not self._connection.in_transaction:
            raise BatchLost(error) from error
        if has_savepoint:
            transaction.batch_facts.clear()
            self._connection.execute("ROLLBACK TO op")
            self._connection.execute("RELEASE op")
        elif transaction.has_written:
            raise SavepointsNeeded from error
        transaction.drop()

    def _refused(self, work: Work, error: PylonError, *, has_savepoint: bool) -> PylonError:
        transaction = self._transaction
        if has_savepoint:
            self._connection.execute("SAVEPOINT op")
        transaction.begin(self._now_ms, self._machine_ms, self.seq)
        try:
            work.refuse(transaction, error)
            if has_savepoint:
                self._connection.execute("RELEASE op")
        except Error as failure:
            self._undo(failure, has_savepoint=has_savepoint)
            return error
        self._keep()
        return error

    def _keep(self) -> None:
        transaction = self._transaction
        self.seq = transaction.seq
        self.records += transaction.records
        self.notices += transaction.notices
        self._log_rows += transaction.log_rows
        self._remembered += transaction.remembered
        transaction.unsettled += transaction.completed

    def finish(self) -> None:
        """Store what the operations left, before COMMIT: records, outcomes, searched texts, jobs.

        Raises SavepointsNeeded where an index can't take what they wrote, or a job was not theirs:
        whose operation that is shows when each has a savepoint.
        """
        if not self._is_careful:
            completions.settle(self._transaction)
            self._demand_unspoiled()
            try:
                search_index.keep_up(self._connection, self._transaction.tables, self.records)
            except (Error, ValueError) as error:
                if not self._connection.in_transaction:
                    raise BatchLost(error) from error
                raise SavepointsNeeded from error
        self._store(_APPEND, self._log_rows)
        self._store(_REMEMBER, self._remembered)

    def _store(self, statements: Mapping[int, str], rows: list[tuple[Any, ...]]) -> None:
        start, count = 0, len(rows)
        for size, statement in statements.items():
            while count - start >= size:
                end = start + size
                self._connection.execute(statement, list(chain.from_iterable(rows[start:end])))
                start = end


def as_pylon_error(error: BaseException, new_id: Callable[[], str]) -> PylonError:
    """Return the error as callers may see it; what was not meant to happen is logged by its id."""
    if isinstance(error, PylonError):
        return error
    error_id = new_id()
    _log.error("storage.operation_failed id=%s", error_id, exc_info=error)
    internal = Internal(id=error_id)
    internal.__cause__ = error
    return internal
