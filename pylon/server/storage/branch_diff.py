"""What differs between two databases of a project, by entity and by row.

Both are read in one state each, which nobody keeps from going on. Rows are compared by the fields
that both have, private ones included; `_seq` does not count, since each numbers its own changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pylon import jsonvalue
from pylon.errors import FunctionTimeout, InvalidArgument, NotFound
from pylon.limits_branches import (
    BRANCH_DIFF_BYTES_MAX,
    BRANCH_DIFF_ROWS_MAX,
    BRANCH_DIFF_SECONDS,
)
from pylon.policy.mistakes import nearest
from pylon.schema.fingerprint import schema_from_json
from pylon.schema.model import Entity, Schema
from pylon.schema.wire import image_text
from pylon.server.storage import backup
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.place import Place
from pylon.server.storage.tables import EntityTable
from pylon.sqlite import SQLITE_INTERRUPT, OperationalError, RawConnection

T = TypeVar("T")
_STEPS: Final = 50_000
_ATTACHED: Final = "other"


@dataclass(frozen=True, slots=True)
class _Pair:
    """One entity as each of the two has it."""

    name: str
    old: Entity | None
    new: Entity | None

    @property
    def common(self) -> list[str]:
        """Return the names of the fields that both have."""
        if self.old is None or self.new is None:
            return []
        names = {one.name for one in self.new.fields}
        return [one.name for one in self.old.fields if one.name in names]

    @property
    def differs(self) -> str:
        """Return the condition under which rows `a` and `b` differ."""
        return " OR ".join(f'a."{name}" IS NOT b."{name}"' for name in self.common) or "0"

    def only(self, *, old: bool) -> list[str]:
        """Return the names of the fields that only one has."""
        one, other = (self.old, self.new) if old else (self.new, self.old)
        if one is None or other is None:
            return []
        names = {field.name for field in other.fields}
        return [field.name for field in one.fields if field.name not in names]


async def compare(old: Place, new: Place, clock: Callable[[], float]) -> list[dict[str, Any]]:
    """Return for each entity of either how many rows were added, removed and changed.

    Raises DatabaseUnusable, FunctionTimeout.
    """

    def counted(raw: RawConnection, pairs: list[_Pair]) -> list[dict[str, Any]]:
        return [_counts(raw, one) for one in pairs]

    return await _reading(old, new, clock, counted)


async def compare_rows(
    old: Place, new: Place, entity: str, *, after: str, limit: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """Return a page of the rows of an entity that differ: {"rows", "next"}, in order of ids.

    Each has `id`, `kind` (added, removed, changed), `fields` that changed, and both states.
    Raises NotFound, InvalidArgument, DatabaseUnusable, FunctionTimeout.
    """
    if not 1 <= limit <= BRANCH_DIFF_ROWS_MAX:
        raise InvalidArgument(f"limit is 1 to {BRANCH_DIFF_ROWS_MAX}", field="limit")

    def page(raw: RawConnection, pairs: list[_Pair]) -> dict[str, Any]:
        found = next((one for one in pairs if one.name == entity), None)
        if found is None:
            raise NotFound(
                f"neither has an entity {entity:.64}", hint=nearest(entity, [p.name for p in pairs])
            )
        return _page(raw, found, after, limit)

    return await _reading(old, new, clock, page)


async def _reading(
    old: Place, new: Place, clock: Callable[[], float],
    function: Callable[[RawConnection, list[_Pair]], T],
) -> T:  # fmt: skip
    deadline = clock() + BRANCH_DIFF_SECONDS

    def read(raw: RawConnection) -> T:
        raw.set_progress_handler(lambda: int(clock() > deadline), _STEPS)
        where = f"{new.path.absolute().as_uri()}?mode=ro"
        raw.execute(f"ATTACH DATABASE ? AS {_ATTACHED}", (where,))
        raw.execute("BEGIN")
        return function(raw, _pairs(stored_schema(raw), _schema_of_other(raw)))

    try:
        async with backup.opened(old.path, is_live=True) as reader:
            return await reader.run(read)
    except OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) == SQLITE_INTERRUPT:
            raise FunctionTimeout(
                f"comparing took longer than {BRANCH_DIFF_SECONDS:g} s"
            ) from error
        raise


def _schema_of_other(raw: RawConnection) -> Schema:
    row = raw.execute(f"SELECT value FROM {_ATTACHED}._pylon_meta WHERE key = 'schema'").fetchone()
    return (
        Schema(entities={}) if row is None else schema_from_json(jsonvalue.decode_trusted(row[0]))
    )


def _pairs(old: Schema, new: Schema) -> list[_Pair]:
    names = sorted({*old.entities, *new.entities})
    return [_Pair(name, old.entities.get(name), new.entities.get(name)) for name in names]


def _counts(raw: RawConnection, pair: _Pair) -> dict[str, Any]:
    def count(sql: str) -> int:
        return int(raw.execute(sql).fetchone()[0])

    table, other = f'main."{pair.name}"', f'{_ATTACHED}."{pair.name}"'
    both = pair.old is not None and pair.new is not None
    missing = 'NOT EXISTS (SELECT 1 FROM {0} AS b WHERE b."id" = a."id")'
    rows_old = count(f"SELECT count(*) FROM {table}") if pair.old is not None else 0
    rows_new = count(f"SELECT count(*) FROM {other}") if pair.new is not None else 0
    removed, added, changed = rows_old, rows_new, 0
    if both:
        removed = count(f"SELECT count(*) FROM {table} AS a WHERE {missing.format(other)}")
        added = rows_new - (rows_old - removed)
        changed = count(
            f'SELECT count(*) FROM {table} AS a JOIN {other} AS b ON b."id" = a."id"'
            f" WHERE {pair.differs}"
        )
    return {
        "entity": pair.name, "rows": [rows_old, rows_new], "added": added, "removed": removed,
        "changed": changed, "is_in": [pair.old is not None, pair.new is not None],
        "fields_removed": pair.only(old=True), "fields_added": pair.only(old=False),
    }  # fmt: skip


def _page(raw: RawConnection, pair: _Pair, after: str, limit: int) -> dict[str, Any]:
    ids = _ids(raw, pair, after, limit)
    rows: list[dict[str, Any]] = []
    size = 0
    for row_id in ids[:limit]:
        before = _row(raw, "main", pair.old, row_id)
        now = _row(raw, _ATTACHED, pair.new, row_id)
        kind = "added" if before is None else "removed" if now is None else "changed"
        fields = []
        if before is not None and now is not None:
            fields = [name for name in pair.common if before.get(name) != now.get(name)]
        one = {"id": row_id, "kind": kind, "fields": fields, "before": before, "after": now}
        rows.append(one)
        size += len(jsonvalue.encode_text(one))
        if size > BRANCH_DIFF_BYTES_MAX:
            break
    is_more = len(rows) < len(ids)
    return {"entity": pair.name, "rows": rows, "next": rows[-1]["id"] if is_more else None}


def _ids(raw: RawConnection, pair: _Pair, after: str, limit: int) -> list[str]:
    """Return the ids behind one at which the two differ, and one more than asked."""
    table, other = f'main."{pair.name}"', f'{_ATTACHED}."{pair.name}"'
    if pair.old is None or pair.new is None:
        only = table if pair.new is None else other
        sql = f'SELECT "id" FROM {only} WHERE "id" > ?1 ORDER BY "id" LIMIT ?2'
    else:
        here = (
            f'SELECT a."id" AS id FROM {table} AS a LEFT JOIN {other} AS b ON b."id" = a."id"'
            f' WHERE a."id" > ?1 AND (b."id" IS NULL OR {pair.differs}) ORDER BY 1 LIMIT ?2'
        )
        there = (
            f'SELECT b."id" AS id FROM {other} AS b WHERE b."id" > ?1 AND NOT EXISTS'
            f' (SELECT 1 FROM {table} AS a WHERE a."id" = b."id") ORDER BY 1 LIMIT ?2'
        )
        sql = (
            f"SELECT id FROM (SELECT id FROM ({here}) UNION ALL SELECT id FROM ({there}))"
            " ORDER BY 1 LIMIT ?2"
        )
    return [str(row_id) for (row_id,) in raw.execute(sql, (after, limit + 1)).fetchall()]


def _row(
    raw: RawConnection, database: str, entity: Entity | None, row_id: str
) -> dict[str, Any] | None:
    if entity is None:
        return None
    table = EntityTable(entity)
    columns = ", ".join(f'"{one}"' for one in table.columns)
    stored = raw.execute(
        f'SELECT {columns} FROM {database}."{entity.name}" WHERE "id" = ?', (row_id,)
    ).fetchone()
    if stored is None:
        return None
    values: dict[str, Any] = jsonvalue.decode_trusted(image_text(entity, table.row(stored)))
    return values
