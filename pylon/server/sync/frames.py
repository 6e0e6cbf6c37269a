"""`changes` frames, each made once: shared by all that are told the same from the same cursor.

Pure. Frames end at a transaction's end and near 1 MiB; one transaction stays whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

from pylon import limits
from pylon.server.storage.change_log import LogRecord
from pylon.server.sync.channel import frame
from pylon.server.sync.projection import changes_frame

#: A change as told to a view: its seq, its transaction, its text.
Told = tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame ready for the transport, what it brings the cursor to, and what it holds."""

    data: bytes
    through: int
    more: bool
    changes: int


class Frames:
    """The frames of one pass."""

    def __init__(
        self, epoch: str, records: Sequence[LogRecord], head: int, *, more: bool = False
    ) -> None:
        """Begin a pass.

        Args:
            epoch: of the cursors.
            records: what is told of, whole transactions.
            head: the seq that the frames bring a cursor to.
            more: something after that is known already.
        """
        self._epoch = epoch
        self._records = records
        self.head = head
        self._more = more
        #: By the identity of what is told, which is therefore kept.
        self._parts: dict[tuple[int, ...], tuple[Sequence[Told], list[list[Told]]]] = {}
        self._frames: dict[tuple[int, tuple[int, ...]], list[Frame]] = {}

    def of(self, changes: Sequence[Told], cursor: int) -> list[Frame]:
        """Return the frames that bring a cursor to the head with these changes, or with none."""
        key = tuple(map(id, changes))
        known = self._frames.get((cursor, key))
        if known is not None:
            return known
        kept = self._parts.get(key)
        if kept is None:
            kept = self._parts[key] = (changes, self._cut(changes))
        made: list[Frame] = []
        after = cursor
        for place, part in enumerate(kept[1], 1):
            is_last = place == len(kept[1])
            more = self._more or not is_last
            through = self.head if is_last else self._end_of(part[-1])
            tail = b",".join([text for _, _, text in part])
            data = frame(changes_frame(self._epoch, after, through, tail, more=more))
            made.append(Frame(data, through, more, len(part)))
            after = through
        self._frames[cursor, key] = made
        return made

    def _cut(self, changes: Sequence[Told]) -> list[list[Told]]:
        parts: list[list[Told]] = [[]]
        size = 0
        for one in changes:
            part = parts[-1]
            if part and part[-1][1] != one[1] and size + len(one[2]) > limits.FRAME_BYTES_MAX:
                parts.append([])
                size = 0
            parts[-1].append(one)
            size += len(one[2])
        return parts

    def _end_of(self, change: Told) -> int:
        """Return the last seq of a change's transaction."""
        return max(one.seq for one in self._records if one.tx == change[1])


def large_ones(records: Sequence[LogRecord], views: int, at_most: int) -> Set[int]:
    """Return the transactions of which more would be told than that, if all views were told."""
    if len(records) * views <= at_most:
        return frozenset()
    sizes = Counter([one.tx for one in records])
    return {tx for tx, size in sizes.items() if size * views > at_most}
