"""Files of rows: JSON lines, where each line says its entity as `_entity`, and CSV of one entity.

One JSON array of such rows is read in `rowarray`.

Both are read and written a row at a time. Every row keeps the line that it stands on, so that what
is wrong with it can be told as file:line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from pylon import jsonvalue, limits
from pylon.cli.output import CommandFailed
from pylon.errors import InvalidJson
from pylon.schema.cells import to_cell
from pylon.schema.model import Entity

JSONL: Final = "jsonl"
#: One array.
JSON: Final = "json"
CSV: Final = "csv"
FORMATS: Final = (JSONL, JSON, CSV)
ENTITY: Final = "_entity"
#: A row's text at most, escapes included; a longer line is no row.
LINE_BYTES_MAX: Final = limits.ROW_BYTES_MAX * 6
MEND: Final = "mend the line and import the file again"
_UTF8: Final = "save the file as UTF-8 and import it again"
_QUOTES: Final = 'a cell with a quote stands in quotes, and its own are written twice: ""'


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
    end = name.lower().rpartition(".")[2]
    return end if end in (CSV, JSON) else JSONL


def says_entity(stream: IO[bytes]) -> bool:
    """Tell whether the first of JSON lines says its entity.

    What is no row does, too: what is wrong with it is told when the rows are read.
    """
    while text := stream.readline(LINE_BYTES_MAX):
        if not text.strip():
            continue
        try:
            values = jsonvalue.parse(text.rstrip())
        except InvalidJson:
            return True
        return not isinstance(values, dict) or ENTITY in values
    return True


def read_jsonl(stream: IO[bytes], name: str, entity: str | None) -> Iterator[FileRow]:
    """Yield the rows of JSON lines; `entity` is that of lines which do not say theirs."""
    line = 0
    while text := stream.readline(LINE_BYTES_MAX):
        line += 1
        if len(text) == LINE_BYTES_MAX:
            raise CommandFailed(f"{name}:{line}: the line is longer than any row", MEND)
        if not text.strip():
            continue
        try:
            values = jsonvalue.parse(text.rstrip())
        except InvalidJson as error:
            raise _no_json(f"{name}:{line}", error) from error
        yield row_of(values, f"{name}:{line}", line, entity, "the line")


def row_of(values: Any, place: str, line: int, entity: str | None, what: str) -> FileRow:
    """Return a row of JSON, of the entity that it says or of this one; raises CommandFailed."""
    if not isinstance(values, dict):
        raise CommandFailed(f"{place}: a row is an object", 'one to a line, such as {"id": "1", …}')
    own = values.pop(ENTITY, entity)
    if not isinstance(own, str):
        raise CommandFailed(
            f"{place}: {what} does not say its entity",
            f'write "{ENTITY}" into it, or give --entity',
        )
    return FileRow(line, own, values)


def read_csv(stream: IO[str], name: str, entity: str) -> Iterator[FileRow]:
    """Yield the rows of a CSV file whose first line names the fields.

    The stream is decoded with `surrogateescape`, so that bytes that are no UTF-8 are found in their
    own row, and not where a block of the file began.
    """
    csv.field_size_limit(LINE_BYTES_MAX)
    reader = csv.reader(stream, strict=True)
    line = 1
    try:
        heads = next(reader, None)
        if heads is None:
            return
        _demand_utf8(heads, f"{name}:1")
        _demand_heads(heads, name)
        while True:
            line = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return
            if not cells:
                continue
            _demand_utf8(cells, f"{name}:{line}")
            if len(cells) != len(heads):
                raise CommandFailed(
                    f"{name}:{line}: {len(cells)} cells, and the first line names {len(heads)}",
                    "an empty cell has its comma, too; a cell with a comma in it stands in quotes",
                )
            yield FileRow(line, entity, dict(zip(heads, cells, strict=True)), are_cells=True)
    except csv.Error as error:
        if str(error) == "unexpected end of data":
            raise CommandFailed(
                f"{name}:{line}: no CSV: a quote is opened in this row and never closed", _QUOTES
            ) from error
        raise CommandFailed(f"{name}:{reader.line_num}: no CSV: {error}", _QUOTES) from error


def _demand_utf8(cells: Sequence[str], place: str) -> None:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        raise CommandFailed(f"{place}: not UTF-8", _UTF8) from error


def _no_json(place: str, error: InvalidJson) -> CommandFailed:
    """Return what to say of a line that is no JSON, with its column where that is known."""
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        return CommandFailed(f"{place}:{cause.colno}: no JSON: {cause.msg}", MEND)
    if isinstance(cause, UnicodeDecodeError):
        return CommandFailed(f"{place}:{cause.start + 1}: not UTF-8", _UTF8)
    return CommandFailed(f"{place}: no JSON: {error.message}", MEND)


def _demand_heads(heads: Sequence[str], name: str) -> None:
    for place, head in enumerate(heads):
        if not head or head in heads[:place]:
            raise CommandFailed(
                f"{name}:1: the first line names each field once, and {head!r} is not such a name",
                "mend the first line and import the file again",
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
