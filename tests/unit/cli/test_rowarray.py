"""Rows of one JSON array: cut apart piece by piece, and what is wrong is told by its line."""

from __future__ import annotations

import io
import json

import pytest

from pylon.cli import rowarray
from pylon.cli.output import CommandFailed
from pylon.cli.rowarray import array_says_entity, is_array, read_array

ROWS = [{"id": "1", "a": 'q"]},{\\'}, {"id": "2", "a": {"b": [1.5, "é", None]}}, {"id": "3"}]


@pytest.mark.parametrize("characters", [1, 7, 65_536])
@pytest.mark.parametrize("indent", [None, 1])
def test_rows_are_the_same_wherever_a_piece_of_the_file_ends(
    monkeypatch: pytest.MonkeyPatch, characters: int, indent: int | None
) -> None:
    """Texts with brackets, values within values, spaces and ends of lines; the stream stays."""
    monkeypatch.setattr(rowarray, "_CHARACTERS", characters)
    text = json.dumps(ROWS, indent=indent, ensure_ascii=False)
    for start in ("", "\ufeff", "\r\n "):
        stream = io.BytesIO(f"{start}{text}\n".encode())
        found = list(read_array(stream, "a.json", "Note"))
        assert [one.values for one in found] == ROWS
        starts = [at for at, line in enumerate(text.split("\n"), 1) if line.strip() == "{"]
        before = start.count("\n")
        assert [one.line - before for one in found] == (starts or [1, 1, 1])
        assert not stream.closed


@pytest.mark.parametrize("characters", [1, 65_536])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "a.json:1: the file ends where [ of the array should be"),
        (b'{"id":"1"}', "a.json:1: { stands where [ of the array should be"),
        (b'[\n{"id":"1"}', "a.json:2: the file ends where ] of the array should be"),
        (b'[\n{"id":"1"}\n{"id":"2"}]', "a.json:3: { stands where ] of the array should be"),
        (b'[{"id":"1"},\n7]', "a.json:2: a row is an object"),
        (b'[{"id":"1"},\n]', "a.json:2: a row is an object"),
        (b'[{"id":"1"}]\n\n[]', "a.json:3: something stands behind the array"),
        (b'[\n{"id":"1",\n"a" 7}]', "a.json:3: no JSON: Expecting ':' delimiter"),
        (b'[\n{"id":"1",\n"a":1},\n{"id":"2",\n"a" 7},\n{\n"id":"3"\n}\n]', "a.json:5: no JSON: "),
        (b'[\n{"id":"1"},\n{"id":"2",\n"id":"3"}]', "a.json:3: no JSON: "),
        (b'[\n{"id":"1",\n"a"', "a.json:3: no JSON: "),
        (b'[\n{"id":"1","id":"2"}]', "a.json:2: no JSON: "),
        (b'[\n{"id":"\xff"}]', "a.json:2: not UTF-8"),
        (b'[\n{"id":NaN}]', "a.json:2: no JSON: "),
        (b'[\n{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}]", "a.json:2: no JSON: nested"),
        (b'[\n{"id":"1"}]', "a.json:2: the row does not say its entity"),
    ],
)
def test_what_is_wrong_with_an_array_is_told_by_its_line(
    monkeypatch: pytest.MonkeyPatch, characters: int, text: bytes, said: str
) -> None:
    """The line of the row, or of the place in it."""
    monkeypatch.setattr(rowarray, "_CHARACTERS", characters)
    with pytest.raises(CommandFailed) as raised:
        list(read_array(io.BytesIO(text), "a.json", None if "entity" in said else "Note"))
    assert raised.value.message.startswith(said), raised.value.message


def test_a_row_that_never_ends_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the longest row is held."""
    monkeypatch.setattr(rowarray, "LINE_BYTES_MAX", 100)
    monkeypatch.setattr(rowarray, "_CHARACTERS", 10)
    stream = io.BytesIO(b'[{"id":"' + b"x" * 100_000)
    with pytest.raises(CommandFailed, match="longer than any row"):
        list(read_array(stream, "a.json", "Note"))
    assert stream.tell() < 50_000


def test_a_file_is_known_by_how_it_begins() -> None:
    """An array, and whether its first row says its entity."""
    for text, is_one, says in (
        (b' \n[{"_entity":"A"}]', True, True), (b'[{"id":"1"}]', True, False),
        (b"[]", True, True), (b'{"id":"1"}', False, True),
        (b'\xef\xbb\xbf[{"id":"1"},', True, False),
    ):  # fmt: skip
        assert is_array(io.BytesIO(text)) is is_one
        assert array_says_entity(io.BytesIO(text)) is says
