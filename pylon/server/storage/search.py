"""Full-text search: one statement, the policy in its WHERE, best rows first.

Found rows are ranked by what they hold themselves. FTS5's own bm25 also weighs how often a word
occurs in all rows, and so the order of what a caller may read would tell of what he may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pylon import limits
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity
from pylon.server.storage.search_index import SearchIndex, column_of
from pylon.server.storage.select import NO_CLAUSE, WHOLE_WIRE
from pylon.sqlite import RawConnection

#: How much of a text's length counts against it, and what length is an ordinary one.
_SATURATION = 1.2
_ORDINARY_LENGTH = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpec:
    """A search: of which rows, for what, and how many at most."""

    entity: Entity
    #: An FTS5 expression of our own making.
    match: str
    #: The rows' text as the caller gets it.
    wire: SqlClause = WHOLE_WIRE
    policy: SqlClause = NO_CLAUSE
    where: SqlClause = NO_CLAUSE
    limit: int = 100


def search_page(
    connection: RawConnection, spec: SearchSpec, columns: tuple[str, ...] = ()
) -> list[tuple[Any, ...]]:
    """Return the best rows first, as (wire text, values of `columns`…); equal ones by id.

    There are fewer than the limit where rows are large: what is held of them has a bound.
    """
    index = SearchIndex(spec.entity)
    terms = [clause for clause in (spec.policy, spec.where) if clause is not NO_CLAUSE]
    where = "".join(f" AND {clause.text}" for clause in terms)
    selected = "".join(f', t."{name}"' for name in columns)
    # CROSS JOIN: begin with what is found, never with the whole table.
    rows = connection.execute(
        f'SELECT {spec.wire.text}{selected} FROM "{index.text}" AS f'
        f' CROSS JOIN "{index.ids}" AS m ON m.number = f.rowid'
        f' CROSS JOIN "{spec.entity.name}" AS t ON t."id" = m.id'
        f' WHERE f."{index.text}" MATCH ?{where} ORDER BY {_score(index)} DESC, t."id" LIMIT ?',
        (
            *spec.wire.params, spec.match,
            *(value for clause in terms for value in clause.params), spec.limit,
        ),
    )  # fmt: skip
    page: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        if size >= limits.LIST_BYTES_MAX:
            break
        page.append(row)
        size += len(row[0])
    return page


def _score(index: SearchIndex) -> str:
    """Return what rows are ranked by: how often the words stand in a text, for its length."""
    parts = []
    for place in range(len(index.names)):
        column = f"f.{column_of(place)}"
        # One mark is put before each word found, so the marks count them.
        marked = f"highlight(f.\"{index.text}\", {place}, char(1), '')"
        hits = f"length({marked}) - length({column})"
        ballast = f"{_SATURATION} * (0.25 + 0.75 * length({column}) / {_ORDINARY_LENGTH})"
        parts.append(f"coalesce(1 - {ballast} / ({hits} + {ballast}), 0)")
    return " + ".join(parts)
