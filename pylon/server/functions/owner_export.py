"""What the owner looks at, as a file: all rows of a filter in their order, of one moment.

That may be one of the past. One statement on a connection of its own; rows are fetched as they are
taken, so that neither side ever holds them all.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pylon import jsonvalue
from pylon.errors import InvalidArgument
from pylon.identity import Identity
from pylon.policy.mistakes import nearest
from pylon.schema.cells import csv_lines, to_cell
from pylon.schema.model import Entity, Field
from pylon.schema.wire import whole_row
from pylon.server.functions.owner_reads import Asked, OwnerReads
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.select import SelectSpec, open_list
from pylon.server.storage.time_travel import demand_same_table, stand_at
from pylon.sqlite import Cursor, RawConnection

CSV: Final = "csv"
JSONL: Final = "jsonl"
#: One array of what JSON lines have.
JSON: Final = "json"
_ROWS_AT_ONCE: Final = 500
_PROGRESS_STEPS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Format:
    """How rows are written: JSON lines or an array, as `pylon import` takes them, or CSV."""

    entity: Entity
    fields: tuple[Field, ...]
    name: str

    @classmethod
    def of(cls, entity: Entity, name: str | None, fields: Sequence[str] | None) -> Format:
        """Return what was asked for; raises InvalidArgument."""
        if name not in (CSV, JSON, JSONL, None):
            raise InvalidArgument("format is csv, json or jsonl", field="format")
        for one in fields or ():
            if one not in entity.by_name:
                raise InvalidArgument(
                    f"{entity.name} has no field {one[:64]}", field="fields",
                    hint=nearest(one, entity.by_name),
                )  # fmt: skip
        wanted = entity.fields if fields is None else [entity.by_name[one] for one in fields]
        return cls(entity, tuple(wanted), name or JSONL)

    def without_private(self) -> Format:
        """Return it as somebody gets it who is not the owner."""
        return Format(self.entity, tuple(one for one in self.fields if not one.private), self.name)

    def head(self) -> str:
        """Return what stands in front of the rows."""
        return csv_lines([["id", *(one.name for one in self.fields)]]) if self.name == CSV else ""

    def tail(self, *, is_empty: bool) -> str:
        """Return what stands behind the rows."""
        if self.name != JSON:
            return ""
        return "[]\n" if is_empty else "\n]\n"

    def text(self, rows: Sequence[Mapping[str, Any]], *, is_first: bool) -> str:
        """Return rows as they are written; a field that is not told is an empty cell."""
        if self.name == CSV:
            return csv_lines(
                [[row["id"], *(to_cell(one, row.get(one.name)) for one in self.fields)]
                 for row in rows]
            )  # fmt: skip
        names = [one.name for one in self.fields]
        lines = [
            jsonvalue.encode_text({
                "_entity": self.entity.name, "id": row["id"],
                **{name: row[name] for name in names if name in row},
            })
            for row in rows
        ]  # fmt: skip
        if self.name == JSON:
            return ("[\n" if is_first else ",\n") + ",\n".join(lines)
        return "".join(f"{line}\n" for line in lines)


async def export_text(
    reads: OwnerReads, identity: Identity, asked: Asked, form: Format
) -> AsyncGenerator[str, None]:
    """Yield the text of an export, bit by bit; raises as a page of the same question does."""
    spec = reads.selection(identity, form.entity.name, asked)
    is_whole = identity.is_system
    form = form if is_whole else form.without_private()
    is_left = threading.Event()
    async with reads.readers.own_connection() as connection:
        try:
            reader = await connection.run(lambda raw: _open(raw, spec, asked.as_of, is_left, reads))
            found = await connection.run(lambda _: _Found(reader, spec, is_whole=is_whole))
            yield form.head()
            is_first = True
            while rows := await connection.run(lambda _: found.take()):
                yield form.text(rows, is_first=is_first)
                is_first = False
            yield form.tail(is_empty=is_first)
        finally:
            is_left.set()


class _Found:
    """Rows that wait to be taken."""

    def __init__(self, reader: ReadConnection, spec: SelectSpec, *, is_whole: bool) -> None:
        self._table = reader.tables[spec.entity.name]
        self._entity, self._is_whole = spec.entity, is_whole
        self._columns = self._table.columns if is_whole else ()
        self._cursor: Cursor = open_list(reader.raw, spec, self._columns)

    def take(self) -> list[Mapping[str, Any]]:
        """Return the next rows; none at the end."""
        return [
            whole_row(self._entity, self._table.row(one[1 : len(self._columns) + 1]))
            if self._is_whole
            else jsonvalue.decode_trusted(one[0])
            for one in self._cursor.fetchmany(_ROWS_AT_ONCE)
        ]


def _open(
    raw: RawConnection, spec: SelectSpec, as_of: int | None, is_left: threading.Event,
    reads: OwnerReads,
) -> ReadConnection:  # fmt: skip
    """Begin the one read, now or as of a change; what that writes ends with the connection."""
    raw.set_progress_handler(lambda: int(is_left.is_set()), _PROGRESS_STEPS)
    raw.execute("BEGIN")
    reader = reads.readers.reading(raw)
    if as_of is not None:
        demand_same_table(raw, spec.entity, as_of)
        stand_at(reader, as_of)
    return reader
