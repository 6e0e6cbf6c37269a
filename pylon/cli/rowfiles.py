"""Files of rows: JSON lines, where each line says its entity as `_entity`, and CSV of one entity.

Both are read and written a row at a time. Every row keeps the line that it stands on, so that what
is wrong with it can be told as file:line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from pylon import jsonvalue, limits
from pylon.cli.output import CommandFailed
from pylon.errors import InvalidJson
from pylon.schema.cells import to_cell
from pylon.schema.model import Entity

JSONL: Final = "jsonl"
CSV: Final = "csv"
ENTITY: Final = "_entity"
#: A row's text at most, escapes included; a longer line is no row.
_LINE_BYTES_MAX: Final = limits.ROW_BYTES_MAX * 6


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of a file; `values` are cells in a CSV file. `sets`: fields of a row put off."""

    line: int
    entity: str
    values: Mapping[str, Any]
    are_cells: bool = False
    sets: bool = False

    def to_record(self) -> dict[str, Any]:
        """Return it as the runtime takes it."""
        return {
            "entity": self.entity, "values": dict(self.values), "are_cells": self.are_cells,
            "sets": self.sets,
        }  # fmt: skip


def format_of(name: str, given: str | None) -> str:
    """Return the format of a file, by what was said or by its name."""
    if given is not None:
        return given
    return CSV if name.lower().endswith(".csv") else JSONL


def read_jsonl(stream: IO[bytes], name: str, entity: str | None) -> Iterator[FileRow]:
    """Yield the rows of JSON lines; `entity` is that of lines which do not say theirs."""
    line = 0
    while text := stream.readline(_LINE_BYTES_MAX):
        line += 1
        if len(text) == _LINE_BYTES_MAX:
            raise CommandFailed(f"{name}:{line}: the line is longer than any row")
        if not text.strip():
            continue
        try:
            values = jsonvalue.parse(text.strip())
        except InvalidJson as error:
            raise CommandFailed(f"{name}:{line}: no JSON: {error.message}") from error
        if not isinstance(values, dict):
            raise CommandFailed(f"{name}:{line}: a row is an object")
        own = values.pop(ENTITY, entity)
        if not isinstance(own, str):
            raise CommandFailed(
                f"{name}:{line}: the line does not say its entity",
                f'write "{ENTITY}" into it, or give --entity',
            )
        yield FileRow(line, own, values)


def read_csv(stream: IO[str], name: str, entity: str) -> Iterator[FileRow]:
    """Yield the rows of a CSV file whose first line names the fields."""
    csv.field_size_limit(_LINE_BYTES_MAX)
    reader = csv.reader(stream, strict=True)
    try:
        heads = next(reader, None)
        if heads is None:
            return
        _demand_heads(heads, name)
        while True:
            line = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return
            if not cells:
                continue
            if len(cells) != len(heads):
                raise CommandFailed(
                    f"{name}:{line}: {len(cells)} cells, and the first line names {len(heads)}"
                )
            yield FileRow(line, entity, dict(zip(heads, cells, strict=True)), are_cells=True)
    except csv.Error as error:
        raise CommandFailed(f"{name}:{reader.line_num}: no CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{name}:{reader.line_num + 1}: no UTF-8") from error


def _demand_heads(heads: Sequence[str], name: str) -> None:
    for place, head in enumerate(heads):
        if not head or head in heads[:place]:
            raise CommandFailed(
                f"{name}:1: the first line names each field once, and {head!r} is not such a name"
            )


def json_line(entity: Entity, values: Mapping[str, Any]) -> str:
    """Return a row as a JSON line."""
    return jsonvalue.encode_text({ENTITY: entity.name, **values})


def csv_heads(entity: Entity) -> list[str]:
    """Return the first line of a CSV file."""
    return ["id", *(one.name for one in entity.fields)]


def csv_cells(entity: Entity, values: Mapping[str, Any]) -> list[str]:
    """Return a row as cells, in the order of `csv_heads`."""
    return [str(values["id"]), *(to_cell(one, values[one.name]) for one in entity.fields)]
