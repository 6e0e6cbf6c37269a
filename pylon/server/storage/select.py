"""Lists of rows as ready text: one statement each, the policy in its WHERE.

Rows leave as the wire text that stands beside them, joined by SQLite, and never become Python
objects on the way. Counts and pages are right by construction (I53).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pylon import limits
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity, Row
from pylon.server.storage.readers import ReadConnection
from pylon.sqlite import Cursor, RawConnection

NO_CLAUSE = SqlClause("1", ())
#: The wire text of a row for those who get all its fields.
WHOLE_WIRE = SqlClause('t."_wire"', ())


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One field of an order; nulls stand first ascending."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectSpec:
    """One page of a list. `order` ends with id; `after` holds the last row's values of it.

    `wire` is the rows' text as the caller gets it. Where it `includes_after` the page begins with
    the row that `after` is of, if that is still there.
    """

    entity: Entity
    wire: SqlClause = WHOLE_WIRE
    policy: SqlClause = NO_CLAUSE
    where: SqlClause = NO_CLAUSE
    order: tuple[OrderTerm, ...] = (OrderTerm("id"),)
    limit: int = 100
    after: tuple[Any, ...] | None = None
    includes_after: bool = False


def _where(spec: SelectSpec) -> tuple[str, list[Any]]:
    terms: list[str] = []
    params: list[Any] = []
    for clause in (spec.policy, spec.where):
        if clause is not NO_CLAUSE:
            terms.append(clause.text)
            params += clause.params
    if spec.after is not None:
        text, values = _beyond(spec)
        terms.append(text)
        params += values
    return " AND ".join(terms) or "1", params


def _beyond(spec: SelectSpec) -> tuple[str, list[Any]]:
    """Return the condition "behind the last row" of a keyset page, nulls considered."""
    assert spec.after is not None
    order, after = spec.order, spec.after
    alternatives, params = [], []
    for place, term in enumerate(order):
        parts, values = [], []
        for earlier, value in zip(order[:place], after[:place], strict=True):
            parts.append(f't."{earlier.field}" IS ?')
            values.append(value)
        column, value = f't."{term.field}"', after[place]
        sign = "=" if spec.includes_after and place == len(order) - 1 else ""
        if not term.descending:
            parts.append(f"{column} IS NOT NULL" if value is None else f"{column} >{sign} ?")
        elif value is None:
            continue  # descending ends with the nulls, in which only later terms go on
        else:
            parts.append(f"({column} <{sign} ? OR {column} IS NULL)")
        if value is not None:
            values.append(value)
        alternatives.append(f"({' AND '.join(parts)})")
        params += values
    text = f"({' OR '.join(alternatives) or '0'})"
    bound = _bound(spec)
    return (text, params) if bound is None else (f"{bound} AND {text}", [after[0], *params])


def _bound(spec: SelectSpec) -> str | None:
    """Return what the first term says by itself, of one value.

    It changes nothing about which rows are meant: an index begins there instead of at its end.
    """
    assert spec.after is not None
    first = spec.order[0]
    if len(spec.order) == 1 or spec.after[0] is None:
        return None
    if not first.descending:
        return f't."{first.field}" >= ?'
    return None if spec.entity.by_name[first.field].nullable else f't."{first.field}" <= ?'


def _order(order: tuple[OrderTerm, ...]) -> str:
    return ", ".join(f't."{term.field}"{" DESC" if term.descending else ""}' for term in order)


def stands_before(order: tuple[OrderTerm, ...], values: Sequence[Any], last: Sequence[Any]) -> bool:
    """Tell whether a row stands before, or with, the last one: nulls first, as SQLite has it."""
    for term, value, other in zip(order, values, last, strict=True):
        if value == other:
            continue
        if value is None or other is None:
            is_less = value is None
        else:
            try:
                is_less = value < other
            except TypeError:
                return True
        return is_less is not term.descending
    return True


def list_page(
    connection: RawConnection, spec: SelectSpec, columns: tuple[str, ...] = ()
) -> tuple[list[tuple[Any, ...]], tuple[Any, ...] | None]:
    """Return the page's rows as (wire text, values of `columns`…), and the key of the next page.

    The key is None on the last page. A page has fewer rows than its limit where they are large:
    what is held of it has a bound.
    """
    where, params = _where(spec)
    selected = "".join(f', t."{name}"' for name in columns)
    keys = ", ".join(f't."{term.field}"' for term in spec.order)
    rows = connection.execute(
        f'SELECT {spec.wire.text}{selected}, {keys} FROM "{spec.entity.name}" AS t WHERE {where}'
        f" ORDER BY {_order(spec.order)} LIMIT ?",
        (*spec.wire.params, *params, spec.limit + 1),
    )
    page: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        if len(page) == spec.limit or size >= limits.LIST_BYTES_MAX:
            return page, page[-1][len(columns) + 1 :]
        page.append(row)
        size += len(row[0])
    return page, None


def open_list(connection: RawConnection, spec: SelectSpec, columns: tuple[str, ...] = ()) -> Cursor:
    """Return all rows as (wire text, values of `columns`…), to be fetched as they are wanted."""
    where, params = _where(spec)
    selected = "".join(f', t."{name}"' for name in columns)
    return connection.execute(
        f'SELECT {spec.wire.text}{selected} FROM "{spec.entity.name}" AS t WHERE {where}'
        f" ORDER BY {_order(spec.order)}",
        (*spec.wire.params, *params),
    )


def list_wire(connection: RawConnection, spec: SelectSpec) -> tuple[str, tuple[Any, ...] | None]:
    """Return the page's rows as a JSON array's inside, and the key of the next page or None."""
    page, key = list_page(connection, spec)
    return ",".join([row[0] for row in page]), key


def list_rows(connection: ReadConnection, spec: SelectSpec) -> list[Row]:
    """Return the page's rows as values, for functions."""
    where, params = _where(spec)
    table = connection.tables[spec.entity.name]
    listed = ", ".join(f't."{name}"' for name in table.columns)
    rows = connection.raw.execute(
        f'SELECT {listed} FROM "{spec.entity.name}" AS t WHERE {where}'
        f" ORDER BY {_order(spec.order)} LIMIT ?",
        (*params, spec.limit),
    ).fetchall()
    return [table.row(row) for row in rows]


def count_rows(connection: RawConnection, spec: SelectSpec) -> int:
    """Return how many rows the clauses select; limit and order do not matter."""
    where, params = _where(spec)
    ((count,),) = connection.execute(
        f'SELECT count(*) FROM "{spec.entity.name}" AS t WHERE {where}', params
    ).fetchall()
    return int(count)


def wire_of(
    connection: RawConnection, entity: Entity, row_id: str, policy: SqlClause,
    wire: SqlClause = WHOLE_WIRE,
) -> tuple[str, int] | None:  # fmt: skip
    """Return (wire text, seq) of a row that the policy lets the caller read, or None."""
    row = connection.execute(
        f'SELECT {wire.text}, t."_seq" FROM "{entity.name}" AS t'
        f' WHERE t."id" = ? AND {policy.text}',
        (*wire.params, row_id, *policy.params),
    ).fetchone()
    return None if row is None else (row[0], row[1])
