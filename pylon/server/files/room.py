"""How much a caller may bring: his quota and everybody's, with what is on its way counted too.

Each file counts whole for who brought it, also where the same bytes are there already: the count
tells nobody what others have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pylon import limits
from pylon.errors import QuotaExceeded, Unavailable

#: (principal) -> bytes that are stored for him; and of all.
Used = Callable[[str | None], int]


class Room:
    """The quotas of one runtime; 0 means that there is none."""

    def __init__(
        self, *, quota_bytes: int, total_bytes: int, used: Used, used_by_all: Callable[[], int]
    ) -> None:
        self.quota_bytes = quota_bytes
        self.total_bytes = total_bytes
        self._used = used
        self._used_by_all = used_by_all
        self._coming: Counter[str | None] = Counter()

    @contextmanager
    def reserve(self, principal: str | None, length: int) -> Iterator[Reservation]:
        """Count bytes on their way for a caller until they are stored, or not.

        Raises QuotaExceeded, and Unavailable where all files together would be too many.
        """
        reservation = Reservation(self, principal)
        try:
            reservation.grow(length)
            yield reservation
        finally:
            self._coming[principal] -= reservation.length
            if self._coming[principal] <= 0:
                del self._coming[principal]

    def take(self, principal: str | None, more: int) -> None:
        """Count more bytes for a caller; raises as `reserve`."""
        coming = self._coming[principal] + more
        if self.quota_bytes and self._used(principal) + coming > self.quota_bytes:
            raise QuotaExceeded(quota=self.quota_bytes)
        coming_for_all = sum(self._coming.values()) + more
        if self.total_bytes and self._used_by_all() + coming_for_all > self.total_bytes:
            raise Unavailable(
                "there is no room for more files", reason="files_full",
                hint="the app's owner raises [files] total_mb",
            )  # fmt: skip
        self._coming[principal] = coming


class Reservation:
    """Bytes of one upload that are counted for its caller."""

    def __init__(self, room: Room, principal: str | None) -> None:
        self._room = room
        self._principal = principal
        self.length = 0

    def grow(self, length: int) -> None:
        """Count so many in all; raises as `Room.reserve`."""
        more = length - self.length
        if more <= 0:
            return
        if self.length and more < limits.MIB:
            # Of a length that nobody said it is asked once for many chunks, while there is room.
            with suppress(QuotaExceeded, Unavailable):
                self._room.take(self._principal, limits.MIB)
                self.length += limits.MIB
                return
        self._room.take(self._principal, more)
        self.length += more
