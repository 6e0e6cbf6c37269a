"""The one form of an e-mail address, the same at request, storage and verification (I67).

Spaces around it are dropped and ASCII letters are lowered; nothing else changes. Tags
(`ada+x@…`) and dots belong to the address. What is not ASCII is refused, before any case is folded:
the Kelvin sign lowers to `k`, and two addresses must not meet in one account. A domain with other
letters is written in its `xn--` form. What an address is at all, `mail.message` says.
"""

from __future__ import annotations

from typing import Final

from pylon.errors import InvalidArgument
from pylon.server.mail.message import is_address

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
    if not is_address(email):
        raise InvalidArgument("this is no e-mail address", field="email")
    return email
