"""The SQL of one entity's table, written once, and rows to and from SQLite's values.

Every name comes from the schema; every value is bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from pylon import jsonvalue
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.model import Entity, Field, FieldKind, Index, Row, Schema
from pylon.schema.wire import is_wire_image
from pylon.server.storage.search_index import SearchIndex, index_of
from pylon.sqlite import RawConnection


class EntityTable:
    """Statements and conversions of one entity; made once per schema."""

    __slots__ = (
        "_bools", "_jsons", "_pick", "columns", "delete_sql", "entity", "files", "insert_sql",
        "is_wire_image", "references", "search", "select_sql", "update_sql",
    )  # fmt: skip

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        #: Fields that name a row which must exist.
        self.references = tuple(one for one in entity.fields if one.kind is FieldKind.REF)
        #: Names of the fields that hold a file.
        self.files = tuple(one.name for one in entity.fields if one.kind is FieldKind.FILE)
        #: None where no field is searched.
        self.search: SearchIndex | None = index_of(entity)
        #: The wire text of a row is its image in the log too.
        self.is_wire_image = is_wire_image(entity)
        names = ["id", *(one.name for one in entity.fields), "_seq"]
        self.columns: tuple[str, ...] = tuple(names)
        self._pick = itemgetter(*names)
        quoted = ", ".join(f'"{name}"' for name in (*names, "_wire"))
        marks = ", ".join("?" * (len(names) + 1))
        self.insert_sql = f'INSERT INTO "{entity.name}" ({quoted}) VALUES ({marks})'
        sets = ", ".join(f'"{name}" = ?' for name in (*names[1:], "_wire"))
        self.update_sql = f'UPDATE "{entity.name}" SET {sets} WHERE "id" = ?'
        self.delete_sql = f'DELETE FROM "{entity.name}" WHERE "id" = ?'
        listed = ", ".join(f'"{name}"' for name in names)
        self.select_sql = f'SELECT {listed} FROM "{entity.name}"'
        self._bools = tuple(
            place for place, one in enumerate(entity.fields, 1) if one.kind is FieldKind.BOOL
        )
        self._jsons = tuple(
            place for place, one in enumerate(entity.fields, 1) if FIELD_TYPES[one.kind].is_json
        )

    def values(self, row: Row) -> list[Any]:
        """Return a row's values in the order of `columns`, as SQLite stores them."""
        # sqlite3 binds True as 1, so only JSON needs a hand.
        values = list(self._pick(row))
        for place in self._jsons:
            if values[place] is not None:
                values[place] = jsonvalue.encode_text(values[place])
        return values

    def row(self, stored: tuple[Any, ...]) -> Row:
        """Return the row of what `select_sql` gave."""
        row = dict(zip(self.columns, stored, strict=True))
        for place in self._bools:
            name = self.columns[place]
            if row[name] is not None:
                row[name] = bool(row[name])
        for place in self._jsons:
            name = self.columns[place]
            if row[name] is not None:
                row[name] = jsonvalue.decode_trusted(row[name])
        return row

    def stand_in(self, connection: RawConnection, row_id: str) -> Row | None:
        """Return the row that stands nearest behind an id, or the last; None of an empty table."""
        for where, params in (
            ('WHERE "id" > ? ORDER BY "id" LIMIT 1', (row_id,)), ('ORDER BY "id" DESC LIMIT 1', ()),
        ):  # fmt: skip
            stored = connection.execute(f"{self.select_sql} {where}", params).fetchone()
            if stored is not None:
                return self.row(stored)
        return None


def tables_of(schema: Schema) -> Mapping[str, EntityTable]:
    """Return the tables of a schema by entity name."""
    return {name: EntityTable(entity) for name, entity in schema.entities.items()}


# --- data definition ---------------------------------------------------------------------


def create_table(entity: Entity, name: str | None = None) -> str:
    """Return the CREATE TABLE of an entity."""
    columns = [
        '"id" TEXT PRIMARY KEY NOT NULL',
        *(column_definition(one) for one in entity.fields),
        '"_seq" INTEGER NOT NULL',
        '"_wire" TEXT NOT NULL',
    ]
    return f'CREATE TABLE "{name or entity.name}" ({", ".join(columns)})'


def column_definition(field: Field) -> str:
    """Return one column; references are checked by our own code, which can name the field."""
    sqlite_type = FIELD_TYPES[field.kind].sqlite
    return f'"{field.name}" {sqlite_type}{"" if field.nullable else " NOT NULL"}'


def index_name(entity: Entity, index: Index) -> str:
    """Return the name of an index in the database, where names are shared by all tables."""
    return f"{entity.name}.{index.name}"


def create_index(entity: Entity, index: Index) -> str:
    """Return the CREATE INDEX of a declared index."""
    fields = ", ".join(f'"{name}"' for name in index.fields)
    unique = "UNIQUE " if index.unique else ""
    return f'CREATE {unique}INDEX "{index_name(entity, index)}" ON "{entity.name}" ({fields})'


def reference_indexes(entity: Entity) -> tuple[Index, ...]:
    """Return indexes for Ref fields that none covers: deletes look there for who refers."""
    firsts = {index.fields[0] for index in entity.indexes}
    return tuple(
        Index(name=f"_ref_{one.name}", fields=(one.name,))
        for one in entity.fields
        if one.ref is not None and one.name not in firsts
    )
