"""Counts, sums, least, greatest and mean values: one statement, the policy in its WHERE.

Whole numbers, BigInts and Decimals are added exactly: SQLite's own sum of integers ends at 64 bits,
so the upper and the lower halves are added apart.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pylon import limits
from pylon.errors import PayloadTooLarge
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity, Field, FieldKind
from pylon.server.storage.select import NO_CLAUSE
from pylon.sqlite import RawConnection

EXACT = (FieldKind.INT, FieldKind.BIGINT, FieldKind.DECIMAL)
NUMBERS = (*EXACT, FieldKind.FLOAT)
_LOW_BITS = 32
_LOW_MASK = (1 << _LOW_BITS) - 1


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One value asked for: its name in the answer, count, sum, min, max or avg, and of what."""

    name: str
    function: str
    #: None: rows are counted.
    field: Field | None


@dataclass(frozen=True, slots=True)
class Total:
    """What was added up: a sum, exact but for floats, and of how many values."""

    total: Any
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateSpec:
    """A question for aggregates: of which rows, by which fields, and which values."""

    entity: Entity
    policy: SqlClause = NO_CLAUSE
    where: SqlClause = NO_CLAUSE
    group: tuple[Field, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()


#: The columns of one aggregate, and how they become its value.
_Part = tuple[list[str], Callable[[list[Any]], Any]]


def _halves(columns: list[Any]) -> Total:
    high, low, count = columns
    return Total(None if high is None else (high << _LOW_BITS) + low, count)


def _part(one: Aggregate) -> _Part:
    if one.field is None:
        return ["count(*)"], lambda columns: columns[0]
    column = f't."{one.field.name}"'
    if one.function not in ("sum", "avg"):
        return [f"{one.function}({column})"], lambda columns: columns[0]
    if one.field.kind in EXACT:
        high, low = f"sum({column} >> {_LOW_BITS})", f"sum({column} & {_LOW_MASK})"
        return [high, low, f"count({column})"], _halves
    return [f"{one.function}({column})", f"count({column})"], lambda columns: Total(*columns)


def aggregate_rows(
    connection: RawConnection, spec: AggregateSpec, groups_max: int
) -> list[tuple[list[Any], list[Any]]] | None:
    """Return (stored values of the group, values asked for) per group; None for too many groups.

    A sum or a mean is a `Total`. Without fields to group by there is one group, even of no rows.
    Raises PayloadTooLarge for groups of long values: what is held of them has a bound.
    """
    columns, takers = [f't."{one.name}"' for one in spec.group], []
    for one in spec.aggregates:
        selected, take = _part(one)
        takers.append((len(columns), len(columns) + len(selected), take))
        columns += selected
    terms = [clause for clause in (spec.policy, spec.where) if clause is not NO_CLAUSE]
    where = " AND ".join(clause.text for clause in terms) or "1"
    params = [value for clause in terms for value in clause.params]
    by = ", ".join(columns[: len(spec.group)])
    grouped = f" GROUP BY {by} ORDER BY {by}" if by else ""
    statement = connection.execute(
        f'SELECT {", ".join(columns)} FROM "{spec.entity.name}" AS t'
        f" WHERE {where}{grouped} LIMIT ?",
        (*params, groups_max + 1),
    )
    found, size = [], 0
    # An error's traceback would keep the statement, and that the log from being checkpointed.
    with closing(statement):
        for row in statement:
            found.append(row)
            size += sum(len(one) for one in row if isinstance(one, str | bytes))
            if len(found) > groups_max:
                return None
            if size > limits.LIST_BYTES_MAX:
                raise PayloadTooLarge(
                    f"the groups and their values take more than {limits.LIST_BYTES_MAX} bytes",
                    hint="group by shorter fields, or ask for less by `where`",
                )
    return [
        (list(row[: len(spec.group)]), [take(list(row[a:b])) for a, b, take in takers])
        for row in found
    ]
