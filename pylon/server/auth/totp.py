"""Time-based codes of a second factor: RFC 6238 with SHA-1, six digits, thirty seconds.

Pure: time and secrets are handed in.
"""

from __future__ import annotations

import base64
import hmac
import struct
from typing import Final
from urllib.parse import quote

SECRET_BYTES: Final = 20
_STEP_MS: Final = 30_000
_DIGITS: Final = 6
#: Steps before and after this one that are taken, for clocks that are not quite right.
_SKEW: Final = 1


def totp_code(secret: bytes, step: int) -> str:
    """Return the code of a time step."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    place = digest[-1] & 0x0F
    number = int.from_bytes(digest[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}d}"


def matching_step(secret: bytes, code: str, now_ms: int, after: int) -> int | None:
    """Return the time step that a code is of, or None.

    Args:
        secret: the shared secret.
        code: what was typed.
        now_ms: the time.
        after: the step of the last code that was used: neither it nor one before works again.
    """
    typed = "".join(code.split()).encode("utf-8", "replace")
    now = now_ms // _STEP_MS
    found = None
    for step in range(max(now - _SKEW, 0), now + _SKEW + 1):
        # All are compared, so that the time tells nothing.
        if hmac.compare_digest(totp_code(secret, step).encode(), typed) and step > after:
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """Return a secret as people type it into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def otpauth_url(secret: bytes, issuer: str, account: str) -> str:
    """Return what a QR code for an authenticator app says."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    return f"otpauth://totp/{label}?secret={secret_text(secret)}&issuer={quote(issuer, safe='')}"
