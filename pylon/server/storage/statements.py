"""The statements of one call, counted as they run: how often, how long, how many rows.

Texts only: values are bound, and never looked at (I71). What does not live here: what becomes of
the counts (`server.calls`); plans are `plan_of`, asked for later and off the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from pylon import limits
from pylon.server.calls import Call, Statement
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import Error, RawConnection

_OTHERS: Final = "(other statements)"


class Counted:
    """Counts the statements of a transaction inside the block as the call's."""

    __slots__ = ("_call", "_raw", "_transaction")

    def __init__(self, transaction: Transaction, call: Call | None) -> None:
        self._transaction = transaction
        self._call = call
        self._raw = transaction.connection

    def __enter__(self) -> None:
        if self._call is not None:
            self._transaction.connection = cast("RawConnection", _Counting(self._raw, self._call))

    def __exit__(self, *raised: object) -> None:
        self._transaction.connection = self._raw


def counting(reads: ReadConnection, call: Call | None) -> ReadConnection:
    """Return the same reads, with their statements counted as the call's."""
    if call is None:
        return reads
    raw = cast("RawConnection", _Counting(reads.raw, call))
    return ReadConnection(raw, reads.schema, reads.tables)


def plan_of(reads: ReadConnection, sql: str, parameters: int) -> list[str]:
    """Return how SQLite runs a statement, a line for each step; empty where it can't say."""
    try:
        steps = reads.rows(f"EXPLAIN QUERY PLAN {sql}", (None,) * parameters)
    except Error:  # the tables are not those of then
        return []
    return [str(detail) for *_, detail in steps]


class _Counting:
    """A connection whose statements are counted; everything else is the connection's own."""

    def __init__(self, raw: RawConnection, call: Call) -> None:
        self._raw = raw
        self._statements = call.statements
        self._monotonic = call.monotonic

    def execute(self, sql: str, parameters: Any = ()) -> _CountingCursor:
        started = self._monotonic()
        cursor = self._raw.execute(sql, parameters)
        statement = self._statements.get(sql)
        if statement is None:
            statement = self._begin(sql, len(parameters))
        statement.count += 1
        statement.seconds += self._monotonic() - started
        return _CountingCursor(cursor, statement, self._monotonic)

    def _begin(self, sql: str, parameters: int) -> Statement:
        found = self._statements
        if len(found) >= limits.STATEMENTS_PER_CALL_MAX:
            sql, parameters = _OTHERS, 0
        return found.setdefault(sql, Statement(sql, parameters))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _CountingCursor:
    """A cursor whose rows are counted: SQLite does most of its work while they are fetched."""

    __slots__ = ("_cursor", "_monotonic", "_statement")

    def __init__(self, cursor: Any, statement: Statement, monotonic: Any) -> None:
        self._cursor = cursor
        self._statement = statement
        self._monotonic = monotonic

    def fetchall(self) -> list[Any]:
        started = self._monotonic()
        rows: list[Any] = self._cursor.fetchall()
        statement = self._statement
        statement.seconds += self._monotonic() - started
        statement.rows += len(rows)
        return rows

    def fetchone(self) -> Any:
        row = self._cursor.fetchone()
        if row is not None:
            self._statement.rows += 1
        return row

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)
