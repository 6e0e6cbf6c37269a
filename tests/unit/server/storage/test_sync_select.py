"""Pages of a snapshot: cut where they should be, and made of hardly more than they hold."""

from __future__ import annotations

import sqlite3
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity
from pylon.server.storage.sync_select import refresh_page

EVERY = SqlClause("1", ())


def _rows(sizes: list[int]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE Note (id TEXT PRIMARY KEY, wire TEXT)")
    connection.executemany(
        "INSERT INTO Note VALUES (?, ?)", [(f"{n:04d}", "x" * size) for n, size in enumerate(sizes)]
    )
    return connection


@given(
    st.lists(st.integers(1, 40), max_size=60), st.integers(1, 30), st.integers(1, 200)
)  # fmt: skip
def test_a_page_ends_with_the_row_that_fills_it(sizes: list[int], limit: int, most: int) -> None:
    """By bytes or by number, whichever comes first; pages put together are all rows, once."""
    connection, entity = _rows(sizes), Entity(name="Note", fields=())
    wire = SqlClause('t."wire"', ())
    after: int | None = 0
    seen: list[int] = []
    while after is not None:
        text, count, last = refresh_page(connection, entity, EVERY, after, limit, most, wire)
        found = [len(one) for one in text.decode().split(",")] if count else []
        assert len(found) == count
        left = sizes[len(seen) :]
        fitting = sum(1 for size in accumulate([0, *left[:-1]]) if size < most) if left else 0
        assert found == left[: min(limit, fitting)]
        seen += found
        assert last is None or last == len(seen)
        after = last
    assert seen == sizes


def test_of_large_rows_hardly_more_than_a_page_is_read() -> None:
    """A page of three rows makes the texts of a few, not of all that come behind them."""
    connection, asked = _rows([1_000] * 500), 0

    def noted(text: str) -> str:
        nonlocal asked
        asked += 1
        return text

    connection.create_function("noted", 1, noted)
    entity, wire = Entity(name="Note", fields=()), SqlClause('noted(t."wire")', ())
    text, count, last = refresh_page(connection, entity, EVERY, 0, 1_000, 2_500, wire)
    assert (len(text), count, last) == (3_002, 3, 3)
    assert asked <= 30
