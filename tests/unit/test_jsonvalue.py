"""Strict JSON: what is refused is refused however it is written, and nothing else is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon import jsonvalue, limits
from pylon.errors import InvalidJson

TEXT = st.text(alphabet='a"\\[]{}:, é\n', max_size=6)
TREE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=150,
)  # fmt: skip


@settings(deadline=None)
@given(value=TREE, is_compact=st.booleans(), is_ascii=st.booleans())
def test_what_is_json_is_read(value: Any, is_compact: bool, is_ascii: bool) -> None:
    """Any spelling of a value gives the value, with brackets, quotes and escapes in its texts."""
    separators = (",", ":") if is_compact else (", ", ": ")
    text = json.dumps(value, separators=separators, ensure_ascii=is_ascii)
    assert jsonvalue.parse(text.encode()) == value


@pytest.mark.parametrize("inside", ['"a"', "1", '"]}"', '"\\\\"', '"\\""', '{"a":"[["}'])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_bounded_to_the_level(opening: str, inside: str) -> None:
    """As deep as the limit is fine, one deeper is not, whatever texts stand around it."""
    closing = "]" if opening == "[" else "}"
    room = limits.JSON_DEPTH_MAX - inside.count('{"')
    filler = '"{[{[{[",' * 70
    for depth, is_fine in ((room - 1, True), (room, False)):
        text = f"[{filler}{opening * depth}{inside}{closing * depth}]"
        if is_fine:
            jsonvalue.parse(text.encode())
        else:
            with pytest.raises(InvalidJson, match="nested deeper"):
                jsonvalue.parse(text.encode())


def test_many_small_objects_are_not_deep() -> None:
    """A message of many operations is wide, and takes the fast way."""
    operations = [{"op_id": f"o{n}", "args": {"values": {"n": n}}} for n in range(900)]
    data = jsonvalue.encode({"operations": operations})
    assert jsonvalue.parse_compact(data, jsonvalue._decoder) == {"operations": operations}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":1,"a":1}', "given twice"), ("[1e999]", "no finite double"), ("[NaN]", "not JSON"),
        ('["\\ud800"]', "lone surrogate"), ('["\\u0000"]', "NUL"), ('["a\\\\\\u0000"]', "NUL"),
        ("[123456789012345678901]", "too many digits"), ("[1", "not JSON"), ("", "not JSON"),
        ("[" * 100_000, "nested deeper"), ('{"a":' * 5_000, "nested deeper"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_in_any_company(text: str, words: str) -> None:
    """Alone, and among many small objects, compactly written or not."""
    with pytest.raises(InvalidJson, match=words):
        jsonvalue.parse(text.encode())
    crowd = '{"a":1},' * 100
    with pytest.raises(InvalidJson):
        jsonvalue.parse(f"[{crowd}{text}]".encode())


def test_bytes_that_are_no_utf8_are_refused() -> None:
    """In texts and in keys."""
    for data in (b'["\xff"]', b'{"\xff":1}', b'["' + b"\xed\xa0\x80" + b'"]'):
        with pytest.raises(InvalidJson):
            jsonvalue.parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000, b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"a":' * 160_000, b"[" + b"[]," * 100_000 + b"[" * 600_000, b'["' + b"[" * 900_000,
        b"[" + b'"k":1,' * 160_000 + b"1]", b"9" * 1_000_000, b"-" * 1_000_000,
    ],
    ids=["open", "whole", "objects", "after many", "in a text", "no object", "digits", "signs"],
)  # fmt: skip
def test_a_bomb_costs_little(data: bytes) -> None:
    """A megabyte made to be refused is refused before it costs anything (I50)."""
    started = time.process_time()
    with pytest.raises(InvalidJson):
        jsonvalue.parse(data)
    assert time.process_time() - started < 0.2
