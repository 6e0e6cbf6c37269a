"""What catch-up and snapshots read, set by set: SQL decides, and rows leave as ready text."""

from __future__ import annotations

from typing import Protocol

from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity
from pylon.sqlite import RawConnection


def page_border(connection: RawConnection, seq: int, limit: int) -> tuple[int, list[str]]:
    """Return (through, entities) of the page that looks at `limit` entries after `seq`.

    `through` is extended to the end of its last transaction; it equals `seq` where the log has
    nothing newer.
    """
    row = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM _pylon_log WHERE seq > ? ORDER BY seq LIMIT ?)",
        (seq, limit),
    ).fetchone()
    if row[0] is None:
        return seq, []
    through = end_of_transaction(connection, row[0])
    entities = connection.execute(
        "SELECT DISTINCT entity FROM _pylon_log NOT INDEXED WHERE seq > ? AND seq <= ?",
        (seq, through),
    ).fetchall()
    return through, [name for (name,) in entities]


def end_of_transaction(connection: RawConnection, seq: int) -> int:
    """Return the last seq of the transaction that an entry belongs to."""
    following = connection.execute(
        "SELECT seq FROM _pylon_log WHERE seq > ? AND tx <> (SELECT tx FROM _pylon_log"
        " WHERE seq = ?) ORDER BY seq LIMIT 1",
        (seq, seq),
    ).fetchone()
    if following is not None:
        return int(following[0]) - 1  # numbers have no gaps: what is before it belongs to us
    (last,) = connection.execute("SELECT max(seq) FROM _pylon_log").fetchone()
    return int(last)


class CaughtUpRows(Protocol):
    """A cursor over (seq, at in milliseconds, the change's text without `at`; None for nothing)."""

    def fetchmany(self, size: int, /) -> list[tuple[int, int, str | None]]:
        """Return the next rows, none at the end."""
        ...


def catch_up(
    connection: RawConnection, entity: Entity, after: int, through: int, policy: SqlClause,
    matches: SqlClause, was_visible: SqlClause,
) -> CaughtUpRows:  # fmt: skip
    """Return a cursor with one row per entry, in order; the text ends where `"at"` goes on.

    What SQLite puts together here need not pass through Python: half of what a page costs.

    Args:
        connection: inside a read transaction.
        entity: whose entries are looked at.
        after: entries above this seq,
        through: and up to this one.
        policy: the read policy over the columns of `t`, asked of the state now.
        matches: any of the subscriptions, likewise.
        was_visible: both over the JSON image `l.before`.
    """
    was = f"l.before IS NOT NULL AND {was_visible.text}"
    start = f'\'{{"seq":\' || l.seq || \',"entity":"{entity.name}","row_id":"\' || l.row_id'
    # `+` keeps the scan on the log's own order: an index on the entity would sort every page.
    return connection.execute(
        f"""SELECT l.seq, l.at, CASE
          WHEN t."_seq" = l.seq THEN CASE
            WHEN {policy.text} AND {matches.text} THEN {start} || CASE WHEN {was}
              THEN '","kind":"update","row":' ELSE '","kind":"insert","row":' END || t."_wire"
            WHEN {was} THEN {start} || '","kind":"delete","cause":"'
              || CASE WHEN {policy.text} THEN 'filtered"' ELSE 'hidden"' END
            END
          WHEN {was} THEN {start} || '","kind":"delete"'
          END || ',"tx":' || l.tx
        FROM _pylon_log AS l LEFT JOIN "{entity.name}" AS t ON t."id" = l.row_id
        WHERE l.seq > ? AND l.seq <= ? AND +l.entity = ? ORDER BY l.seq""",
        (
            *policy.params, *matches.params, *was_visible.params, *was_visible.params,
            *policy.params, *was_visible.params, after, through, entity.name,
        ),
    )  # fmt: skip


def wire_text_of(connection: RawConnection, entity: Entity, row_id: str) -> str | None:
    """Return the wire text of a row, or None where it is gone."""
    row = connection.execute(
        f'SELECT "_wire" FROM "{entity.name}" WHERE "id" = ?', (row_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def snapshot_page(
    connection: RawConnection, entity: Entity, visible: SqlClause, after: str, limit: int
) -> tuple[str, str | None, int]:
    """Return (rows joined by commas, id of the last row or None where done, row count)."""
    rows = connection.execute(
        f'SELECT t."_wire", t."id" FROM "{entity.name}" AS t WHERE t."id" > ? AND {visible.text}'
        ' ORDER BY t."id" LIMIT ?',
        (after, *visible.params, limit),
    ).fetchall()
    last = rows[-1][1] if len(rows) == limit else None
    return ",".join([row[0] for row in rows]), last, len(rows)


def window_page(
    connection: RawConnection, entity: Entity, visible: SqlClause, order: str, limit: int
) -> list[tuple[str, str, int]]:
    """Return (id, wire, seq) of a window's rows; `order` is made of names from the schema."""
    return connection.execute(
        f'SELECT t."id", t."_wire", t."_seq" FROM "{entity.name}" AS t WHERE {visible.text}'
        f" ORDER BY {order} LIMIT ?",
        (*visible.params, limit),
    ).fetchall()


def count_visible(connection: RawConnection, entity: Entity, visible: SqlClause) -> int:
    """Return how many rows a clause selects."""
    ((count,),) = connection.execute(
        f'SELECT count(*) FROM "{entity.name}" AS t WHERE {visible.text}', visible.params
    ).fetchall()
    return int(count)
