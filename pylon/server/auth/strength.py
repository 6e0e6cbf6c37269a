"""Which passwords are taken: long enough, and none that is guessed first. Pure.

No rules of composition: they make people write `Password1!`. Refused is what guessers try first:
the lists' favourites, runs on the keyboard, one thing repeated, and the person's own address.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from pylon import limits
from pylon.errors import InvalidArgument

#: Words around which the favourites of leaked lists are built.
_WORDS: Final = (
    "password", "passwort", "passw0rd", "p@ssw0rd", "p@ssword", "motdepasse", "contrasena",
    "iloveyou", "letmein", "welcome", "admin", "administrator", "changeme", "qwertyuiop",
    "qwerty", "asdfghjkl", "zxcvbnm", "qazwsxedc", "1q2w3e4r5t", "1qaz2wsx3edc", "sunshine",
    "princess", "football", "baseball", "superman", "batman", "dragon", "monkey", "master",
    "shadow", "michael", "jennifer", "whatever", "trustno1", "starwars", "pokemon", "liverpool",
    "chelsea", "arsenal", "barcelona", "hello", "secret", "default", "guest", "login", "test",
    "abcdef", "computer", "internet", "samsung", "google", "facebook", "minecraft",
)  # fmt: skip
#: What people put around such a word.
_TRIMMINGS: Final = "0123456789!.@#$%&*_-+? "
_ROWS: Final = (
    "01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiop",
    "azertyuiop", "1q2w3e4r5t6z7u8i9o0p", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujmikolp",
)  # fmt: skip


def checked_password(text: object, email: str | None = None) -> str:
    """Return the one form of a new password; raises InvalidArgument saying what is wrong."""
    password = normalised_password(text)
    if len(password) < limits.PASSWORD_CHARACTERS_MIN:
        raise _refused(f"a password has at least {limits.PASSWORD_CHARACTERS_MIN} characters")
    plain = password.casefold()
    if len(set(plain)) < 4 or _repeats(plain) or _is_run(plain):
        raise _refused("this password is among the first that are guessed")
    core = plain.strip(_TRIMMINGS)
    if core == "" or core in _WORDS or _is_run(core) or _repeats(core):
        raise _refused("this password is among the first that are guessed")
    if any(core.removeprefix(one).strip(_TRIMMINGS) in ("", *_WORDS) for one in _WORDS
           if core.startswith(one)):  # fmt: skip
        raise _refused("this password is among the first that are guessed")
    own = [] if email is None else [email, email.partition("@")[0]]
    if any(core == one.strip(_TRIMMINGS) for one in own if len(one) > 2):
        raise _refused("a password is not one's address")
    return password


def normalised_password(text: object) -> str:
    """Return the one form of a password, whatever keyboard typed it; raises InvalidArgument."""
    if not isinstance(text, str) or not text:
        raise InvalidArgument("password is a text", field="password")
    if len(text) > limits.PASSWORD_CHARACTERS_MAX:
        raise _refused(f"a password has at most {limits.PASSWORD_CHARACTERS_MAX} characters")
    return unicodedata.normalize("NFKC", text)


def _refused(message: str) -> InvalidArgument:
    return InvalidArgument(
        message, hint="a few words that only you put together do well", field="password"
    )


def _is_run(text: str) -> bool:
    """Tell whether a text is a run along a row of keys, forwards or backwards."""
    return len(text) > 3 and any(text in row * 2 or text in row[::-1] * 2 for row in _ROWS)


def _repeats(text: str) -> bool:
    """Tell whether a text is one shorter thing, several times."""
    return len(text) > 3 and text in (text + text)[1:-1]
