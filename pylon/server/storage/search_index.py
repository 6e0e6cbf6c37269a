"""Full-text search: an FTS5 index beside the table of each entity that has searched fields.

The index is written in the transaction that writes the row. Its rows have numbers of their own,
kept beside their ids: the numbers that SQLite gives to the rows of a table do not outlive a VACUUM.
"""

from __future__ import annotations

from collections.abc import Iterable

from pylon.schema.model import Entity, Row
from pylon.sqlite import RawConnection

#: Tables of the index begin with it.
PREFIX = "_pylon_search_"


def column_of(place: int) -> str:
    """Return what the index calls a searched field: FTS5 keeps some names for itself."""
    return f"c{place}"


class SearchIndex:
    """The statements of one entity's index; made once per schema."""

    __slots__ = (
        "_delete_id_sql", "_delete_sql", "_insert_id_sql", "_insert_sql", "_number_sql", "entity",
        "ids", "names", "text",
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
        self._number_sql = f'SELECT number FROM "{self.ids}" WHERE id = ?'
        self._delete_id_sql = f'DELETE FROM "{self.ids}" WHERE number = ?'
        self._delete_sql = f'DELETE FROM "{self.text}" WHERE rowid = ?'

    def _columns(self) -> str:
        return ", ".join(column_of(place) for place in range(len(self.names)))

    # --- rows that change

    def insert(self, connection: RawConnection, row: Row) -> None:
        """Take a new row in."""
        number = connection.execute(self._insert_id_sql, (row["id"],)).lastrowid
        connection.execute(self._insert_sql, (number, *(row[name] for name in self.names)))

    def update(self, connection: RawConnection, before: Row, after: Row) -> None:
        """Take a row's new texts in; where they are the old ones there is nothing to do."""
        if all(before[name] == after[name] for name in self.names):
            return
        number = self._number(connection, after["id"])
        connection.execute(self._delete_sql, (number,))
        connection.execute(self._insert_sql, (number, *(after[name] for name in self.names)))

    def delete(self, connection: RawConnection, row_id: str) -> None:
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
        texts = ", ".join(f't."{name}"' for name in self.names)
        connection.execute(
            f'INSERT INTO "{self.text}" (rowid, {self._columns()}) SELECT m.number, {texts}'
            f' FROM "{self.ids}" AS m JOIN "{table}" AS t ON t."id" = m.id ORDER BY m.number'
        )

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
