"""Tokens and codes: made from random bytes that are handed in, stored and compared as hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

#: 31 letters and digits; 8 of them are 39 bits. No letters that are read as one another.
_CODE_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH: Final = 8
_RECOVERY_GROUPS: Final = 4
_TOKEN_BYTES: Final = 32


def new_token(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new opaque token of 256 bits."""
    return base64.urlsafe_b64encode(random_bytes(_TOKEN_BYTES)).decode().rstrip("=")


def token_hash(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def new_code(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new magic code of 8 characters and 39 bits."""
    return _letters(random_bytes, _CODE_LENGTH)


def new_recovery_code(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new code for a lost second factor: 16 characters and 79 bits, in fours."""
    text = _letters(random_bytes, 4 * _RECOVERY_GROUPS)
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))


def _letters(random_bytes: Callable[[int], bytes], count: int) -> str:
    text = ""
    while len(text) < count:
        for byte in random_bytes(count):
            if byte < 248 and len(text) < count:  # 248 = 8 · 31: no letter is favoured
                text += _CODE_ALPHABET[byte % 31]
    return text


def plain_code(code: str) -> str:
    """Return a code as it is compared: without case, spaces and dashes."""
    return "".join(code.split()).upper().replace("-", "")


def is_equal(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)
