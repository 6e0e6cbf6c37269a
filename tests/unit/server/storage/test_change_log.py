"""The log read by transaction: what belongs together, and nothing behind it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import pytest

from pylon.schema.model import Schema
from pylon.server.storage.change_log import read_change, read_together

_LATER = 20_000


@pytest.fixture
def log() -> Iterator[sqlite3.Connection]:
    """A log whose first transactions are 1-3, 4 and 5-6, with thousands behind them."""
    raw = sqlite3.connect(":memory:")
    raw.execute(
        "CREATE TABLE _pylon_log (seq INTEGER PRIMARY KEY, tx, at, entity, row_id, kind, before,"
        " after, actor, cause, operation_id)"
    )
    transactions = [1, 1, 1, 4, 5, 5, *range(7, _LATER)]
    raw.executemany(
        "INSERT INTO _pylon_log VALUES (?, ?, 0, 'Gone', ?, 'delete', NULL, NULL, NULL, 'x', NULL)",
        [(seq, tx, f"r{seq}") for seq, tx in enumerate(transactions, 1)],
    )
    yield raw
    raw.close()


def _steps(raw: sqlite3.Connection, ask: Callable[[], object]) -> int:
    """Return how many steps of SQLite's machine a question takes, in tens."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    raw.set_progress_handler(count, 10)
    ask()
    raw.set_progress_handler(None, 0)
    return taken


@pytest.mark.parametrize(
    ("seq", "together"),
    [(1, [1, 2, 3]), (2, [1, 2, 3]), (4, [4]), (6, [5, 6]), (_LATER - 1, [_LATER - 1])],
)
def test_a_transaction_is_read_from_any_of_its_records(
    log: sqlite3.Connection, seq: int, together: list[int]
) -> None:
    """All of it, in order, and no other; the log is not read to its end for an old one."""
    schema = Schema(entities={})
    assert [one.seq for one in read_together(log, seq, 100, schema)] == together
    assert [one.seq for one in read_together(log, seq, 2, schema)] == together[:2]
    assert read_change(log, seq) == together[-1]
    for ask in (lambda: read_together(log, seq, 100, schema), lambda: read_change(log, seq)):
        assert _steps(log, ask) < 100, "it reads what stands behind the transaction"


def test_what_is_not_there_is_nothing(log: sqlite3.Connection) -> None:
    """No record, no transaction."""
    assert read_together(log, 10 * _LATER, 100, Schema(entities={})) == []
    assert read_change(log, 10 * _LATER) is None
