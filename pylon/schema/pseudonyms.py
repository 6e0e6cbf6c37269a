"""Values that stand for others: of the same shape, equal where those were, not to be undone.

Everything is a permutation under a key that nobody keeps: a text becomes another of its length with
letters for letters and digits for digits, a number another of its length. So nothing has to be
remembered, two different values never become one, and the same value becomes the same wherever it
stands. Pure. What does not live here: which values are replaced (`masking`).
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b, shake_256
from typing import Any, Final

from pylon.ids import uuid7_time_ms

_ROUNDS: Final = 4
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"
_HEX: Final = re.compile(
    r"#?(?=[0-9a-f-]*[0-9])[0-9a-f-]{6,}\Z|#?(?=[0-9A-F-]*[0-9])[0-9A-F-]{6,}\Z"
)
_EMAIL: Final = re.compile(r"([^\s@<>\"'(),;:]{1,64})@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\Z")
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII
)
_SCHEME: Final = re.compile(r"(?:https?|wss?|ftp|file)://|mailto:|data:", re.IGNORECASE)
#: A name that no mail server has (RFC 6761): nobody gets what is sent there.
_NOWHERE: Final = ".invalid"
_LABEL_MIN: Final = 6
#: Kept kinds of characters beyond ASCII: letters, and signs such as emoji.
_MOVED: Final = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "So"})
_WIDE: Final = 0x2E80


class Pseudonyms:
    """The pseudonyms under one key."""

    def __init__(self, key: bytes, literals: frozenset[str] = frozenset()) -> None:
        """Make them.

        Args:
            key: of chance; whoever has it can undo everything.
            literals: texts that stay as they are, such as those that stand in the app's code.
        """
        self._key = blake2b(key, digest_size=32).digest()
        self._literals = literals

    # --- texts

    def text(self, value: str, *, keeps: bool = True) -> str:
        """Return what stands for a text.

        Args:
            value: the text.
            keeps: ids that a program made, times and literals stay as they are.
        """
        if keeps and self._is_kept(value):
            return value
        made = self._other(value)
        while keeps and made != value and self._is_kept(made):
            made = self._other(made)  # still a permutation, of what is not kept
        return made

    def id(self, value: str) -> str:
        """Return what stands for a row's id: a chosen one may name somebody."""
        return self.text(value)

    def _is_kept(self, value: str) -> bool:
        return (
            value in self._literals
            or (len(value) == 36 and uuid7_time_ms(value) is not None)
            or (len(value) <= 35 and _TIME.match(value) is not None)
        )

    def _other(self, value: str) -> str:
        email = _EMAIL.match(value) if "@" in value else None
        if email is not None:
            return self._email(email[1], email[2])
        scheme = _SCHEME.match(value)
        if scheme is not None:
            return scheme[0] + self.scrambled(value[scheme.end() :])
        return self.scrambled(value)

    def _email(self, local: str, domain: str) -> str:
        length = max(len(domain) - len(_NOWHERE), _LABEL_MIN)
        chance = self._chance(b"domain", domain.lower().encode(), 2 * length)
        label = "".join(
            _LOWER[(chance[2 * n] << 8 | chance[2 * n + 1]) % 26] for n in range(length)
        )
        return f"{self.scrambled(local, domain.lower())}@{label}{_NOWHERE}"

    def scrambled(self, text: str, tweak: str = "") -> str:
        """Return a text with other letters and digits: as many, and each of its kind.

        Args:
            text: what is replaced; spaces and signs stay.
            tweak: the same text has another pseudonym under another one.
        """
        is_hex = _HEX.match(text) is not None
        table = _HEX_TABLE if is_hex else _TABLE
        places: list[int] = []
        found: list[_Entry] = []
        is_inside = is_hex  # a number that begins with 0 is another kind of number; not so there
        for place, one in enumerate(text):
            is_digit = "0" <= one <= "9"
            if is_digit and not is_inside:
                entry = _LEADING[one]
            elif one in table:
                entry = table[one]
            else:
                entry = table[one] = _entry(_alphabet(one, is_hex=is_hex), one)
            is_inside = is_digit or is_hex
            if entry is not None:
                places.append(place)
                found.append(entry)
        values = array("H", [one[1] for one in found])
        permuted = self._permuted(values, [len(one[0]) for one in found], tweak)
        made = list(text)
        for place, value, entry in zip(places, permuted, found, strict=True):
            made[place] = entry[0][value]
        return "".join(made)

    def _permuted(self, values: array[int], sizes: list[int], tweak: str) -> Sequence[int]:
        """Return other values below the same sizes: a Feistel network over two halves."""
        if len(values) < 2:
            return [self.number(one, size, tweak) for one, size in zip(values, sizes, strict=True)]
        half = len(values) // 2
        left, right = values[:half], values[half:]
        left_sizes, right_sizes = sizes[:half], sizes[half:]
        for turn in range(_ROUNDS):
            name = f"{turn} {tweak}".encode()
            if turn % 2 == 0:
                left = self._added(name, left, left_sizes, right)
            else:
                right = self._added(name, right, right_sizes, left)
        return left + right

    def _added(
        self, name: bytes, values: array[int], sizes: list[int], other: array[int]
    ) -> array[int]:
        chance = array("H", self._chance(name, other.tobytes(), 2 * len(values)))
        return array(
            "H",
            [(one + add) % size for one, add, size in zip(values, chance, sizes, strict=True)],
        )

    # --- numbers and bytes

    def number(self, value: int, size: int, tweak: str) -> int:
        """Return another number below `size`: a permutation of them all for each tweak."""
        if size < 2:
            return value
        bits = max(2, (size - 1).bit_length())
        bits += bits % 2
        while True:  # a cycle of the permutation comes back below the size at the latest with value
            value = self._feistel(value, bits // 2, f"{size} {tweak}".encode())
            if value < size:
                return value

    def _feistel(self, value: int, bits: int, tweak: bytes) -> int:
        mask = (1 << bits) - 1
        left, right = value >> bits, value & mask
        for turn in range(_ROUNDS):
            add = self._chance(b"%d %s" % (turn, tweak), right.to_bytes(16, "big"), 16)
            left, right = right, left ^ (int.from_bytes(add, "big") & mask)
        return left << bits | right

    def between(self, value: int, low: int | None, high: int | None, tweak: str) -> int:
        """Return another number with as many digits and the same sign, within the bounds."""
        if value < 0:
            return -self.between(
                -value, None if high is None else -high, None if low is None else -low, tweak
            )
        digits = len(str(value))
        least = 0 if digits == 1 else 10 ** (digits - 1)
        most = 10**digits - 1
        least = least if low is None else max(least, low)
        most = most if high is None else min(most, high)
        if not least <= value <= most:
            return value if least > most else least
        return least + self.number(value - least, most - least + 1, f"{least} {tweak}")

    def octets(self, data: bytes) -> bytes:
        """Return other bytes, as many."""
        if len(data) < 2:
            return bytes(self.number(one, 256, "byte") for one in data)
        half = len(data) // 2
        left, right = data[:half], data[half:]
        for turn in range(_ROUNDS):
            if turn % 2 == 0:
                left = _xor(left, self._chance(b"bytes%d" % turn, right, len(left)))
            else:
                right = _xor(right, self._chance(b"bytes%d" % turn, left, len(right)))
        return left + right

    def fraction(self, tweak: str) -> float:
        """Return a number of chance between a half and one; the same for a tweak."""
        return 0.5 + int.from_bytes(self._chance(b"fraction", tweak.encode(), 4), "big") / 2**33

    # --- JSON

    def json(self, value: Any, *, keeps: bool = True, tweak: str = "json") -> Any:
        """Return a JSON value with its texts replaced; numbers too unless it `keeps`.

        A member keeps its name only where that is a literal: names may be anybody's words.
        """
        match value:
            case str():
                return self.text(value, keeps=keeps)
            case bool() | None:
                return value
            case int():
                return value if keeps else self.between(value, None, None, tweak)
            case float():
                return value if keeps else value * self.fraction(tweak)
            case list():
                return [self.json(one, keeps=keeps, tweak=tweak) for one in value]
            case dict():
                return {
                    self.text(name, keeps=keeps): self.json(one, keeps=keeps, tweak=tweak)
                    for name, one in value.items()
                }
            case _:
                raise AssertionError(f"{type(value).__name__} is no JSON")

    def _chance(self, name: bytes, of: bytes, length: int) -> bytes:
        made = shake_256(self._key)
        made.update(len(name).to_bytes(4, "big") + name)
        made.update(of)
        return made.digest(length)


def _xor(one: bytes, other: bytes) -> bytes:
    number = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return number.to_bytes(len(one), "big")


def _alphabet(character: str, *, is_hex: bool) -> str:
    """Return what a character may become, itself included."""
    if "0" <= character <= "9":
        return _DIGITS
    if "a" <= character <= "z":
        return _LOWER[:6] if is_hex else _LOWER
    if "A" <= character <= "Z":
        return (_LOWER[:6] if is_hex else _LOWER).upper()
    if character < "\x80":
        return character
    return _beyond_ascii(character)


def _entry(alphabet: str, character: str) -> _Entry | None:
    return (alphabet, alphabet.index(character)) if len(alphabet) > 1 else None


def _beyond_ascii(character: str) -> str:
    """Return the characters of the same kind around it, so that a script stays that script."""
    kind = unicodedata.category(character)
    if kind not in _MOVED:
        return character
    size = 0x100 if ord(character) < _WIDE else 0x1000
    return _block(ord(character) // size * size, size, kind)


@lru_cache(maxsize=256)
def _block(first: int, size: int, kind: str) -> str:
    return "".join(
        chr(code) for code in range(max(first, 0x80), first + size)
        if unicodedata.category(chr(code)) == kind
    )  # fmt: skip


#: What a character may become and its place in that, worked out once; None for one that stays.
_Entry = tuple[str, int]
_TABLE: Final[dict[str, _Entry | None]] = {}
_HEX_TABLE: Final[dict[str, _Entry | None]] = {}
#: The same of the first digit of a number.
_LEADING: Final[dict[str, _Entry | None]] = {
    "0": None, **{one: (_DIGITS[1:], place) for place, one in enumerate(_DIGITS[1:])}
}  # fmt: skip
