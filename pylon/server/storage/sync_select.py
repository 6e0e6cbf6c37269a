"""What catch-up and snapshots read, set by set: SQL decides, and rows leave as ready text."""

from __future__ import annotations

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
    (through,) = connection.execute(
        "SELECT max(l.seq) FROM _pylon_log AS l WHERE l.seq >= ?"
        " AND l.seq < ? + 10001 AND l.tx = (SELECT tx FROM _pylon_log WHERE seq = ?)",
        (row[0], row[0], row[0]),
    ).fetchone()
    entities = connection.execute(
        "SELECT DISTINCT entity FROM _pylon_log WHERE seq > ? AND seq <= ?", (seq, through)
    ).fetchall()
    return int(through), [name for (name,) in entities]


CaughtUp = tuple[int, int, int, str, str | None, int | None, int | None, int | None]


def catch_up(
    connection: RawConnection, entity: Entity, after: int, through: int, policy: SqlClause,
    matches: SqlClause, was_visible: SqlClause,
) -> list[CaughtUp]:  # fmt: skip
    """Return one tuple per entry: seq, tx, at, row id, wire, was visible, is newest, is allowed.

    Args:
        connection: inside a read transaction.
        entity: whose entries are looked at.
        after: entries above this seq,
        through: and up to this one.
        policy: the read policy over the columns of `t`, asked of the state now.
        matches: any of the subscriptions, likewise.
        was_visible: both over the JSON image `l.before`.

    `wire` is the current row's text, where the entry is its newest change and it is in view.
    """
    return connection.execute(
        "SELECT l.seq, l.tx, l.at, l.row_id,"
        f' CASE WHEN t."_seq" = l.seq AND {policy.text} AND {matches.text} THEN t."_wire" END,'
        f" CASE WHEN l.before IS NOT NULL THEN {was_visible.text} END,"
        f' t."_seq" = l.seq, CASE WHEN t."_seq" = l.seq THEN {policy.text} END'
        f' FROM _pylon_log AS l LEFT JOIN "{entity.name}" AS t ON t."id" = l.row_id'
        " WHERE l.seq > ? AND l.seq <= ? AND l.entity = ? ORDER BY l.seq",
        (
            *policy.params, *matches.params, *was_visible.params, *policy.params,
            after, through, entity.name,
        ),
    ).fetchall()  # fmt: skip


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
