"""What catch-up and snapshots read, set by set: SQL decides, and rows leave as ready text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import IntEnum
from typing import Final, Protocol, TypeVar

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity, Value
from pylon.server.storage.select import WHOLE_WIRE
from pylon.sqlite import RawConnection

K = TypeVar("K", str, int)
#: A page is read in stretches: of so many rows at first, then of so many times more.
_FIRST_STRETCH: Final = 8
_STRETCH_GROWTH: Final = 16


def page_border(
    connection: RawConnection, seq: int, limit: int, head: int
) -> tuple[int, list[str], bool]:
    """Return (through, entities, has slices) of the page that looks at `limit` numbers after `seq`.

    `through` is extended to the end of its last transaction; it is the head where the log has
    nothing newer. Some numbers are no entries: a migration's, and those of changed roles.
    """
    (last,) = connection.execute(
        "SELECT max(seq) FROM _pylon_log WHERE seq <= ?", (seq + limit,)
    ).fetchone()
    if last is None or last <= seq:
        (last,) = connection.execute(
            "SELECT min(seq) FROM _pylon_log WHERE seq > ?", (seq,)
        ).fetchone()
        if last is None:
            return head, [], False
    through = end_of_transaction(connection, last)
    entities = connection.execute(
        "SELECT entity, max(kind = 'slice') FROM _pylon_log NOT INDEXED WHERE seq > ? AND seq <= ?"
        " GROUP BY entity",
        (seq, through),
    ).fetchall()
    return through, [name for name, _ in entities], any(has_slices for _, has_slices in entities)


def end_of_transaction(connection: RawConnection, seq: int) -> int:
    """Return the last seq of the transaction that an entry belongs to."""
    following = connection.execute(
        "SELECT seq FROM _pylon_log WHERE seq > ? AND tx <> (SELECT tx FROM _pylon_log"
        " WHERE seq = ?) ORDER BY seq LIMIT 1",
        (seq, seq),
    ).fetchone()
    if following is not None:
        return int(following[0]) - 1  # a number between the two is nobody's entry
    (last,) = connection.execute("SELECT max(seq) FROM _pylon_log").fetchone()
    return int(last)


class WasVisible(IntEnum):
    """What an entry's earlier image was to the caller, and what took the row out of view."""

    NO = 0
    #: It was in view; a newer entry tells of the row as it is, or it is gone.
    YES = 1
    #: It was, and no subscription matches any more.
    FILTERED = 2
    #: It was, and the policy forbids it now.
    HIDDEN = 3


#: seq, tx, at in milliseconds, row id, the current row's wire text (only where the entry is its
#: newest change and it is in view), WasVisible. Texts are bytes: they are passed on as they are.
CaughtUp = tuple[int, int, int, bytes, bytes | None, int]


class CaughtUpRows(Protocol):
    """A cursor over the entries of a page."""

    def fetchmany(self, size: int, /) -> list[CaughtUp]:
        """Return the next rows, none at the end."""
        ...


def catch_up(
    connection: RawConnection, entity: Entity, after: int, through: int, policy: SqlClause,
    matches: SqlClause, was_visible: SqlClause, wire: SqlClause = WHOLE_WIRE,
) -> CaughtUpRows:  # fmt: skip
    """Return a cursor with one row per entry, in order.

    Args:
        connection: inside a read transaction.
        entity: whose entries are looked at.
        after: entries above this seq,
        through: and up to this one.
        policy: the read policy over the columns of `t`, asked of the state now.
        matches: any of the subscriptions, likewise.
        was_visible: both over the JSON image `l.before`.
        wire: the row's text as the caller gets it, over `t`.
    """
    # `+` keeps the scan on the log's own order: an index on the entity would sort every page.
    return connection.execute(
        f"""SELECT l.seq, l.tx, l.at, CAST(l.row_id AS BLOB),
          CASE WHEN t."_seq" = l.seq AND {policy.text} AND {matches.text}
            THEN CAST({wire.text} AS BLOB) END,
          CASE WHEN l.before IS NULL THEN {WasVisible.NO:d} WHEN {was_visible.text} THEN CASE
            WHEN t."_seq" IS NOT l.seq THEN {WasVisible.YES:d}
            WHEN {policy.text} THEN {WasVisible.FILTERED:d} ELSE {WasVisible.HIDDEN:d} END
          ELSE {WasVisible.NO:d} END
        FROM _pylon_log AS l LEFT JOIN "{entity.name}" AS t ON t."id" = l.row_id
        WHERE l.seq > ? AND l.seq <= ? AND +l.entity = ? ORDER BY l.seq""",
        (
            *policy.params, *matches.params, *wire.params, *was_visible.params, *policy.params,
            after, through, entity.name,
        ),
    )  # fmt: skip


#: The text of `l.at`: of two moments it is handed in, since commits come in batches; of others
#: SQLite makes it.
_AT: Final = (
    "CASE l.at WHEN ? THEN ? WHEN ? THEN ?"
    " ELSE strftime('%Y-%m-%dT%H:%M:%fZ', l.at / 1000.0, 'unixepoch') END"
)


def catch_up_text(
    connection: RawConnection, entity: Entity, after: int, through: int, policy: SqlClause,
    matches: SqlClause, was_visible: SqlClause, wire: SqlClause = WHOLE_WIRE,
) -> bytes:  # fmt: skip
    """Return the changes of a stretch of entries, ready and joined by commas.

    The arguments are those of `catch_up`, which says the same entry by entry. This one is a single
    step of SQLite: nothing of it passes through Python, which meanwhile serves others.
    """
    moments = connection.execute(
        "SELECT at FROM _pylon_log WHERE seq IN (?, ?)", (after + 1, through)
    ).fetchall()
    at = [value for (ms,) in moments for value in (ms, iso_ms(ms))]
    at += [-1, ""] * (2 - len(moments))
    was = f"l.before IS NOT NULL AND {was_visible.text}"
    start = f'{{"seq":%d,"entity":"{entity.name}","row_id":"%s","kind":'
    (text,) = connection.execute(
        f"""SELECT CAST(group_concat(text, ',') AS BLOB) FROM (SELECT CASE
          WHEN t."_seq" = l.seq AND {policy.text} AND {matches.text} THEN
            printf('{start}"%s","row":%s,"tx":%d,"at":"%s"}}', l.seq, l.row_id,
              CASE WHEN {was} THEN 'update' ELSE 'insert' END, {wire.text}, l.tx, {_AT})
          WHEN {was} THEN
            printf('{start}"delete","tx":%d,"at":"%s"%s}}', l.seq, l.row_id, l.tx, {_AT},
              CASE WHEN t."_seq" IS NOT l.seq THEN ''
                WHEN {policy.text} THEN ',"cause":"filtered"' ELSE ',"cause":"hidden"' END)
          END AS text
        FROM _pylon_log AS l NOT INDEXED LEFT JOIN "{entity.name}" AS t ON t."id" = l.row_id
        WHERE l.seq > ? AND l.seq <= ? AND l.entity = ? ORDER BY l.seq)""",
        (
            *policy.params, *matches.params, *was_visible.params, *wire.params, *at,
            *was_visible.params, *at, *policy.params, after, through, entity.name,
        ),
    ).fetchone()  # fmt: skip
    return text or b""


def wire_text_of(connection: RawConnection, entity: Entity, row_id: str) -> str | None:
    """Return the wire text of a row, or None where it is gone."""
    row = connection.execute(
        f'SELECT "_wire" FROM "{entity.name}" WHERE "id" = ?', (row_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def snapshot_page(
    connection: RawConnection, entity: Entity, visible: SqlClause, after: str, limit: int,
    bytes_max: int, wire: SqlClause = WHOLE_WIRE,
) -> tuple[bytes, str | None]:  # fmt: skip
    """Return (rows joined by commas, id of the last row or None where done).

    A page ends with the row that brings it to `bytes_max`. It is put together inside SQLite, so
    that nobody waits for Python meanwhile.
    """
    text, _, last = _page(connection, entity, visible, 't."id"', after, limit, bytes_max, wire)
    return text, last


def refresh_page(
    connection: RawConnection, entity: Entity, visible: SqlClause, after: int, limit: int,
    bytes_max: int, wire: SqlClause = WHOLE_WIRE,
) -> tuple[bytes, int, int | None]:  # fmt: skip
    """Return (rows joined by commas, their number, place of the last or None where done).

    Pages go by the rows' places in the table, which every index has at its end: of a slice that an
    index finds, no page looks at the rows of another.
    """
    return _page(connection, entity, visible, "t.rowid", after, limit, bytes_max, wire)


def _page(
    connection: RawConnection, entity: Entity, visible: SqlClause, key: str, after: K, limit: int,
    bytes_max: int, wire: SqlClause,
) -> tuple[bytes, int, K | None]:  # fmt: skip
    """Return a page in the order of a key: rows, their number, key of the last or None where done.

    It is read in stretches that grow: of large rows hardly more than the page takes is looked at.
    """
    parts: list[bytes] = []
    count, size, last, stretch = 0, 0, after, _FIRST_STRETCH
    while True:
        wanted = min(stretch, limit - count)
        text, found, added, end = _stretch(
            connection, entity, visible, key, last, wanted, bytes_max - size, wire
        )
        if found:
            parts.append(text)
            count, size, last = count + found, size + added, end
        if size >= bytes_max or count == limit:
            return b",".join(parts), count, last
        if found < wanted:
            return b",".join(parts), count, None
        stretch *= _STRETCH_GROWTH


def _stretch(
    connection: RawConnection, entity: Entity, visible: SqlClause, key: str, after: K, limit: int,
    bytes_max: int, wire: SqlClause,
) -> tuple[bytes, int, int, K]:  # fmt: skip
    """Return (rows joined by commas, how many, their bytes, key of the last)."""
    # Which rows, first: their text is made of those alone, whatever has to be sorted for it. Each
    # by itself, not one within the other: SQLite's parser takes only so much nesting.
    found: tuple[bytes, int, int, K] = connection.execute(
        f"""WITH found AS (SELECT {key} AS one FROM "{entity.name}" AS t
            WHERE {visible.text} AND {key} > ? ORDER BY {key} LIMIT ?),
          told AS (SELECT {wire.text} AS wire, one
            FROM found CROSS JOIN "{entity.name}" AS t ON {key} = one)
        SELECT CAST(group_concat(wire, ',') AS BLOB), count(*), max(size), max(one)
        FROM (SELECT wire, one, size FROM (
          SELECT wire, one, sum(length(CAST(wire AS BLOB))) OVER (ORDER BY one) AS size,
            length(CAST(wire AS BLOB)) AS own FROM told)
          WHERE size - own < ? ORDER BY one)""",
        (*visible.params, after, limit, *wire.params, bytes_max),
    ).fetchone()
    return found


def window_page(
    connection: RawConnection, entity: Entity, visible: SqlClause, order: str, limit: int,
    wire: SqlClause = WHOLE_WIRE,
) -> list[tuple[str, str, int]]:  # fmt: skip
    """Return (id, wire, seq) of a window's rows; `order` is made of names from the schema."""
    return connection.execute(
        f'SELECT t."id", {wire.text}, t."_seq" FROM "{entity.name}" AS t WHERE {visible.text}'
        f" ORDER BY {order} LIMIT ?",
        (*wire.params, *visible.params, limit),
    ).fetchall()


def slices_between(
    connection: RawConnection, after: int, through: int
) -> list[tuple[int, int, str, str]]:
    """Return (seq, transaction, entity, what it stands for) of the slices among entries."""
    return connection.execute(
        "SELECT seq, tx, entity, after FROM _pylon_log NOT INDEXED WHERE seq > ? AND seq <= ?"
        " AND kind = 'slice' ORDER BY seq",
        (after, through),
    ).fetchall()


def slices_after(connection: RawConnection, entity: str, seq: int) -> list[tuple[int, str]]:
    """Return (last seq, what it stands for) of each slice of an entity behind a seq, by text."""
    return connection.execute(
        "SELECT max(seq), after FROM _pylon_log INDEXED BY _pylon_log_row"
        " WHERE entity = ? AND row_id = '' AND seq > ? GROUP BY after",
        (entity, seq),
    ).fetchall()


def has_change_between(connection: RawConnection, entity: str, after: int, before: int) -> bool:
    """Tell whether a row of an entity changed between two slices."""
    return connection.execute(
        "SELECT 1 FROM _pylon_log NOT INDEXED WHERE seq > ? AND seq < ? AND entity = ?"
        " AND kind <> 'slice' LIMIT 1",
        (after, before, entity),
    ).fetchone() is not None  # fmt: skip


def values_led_to(
    connection: RawConnection, entity: Entity, column: str, among: tuple[str, Collection[Value]],
    clause: SqlClause, limit: int,
) -> set[Value]:  # fmt: skip
    """Return the values of a column in rows that have some value in another, as far as `limit`."""
    name, values = among
    rows = connection.execute(
        f'SELECT DISTINCT t."{column}" FROM "{entity.name}" AS t'
        f' WHERE t."{name}" IN (SELECT value FROM json_each(?)) AND {clause.text} LIMIT ?',
        (jsonvalue.encode_text(sorted(values, key=str)), *clause.params, limit),
    )
    return {value for (value,) in rows}


def has_row(connection: RawConnection, entity: str, clause: SqlClause) -> bool:
    """Tell whether a row stands that a clause over the columns of `t` selects."""
    return connection.execute(
        f'SELECT 1 FROM "{entity}" AS t WHERE {clause.text} LIMIT 1', clause.params
    ).fetchone() is not None  # fmt: skip


def has_image(connection: RawConnection, entity: str, after: int, clause: SqlClause) -> bool:
    """Tell whether a row was, after a seq, what a clause over the image `l.before` selects."""
    return connection.execute(
        "SELECT 1 FROM _pylon_log AS l NOT INDEXED WHERE l.seq > ? AND l.entity = ?"
        f" AND l.before IS NOT NULL AND {clause.text} LIMIT 1",
        (after, entity, *clause.params),
    ).fetchone() is not None  # fmt: skip


def images_after(connection: RawConnection, entity: str, after: int) -> Iterator[str]:
    """Yield what rows of an entity were before each change after a seq."""
    for (text,) in connection.execute(
        "SELECT before FROM _pylon_log NOT INDEXED WHERE seq > ? AND entity = ?"
        " AND before IS NOT NULL ORDER BY seq",
        (after, entity),
    ):
        yield text


def count_visible(
    connection: RawConnection, entity: Entity, visible: SqlClause, *, at_most: int = -1
) -> int:
    """Return how many rows a clause selects, counting no further than `at_most`."""
    ((count,),) = connection.execute(
        f'SELECT count(*) FROM (SELECT 1 FROM "{entity.name}" AS t WHERE {visible.text} LIMIT ?)',
        (*visible.params, at_most),
    ).fetchall()
    return int(count)
