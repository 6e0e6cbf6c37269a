"""Values as cells of a table (CSV), and back: texts stay as they are, the rest is its JSON.

A cell has no null of its own: an empty cell is one where the field may be null. An empty text, and
one that begins with a quotation mark, stands in its JSON form, so that nothing is lost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pylon import jsonvalue
from pylon.errors import InvalidJson
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.model import Field, FieldKind

_TEXTS: Final = frozenset({FieldKind.STR, FieldKind.TEXT})
_TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False}


def csv_lines(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as lines of CSV that end in LF.

    The writer sets only those characters in quotation marks that end its lines; every reader takes
    a CR for an end, too.
    """
    lines: list[str] = []
    for cells in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(cells)
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


def to_cell(field: Field, value: Any) -> str:
    """Return the cell of a JSON value as the wire carries it."""
    if value is None:
        return ""
    if field.kind in _TEXTS:
        text = str(value)
        return jsonvalue.encode_text(text) if not text or text.startswith('"') else text
    if FIELD_TYPES[field.kind].is_json or not isinstance(value, str):
        return jsonvalue.encode_text(value)
    return value


def from_cell(field: Field, text: str) -> Any:
    """Return the JSON value of a cell; raises ValueError saying what the cell should be."""
    if field.kind in _TEXTS:
        if not text:
            return None if field.nullable else ""
        return _unquoted(text)
    if not text:
        return None
    if FIELD_TYPES[field.kind].is_json:
        return _json(text)
    match field.kind:
        case FieldKind.BOOL:
            if text.lower() not in _TRUTHS:
                raise ValueError("must be true or false")
            return _TRUTHS[text.lower()]
        case FieldKind.INT:
            return _number(int, text, "must be a whole number")
        case FieldKind.FLOAT:
            return _number(float, text, "must be a number")
        case _:
            return text


def _unquoted(text: str) -> str:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            return str(jsonvalue.parse(text.encode()))
        except InvalidJson:
            return text  # from another program: it only begins and ends so
    return text


def _json(text: str) -> Any:
    try:
        return jsonvalue.parse(text.encode())
    except InvalidJson as error:
        raise ValueError(f"must be JSON: {error.message}") from error


def _number(kind: type[int] | type[float], text: str, otherwise: str) -> int | float:
    text = text.strip()
    # Python takes more for a number than a table means: 1_000, and digits of other scripts.
    if not text.isascii() or "_" in text:
        raise ValueError(otherwise)
    try:
        return kind(text)
    except ValueError:
        raise ValueError(otherwise) from None
