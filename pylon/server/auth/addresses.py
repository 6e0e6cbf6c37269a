"""The one form of an e-mail address, the same at request, storage and verification (I67).

Spaces around it are dropped and ASCII letters are lowered; nothing else changes. Tags
(`ada+x@…`) and dots belong to the address. What is not ASCII is refused, before any case is folded:
the Kelvin sign lowers to `k`, and two addresses must not meet in one account. A domain with other
letters is written in its `xn--` form.
"""

from __future__ import annotations

import re
from typing import Final

from pylon.errors import InvalidArgument

_EMAIL: Final = re.compile(
    r"(?=.{3,254}\Z)[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z",
    re.ASCII,
)
_AROUND: Final = " \t\r\n"


def normalise_email(text: object) -> str:
    """Return the one form of an address; raises InvalidArgument."""
    email = text.strip(_AROUND) if isinstance(text, str) else ""
    if not email.isascii():
        raise InvalidArgument(
            "an e-mail address is written in ASCII here",
            hint="a domain with other letters has a form that starts with xn--",
            field="email",
        )
    email = email.lower()
    if not _EMAIL.match(email) or ".." in email:
        raise InvalidArgument("this is no e-mail address", field="email")
    return email
