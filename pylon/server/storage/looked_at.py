"""The rows that an `exists` looks at, for explanations: what matches, and what nearly does.

What does not live here: the answer to an `exists` (`transaction.exists_in`), which a policy asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from pylon import limits
from pylon.policy import ir
from pylon.policy.indexes import first_fields
from pylon.policy.matching import values_at
from pylon.policy.sqlclause import exists_sql
from pylon.schema.model import Row, Value
from pylon.server.storage.tables import EntityTable
from pylon.sqlite import RawConnection

_NEIGHBOURS = 3


class LookedAtRows:
    """Rows over one connection, of this moment."""

    def __init__(self, connection: RawConnection, tables: Mapping[str, EntityTable]) -> None:
        self._connection = connection
        self._tables = tables

    def find(
        self, node: ir.ExistsNode, values: tuple[Value, ...], without: str | None = None
    ) -> Row | None:
        """Return a row that matches, other than the one with the id `without`; or None."""
        sql = self._select(node)
        if without is not None:
            sql, values = f'{sql} AND x."id" <> ?', (*values, without)
        found = self._rows(node.entity, f"{sql} LIMIT 1", values)
        return found[0] if found else None

    def near(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> list[Row]:
        """Return rows that satisfy all filters but one, then some that satisfy one.

        Only what an index finds is looked for, and of each at most `EXPLAIN_ROWS_MAX` rows.
        """
        indexed = first_fields(self._tables[node.entity].entity)
        found: dict[str, Row] = {}
        places = range(len(node.filters))
        for kept in (*(tuple(at for at in places if at != place) for place in places),
                     *((place,) for place in places)):  # fmt: skip
            filters = tuple(node.filters[at] for at in kept)
            if not any(one.field in indexed and one.op in ("==", "in") for one in filters):
                continue
            part = ir.ExistsNode(node.entity, filters)
            params = tuple(value for at in kept for value in values_at(node, values, at))
            sql = f"{self._select(part)} LIMIT {limits.EXPLAIN_ROWS_MAX}"
            for row in self._rows(node.entity, sql, params):
                found.setdefault(row["id"], row)
        return list(found.values())

    def ids_near(self, entity: str, row_id: str) -> list[str]:
        """Return the ids beside one that is not there, in their order."""
        found: list[str] = []
        for test, order in ((">=", ""), ("<", " DESC")):
            sql = f'SELECT "id" FROM "{entity}" WHERE "id" {test} ? ORDER BY "id"{order} LIMIT ?'
            found += [one for (one,) in self._connection.execute(sql, (row_id, _NEIGHBOURS))]
        return found

    def _select(self, node: ir.ExistsNode) -> str:
        columns = ", ".join(f'x."{name}"' for name in self._tables[node.entity].columns)
        rest = exists_sql(node, "x", lambda _: "?").removeprefix("SELECT 1")
        return f"SELECT {columns}{rest}"

    def _rows(self, entity: str, sql: str, params: tuple[Value, ...]) -> list[Row]:
        table = self._tables[entity]
        return [table.row(stored) for stored in self._connection.execute(sql, params)]
