"""Which results a change may have turned: the read sets of all of them, by entity and by key.

Pure. A change looks up its row's id and the values that reads are pinned to; only reads that have
no pin are asked one by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from pylon.schema.model import Row
from pylon.server.functions.readset import EntityReads, ReadSet, Test
from pylon.server.storage.change_log import LogRecord

K = TypeVar("K", bound=Hashable)
#: (field, value); None for reads that are pinned to nothing.
_Pin = tuple[str, object] | None


class _EntityIndex(Generic[K]):
    def __init__(self) -> None:
        self.wholes: dict[K, None] = {}
        #: Those that asked for the time as well.
        self.timed: dict[K, None] = {}
        self.rows: dict[str, dict[K, None]] = {}
        self.pinned: dict[_Pin, dict[K, list[Test]]] = {}
        #: How many pins name a field: only those are looked up.
        self.fields: dict[str, int] = {}

    def add(self, key: K, reads: EntityReads, *, is_timed: bool) -> None:
        if is_timed:
            self.timed[key] = None
        if reads.is_whole:
            self.wholes[key] = None
        for row_id in reads.rows:
            self.rows.setdefault(row_id, {})[key] = None
        for test in reads.tests.values():
            pin = _pin_of(test)
            if pin not in self.pinned:
                self.pinned[pin] = {}
                if pin is not None:
                    self.fields[pin[0]] = self.fields.get(pin[0], 0) + 1
            self.pinned[pin].setdefault(key, []).append(test)

    def remove(self, key: K, reads: EntityReads) -> None:
        self.wholes.pop(key, None)
        self.timed.pop(key, None)
        for row_id in reads.rows:
            del self.rows[row_id][key]
            if not self.rows[row_id]:
                del self.rows[row_id]
        for pin in {_pin_of(test) for test in reads.tests.values()}:
            del self.pinned[pin][key]
            if not self.pinned[pin]:
                del self.pinned[pin]
                if pin is not None:
                    self.fields[pin[0]] -= 1
                    if not self.fields[pin[0]]:
                        del self.fields[pin[0]]

    @property
    def is_empty(self) -> bool:
        return not (self.wholes or self.timed or self.rows or self.pinned)

    def concerned(self, record: LogRecord, found: dict[K, None]) -> None:
        if record.slice is not None:
            found.update(self.timed)
            return
        before, after = record.before, record.after
        found.update(self.wholes)
        found.update(self.rows.get(record.row_id, {}))
        for pin in self._pins(before, after):
            for key, tests in self.pinned.get(pin, {}).items():
                if key not in found and any(one.concerns(before, after) for one in tests):
                    found[key] = None

    def _pins(self, before: Row | None, after: Row | None) -> dict[_Pin, None]:
        pins: dict[_Pin, None] = {None: None}
        for image in (before, after):
            if image is not None:
                for name in self.fields:
                    value = image.get(name)
                    if isinstance(value, str | int | float | bool):
                        pins[name, value] = None
        return pins


def _pin_of(test: Test) -> _Pin:
    """Return the equality that a test is found by: an id decides most."""
    pins = test.pins
    if not pins:
        return None
    return next((one for one in pins if one[0] == "id"), pins[0])


class LiveIndex(Generic[K]):
    """Read sets by what they stand for."""

    def __init__(self) -> None:
        self._entities: dict[str, _EntityIndex[K]] = {}
        self._reads: dict[K, ReadSet] = {}

    def __len__(self) -> int:
        """Return how many read sets are kept."""
        return len(self._reads)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is kept at all."""
        return not self._reads and not self._entities

    def __iter__(self) -> Iterator[tuple[K, ReadSet]]:
        """Yield what is kept."""
        yield from self._reads.items()

    def put(self, key: K, reads: ReadSet) -> None:
        """Keep a read set in the place of the one before."""
        self.drop(key)
        self._reads[key] = reads
        for name, one in reads.entities.items():
            self._entities.setdefault(name, _EntityIndex()).add(key, one, is_timed=reads.is_timed)

    def drop(self, key: K) -> None:
        """Forget a read set, if there is one."""
        reads = self._reads.pop(key, None)
        if reads is None:
            return
        for name, one in reads.entities.items():
            index = self._entities[name]
            index.remove(key, one)
            if index.is_empty:
                del self._entities[name]

    def concerned(self, records: list[LogRecord]) -> dict[K, None]:
        """Return the keys of the read sets that changes touch.

        A slice tells something new to those only that asked for the time: of an `exists` it is kept
        what it looks for.
        """
        found: dict[K, None] = {}
        for record in records:
            index = self._entities.get(record.entity)
            if index is not None:
                index.concerned(record, found)
        return found


def concerns(reads: ReadSet, records: list[LogRecord]) -> bool:
    """Tell whether changes touch one read set."""
    return any(
        reads.is_timed
        if one.slice is not None
        else reads.entities[one.entity].concerns(one.row_id, one.before, one.after)
        for one in records
        if one.entity in reads.entities
    )
