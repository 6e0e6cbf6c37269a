"""The SQL of what an `include` leads to: whether rows that are followed have a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Value
from pylon.server.storage.select import OrderTerm
from pylon.sqlite import OperationalError, RawConnection, open_memory


def first_of(
    entity: str, alias: str, clause: SqlClause, order: Sequence[OrderTerm], limit: int
) -> SqlClause:
    """Return whether a row of `alias` is among the first of an order; `clause` is about `w`."""
    terms = ", ".join(f'w."{one.field}"{" DESC" if one.descending else ""}' for one in order)
    text = (
        f'{alias}."id" IN (SELECT w."id" FROM "{entity}" AS w WHERE {clause.text}'
        f" ORDER BY {terms} LIMIT {limit:d})"
    )
    return SqlClause(text, clause.params)


@dataclass(frozen=True, slots=True)
class Above:
    """A step of a path towards its start: the rows of an entity that a clause selects.

    `source` is the column that leads down, `target` the one that the next step leads to; None at
    the start of the path.
    """

    entity: str
    alias: str
    source: str
    target: str | None
    clause: SqlClause


def has_parents(steps: Iterable[Above], value: str, *, as_set: bool) -> SqlClause:
    """Return whether a row leads to a value, and rows above to it, up to the start of the path.

    All steps stand beside each other in one query: SQLite's parser takes only so much nesting.

    Args:
        steps: nearest first.
        value: the value, as SQL.
        as_set: many values are asked about: the rows are found first, once for all of them.
    """
    tables: list[str] = []
    terms: list[str] = []
    params: list[Any] = []
    led_to, first = value, ""
    for one in steps:
        own = f'{one.alias}."{one.source}"'
        first = first or own
        tables.append(f'"{one.entity}" AS {one.alias}')
        if not as_set or own is not first:
            terms.append(f"{own} = {led_to}")
        terms.append(one.clause.text)
        params += one.clause.params
        led_to = f'{one.alias}."{one.target}"'
    text = f"FROM {', '.join(tables)} WHERE {' AND '.join(terms)}"
    if as_set:
        return SqlClause(f"{value} IN (SELECT {first} {text})", tuple(params))
    return SqlClause(f"EXISTS (SELECT 1 {text})", tuple(params))


def is_parsed(clause: SqlClause) -> bool:
    """Tell whether SQLite's parser takes a clause, deep within a statement.

    It keeps a fixed stack and gives up where too much is nested, before it looks for any table.
    """
    around = 4  # more than stands around it in any statement
    start = "(1 OR 1 AND " * around
    connection = open_memory()
    try:
        connection.execute(
            f"SELECT 1 FROM (SELECT CASE WHEN 1 AND {start}{clause.text}{')' * around}"
            " THEN 1 END FROM t)",
            clause.params,
        )
    except OperationalError as error:
        return "stack overflow" not in str(error)
    finally:
        connection.close()
    return True


def is_so(connection: RawConnection, clause: SqlClause, value: Value) -> bool:
    """Tell whether a clause over `v.value` is true of a value."""
    return connection.execute(
        f"SELECT 1 FROM (SELECT ? AS value) AS v WHERE {clause.text}", (value, *clause.params)
    ).fetchone() is not None  # fmt: skip
