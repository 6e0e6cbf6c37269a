"""Texts and JSON inside fields: what can be kept, and copies of it."""

from __future__ import annotations

import math
from typing import Any

from pylon import limits


def check_text(text: str) -> None:
    """Raise ValueError for a text that can't be kept and sent as it is."""
    if "\x00" in text:
        raise ValueError("must not hold NUL")
    if not text.isascii():
        try:
            text.encode("utf-8", "strict")
        except UnicodeEncodeError:
            raise ValueError("must not hold lone surrogates") from None


def check_json(value: Any, depth: int = 1) -> None:
    """Raise ValueError where a value is not JSON that every reader reads alike."""
    if depth > limits.JSON_DEPTH_MAX:
        raise ValueError(f"is nested deeper than {limits.JSON_DEPTH_MAX}")
    if type(value) is list:
        for item in value:
            check_json(item, depth + 1)
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError("holds a key that is no text")
            check_text(key)
            check_json(item, depth + 1)
    else:
        _check_scalar(value)


def _check_scalar(value: Any) -> None:
    kind = type(value)
    if kind is str:
        check_text(value)
    elif kind is int and abs(value) > limits.SAFE_INTEGER_MAX:
        raise ValueError("holds an integer beyond ±(2^53-1)")
    elif kind is float and not math.isfinite(value):
        raise ValueError("holds a number that is not finite")
    elif value is not None and kind not in (bool, int, float):
        raise ValueError(f"holds a {kind.__name__}, which JSON does not have")


def copied(value: Any) -> Any:
    """Return JSON of its own: what the app changes later must not change a row, nor back."""
    if type(value) is list:
        return [copied(item) for item in value]
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    return value
