"""Files of rows that are one JSON array: read a row at a time, however many there are."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final

from pylon import jsonvalue
from pylon.cli.output import CommandFailed
from pylon.cli.rowfiles import ENTITY, LINE_BYTES_MAX, MEND, FileRow, row_of
from pylon.errors import InvalidJson

_CHARACTERS: Final = 65_536
_SPACE: Final = re.compile(r"[ \t\r\n]*")
#: Finds where a row ends; what it holds is judged by `jsonvalue`. Numbers stay texts.
_decoder: Final = json.JSONDecoder(parse_int=str, parse_float=str)


def is_array(stream: IO[bytes]) -> bool:
    """Tell whether a file is one JSON array, by how it begins."""
    start = stream.read(_CHARACTERS)
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def array_says_entity(stream: IO[bytes]) -> bool:
    """Tell whether the first row of an array says its entity, as `rowfiles.says_entity` does."""
    try:
        for values in _Array(stream, ""):
            return not isinstance(values, dict) or ENTITY in values
    except CommandFailed:
        pass  # what is wrong with it is told when the rows are read
    return True


def read_array(stream: IO[bytes], name: str, entity: str | None) -> Iterator[FileRow]:
    """Yield the rows of a JSON array; `entity` is that of rows which do not say theirs."""
    array = _Array(stream, name)
    for values in array:
        yield row_of(values, f"{name}:{array.line}", array.line, entity, "the row")


class _Array:
    """The elements of an array, one after the other; never more than one and a piece are held."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        # Bytes that are no UTF-8 are found in their own row, and not where a piece began.
        self._stream = io.TextIOWrapper(
            stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        self._name = name
        self._text = ""
        self._at = 0
        self._is_ended = False
        #: How far it is, and on which line the last element begins.
        self._line = self.line = 1

    def __iter__(self) -> Iterator[Any]:
        """Yield each element; the file stays open."""
        try:
            self._take("[")
            if self._next() == "]":
                self._at += 1
            else:
                yield self._element()
                while self._next() == ",":
                    self._at += 1
                    yield self._element()
                self._take("]")
            if self._next():
                raise self._wrong("something stands behind the array")
        finally:
            self._stream.detach()

    def _next(self) -> str:
        """Return the next character that is no space, or nothing at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None
            self._go_to(space.end())
            if self._at < len(self._text) or not self._read():
                return self._text[self._at : self._at + 1]

    def _go_to(self, place: int) -> None:
        self._line += self._text.count("\n", self._at, place)
        self._at = place

    def _read(self) -> bool:
        """Read a piece more; tell whether there was one."""
        piece = "" if self._is_ended else self._stream.read(_CHARACTERS)
        self._is_ended = not piece
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)

    def _take(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            what = "the file ends" if not found else f"{found} stands"
            raise self._wrong(f"{what} where {wanted} of the array should be")
        self._at += 1

    def _element(self) -> Any:
        found = self._next()
        self.line = self._line
        if found != "{":
            raise CommandFailed(
                f"{self._name}:{self.line}: a row is an object", 'such as {"id": "1", …}'
            )
        end = self._end_of_element()
        text = self._text[self._at : end]
        try:
            values = jsonvalue.parse(text.encode("utf-8", "surrogateescape"))
        except InvalidJson as error:
            is_utf8 = not isinstance(error.__cause__, UnicodeDecodeError)
            raise self._wrong(f"no JSON: {error.message}" if is_utf8 else "not UTF-8") from error
        self._go_to(end)
        return values

    def _end_of_element(self) -> int:
        """Return where the element that begins here ends; as much is read as it has."""
        while True:
            try:
                return _decoder.raw_decode(self._text, self._at)[1]
            except json.JSONDecodeError as error:
                # From where the row begins: reading on lets go of the text before it.
                place = error.pos - self._at
                if len(self._text) - self._at > LINE_BYTES_MAX:
                    what = f"longer than any row, or no JSON: {error.msg}"
                    raise self._wrong(what, place) from error
                if not self._read():
                    raise self._wrong(f"no JSON: {error.msg}", place) from error
            except RecursionError as error:
                raise self._wrong("no JSON: nested too deep") from error

    def _wrong(self, what: str, place: int = 0) -> CommandFailed:
        """Return what to say of here, or of a place behind here."""
        line = self._line + self._text.count("\n", self._at, self._at + place)
        return CommandFailed(f"{self._name}:{line}: {what}", MEND)
