"""JSON, strictly: the one way text from outside becomes values, and values become text.

`parse` refuses what JSON parsers usually let through (PROTOCOL "Strict JSON"): duplicate keys,
NaN and infinities, numbers beyond a double, lone surrogates, NUL in text, too deep, too many
keys. What does not live here: what the values must be (`schema.validate`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from array import array
from itertools import accumulate
from typing import Any, TypeVar

import msgspec

from pylon import limits
from pylon.errors import InvalidJson

JsonValue = Any
T = TypeVar("T")
_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_canonical_encoder = msgspec.json.Encoder(order="sorted")
#: Digits as 0 and all else as a space: a long run of digits is then a plain search away.
_DIGITS = bytes(0x30 if byte in b"0123456789" else 0x20 for byte in range(256))
_TOO_MANY_DIGITS = b"0" * (limits.JSON_INTEGER_DIGITS_MAX + 1)
_TEXT = re.compile(rb'"[^"]*"?')
_ROUNDS = 3
#: An opening bracket as a step of one down, a closing one as a step up.
_STEPS = bytes({0x7B: 1, 0x5B: 1, 0x7D: 255, 0x5D: 255}.get(byte, 0) for byte in range(256))
_NEITHER_QUOTE_NOR_BRACKET = bytes(byte for byte in range(256) if byte not in b'"{}[]')


def encode(value: JsonValue) -> bytes:
    """Return compact UTF-8 JSON of plain values (dict, list, str, int, float, bool, None)."""
    return _encoder.encode(value)


def encode_text(value: JsonValue) -> str:
    """Return compact JSON as text."""
    return _encoder.encode(value).decode()


def canonical_json(value: JsonValue) -> bytes:
    """Return compact JSON with sorted keys: equal values give equal bytes."""
    return _canonical_encoder.encode(value)


def stable_hash(value: JsonValue) -> str:
    """Return a 32-digit hexadecimal hash of the canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:32]


def decode_trusted(data: bytes | str) -> JsonValue:
    """Return the values of JSON that this process wrote itself (log, outcomes, `_wire`)."""
    return _decoder.decode(data)


def parse(data: bytes) -> JsonValue:
    """Return the values of JSON from outside, or raise `InvalidJson` naming the place.

    Bodies that are written compactly, as our clients do, take the fast path: what was decoded
    encodes to the same bytes again, so no key was given twice and no number was bent.
    """
    value = parse_compact(data, _decoder)
    return _parse_slowly(data) if value is None else value


def parse_compact(data: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Return what a decoder makes of compactly written JSON from outside, and None of any other.

    None says nothing about the text: `parse` judges it.
    """
    if b"\\u0000" in data or not _is_small(data):
        return None
    try:
        value = decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if _TOO_MANY_DIGITS in data.translate(_DIGITS) or _encoder.encode(value) != data:
        return None
    return value


def _is_small(data: bytes) -> bool:
    if data.count(b":") > limits.JSON_KEYS_MAX:
        return False
    openings = data.count(b"{") + data.count(b"[")
    return openings <= limits.JSON_DEPTH_MAX or not _is_deep(data)


def _parse_slowly(data: bytes) -> JsonValue:
    if _is_deep(data):
        raise InvalidJson(f"nested deeper than {limits.JSON_DEPTH_MAX}")
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"the body is not UTF-8 at byte {error.start}") from error
    keys = 0

    def pairs(items: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        nonlocal keys
        keys += len(items)
        if keys > limits.JSON_KEYS_MAX:
            raise InvalidJson(f"more than {limits.JSON_KEYS_MAX} keys")
        found: dict[str, JsonValue] = {}
        for key, value in items:
            if key in found:
                raise InvalidJson(f"the key {key!r} is given twice", key=key)
            found[key] = value
        return found

    try:
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_float=_finite,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidJson(
            f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}",
            line=error.lineno,
            column=error.colno,
        ) from error
    _check_texts(value, "")
    return value


def _is_deep(data: bytes) -> bool:
    """Tell whether brackets are nested beyond the limit, before any parser recurses."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Only quotes and brackets decide. Two quotes in a row open and close nothing between them,
    # wherever they stand; what is left of texts then are those that hold brackets.
    data = data.translate(None, delete=_NEITHER_QUOTE_NOR_BRACKET).replace(b'""', b"")
    if b'"' in data:
        data = _TEXT.sub(b"", data)
    left = data
    for _ in range(_ROUNDS):  # each takes the innermost levels: of most bodies nothing is left
        if not left:
            return False
        left = left.replace(b"{}", b"").replace(b"[]", b"")
    return max(accumulate(array("b", data.translate(_STEPS))), default=0) > limits.JSON_DEPTH_MAX


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidJson(f"the number {text[:40]} is no finite double")
    return value


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > limits.JSON_INTEGER_DIGITS_MAX:
        raise InvalidJson(f"the number {text[:40]}… has too many digits")
    return int(text)


def _refuse_constant(text: str) -> None:
    raise InvalidJson(f"{text} is not JSON")


def _check_texts(value: JsonValue, place: str) -> None:
    match value:
        case str():
            _check_text(value, place)
        case list():
            for position, item in enumerate(value):
                _check_texts(item, f"{place}[{position}]")
        case dict():
            for key, item in value.items():
                _check_text(key, place)
                _check_texts(item, f"{place}.{key}" if place else key)
        case _:
            pass


def _check_text(text: str, place: str) -> None:
    if "\x00" in text:
        raise InvalidJson(f"NUL in text at {place or 'the top'}", place=place)
    try:
        text.encode("utf-8", "strict")
    except UnicodeEncodeError as error:
        raise InvalidJson(f"lone surrogate at {place or 'the top'}", place=place) from error
