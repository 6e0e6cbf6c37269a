"""Names of things: typed ids, their one spelling rule, and the source that mints them.

What does not live here: cursors (`protocol.change`) and secrets (`server.auth.tokens`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from hashlib import blake2b
from typing import NewType

from pylon.clock import Clock

Seq = NewType("Seq", int)
RowId = NewType("RowId", str)
Epoch = NewType("Epoch", str)
ClientId = NewType("ClientId", str)
OperationId = NewType("OperationId", str)
TxId = NewType("TxId", int)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_OPERATION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z", re.ASCII)
_UUID7 = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z", re.ASCII
)
#: Bytes of chance fetched at once, 8 for each id.
_RANDOM_BYTES = 512
#: The digit that marks the variant, with two bits of chance left in it.
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def is_id(text: object) -> bool:
    """Tell whether this is a row, client or epoch id: 1-64 of `A-Za-z0-9_-` (I94)."""
    return isinstance(text, str) and _ID.match(text) is not None


def is_operation_id(text: object) -> bool:
    """Tell whether this is an operation id: 1-64 of `A-Za-z0-9_.:-`."""
    return isinstance(text, str) and _OPERATION_ID.match(text) is not None


def uuid7_time_ms(text: str) -> int | None:
    """Return the Unix milliseconds inside a UUIDv7, or None where the text is not one."""
    found = _UUID7.match(text)
    return int(found[1] + found[2], 16) if found else None


class IdSource:
    """Mints ids from a clock and a source of random bytes, both handed in.

    UUIDv7 (RFC 9562, method 1): 48 bits of Unix milliseconds, then a 12-bit counter that keeps
    ids of one millisecond in order, then 62 random bits. A clock that steps back does not make
    ids step back: the last millisecond is kept until the clock passes it.
    """

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._last_ms = 0
        self._counter = 0
        self._time_text = ""
        #: Random digits for the ids to come: asking the system for each one costs more than it.
        self._digits = ""
        self._used = 0
        #: A function that may take long runs on a thread of its own.
        self._minting = threading.Lock()

    def uuid7(self) -> str:
        """Return a new UUIDv7 in its usual text form."""
        with self._minting:
            now_ms = self._clock.machine_ms()
            if now_ms > self._last_ms:
                self._start(now_ms)
            else:
                self._counter += 1
                if self._counter > 0xFFF:
                    self._start(self._last_ms + 1)
            if self._used == len(self._digits):
                self._digits, self._used = self._random_bytes(_RANDOM_BYTES).hex(), 0
            place = self._used
            self._used = place + 16
            random = self._digits[place : place + 16]
            variant = _VARIANT[random[0]]
            return f"{self._time_text}{self._counter:03x}-{variant}{random[1:4]}-{random[4:]}"

    def _start(self, ms: int) -> None:
        self._last_ms, self._counter = ms, 0
        text = f"{ms:012x}"
        self._time_text = f"{text[:8]}-{text[8:]}-7"

    def token_hex(self, byte_count: int) -> str:
        """Return `byte_count` random bytes as hexadecimal text."""
        return self._random_bytes(byte_count).hex()

    def random_bytes(self, byte_count: int) -> bytes:
        """Return `byte_count` random bytes."""
        return self._random_bytes(byte_count)


class RepeatedIds:
    """Mints the ids of one operation: the same ones where it is run again.

    No generator of random numbers: making one costs as much as storing a job does.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed[:64]
        self._count = 0

    def uuid7(self, now_ms: int) -> str:
        """Return the next UUIDv7, of a time in Unix ms."""
        self._count += 1
        number = self._count.to_bytes(8, "big")
        chance = int.from_bytes(blake2b(number, key=self._seed, digest_size=10).digest())
        value = now_ms << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64
        value |= 0b10 << 62 | chance & (1 << 62) - 1
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
