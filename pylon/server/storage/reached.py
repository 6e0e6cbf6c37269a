"""The SQL of what an `include` leads to: whether rows that are followed have a value."""

from __future__ import annotations

from collections.abc import Sequence

from pylon.policy.sqlclause import SqlClause, both
from pylon.schema.model import Value
from pylon.server.storage.select import OrderTerm
from pylon.sqlite import RawConnection


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


def has_parent(
    entity: str, alias: str, column: str, value: str, clause: SqlClause, *, as_set: bool
) -> SqlClause:  # fmt: skip
    """Return whether a row that a clause selects has a value in a column.

    Args:
        entity: whose rows are asked.
        alias: what the clause calls them.
        column: the column.
        value: the value, as SQL.
        clause: selects rows.
        as_set: many values are asked about: the rows are found first, once for all of them.
    """
    table, own = f'"{entity}" AS {alias}', f'{alias}."{column}"'
    if as_set:
        text = f"{value} IN (SELECT {own} FROM {table} WHERE {clause.text})"
        return SqlClause(text, clause.params)
    is_led = both(SqlClause(f"{own} = {value}", ()), clause)
    return SqlClause(f"EXISTS (SELECT 1 FROM {table} WHERE {is_led.text})", is_led.params)


def is_so(connection: RawConnection, clause: SqlClause, value: Value) -> bool:
    """Tell whether a clause over `v.value` is true of a value."""
    return connection.execute(
        f"SELECT 1 FROM (SELECT ? AS value) AS v WHERE {clause.text}", (value, *clause.params)
    ).fetchone() is not None  # fmt: skip
