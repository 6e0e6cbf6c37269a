"""Full-text search: an FTS5 index beside the table of each entity that has searched fields.

The index is written in the transaction that writes the rows, once for all that it changed: nobody
searches inside a transaction. Its rows have numbers of their own, kept beside their ids: those
that SQLite gives to the rows of a table do not outlive a VACUUM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from pylon import jsonvalue
from pylon.schema.model import Entity, Row
from pylon.sqlite import RawConnection

if TYPE_CHECKING:
    from pylon.server.storage.change_log import LogRecord
    from pylon.server.storage.tables import EntityTable

#: Tables of the index begin with it.
PREFIX = "_pylon_search_"
#: From so many new rows on they are taken in together.
_MANY: Final = 4
#: By row id, as it was before and is after a transaction.
_Changes = dict[str, tuple[Row | None, Row | None]]
#: A merge that changed fewer rows than this found nothing to do.
_MERGED: Final = 2


def column_of(place: int) -> str:
    """Return what the index calls a searched field: FTS5 keeps some names for itself."""
    return f"c{place}"


class SearchIndex:
    """The statements of one entity's index; made once per schema."""

    __slots__ = (
        "_delete_id_sql", "_delete_sql", "_insert_id_sql", "_insert_ids_sql", "_insert_sql",
        "_insert_texts_sql", "_last_sql", "_number_sql", "entity", "ids", "names", "text",
    )  # fmt: skip

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        #: The searched fields.
        self.names = tuple(one.name for one in entity.searched_fields)
        self.text = f"{PREFIX}{entity.name}.text"
        self.ids = f"{PREFIX}{entity.name}.ids"
        marks = ", ".join("?" * (len(self.names) + 1))
        self._insert_id_sql = f'INSERT INTO "{self.ids}" (id) VALUES (?)'
        self._insert_sql = f'INSERT INTO "{self.text}" (rowid, {self._columns()}) VALUES ({marks})'
        self._last_sql = f'SELECT coalesce(max(number), 0) FROM "{self.ids}"'
        # OR FAIL: without a journal of the statement's own; what fails here ends the batch anyway.
        self._insert_ids_sql = (
            f'INSERT OR FAIL INTO "{self.ids}" (id) SELECT value FROM json_each(?)'
        )
        self._insert_texts_sql = f"INSERT OR FAIL {self._texts_of_all()} WHERE m.number > ?"
        self._number_sql = f'SELECT number FROM "{self.ids}" WHERE id = ?'
        self._delete_id_sql = f'DELETE FROM "{self.ids}" WHERE number = ?'
        self._delete_sql = f'DELETE FROM "{self.text}" WHERE rowid = ?'

    def _columns(self) -> str:
        return ", ".join(column_of(place) for place in range(len(self.names)))

    def _texts_of_all(self) -> str:
        """Return what takes in the texts of rows that have numbers."""
        texts = ", ".join(f't."{name}"' for name in self.names)
        return (
            f'INTO "{self.text}" (rowid, {self._columns()}) SELECT m.number, {texts}'
            f' FROM "{self.ids}" AS m CROSS JOIN "{self.entity.name}" AS t ON t."id" = m.id'
        )

    # --- rows that change

    def take(self, connection: RawConnection, changes: _Changes) -> None:
        """Take in what became of rows."""
        fresh: list[Row] = []
        for row_id, (before, after) in changes.items():
            if after is None:
                if before is not None:
                    self._delete(connection, row_id)
            elif before is None:
                fresh.append(after)
            else:
                self._update(connection, before, after)
        if len(fresh) < _MANY:
            for row in fresh:
                self._insert(connection, row)
            return
        ((last,),) = connection.execute(self._last_sql).fetchall()
        ids = jsonvalue.encode_text([row["id"] for row in fresh])
        connection.execute(self._insert_ids_sql, (ids,))
        connection.execute(self._insert_texts_sql, (last,))

    def _insert(self, connection: RawConnection, row: Row) -> None:
        """Take a new row in."""
        number = connection.execute(self._insert_id_sql, (row["id"],)).lastrowid
        connection.execute(self._insert_sql, (number, *(row[name] for name in self.names)))

    def _update(self, connection: RawConnection, before: Row, after: Row) -> None:
        """Take a row's new texts in; where they are the old ones there is nothing to do."""
        if all(before[name] == after[name] for name in self.names):
            return
        number = self._number(connection, after["id"])
        connection.execute(self._delete_sql, (number,))
        connection.execute(self._insert_sql, (number, *(after[name] for name in self.names)))

    def _delete(self, connection: RawConnection, row_id: str) -> None:
        """Forget a row."""
        number = self._number(connection, row_id)
        connection.execute(self._delete_sql, (number,))
        connection.execute(self._delete_id_sql, (number,))

    def _number(self, connection: RawConnection, row_id: str) -> int:
        ((number,),) = connection.execute(self._number_sql, (row_id,)).fetchall()
        return int(number)

    # --- the index itself

    def create(self, connection: RawConnection) -> None:
        """Make the index and take in every row that is there."""
        connection.execute(
            f'CREATE TABLE "{self.ids}" (number INTEGER PRIMARY KEY NOT NULL,'
            " id TEXT NOT NULL UNIQUE)"
        )
        connection.execute(
            f'CREATE VIRTUAL TABLE "{self.text}" USING fts5({self._columns()},'
            " tokenize='unicode61 remove_diacritics 2')"
        )
        table = self.entity.name
        connection.execute(
            f'INSERT INTO "{self.ids}" (id) SELECT t."id" FROM "{table}" AS t ORDER BY t."id"'
        )
        connection.execute(f"INSERT {self._texts_of_all()} ORDER BY m.number")

    def merge(self, connection: RawConnection) -> bool:
        """Do a step of forgetting the words of rows that are gone; False once nothing is left."""
        before = connection.total_changes
        connection.execute(
            f'INSERT INTO "{self.text}" ("{self.text}", rank) VALUES (\'merge\', -200)'
        )
        # FTS5 says by the count of changes whether there was anything to do.
        return connection.total_changes - before >= _MERGED

    def drop(self, connection: RawConnection) -> None:
        """Remove the index."""
        connection.execute(f'DROP TABLE "{self.text}"')
        connection.execute(f'DROP TABLE "{self.ids}"')

    def faults(self, connection: RawConnection, at_most: int) -> Iterable[str]:
        """Return the ids of rows that the index lacks, has too many, or has other texts of."""
        table = self.entity.name
        texts = " OR ".join(
            f'f.{column_of(place)} IS NOT t."{name}"' for place, name in enumerate(self.names)
        )
        found = connection.execute(
            f'SELECT t."id" FROM "{table}" AS t LEFT JOIN "{self.ids}" AS m ON m.id = t."id"'
            f' LEFT JOIN "{self.text}" AS f ON f.rowid = m.number'
            f" WHERE f.rowid IS NULL OR {texts}"
            f' UNION ALL SELECT m.id FROM "{self.ids}" AS m WHERE NOT EXISTS'
            f' (SELECT 1 FROM "{table}" AS t WHERE t."id" = m.id) LIMIT ?',
            (at_most,),
        ).fetchall()
        return [row_id for (row_id,) in found]


def index_of(entity: Entity) -> SearchIndex | None:
    """Return the index of an entity, None where no field of it is searched."""
    return SearchIndex(entity) if entity.searched_fields else None


def keep_up(
    connection: RawConnection, tables: Mapping[str, EntityTable], records: Iterable[LogRecord]
) -> None:
    """Take what was changed into the indexes: each row once, from its first change to its last."""
    changes: dict[str, _Changes] = {
        name: {} for name, table in tables.items() if table.search is not None
    }
    if not changes:
        return
    for one in records:
        found = changes.get(one.entity)
        if found is None or (one.before is None and one.after is None):
            continue  # nothing of it is searched, or it is of no row
        earlier = found.get(one.row_id)
        found[one.row_id] = (one.before if earlier is None else earlier[0], one.after)
    for name, of_entity in changes.items():
        index = tables[name].search
        if of_entity and index is not None:
            index.take(connection, of_entity)
